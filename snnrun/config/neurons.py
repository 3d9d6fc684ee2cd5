"""The keys of the neuron models beyond those that every model has; registered in `OPTIONS` like all others."""

from dataclasses import dataclass
from typing import Literal

from snnrun.config.schema import OPTIONS, NeuronConfig
from snnrun.config.types import NonNegative, Positive


@dataclass(frozen=True, kw_only=True)
class TauConfig(NeuronConfig):
    """Keys of every model that leaks: its membrane, and how all its time constants are drawn, trained and bounded."""

    tau_mem: Positive
    tau_init: Literal["constant", "gamma", "lognormal", "normal", "uniform"]
    tau_shape: Positive
    tau_train: Literal["none", "shared", "per_neuron"]
    tau_constraint: Literal["sigmoid", "clamp"]
    tau_min: Positive
    tau_max: Positive

    def means(self) -> dict[str, float]:
        """The mean time constants [ms] by key."""
        return {key: getattr(self, key) for key in ("tau_mem", "tau_syn", "tau_adapt") if hasattr(self, key)}


OPTIONS["neuron"].register("lif")(TauConfig)
OPTIONS["neuron"].register("if")(NeuronConfig)


@OPTIONS["neuron"].register("cuba_lif")
@dataclass(frozen=True, kw_only=True)
class CubaLifConfig(TauConfig):
    """Leaky integrate-and-fire with an exponential synaptic current."""

    tau_syn: Positive


@OPTIONS["neuron"].register("alif")
@dataclass(frozen=True, kw_only=True)
class AlifConfig(TauConfig):
    """An adaptive threshold."""

    tau_adapt: Positive
    adaptation: NonNegative


@OPTIONS["neuron"].register("adlif")
@OPTIONS["neuron"].register("se_adlif")
@dataclass(frozen=True, kw_only=True)
class AdLifConfig(TauConfig):
    """An adaptation current; `a` and `b` are the ranges of its strengths, `q` multiplies both."""

    tau_adapt: Positive
    a: tuple[float, float]
    b: tuple[float, float]
    q: Positive
