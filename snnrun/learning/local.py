"""The one loop of all local rules: run a block, hear what was wrong, tell each layer."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Layer, Readout
from snnrun.learning.base import Outcome, Rule
from snnrun.learning.blocks import BLOCK, Activity, LayerBlock, blocks_of
from snnrun.learning.errors import AtEveryStep, AtTheEnd
from snnrun.learning.traces import TraceLearner
from snnrun.network import Network, NetworkOutput, SpikingLayer


@dataclass(frozen=True)
class Seen:
    """A block of the whole network, and what was wrong with it.

    Attributes:
        layers, readout: the network.
        blocks: one a layer.
        errors: of the readout, (batch, steps, classes); see `Critic.hear`.
        labels: (batch,).
        steps: of the whole sample.
    """

    layers: Sequence[Layer]
    readout: Readout
    blocks: Sequence[LayerBlock]
    errors: Tensor
    labels: Tensor
    steps: int


class LayerLearner(Protocol):
    """A layer that runs and learns block by block; see `TraceLearner`."""

    gradient: Tensor

    def run(self, entering: Tensor) -> LayerBlock: ...

    def learn(self, signals: Tensor, last: bool) -> None: ...


class LocalRule(Rule):
    """A rule that learns block by block, each layer from a signal on its spikes; memory grows with no sample's length.

    By default it is online: one pass, an error at every step, presynaptic traces. The loss is then the mean over steps
    of the cross-entropy of o[t]; the logits that evaluation judges are those of `network.readout` all the same. The
    gradient of the readout's weights is exact.
    """

    every_step = True

    @abstractmethod
    def signals(self, seen: Seen) -> list[Tensor]:
        """What the rule takes for dL/dS[t] of each layer over a block, (batch, steps, neurons)."""

    def learner(self, layer: Layer, readout: Readout, batch: int) -> LayerLearner:
        """What a layer learns by."""
        return TraceLearner(layer, batch)

    def group(self, layers: Sequence[Layer], batch: int) -> int:
        """How many samples are run at a time."""
        return batch

    def gradient(self, inputs: EventBatch, labels: Tensor) -> Outcome:
        """See `Rule.gradient`."""
        size = self.group(self.network.tensors(), inputs.batch)
        parts = []
        for first in range(0, inputs.batch, size):
            last = min(first + size, inputs.batch)
            share = (last - first) / inputs.batch
            parts.append((share, self._learn(inputs.samples(first, last), labels[first:last], share)))
        loss = sum(share * outcome.loss for share, outcome in parts)
        return Outcome(loss, _joined([(share, outcome.output) for share, outcome in parts]))

    def _learn(self, inputs: EventBatch, labels: Tensor, share: float) -> Outcome:
        """Add the gradient of a group of samples, which are a share of the batch."""
        layers, readout = self.network.tensors(), self.network.readout.tensors()
        critic = (AtEveryStep if self.every_step else AtTheEnd)(self.task, inputs, labels)
        learners = [self.learner(layer, readout, inputs.batch) for layer in layers]
        activity = Activity(len(layers))
        on_readout = torch.zeros_like(readout.weight)
        for first, entering in blocks_of(inputs, BLOCK, readout.weight.dtype):
            last = first + entering.shape[1] == inputs.steps
            blocks = []
            for number, learner in enumerate(learners):
                blocks.append(learner.run(entering))
                activity.add(number, layers[number], blocks[-1])
                entering = blocks[-1].spikes
            errors, read = critic.hear(entering, first)
            on_readout += read.flatten(0, 1).T @ errors.flatten(0, 1)
            with torch.no_grad():
                signals = self.signals(Seen(layers, readout, blocks, errors, labels, inputs.steps))
            for number, (learner, signal) in enumerate(zip(learners, signals, strict=True)):
                regularised = critic.on_counts(number)
                learner.learn(signal if regularised is None else signal + regularised[:, None], last)
        add_gradient(self.network.readout.weight, share * on_readout)
        for layer, learner in zip(hidden(self.network), learners, strict=True):
            inward = len(layer.weight)
            add_gradient(layer.weight, share * learner.gradient[:inward])
            if layer.recurrent is not None:
                add_gradient(layer.recurrent, share * learner.gradient[inward:])
        return critic.outcome(activity)


def hidden(network: Network) -> list[SpikingLayer]:
    """The hidden layers, typed."""
    return [layer for layer in network.hidden if isinstance(layer, SpikingLayer)]


def add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Add to `.grad`."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _joined(parts: Sequence[tuple[float, NetworkOutput]]) -> NetworkOutput:
    """The output of a batch, of those of groups of its samples with their shares."""
    active = torch.stack([share * output.active for share, output in parts]).sum(0)
    counts = tuple(torch.cat(layer) for layer in zip(*(output.counts for _, output in parts), strict=True))
    return NetworkOutput(torch.cat([output.logits for _, output in parts]), counts, None, (active,))
