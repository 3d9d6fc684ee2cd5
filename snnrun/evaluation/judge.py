"""Judging one trained network under one set of conditions."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snnrun.data import Dataset
from snnrun.data.batch import EventBatch
from snnrun.data.batches import batches, placed
from snnrun.device import pick_device
from snnrun.engine.select import choose
from snnrun.errors import UserError
from snnrun.evaluate import Evaluation, evaluate
from snnrun.evaluation.activity import ACCUMULATE_PJ, MULTIPLY_ACCUMULATE_PJ, Activity
from snnrun.evaluation.changes import Case
from snnrun.evaluation.trained import Trained, load_data
from snnrun.seeding import numpy_stream, seed_everything


@dataclass(frozen=True)
class Sample:
    """One sample with all its spikes.

    Attributes:
        index: its place in the part.
        label, prediction: classes.
        spikes: input and hidden layers by name, as batches in which it is number `place`.
        place: its place in these batches.
    """

    index: int
    label: int
    prediction: int
    spikes: dict[str, EventBatch]
    place: int


@dataclass(frozen=True)
class Judgement:
    """What was found.

    Attributes:
        case: the conditions.
        epoch: that of the checkpoint.
        engine, device: what computed it.
        found: loss, labels and predictions.
        classes: their names.
        speakers: (samples,) who spoke, or None.
        known: (samples,) bool, whose speaker was trained on; None but for test data that names speakers.
        unseen: (samples,) bool, whose speaker was neither trained nor validated on; None as `known`.
        spikes: (samples,) of the input and of each hidden layer.
        operations: (samples,) synaptic operations; None of a network that does not spike.
        macs: multiply-accumulates of a dense computation of a sample.
        samples: the first that is right and the first that is wrong, as far as there are such.
    """

    case: Case
    epoch: int
    engine: str
    device: str
    found: Evaluation
    classes: tuple[str, ...]
    speakers: NDArray[np.int64] | None
    known: NDArray[np.bool_] | None
    unseen: NDArray[np.bool_] | None
    spikes: dict[str, Tensor]
    operations: Tensor | None
    macs: int
    samples: tuple[Sample, ...]

    def figures(self) -> dict[str, float]:
        """The figures of a row of the table: accuracies from 0 to 1, means of a sample, energies in nJ."""
        row = {"accuracy": self.found.accuracy, "loss": self.found.loss}
        for name, mask in (("known_speakers", self.known), ("unseen_speakers", self.unseen)):
            if mask is not None and mask.any():
                row[name] = float(self.found.correct[torch.from_numpy(mask)].double().mean())
        row |= {f"spikes_{name}": float(counts.mean()) for name, counts in self.spikes.items()}
        if self.operations is not None:
            operations = float(self.operations.mean())
            row["synaptic_operations"] = operations
            row["energy_nj"] = operations * ACCUMULATE_PJ / 1000
        row["dense_energy_nj"] = self.macs * MULTIPLY_ACCUMULATE_PJ / 1000
        return row


def judge(run: Trained, chosen: Case) -> Judgement:
    """Judge a run. Raises UserError where the data has no such part or does not fit, RunError for a bad checkpoint."""
    config = chosen.config
    seed_everything(config.seed, config.deterministic)
    device = pick_device(config.device)
    data = load_data(config)
    events = data.parts().get(chosen.part)
    if events is None or not len(events):
        raise UserError(
            f"part={chosen.part}: dataset={config.dataset.name} of {run.path} has no such data; "
            f"there is {', '.join(data.parts())}"
        )
    network, epoch = run.network(chosen, data, device)
    engine, _ = choose(config.engine, device, network.tensors())
    activity = Activity(network)

    where = placed(events, device, config.dataset, changed=True)

    def all_batches() -> Iterator[tuple[EventBatch, Tensor]]:
        random = numpy_stream(chosen.seed, "evaluate")
        return batches(where, np.arange(len(events)), config.training.batch_size, config.dataset, random)

    found = evaluate(network, engine, all_batches, device, activity)

    def sample(index: int) -> Sample:
        number, place = divmod(index, config.training.batch_size)
        inputs = next(batch for k, (batch, _) in enumerate(all_batches()) if k == number).to(device)
        with torch.no_grad():
            output = network(inputs, engine, record=True)
        layers = zip(network.layer_names(), output.spikes, strict=True)
        label, prediction = int(found.labels[index]), int(found.predictions[index])
        return Sample(index, label, prediction, {"input": inputs, **dict(layers)}, place)

    return Judgement(
        case=chosen,
        epoch=epoch,
        engine=engine.name,
        device=str(device),
        found=found,
        classes=data.classes,
        speakers=events.speakers,
        known=_of_test(chosen, data.known_speakers),
        unseen=_of_test(chosen, data.unseen_speakers),
        spikes={name: torch.cat(counts) for name, counts in activity.spikes.items()},
        operations=torch.cat(activity.operations) if activity.operations else None,
        macs=activity.macs,
        samples=tuple(sample(index) for index in _right_and_wrong(found)),
    )


def _of_test(chosen: Case, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return mask if chosen.part == "test" else None


def _right_and_wrong(found: Evaluation) -> list[int]:
    """The first sample that is right, and the first that is wrong."""
    firsts = [(found.correct == right).nonzero().flatten()[:1].tolist() for right in (True, False)]
    return [index for first in firsts for index in first]


def split_warning(run: Trained, chosen: Case, data: Dataset) -> str | None:
    """Say that the samples are not split as they were for the training, if the data set is the run's own."""
    own = not any(key.startswith("dataset.") for key, _ in chosen.changes)
    if own and not run.same_split(data):
        return f"{run.path}: the data is not what it was trained on: split.json differs; parts may hold other samples"
    return None
