"""Backpropagation through time."""

from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.learning.base import RULES, Outcome, Rule, loss_of


@RULES.register("bptt")
class Bptt(Rule):
    """The surrogate gradient of the whole sample, by the engine's backward pass.

    Source: Neftci, Mostafa & Zenke 2019, IEEE Signal Processing Magazine 36(6), 51-63.
    """

    @property
    def trains_on(self) -> str:
        """The engine that was chosen."""
        return self.task.engine.name

    def gradient(self, inputs: EventBatch, labels: Tensor) -> Outcome:
        """See `Rule.gradient`."""
        output = self.network(inputs, self.task.engine)
        loss = loss_of(output, labels, self.task)
        if loss.requires_grad:
            loss.backward()
        return Outcome(loss.item(), output)
