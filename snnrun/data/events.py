"""The one form of a data set in memory: integer events, grouped by sample."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from snnrun.data.mapped import let_go
from snnrun.errors import UserError

_PIECE = 1 << 21  # events
MICROSECONDS = 1000.0  # in a millisecond
Units = NDArray[np.unsignedinteger]


@dataclass(frozen=True, eq=False)
class EventSet:
    """Samples of spikes; sample s holds the events ``start[s]:stop[s]``, sorted by time.

    After `Augmentation` they are in no order, which batches do not need.

    A part of a set (`select`) shares the arrays of events with the whole, so that a split costs no memory. An event
    takes 6 bytes (8 where there are more than 65,536 channels). Those that come from the cache lie in its files, and
    what reads many of them lets them go (`let_go`, `pieces`), so that a process holds few at a time.

    Attributes:
        unit: (events,) uint16 or uint32, the channel, 0 <= unit < channels.
        time: (events,) int32, microseconds from the start of the sample.
        start: (samples,) int64, first event of each sample.
        stop: (samples,) int64, one past the last event of each sample.
        labels: (samples,) int64, 0 <= label < len(classes).
        speakers: (samples,) int64 who spoke, or None where the data does not say.
        channels: number of input channels.
        classes: names of the classes.
    """

    unit: Units
    time: NDArray[np.int32]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    labels: NDArray[np.int64]
    speakers: NDArray[np.int64] | None
    channels: int
    classes: tuple[str, ...]

    @classmethod
    def from_offsets(
        cls,
        *,
        unit: NDArray[np.integer],
        time: NDArray[np.integer],
        offsets: NDArray[np.integer],
        labels: NDArray[np.integer],
        channels: int,
        classes: Sequence[str],
        speakers: NDArray[np.integer] | None = None,
    ) -> "EventSet":
        """A set whose samples follow one another: sample s is ``offsets[s]:offsets[s + 1]``."""
        bounds = np.asarray(offsets, np.int64)
        return cls(
            np.asarray(unit, unit_type(channels)),
            np.asarray(time, np.int32),
            bounds[:-1],
            bounds[1:],
            np.asarray(labels, np.int64),
            None if speakers is None else np.asarray(speakers, np.int64),
            channels,
            tuple(classes),
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(samples,) number of events of each sample."""
        return self.stop - self.start

    @property
    def nbytes(self) -> int:
        """Bytes that the shared arrays of events take."""
        return self.unit.nbytes + self.time.nbytes

    def select(self, indices: NDArray[np.integer]) -> "EventSet":
        """The samples `indices`, in that order, on the same arrays of events."""
        return replace(
            self,
            start=self.start[indices],
            stop=self.stop[indices],
            labels=self.labels[indices],
            speakers=None if self.speakers is None else self.speakers[indices],
        )

    def pieces(self) -> Iterator["EventSet"]:
        """The samples in order, some at a time; what was read of their events is let go after each."""
        number = np.cumsum(self.counts) // _PIECE
        bounds = [0, *(np.flatnonzero(np.diff(number)) + 1), len(self)]
        for first, last in itertools.pairwise(bounds):
            yield self.select(np.arange(first, last))
            self.let_go()

    def let_go(self) -> None:
        """Take the events out of this process where they lie in a file; using them brings them back."""
        let_go(self.time, self.unit)

    def sample(self, index: int) -> tuple[NDArray[np.int32], Units]:
        """Times [us] and units of one sample."""
        events = slice(self.start[index], self.stop[index])
        return self.time[events], self.unit[events]

    def outside(self, duration: float) -> int:
        """Number of events before 0 or at or past `duration` [ms], which no batch will hold."""
        end = round(duration * MICROSECONDS, 6)
        return sum(int(_count_outside(part.time, part.start, part.stop, end)) for part in self.pieces())

    def check(self, where: str) -> None:
        """Raise UserError, in which `where` names the source, unless every promise of the class holds."""
        if not len(self):
            raise UserError(f"{where}: holds no samples")
        samples = len(self.labels)
        if not len(self.start) == len(self.stop) == samples:
            raise UserError(f"{where}: {len(self.start)} samples of spikes but {samples} labels")
        if self.speakers is not None and len(self.speakers) != samples:
            raise UserError(f"{where}: {samples} samples but {len(self.speakers)} speakers")
        self._check_labels(where)
        self._check_events(where)

    def _check_labels(self, where: str) -> None:
        bad = np.flatnonzero((self.labels < 0) | (self.labels >= len(self.classes)))
        if len(bad):
            raise UserError(
                f"{where}: label {self.labels[bad[0]]} of sample {bad[0]} is out of range; "
                f"there are {len(self.classes)} classes, so labels are 0 to {len(self.classes) - 1}"
            )

    def _check_events(self, where: str) -> None:
        total = len(self.unit)
        inside = (self.start >= 0) & (self.start <= self.stop) & (self.stop <= total)
        if len(self.time) != total or not inside.all():
            raise UserError(f"{where}: {total} units do not fit {len(self.time)} times and the samples' bounds")
        first, unsorted, unit = 0, -1, 0
        for part in self.pieces():
            found, largest = _survey(part.time, part.unit, part.start, part.stop)
            unsorted = first + found if unsorted < 0 <= found else unsorted
            first, unit = first + len(part), max(unit, largest)
        if unit >= self.channels:
            raise UserError(
                f"{where}: unit {unit} is out of range; "
                f"there are {self.channels} channels, so units are 0 to {self.channels - 1}"
            )
        if unsorted >= 0:
            raise UserError(f"{where}: the times of sample {unsorted} are not sorted; they must not decrease")


def unit_type(channels: int) -> type[np.unsignedinteger]:
    """The smallest type that holds the number of any channel."""
    return np.uint16 if channels <= 1 << 16 else np.uint32


@njit(cache=True, nogil=True)
def _survey(time: NDArray[np.int32], unit: Units, start: NDArray[np.int64], stop: NDArray[np.int64]) -> tuple[int, int]:
    """The first sample whose times are not sorted, or -1, and the largest unit."""
    unsorted, largest = -1, 0
    for sample in range(len(start)):
        falls = 0
        for event in range(start[sample], stop[sample]):
            largest = max(largest, int(unit[event]))
            falls += int(event > start[sample] and time[event] < time[event - 1])
        if falls and unsorted < 0:
            unsorted = sample
    return unsorted, largest


@njit(cache=True, nogil=True)
def _count_outside(time: NDArray[np.int32], start: NDArray[np.int64], stop: NDArray[np.int64], end: float) -> int:
    outside = 0
    for sample in range(len(start)):
        for event in range(start[sample], stop[sample]):
            if time[event] < 0 or time[event] >= end:
                outside += 1
    return outside
