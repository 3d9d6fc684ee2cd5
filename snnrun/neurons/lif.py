"""Integrate-and-fire neurons: without a leak, with one, and with a synaptic current."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from snnrun.neurons.base import NEURONS, THRESHOLD, Neuron, State
from snnrun.neurons.time_constants import TauSettings, TimeConstant


@NEURONS.register("lif")
class Lif(Neuron):
    """The lecture's neuron: every input spike steps the membrane, which decays in between.

    v[t] = a v[t-1] (1 - S[t-1]) + I[t],  a = exp(-dt / tau_mem),  S[t] = H(v[t] - 1)

    Source: neuro4ml.github.io, week 5 ("Spiking"), for the reset "zero"; state v.
    """

    name = "lif"
    states = ("v",)

    def __init__(
        self,
        neurons: int,
        dt: float,
        tau_mem: float,
        reset: str,
        detach_reset: bool,
        taus: TauSettings | None = None,
        generator: Generator | None = None,
    ) -> None:
        """`tau_mem` and `dt` in ms."""
        super().__init__(reset, detach_reset)
        self.tau_mem = TimeConstant(tau_mem, neurons, dt, taus, generator)

    def constants(self) -> tuple[Tensor, ...]:
        """(a,)."""
        return (self.tau_mem(),)

    def step(self, constants: Sequence[Tensor], state: State, spikes: Tensor, current: Tensor) -> tuple[State, Tensor]:
        """One step; see the class."""
        (decay_mem,) = constants
        (v,) = state
        v = decay_mem * self.after_reset(v, spikes) + current
        return (v,), v - THRESHOLD


@NEURONS.register("if")
class If(Lif):
    """Integrate-and-fire: the membrane adds up its input and forgets nothing but by the reset.

    v[t] = v[t-1] (1 - S[t-1]) + I[t],  S[t] = H(v[t] - 1)

    Source: Lapicque 1907, without the leak; the step of `lif` with a = 1.
    """

    name = "if"

    def __init__(
        self, neurons: int, dt: float, reset: str, detach_reset: bool, generator: Generator | None = None
    ) -> None:
        """`dt` is there because every model has it; it changes nothing."""
        Neuron.__init__(self, reset, detach_reset)
        self.ones: Tensor
        self.register_buffer("ones", torch.ones(neurons))

    def constants(self) -> tuple[Tensor, ...]:
        """(a,), all 1."""
        return (self.ones,)


@NEURONS.register("cuba_lif")
class CubaLif(Neuron):
    """Current-based LIF: input spikes step a synaptic current, which the membrane integrates.

    i[t] = a_syn i[t-1] + I[t],  a_syn = exp(-dt / tau_syn)
    v[t] = a v[t-1] (1 - S[t-1]) + (1 - a) i[t],  a = exp(-dt / tau_mem),  S[t] = H(v[t] - 1)

    Source: Rossbroich, Gygax & Zenke 2022, Neuromorphic Computing and Engineering 2(4), 044016, eqs. 1-3, discretised;
    here the membrane sees the current of the same step. State i, v.
    """

    name = "cuba_lif"
    states = ("i", "v")

    def __init__(
        self,
        neurons: int,
        dt: float,
        tau_mem: float,
        tau_syn: float,
        reset: str,
        detach_reset: bool,
        taus: TauSettings | None = None,
        generator: Generator | None = None,
    ) -> None:
        """`tau_mem`, `tau_syn` and `dt` in ms."""
        super().__init__(reset, detach_reset)
        self.tau_mem = TimeConstant(tau_mem, neurons, dt, taus, generator)
        self.tau_syn = TimeConstant(tau_syn, neurons, dt, taus, generator)

    def constants(self) -> tuple[Tensor, ...]:
        """(a, a_syn)."""
        return (self.tau_mem(), self.tau_syn())

    def step(self, constants: Sequence[Tensor], state: State, spikes: Tensor, current: Tensor) -> tuple[State, Tensor]:
        """One step; see the class."""
        decay_mem, decay_syn = constants
        i, v = state
        i = decay_syn * i + current
        v = decay_mem * self.after_reset(v, spikes) + (1 - decay_mem) * i
        return (i, v), v - THRESHOLD
