"""Time constants of a population: how they start, what is trained, and the decay that a time step makes of them."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class TauSettings:
    """How the time constants of a population are drawn, trained and kept in range.

    The published study of heterogeneity (Perez-Nieves et al. 2021, Nature Communications 12:5791) draws from a gamma
    distribution with shape 3, trains the decay of each neuron and clamps it after every step.

    Attributes:
        init: "constant" (all neurons the mean), "gamma", "lognormal", "normal" or "uniform" (0 to twice the mean).
        shape: shape k of the gamma distribution; lognormal and normal get its spread, mean / sqrt(k).
        train: "none", "shared" (one value for the population) or "per_neuron".
        constraint: "sigmoid" trains p with tau = minimum (maximum / minimum)^sigmoid(p), which cannot leave the range;
            "clamp" trains the decay itself and clamps it into the range after every step.
        minimum, maximum: the range, in ms.
    """

    init: str = "constant"
    shape: float = 3.0
    train: str = "none"
    constraint: str = "sigmoid"
    minimum: float = 1.0
    maximum: float = 1000.0


class TimeConstant(nn.Module):
    """Time constants of a population in ms; calling it gives the decay exp(-dt / tau) of each neuron."""

    def __init__(
        self,
        mean: float,
        neurons: int,
        dt: float,
        settings: TauSettings | None = None,
        generator: Generator | None = None,
    ) -> None:
        """Draw them.

        Args:
            mean: mean of the distribution in ms.
            neurons: size of the population.
            dt: length of a time step in ms.
            settings: None keeps them constant and untrained.
            generator: what the draws come from.
        """
        super().__init__()
        self.dt = dt
        self.neurons = neurons
        self.settings = settings or TauSettings()
        drawn = draw(mean, 1 if self.settings.train == "shared" else neurons, self.settings, generator)
        if self.settings.train == "none":
            self.register_buffer("value", drawn)
            return
        self.value = nn.Parameter(self._to_value(drawn))

    @property
    def tau(self) -> Tensor:
        """(neurons,) ms, without a gradient."""
        tau = self.value if self.settings.train == "none" else -self.dt / torch.log(self())
        return tau.detach().expand(self.neurons)

    def forward(self) -> Tensor:
        """Decay per step, (neurons,), in (0, 1)."""
        if self.settings.train == "none":
            return torch.exp(-self.dt / self.value)
        if self.settings.constraint == "clamp":
            return self.value.expand(self.neurons)
        low, high = math.log(self.settings.minimum), math.log(self.settings.maximum)
        tau = torch.exp(low + (high - low) * torch.sigmoid(self.value))
        return torch.exp(-self.dt / tau).expand(self.neurons)

    @torch.no_grad()
    def constrain(self) -> None:
        """Clamp what "clamp" trains into its range; call it after every step of the optimiser."""
        if self.settings.train != "none" and self.settings.constraint == "clamp":
            bounds = (math.exp(-self.dt / tau) for tau in (self.settings.minimum, self.settings.maximum))
            self.value.clamp_(*bounds)

    def _to_value(self, tau: Tensor) -> Tensor:
        """What is trained, for time constants in ms."""
        if self.settings.constraint == "clamp":
            return torch.exp(-self.dt / tau)
        low, high = math.log(self.settings.minimum), math.log(self.settings.maximum)
        # The ends of the range are at infinity; a hair inside keeps them reachable and trainable.
        share = ((tau.log() - low) / (high - low)).clamp(1e-3, 1 - 1e-3)
        return torch.logit(share)


def draw(mean: float, size: int, settings: TauSettings, generator: Generator | None) -> Tensor:
    """(size,) initial time constants in ms.

    Those of a distribution are clamped into the range of the settings; a constant one that is not trained is what it
    is.
    """
    if settings.init == "constant":
        constant = torch.full((size,), mean)
        return constant if settings.train == "none" else constant.clamp(settings.minimum, settings.maximum)
    k = settings.shape
    if settings.init == "gamma":
        seed = int(torch.randint(2**62, (1,), generator=generator))
        with torch.random.fork_rng(devices=[]):  # torch's gamma draws take no generator
            torch.manual_seed(seed)
            tau = torch.distributions.Gamma(k, k / mean).sample((size,))
    elif settings.init == "lognormal":
        variance = math.log(1 + 1 / k)
        tau = torch.exp(math.log(mean) - variance / 2 + math.sqrt(variance) * torch.randn(size, generator=generator))
    elif settings.init == "normal":
        tau = mean * (1 + torch.randn(size, generator=generator) / math.sqrt(k))
    else:
        tau = 2 * mean * torch.rand(size, generator=generator)
    return tau.clamp(settings.minimum, settings.maximum)
