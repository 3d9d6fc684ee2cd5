"""From events to batches: fixed time bins from 0 to the duration."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.data.events import MICROSECONDS, EventSet, Units
from snnrun.data.parts import in_parts

_ROUNDING = 1e-9  # bins; keeps 1000 / 0.1 from asking for one step more


def steps_in(duration: float, dt: float) -> int:
    """Number of bins of width `dt` [ms] that cover `duration` [ms]; the last may reach beyond it."""
    return max(1, math.ceil(duration / dt - _ROUNDING))


@dataclass(frozen=True)
class Bins:
    """How times become steps, and channels inputs.

    Step k holds the events with k dt <= time < (k + 1) dt. Events before 0 or at or past `duration` are dropped
    (`EventSet.outside` counts them).

    With binning="spytorch" the steps are those of SPyTorch's code for spoken digits, faults and all:
    ``np.digitize(time, np.linspace(0, duration, steps))``, so that bins are wider than dt, duration / (steps - 1), and
    nothing is ever in step 0.

    Attributes:
        dt: width of a bin [ms].
        duration: length of a sample [ms].
        binary: count a channel at most once in a step.
        pool: so many neighbouring channels become one.
        binning: fixed or spytorch.
    """

    dt: float
    duration: float
    binary: bool = False
    pool: int = 1
    binning: str = "fixed"

    @property
    def steps(self) -> int:
        """Number of steps."""
        return steps_in(self.duration, self.dt)

    @property
    def first(self) -> int:
        """The step of an event at time 0."""
        return 1 if self.binning == "spytorch" else 0

    @property
    def width(self) -> float:
        """Width of a bin [us]; 16.1 ms are 16100 and not 16100.000000000002, for the sake of events on an edge."""
        if self.binning == "spytorch":
            return self.duration / max(self.steps - 1, 1) * MICROSECONDS
        return round(self.dt * MICROSECONDS, 6) or self.dt * MICROSECONDS

    @property
    def end(self) -> float:
        """The time from which on events are dropped [us]."""
        return round(self.duration * MICROSECONDS, 6)

    def inputs(self, channels: int) -> int:
        """Number of inputs that so many channels become."""
        return -(-channels // self.pool)


def batch(
    events: EventSet,
    indices: ArrayLike,
    *,
    dt: float,
    duration: float,
    binary: bool = False,
    pool: int = 1,
    binning: str = "fixed",
) -> tuple[EventBatch, Tensor]:
    """Bin the samples `indices` (batch,) of a set, in that order, into the `Bins` that the other arguments describe.

    Returns:
        The events, and the labels, (batch,) int64.
    """
    bins = Bins(dt, duration, binary, pool, binning)
    chosen = np.asarray(indices, dtype=np.int64)
    channels = bins.inputs(events.channels)
    start, stop = events.start[chosen], events.stop[chosen]
    room = np.concatenate([[0], np.cumsum(stop - start)])
    pointer = np.zeros(len(chosen) * bins.steps + 1, np.int64)
    unit = np.empty(room[-1], np.int32)
    channel_of = (np.arange(events.channels) // pool).astype(np.int32)

    def fill(part: slice) -> int:
        filled: int = _bin(
            events.time,
            events.unit,
            start[part],
            stop[part],
            bins.width,
            bins.end,
            bins.first,
            channels if binary else 0,
            channel_of,
            pointer[1:].reshape(len(chosen), bins.steps)[part],
            unit[room[part.start] : room[part.stop]],
        )
        return filled

    total = 0
    for part, filled in in_parts(fill, len(chosen)):
        unit[total : total + filled] = unit[room[part.start] : room[part.start] + filled]
        pointer[part.start * bins.steps + 1 : part.stop * bins.steps + 1] += total
        total += filled
    binned = EventBatch(torch.from_numpy(pointer), torch.from_numpy(unit[:total]), len(chosen), bins.steps, channels)
    return binned, torch.from_numpy(events.labels[chosen])


@njit(cache=True, nogil=True)
def _bin(
    time: NDArray[np.int32],
    unit: Units,
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    width: float,
    end: float,
    first: int,
    binary_channels: int,
    channel_of: NDArray[np.int32],
    pointer: NDArray[np.int64],
    kept: NDArray[np.int32],
) -> int:
    """Fill `pointer` (samples, steps), which holds the end of each row, and `kept`; returns how many events are in it.

    The events of a sample may be in any order; those of a step keep theirs. `first` is the step of the first bin;
    `binary_channels` is 0 where events are counted.
    """
    samples, steps = pointer.shape
    bins = steps - first
    longest = 0
    for sample in range(samples):
        longest = max(longest, stop[sample] - start[sample])
    step_of = np.empty(longest, np.uint32)
    place = np.empty(bins + 2, np.int64)
    last_row = np.full(binary_channels, -1, np.int64)
    filled = 0
    for sample in range(samples):
        own = slice(start[sample], stop[sample])
        steps_of_sample = step_of[: stop[sample] - start[sample]]
        _find_steps(time[own], width, end, bins, steps_of_sample)
        place[:] = 0
        for step in steps_of_sample:
            place[step + 1] += 1
        place[0] = filled
        for step in range(bins):
            place[step + 1] += place[step]
        for event, step in enumerate(steps_of_sample):
            if step < bins:
                kept[place[step]] = channel_of[unit[start[sample] + event]]
                place[step] += 1
        # Now place[step] is where the events of the step end.
        pointer[sample, :first] = filled
        read = filled
        for step in range(bins):
            if binary_channels:
                for event in range(read, place[step]):
                    channel = kept[event]
                    if last_row[channel] != sample * steps + step:
                        last_row[channel] = sample * steps + step
                        kept[filled] = channel
                        filled += 1
                read = place[step]
            else:
                filled = place[step]
            pointer[sample, first + step] = filled
    return filled


@njit(cache=True, nogil=True)
def _find_steps(time: NDArray[np.int32], width: float, end: float, bins: int, step_of: NDArray[np.uint32]) -> None:
    """Fill in the k with k width <= time < (k + 1) width; `bins` for a time before 0 or at or past the end.

    A loop of its own, without branches, so that the compiler makes vectors of it.
    """
    per_width = 1 / width
    for event in range(len(time)):
        now = time[event]
        step = int(now * per_width)  # by rounding, one off at an edge
        step += int((step + 1) * width <= now) - int(step * width > now)
        step_of[event] = min(step, bins) if 0 <= now < end else bins
