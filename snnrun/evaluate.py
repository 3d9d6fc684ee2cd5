"""What a network gets right: loss and accuracy over a set of samples, each sample counting once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Engine
from snnrun.network import Network, NetworkOutput

Batches = Callable[[], Iterator[tuple[EventBatch, Tensor]]]
Watch = Callable[[EventBatch, NetworkOutput], None]


@dataclass(frozen=True)
class Evaluation:
    """Figures over a set of samples, in their order.

    Attributes:
        loss: mean cross-entropy.
        labels: (samples,) true classes.
        predictions: (samples,) classes with the largest readout.
    """

    loss: float
    labels: Tensor
    predictions: Tensor

    @property
    def correct(self) -> Tensor:
        """(samples,) bool."""
        return self.labels == self.predictions

    @property
    def accuracy(self) -> float:
        """Share of samples that are right; NaN where there is none."""
        return float(self.correct.double().mean())

    def confusion(self, classes: int) -> Tensor:
        """(classes, classes) counts: row = true class, column = predicted class."""
        pairs = self.labels * classes + self.predictions
        return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


@torch.no_grad()
def evaluate(
    network: Network, engine: Engine, batches: Batches, device: torch.device, watch: Watch | None = None
) -> Evaluation:
    """Loss and accuracy of `network` over all that `batches()` yields; `watch` sees each batch and its output."""
    network.eval()
    total, labels, predictions = 0.0, [], []
    for inputs, targets in batches():
        output = network(inputs.to(device), engine)
        if watch is not None:
            watch(inputs, output)
        logits = output.logits.cpu()
        total += functional.cross_entropy(logits, targets, reduction="sum").item()
        labels.append(targets)
        predictions.append(logits.argmax(1))
    everything = torch.cat(labels)
    return Evaluation(total / max(len(everything), 1), everything, torch.cat(predictions))
