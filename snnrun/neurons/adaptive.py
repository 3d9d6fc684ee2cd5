"""Neurons that adapt: by a threshold that moves, or by a current that follows the membrane and the spikes."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from snnrun.neurons.base import NEURONS, THRESHOLD, Neuron, State
from snnrun.neurons.time_constants import TauSettings, TimeConstant


@NEURONS.register("alif")
class Alif(Neuron):
    """LIF with an adaptive threshold: every spike raises it, and it falls back to 1.

    b[t] = r b[t-1] + S[t-1],  r = exp(-dt / tau_adapt)
    v[t] = a v[t-1] (1 - S[t-1]) + I[t],  S[t] = H(v[t] - 1 - adaptation b[t])

    Source: Bellec et al. 2018, NeurIPS, eqs. 2-4 (with the reset "subtract"); the lecture's table has it with "zero".
    State v, b.
    """

    name = "alif"
    states = ("v", "b")

    def __init__(
        self,
        neurons: int,
        dt: float,
        tau_mem: float,
        tau_adapt: float,
        adaptation: float,
        reset: str,
        detach_reset: bool,
        taus: TauSettings | None = None,
        generator: Generator | None = None,
    ) -> None:
        """`tau_mem`, `tau_adapt` and `dt` in ms; `adaptation` in units of the threshold."""
        super().__init__(reset, detach_reset)
        self.tau_mem = TimeConstant(tau_mem, neurons, dt, taus, generator)
        self.tau_adapt = TimeConstant(tau_adapt, neurons, dt, taus, generator)
        self.adaptation: Tensor
        self.register_buffer("adaptation", torch.full((neurons,), adaptation))

    def constants(self) -> tuple[Tensor, ...]:
        """(a, r, adaptation)."""
        return (self.tau_mem(), self.tau_adapt(), self.adaptation)

    def step(self, constants: Sequence[Tensor], state: State, spikes: Tensor, current: Tensor) -> tuple[State, Tensor]:
        """One step; see the class."""
        decay_mem, decay_adapt, adaptation = constants
        v, b = state
        b = decay_adapt * b + spikes
        v = decay_mem * self.after_reset(v, spikes) + current
        return (v, b), v - THRESHOLD - adaptation * b

    def distance(self, constants: Sequence[Tensor], state: State) -> Tensor:
        """See `Neuron.distance`; the threshold moves."""
        v, b = state
        return v - THRESHOLD - constants[2] * b


class AdaptationCurrent(Neuron):
    """What `adlif` and `se_adlif` share: time constants, and the strengths a and b of the adaptation.

    a and b are drawn uniformly from their ranges, one of each a neuron, and trained within them.
    """

    def __init__(
        self,
        neurons: int,
        dt: float,
        tau_mem: float,
        tau_adapt: float,
        a: Sequence[float],
        b: Sequence[float],
        q: float,
        reset: str,
        detach_reset: bool,
        taus: TauSettings | None = None,
        generator: Generator | None = None,
    ) -> None:
        """`tau_mem`, `tau_adapt` and `dt` in ms; `a` and `b` are ranges (lowest, highest), `q` multiplies both."""
        super().__init__(reset, detach_reset)
        self.tau_mem = TimeConstant(tau_mem, neurons, dt, taus, generator)
        self.tau_adapt = TimeConstant(tau_adapt, neurons, dt, taus, generator)
        self.ranges = {"a": tuple(a), "b": tuple(b)}
        self.a, self.b = (
            nn.Parameter(low + (high - low) * torch.rand(neurons, generator=generator))
            for low, high in self.ranges.values()
        )
        self.q = q

    def constants(self) -> tuple[Tensor, ...]:
        """(d, r, q a, q b)."""
        return (self.tau_mem(), self.tau_adapt(), self.q * self.a, self.q * self.b)

    @torch.no_grad()
    def constrain(self) -> None:
        """Clamp a and b into their ranges, as published; call it after every step of the optimiser."""
        super().constrain()
        for name, parameter in (("a", self.a), ("b", self.b)):
            parameter.clamp_(*self.ranges[name])


@NEURONS.register("adlif")
class AdLif(AdaptationCurrent):
    """LIF with a current w that follows the membrane (strength a) and the spikes (strength b), by Euler's forward rule.

    w[t-1] = r w[t-2] + (1 - r) q (a u[t-2] + b S[t-1]),  r = exp(-dt / tau_adapt)
    v[t] = d u[t-1] + (1 - d) (I[t] - w[t-1]),  d = exp(-dt / tau_mem),  S[t] = H(v[t] - 1)
    u[t] = v[t] (1 - S[t])

    Source: Bittar & Garner 2022, Frontiers in Neuroscience 16:865897, in the form that Baronig et al. 2025 ("Advancing
    spatio-temporal processing in spiking neural networks through adaptation") call EF-adLIF. State v, w, u[t-1].
    """

    name = "adlif"
    states = ("v", "w", "u_before")

    def step(self, constants: Sequence[Tensor], state: State, spikes: Tensor, current: Tensor) -> tuple[State, Tensor]:
        """One step; see the class."""
        decay_mem, decay_adapt, a, b = constants
        v, w, u_before = state
        w = decay_adapt * w + (1 - decay_adapt) * (a * u_before + b * spikes)
        u = self.after_reset(v, spikes)
        v = decay_mem * u + (1 - decay_mem) * (current - w)
        return (v, w, u), v - THRESHOLD


@NEURONS.register("se_adlif")
class SeAdLif(AdaptationCurrent):
    """The model of `adlif` by the symplectic Euler rule, which is stable where the forward rule is not.

    w[t-1] = r w[t-2] + (1 - r) q (a u[t-1] + b S[t-1]);  all else as in `adlif`.

    Source: Baronig et al. 2025, eqs. 6a, 6b. State v, w.
    """

    name = "se_adlif"
    states = ("v", "w")

    def step(self, constants: Sequence[Tensor], state: State, spikes: Tensor, current: Tensor) -> tuple[State, Tensor]:
        """One step; see the class."""
        decay_mem, decay_adapt, a, b = constants
        v, w = state
        u = self.after_reset(v, spikes)
        w = decay_adapt * w + (1 - decay_adapt) * (a * u + b * spikes)
        v = decay_mem * u + (1 - decay_mem) * (current - w)
        return (v, w), v - THRESHOLD
