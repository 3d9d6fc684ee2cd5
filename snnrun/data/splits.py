"""Which samples are held out of the training data, as a function of the seed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from snnrun.data.events import EventSet
from snnrun.errors import UserError
from snnrun.registry import did_you_mean

Indices = NDArray[np.int64]


def by_fraction(labels: NDArray[np.int64], fraction: float, seed: int) -> Indices:
    """Indices of about `fraction` of the samples, the same share of each class, at least one and never all.

    Which samples of a class are taken is random; so is which classes give the rest that no whole number covers.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    # Every class is a run of `order`; taking it at equal distances gives each its share to within one sample.
    held = min(max(1, round(fraction * len(labels))), len(labels) - 1)
    if held < 1:
        raise UserError(f"the training data has {len(labels)} samples; holding some out needs at least 2")
    shift = random.random()
    return np.sort(order[((np.arange(held) + shift) * len(labels) / held).astype(np.int64)])


def draw_speakers(speakers: NDArray[np.int64], fraction: float, seed: int) -> tuple[int, ...]:
    """About `fraction` of the speakers, drawn with `seed`, at least one and never all."""
    known = _at_least_two(speakers)
    held = min(max(1, round(fraction * len(known))), len(known) - 1)
    return tuple(sorted(int(speaker) for speaker in np.random.default_rng(seed).permutation(known)[:held]))


def fold_speakers(speakers: NDArray[np.int64], fold: int, folds: int, seed: int) -> tuple[int, ...]:
    """The speakers of fold `fold` out of `folds`; every speaker is in exactly one fold of a seed."""
    known = _at_least_two(speakers)
    if not 2 <= folds <= len(known):
        raise UserError(f"dataset.folds={folds}: must be 2 to {len(known)}, the number of speakers")
    if not 0 <= fold < folds:
        raise UserError(f"dataset.fold={fold}: must be 0 to {folds - 1}, one less than dataset.folds")
    parts = np.array_split(np.random.default_rng(seed).permutation(known), folds)
    return tuple(sorted(int(speaker) for speaker in parts[fold]))


def by_speakers(speakers: NDArray[np.int64], held: Sequence[int]) -> Indices:
    """Indices of the samples of the speakers `held`; raises UserError if one is unknown or nobody is left."""
    known = np.unique(speakers)
    for speaker in held:
        if speaker not in known:
            numbers = [str(number) for number in known]
            raise UserError(
                f"dataset.validation_speakers: speaker {speaker} is not in the training data; "
                f"there are {', '.join(numbers)}{did_you_mean(str(speaker), numbers)}"
            )
    chosen = np.isin(speakers, held)
    if chosen.all():
        raise UserError("dataset.validation_speakers: names every speaker; nothing would be left to train on")
    return np.flatnonzero(chosen)


def missing_classes(train: EventSet) -> tuple[str, ...]:
    """Names of the classes of which `train` has no sample."""
    seen = np.bincount(train.labels, minlength=len(train.classes))
    return tuple(name for name, count in zip(train.classes, seen, strict=True) if not count)


def _at_least_two(speakers: NDArray[np.int64]) -> NDArray[np.int64]:
    known = np.unique(speakers)
    if len(known) < 2:
        raise UserError(
            "dataset.validation=speakers: the training data has one speaker only; "
            "use dataset.validation=fraction or none"
        )
    return known
