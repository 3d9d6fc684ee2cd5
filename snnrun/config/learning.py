"""The keys of the learning rules beyond those of `bptt`; registered in `OPTIONS` like all others."""

from dataclasses import dataclass
from typing import Literal

from snnrun.config.schema import OPTIONS, LearningConfig
from snnrun.config.types import Count, NonNegative, Positive


@dataclass(frozen=True, kw_only=True)
class ComparedConfig(LearningConfig):
    """Keys of every rule but `bptt` itself."""

    compare_to_bptt: bool


@OPTIONS["learning"].register("truncated_bptt")
@dataclass(frozen=True, kw_only=True)
class TruncatedConfig(ComparedConfig):
    """Backpropagation through time within blocks of `steps` steps."""

    steps: Count


@dataclass(frozen=True, kw_only=True)
class LocalConfig(ComparedConfig):
    """A rule that is local in space or online in time, derived for some neuron models."""


OPTIONS["learning"].register("ottt")(LocalConfig)


@OPTIONS["learning"].register("eprop")
@dataclass(frozen=True, kw_only=True)
class EpropConfig(LocalConfig):
    """e-prop: where the learning signal comes from, and which loss it is of."""

    feedback: Literal["symmetric", "random", "adaptive"]
    feedback_decay: NonNegative
    loss: Literal["readout", "every_step"]


@OPTIONS["learning"].register("decolle")
@dataclass(frozen=True, kw_only=True)
class DecolleConfig(LocalConfig):
    """DECOLLE: the scale of the random readouts of the layers."""

    local_scale: Positive
