"""What a learning rule is: from a batch to the gradient of every weight, as the rule would have it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnrun.config import LearningConfig
from snnrun.data.batch import EventBatch
from snnrun.engine.types import Engine
from snnrun.network import Network, NetworkOutput
from snnrun.registry import Registry
from snnrun.regularizers import ActivityBounds


@dataclass(frozen=True)
class Task:
    """What a rule learns on.

    Attributes:
        engine: the scan that backpropagation through time goes through.
        bounds: activity regularisers.
        duration_s: length of a sample in seconds.
        generator: what a rule draws its own random weights from.
        readout_scale: factor on the standard deviation of such weights, that of the readout's initial ones.
        label_smoothing: share of the target that goes to all classes alike.
    """

    network: Network
    engine: Engine
    bounds: ActivityBounds
    duration_s: float
    generator: torch.Generator
    readout_scale: float = 1.0
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a rule found on a batch: the mean loss that it descends, and what the network said."""

    loss: float
    output: NetworkOutput


class Rule(ABC):
    """A learning rule at work on a network.

    Attributes:
        every_step: the loss is the mean over time steps of the cross-entropy of the readout's potential; otherwise it
            is the cross-entropy of the logits, and the activity regularisers.
        trains_on: the engine whose equations the rule runs.
    """

    every_step = False

    def __init__(self, task: Task) -> None:
        self.task = task
        self.network = task.network

    @property
    def trains_on(self) -> str:
        """Name of the implementation of the scan over time."""
        return "reference"

    @abstractmethod
    def gradient(self, inputs: EventBatch, labels: Tensor) -> Outcome:
        """Add the rule's gradient of the mean loss to `.grad` of the network's parameters.

        Args:
            inputs: a batch of spike trains.
            labels: (batch,) int64.
        """

    def parameters(self) -> Iterator[nn.Parameter]:
        """What the rule itself learns, beside the network."""
        return iter(())

    def state_dict(self) -> dict[str, Tensor]:
        """The rule's own weights, for a checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the rule's own weights from a checkpoint."""
        for name, weights in self.state_dict().items():
            weights.copy_(state[name])


RULES: Registry[Callable[..., Rule]] = Registry("learning")  # called with a task and the keys of the config


def build_rule(config: LearningConfig, task: Task) -> Rule:
    """The configured rule."""
    common = {"name", "cutoff", "compare_to_bptt"}  # the surrogate's, and the training loop's
    keys: dict[str, Any] = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in common}
    return RULES[config.name](task, **keys)


def loss_of(output: NetworkOutput, labels: Tensor, task: Task) -> Tensor:
    """Cross-entropy of the logits, and the activity regularisers: what backpropagation through time descends."""
    loss = functional.cross_entropy(output.logits, labels, label_smoothing=task.label_smoothing)
    penalty = task.bounds(output.counts, task.duration_s)
    return loss if penalty is None else loss + penalty
