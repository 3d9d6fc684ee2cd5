"""Accuracy weights samples, not batches."""

import torch

from snnrun.evaluate import Evaluation


def test_accuracy_and_confusion_count_samples() -> None:
    labels, predictions = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 2, 0])
    found = Evaluation(0.5, labels, predictions)
    assert found.accuracy == 3 / 5
    assert found.confusion(3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
