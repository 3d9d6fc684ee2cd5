"""What the output does wrong, block by block: known at the end of a sample, or at every step."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Readout
from snnrun.learning.answers import ANSWERS, Answer, impulse_response
from snnrun.learning.base import Outcome, Task, loss_of
from snnrun.learning.blocks import BLOCK, Activity, Integrators, StackScan, blocks_of
from snnrun.network import NetworkOutput


class Verdict:
    """A first pass over a batch, without a gradient, and what its loss says about logits and spikes.

    Attributes:
        loss: as `loss_of`.
        output: what the network said.
        answer: when the readout counted.
        errors: dL/dy, (batch, classes).
        on_counts: dL/d(spikes of a neuron over the sample) of the regularisers, (batch, neurons) a layer; empty if off.
    """

    def __init__(self, task: Task, inputs: EventBatch, labels: Tensor) -> None:
        readout = task.network.readout.tensors()
        self.answer = self._run(task, inputs, readout)
        logits = self.answer.logits.detach().requires_grad_()
        counts = tuple(layer.detach().requires_grad_() for layer in self._activity.counts)
        loss = loss_of(NetworkOutput(logits, counts, None, (self._activity.active,)), labels, task)
        errors, *on_counts = torch.autograd.grad(loss, [logits, *counts], materialize_grads=True)
        self.errors: Tensor = errors
        self.on_counts: list[Tensor] = on_counts
        self.loss = loss.item()
        self.output = NetworkOutput(self.answer.logits, self._activity.counts, None, (self._activity.active,))

    @torch.no_grad()
    def _run(self, task: Task, inputs: EventBatch, readout: Readout) -> Answer:
        layers = task.network.tensors()
        stack = StackScan(inputs.batch, layers)
        integrators, answer = at_rest(readout, inputs, task)
        for first, entering in blocks_of(inputs, BLOCK, readout.weight.dtype):
            blocks = stack.advance(layers, entering)
            answer.see(integrators.advance(blocks[-1].spikes @ readout.weight), first)
        self._activity = stack.activity
        return answer


class Critic(ABC):
    """Tells the errors of the readout while a batch passes."""

    @abstractmethod
    def hear(self, spikes: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """The errors of the next block, (batch, steps, classes), and what they are the derivatives by.

        Args:
            spikes: of the last layer, (batch, steps, neurons).
            first: the block's first step.

        Returns:
            Errors e[t], and r[t], (batch, steps, neurons): the gradient of the readout's weights is the sum of r e.
        """

    @abstractmethod
    def outcome(self, activity: Activity) -> Outcome:
        """Loss and output, once all was heard."""

    def on_counts(self, number: int) -> Tensor | None:
        """Derivative of the loss by the spikes of each neuron of layer `number`, beside the way through the readout."""
        return None


class AtTheEnd(Critic):
    """The errors of the logits, and those of the regularisers; e is dL/d(S[t] W), r the spikes."""

    def __init__(self, task: Task, inputs: EventBatch, labels: Tensor) -> None:
        self._verdict = Verdict(task, inputs, labels)
        self._kappa = impulse_response(task.network.readout.tensors(), inputs.steps)

    def hear(self, spikes: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """See `Critic.hear`."""
        reach = self._verdict.answer.reach(first, first + spikes.shape[1], self._kappa)
        return self._verdict.errors[:, None] * reach, spikes

    def outcome(self, activity: Activity) -> Outcome:
        """See `Critic.outcome`."""
        return Outcome(self._verdict.loss, self._verdict.output)

    def on_counts(self, number: int) -> Tensor | None:
        """See `Critic.on_counts`."""
        return self._verdict.on_counts[number]


class AtEveryStep(Critic):
    """The errors of o[t] by the mean over steps of its cross-entropy; e is dL/do[t], r the spikes, filtered as in o."""

    def __init__(self, task: Task, inputs: EventBatch, labels: Tensor) -> None:
        self._readout = task.network.readout.tensors()
        self._integrators, self._answer = at_rest(self._readout, inputs, task)
        silence = self._readout.weight.detach().new_zeros(inputs.batch, len(self._readout.weight))
        self._filtered = Integrators(for_neurons(self._readout), silence, silence)
        self._labels, self._steps = labels, inputs.steps
        self._loss = 0.0

    @torch.no_grad()
    def hear(self, spikes: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """See `Critic.hear`."""
        trace = self._integrators.advance(spikes @ self._readout.weight)
        self._answer.see(trace, first)
        loss, errors = errors_now(trace, self._labels, self._steps)
        self._loss += loss
        return errors, self._filtered.advance(spikes)

    def outcome(self, activity: Activity) -> Outcome:
        """See `Critic.outcome`."""
        return Outcome(self._loss, NetworkOutput(self._answer.logits, activity.counts, None, (activity.active,)))


def errors_now(trace: Tensor, labels: Tensor, steps: int) -> tuple[float, Tensor]:
    """The share of a block in the mean over steps of the cross-entropy of o[t]; its derivative by o[t].

    Args:
        trace: o[t], (batch, steps of the block, classes).
        labels: (batch,).
        steps: of the whole sample.
    """
    scale = 1 / (len(labels) * steps)
    log_shares = functional.log_softmax(trace, 2)
    target = functional.one_hot(labels, trace.shape[2])[:, None]
    return float(-(log_shares * target).sum()) * scale, (log_shares.exp() - target) * scale


def for_neurons(readout: Readout) -> Readout:
    """The readout with one time constant for whatever it filters; all its outputs have the same."""
    return Readout(readout.weight, readout.decay_mem[:1], readout.decay_syn[:1])


def at_rest(readout: Readout, inputs: EventBatch, task: Task) -> tuple[Integrators, Answer]:
    """Readout and logits before the first step."""
    zeros = readout.weight.detach().new_zeros(inputs.batch, readout.weight.shape[1])
    return Integrators(readout, zeros, zeros), ANSWERS[task.network.reduction.name](zeros, inputs.steps)
