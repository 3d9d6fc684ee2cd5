"""A loaded data set: its parts, how they were split, and what there is to say about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from snnrun.data.events import EventSet

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Parts:
    """What a source gives: the parts that are given, before anything is held out.

    Attributes:
        train: the training data.
        valid: validation data of its own, or None.
        test: test data, or None.
        notes: lines for the log.
        train_indices: where one source was split into training and test data, the place of each sample in it.
        test_indices: the same for `test`.
    """

    train: EventSet
    valid: EventSet | None = None
    test: EventSet | None = None
    notes: tuple[str, ...] = ()
    train_indices: Indices | None = None
    test_indices: Indices | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test data, of which no sample is in two parts.

    Attributes:
        train, valid, test: the parts; `valid` and `test` may be None.
        train_indices: (samples of train,) their place in the data as it was given.
        valid_indices: the same for `valid`; None where it is None or has data of its own.
        test_indices: the same for `test`.
        known_speakers: (samples of test,) bool, whose speaker was trained on; None where nobody is named.
        unseen_speakers: (samples of test,) bool, whose speaker was neither trained on nor validated on.
        dropped: events outside 0 to the duration, by part.
        silent: samples without an event, by part.
        log: lines that tell what was loaded and how it was split.
        warnings: lines that the user should see.
    """

    train: EventSet
    valid: EventSet | None
    test: EventSet | None
    train_indices: Indices
    valid_indices: Indices | None
    test_indices: Indices | None = None
    known_speakers: NDArray[np.bool_] | None = None
    unseen_speakers: NDArray[np.bool_] | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    silent: dict[str, int] = field(default_factory=dict)
    log: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def channels(self) -> int:
        """Channels of the events, before any are pooled."""
        return self.train.channels

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.train.classes

    def parts(self) -> dict[str, EventSet]:
        """The parts that there are, by name."""
        named = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}

    def split(self) -> dict[str, list[int]]:
        """The split by sample index in the data as it was given, for the run folder; data of its own is not in it."""
        indices = {"train": self.train_indices, "valid": self.valid_indices, "test": self.test_indices}
        return {part: chosen.tolist() for part, chosen in indices.items() if chosen is not None}
