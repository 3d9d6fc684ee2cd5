"""Backpropagation through time that ends at the border of a block."""

from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.learning.base import RULES, Outcome, Rule, Task
from snnrun.learning.blocks import StackScan, blocks_of
from snnrun.learning.errors import Verdict, at_rest


@RULES.register("truncated_bptt")
class TruncatedBptt(Rule):
    """Backpropagation through time within blocks of k steps; no gradient crosses from one block into the one before.

    The loss is that of `bptt`. Its errors are known at the end of a sample, so a sample is run twice: once for them,
    once block by block with a backward pass each. Memory grows with k and not with the length of the sample; k at or
    above it gives the gradient of `bptt`.

    Source: Williams & Peng 1990, Neural Computation 2(4), 490-501, BPTT(h; h') with h = h' = k but for the reach:
    here the first step of a block looks back 0 steps, the last one k - 1.
    """

    def __init__(self, task: Task, steps: int) -> None:
        """`steps`: k."""
        super().__init__(task)
        self.steps = steps

    def gradient(self, inputs: EventBatch, labels: Tensor) -> Outcome:
        """See `Rule.gradient`."""
        verdict = Verdict(self.task, inputs, labels)
        stack = StackScan(inputs.batch, self.network.tensors())
        integrators, _ = at_rest(self.network.readout.tensors(), inputs, self.task)
        for first, entering in blocks_of(inputs, self.steps, verdict.errors.dtype):
            layers, readout = self.network.tensors(), self.network.readout.tensors()  # a graph of its own each time
            blocks = stack.advance(layers, entering)
            trace = integrators.advance(blocks[-1].spikes @ readout.weight)
            errors = verdict.errors[:, None] * verdict.answer.weights(first, first + entering.shape[1])
            target = (errors * trace).sum()
            for block, signal in zip(blocks, verdict.on_counts, strict=True):
                target = target + (block.spikes.sum(1) * signal).sum()
            if target.requires_grad:
                target.backward()
            integrators.detach()
        return Outcome(verdict.loss, verdict.output)
