"""Loads the data set that the configuration names, splits it and says what is in it."""

import inspect
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snnrun.data import splits
from snnrun.data.dataset import Dataset, Indices, Parts
from snnrun.data.events import EventSet
from snnrun.data.sources import SOURCES, DatasetOptions
from snnrun.errors import UserError


def load(options: DatasetOptions, seed: int) -> Dataset:
    """Load, check and split a data set.

    Args:
        options: the section `dataset` of the configuration.
        seed: seed of the run, for what is generated, and for the split where `split_seed` is None.

    Raises:
        UserError: a file is missing or bad, or the split asked for is not possible.
    """
    source = SOURCES[options.name]
    own = [key for key, given in inspect.signature(source).parameters.items() if given.kind is given.KEYWORD_ONLY]
    parts = source(options, seed, **{key: getattr(options, key) for key in own})
    whole = parts.train
    if len(np.unique(whole.labels)) < 2:
        raise UserError(f"dataset={options.name}: the training data has one class only; expected at least 2")
    held, how = _held_out(parts, options, seed if options.split_seed is None else options.split_seed)
    kept = np.arange(len(whole)) if held is None else np.setdiff1d(np.arange(len(whole)), held)
    given = np.arange(len(whole)) if parts.train_indices is None else parts.train_indices
    dataset = Dataset(
        train=whole.select(kept),
        valid=parts.valid if held is None else whole.select(held),
        test=parts.test,
        train_indices=given[kept],
        valid_indices=None if held is None else given[held],
        test_indices=parts.test_indices,
    )
    return _described(dataset, options, (*parts.notes, how))


def _held_out(parts: Parts, options: DatasetOptions, seed: int) -> tuple[Indices | None, str]:
    """Indices of the training data to validate on, None for none, and a line that tells how they were chosen."""
    whole, fraction = parts.train, options.validation_fraction
    if parts.valid is not None:
        return None, f"validation: {len(parts.valid)} samples of their own"
    if options.validation == "none":
        return None, "validation: none"
    by_name = options.validation_speakers is not None or options.fold is not None
    if options.validation == "speakers" and (whole.speakers is not None or by_name):
        held = _speakers_to_hold(whole, options, seed)
        assert whole.speakers is not None
        indices = splits.by_speakers(whole.speakers, held)
        return indices, f"validation: {len(indices)} samples of the speakers {', '.join(map(str, held))}, held out"
    reason = ", since the data names no speakers" if options.validation == "speakers" else ""
    indices = splits.by_fraction(whole.labels, fraction, seed)
    return indices, f"validation: {len(indices)} samples drawn from all classes alike{reason}"


def _speakers_to_hold(whole: EventSet, options: DatasetOptions, seed: int) -> tuple[int, ...]:
    if whole.speakers is None:
        key = "validation_speakers" if options.validation_speakers is not None else "fold"
        raise UserError(f"dataset.{key}: the training data names no speakers; leave it at null")
    if options.validation_speakers is not None:
        return tuple(options.validation_speakers)
    if options.fold is not None:
        return splits.fold_speakers(whole.speakers, options.fold, options.folds, seed)
    return splits.draw_speakers(whole.speakers, options.validation_fraction, seed)


def _described(dataset: Dataset, options: DatasetOptions, notes: tuple[str, ...]) -> Dataset:
    parts = dataset.parts()
    dropped = {name: part.outside(options.duration) for name, part in parts.items()}
    silent = {name: int(np.count_nonzero(part.counts == 0)) for name, part in parts.items()}
    known, unseen = _speaker_masks(dataset)
    lines = [_summary(name, part) for name, part in parts.items()]
    lines += [
        f"{name}: {count} of {int(parts[name].counts.sum())} spikes dropped, outside 0 to {options.duration:g} ms"
        for name, count in dropped.items()
        if count
    ]
    lines += [f"{name}: {count} samples without spikes" for name, count in silent.items() if count]
    return replace(
        dataset,
        known_speakers=known,
        unseen_speakers=unseen,
        dropped=dropped,
        silent=silent,
        log=(*notes, *lines),
        warnings=_warnings(dataset, dropped, options),
    )


def _summary(name: str, part: EventSet) -> str:
    speakers = "" if part.speakers is None else f", {len(np.unique(part.speakers))} speakers"
    spikes = float(part.counts.mean()) if len(part) else 0.0
    return f"{name}: {len(part)} samples, {len(part.classes)} classes{speakers}, {spikes:.0f} spikes a sample"


def _speaker_masks(dataset: Dataset) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    test, train, valid = dataset.test, dataset.train, dataset.valid
    if test is None or test.speakers is None or train.speakers is None:
        return None, None
    known = np.isin(test.speakers, train.speakers)
    validated = np.isin(test.speakers, valid.speakers) if valid and valid.speakers is not None else False
    return known, ~(known | validated)


def _warnings(dataset: Dataset, dropped: dict[str, int], options: DatasetOptions) -> tuple[str, ...]:
    found = []
    if missing := splits.missing_classes(dataset.train):
        found.append(f"no training sample of the classes {', '.join(missing)}: they cannot be learned")
    for name, part in dataset.parts().items():
        total = int(part.counts.sum())
        if total == dropped[name]:
            found.append(f"{name}: no spike between 0 and dataset.duration={options.duration:g} ms")
        elif dropped[name] > total // 20:
            share = 100 * dropped[name] / total
            found.append(f"{name}: {share:.0f} % of the spikes are past dataset.duration={options.duration:g} ms")
    return tuple(found)
