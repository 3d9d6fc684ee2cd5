"""How far the gradient of a rule points the way of backpropagation through time."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from snnrun.data.batch import EventBatch
from snnrun.learning.base import Rule, loss_of
from snnrun.network import NetworkOutput


class Comparison:
    """Cosines between a rule's gradient and that of `bptt`, of the same loss on the same batch with the same weights.

    The gradient of `bptt` goes through the engine and through recurrence and reset as the neuron's keys say; its memory
    grows with the length of a sample, whatever that of the rule does.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def cosines(self, inputs: EventBatch, labels: Tensor) -> dict[str, float]:
        """Cosine for each layer, hidden1 ... and readout, over all its parameters; NaN where a gradient is zero.

        Call it when the rule's gradient is in `.grad` and nothing has changed it.
        """
        network = self.rule.network
        parameters = list(network.parameters())
        loss = self._loss(inputs, labels)
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        truth = {id(p): gradient for p, gradient in zip(parameters, found, strict=True)}
        return {
            name: _cosine([(p.grad, truth[id(p)]) for p in module.parameters()])
            for name, module in network.parts().items()
        }

    def _loss(self, inputs: EventBatch, labels: Tensor) -> Tensor:
        task, network = self.rule.task, self.rule.network
        result = task.engine.scan(inputs, network.tensors(), network.readout.tensors())
        assert result.output is not None
        if self.rule.every_step:
            steps = result.output.shape[1]
            return functional.cross_entropy(result.output.flatten(0, 1), labels.repeat_interleave(steps))
        output = NetworkOutput(network.reduction(result.output), result.counts, None, (result.active,))
        return loss_of(output, labels, task)


def _cosine(pairs: list[tuple[Tensor | None, Tensor | None]]) -> float:
    """Cosine between two vectors in pieces; a missing piece is zero."""
    product = ours = theirs = 0.0
    for a, b in pairs:
        product += 0.0 if a is None or b is None else float((a.double() * b.double()).sum())
        ours += 0.0 if a is None else float(a.double().square().sum())
        theirs += 0.0 if b is None else float(b.double().square().sum())
    length = math.sqrt(ours * theirs)
    return product / length if length > 0 else math.nan
