"""The keys of the initialisation schemes beyond those that every scheme has; registered in `OPTIONS`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from snnrun.config.schema import OPTIONS, InitConfig
from snnrun.config.types import Bounds, Positive

Share = Annotated[float, Bounds(above=0, below=1)]

for scheme in ("normal", "uniform", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "orthogonal", "spytorch"):
    OPTIONS["init"].register(scheme)(InitConfig)


@dataclass(frozen=True, kw_only=True)
class RateConfig(InitConfig):
    """Schemes that go by the rate of the input, null until it is measured, and share the variance with recurrence."""

    rate_hz: Positive | None
    alpha: Share


@OPTIONS["init"].register("fluctuation")
@dataclass(frozen=True, kw_only=True)
class FluctuationConfig(RateConfig):
    """Mean of the potential, and its distance from the threshold in standard deviations."""

    mu_u: Annotated[float, Bounds(below=1)]
    xi: Positive


@OPTIONS["init"].register("fluctuation_dale")
@dataclass(frozen=True, kw_only=True)
class DaleConfig(RateConfig):
    """Excitatory and inhibitory neurons."""

    xi: Positive
    inhibitory: Share
    excitatory_recurrence: bool


@OPTIONS["init"].register("variance")
@dataclass(frozen=True, kw_only=True)
class VarianceConfig(RateConfig):
    """What is kept from layer to layer."""

    direction: Literal["forward", "backward"]


@OPTIONS["init"].register("calibrated")
@dataclass(frozen=True, kw_only=True)
class CalibratedConfig(InitConfig):
    """The rate at which every hidden layer fires at the start."""

    target_rate_hz: Positive
