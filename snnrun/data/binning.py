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
    pointer, unit = _bin(
        events.time,
        events.unit,
        events.start[chosen],
        events.stop[chosen],
        bins.width,
        bins.end,
        bins.steps,
        bins.first,
        channels if binary else 0,
        (np.arange(events.channels) // pool).astype(np.int32),
    )
    binned = EventBatch(torch.from_numpy(pointer), torch.from_numpy(unit), len(chosen), bins.steps, channels)
    return binned, torch.from_numpy(events.labels[chosen])


@njit(cache=True, nogil=True)
def _bin(
    time: NDArray[np.int32],
    unit: Units,
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    width: float,
    end: float,
    steps: int,
    first: int,
    binary_channels: int,
    channel_of: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Fill (pointer, unit) of an EventBatch.

    `first` is the step of the first bin; `binary_channels` is 0 where events are counted.
    """
    size = 0
    for sample in range(len(start)):
        size += stop[sample] - start[sample]
    pointer = np.zeros(len(start) * steps + 1, np.int64)
    kept = np.empty(size, np.int32)
    last_row = np.full(binary_channels, -1, np.int64)
    filled, row = 0, 0
    for sample in range(len(start)):
        first_row = sample * steps
        step, edge = 0, width
        for event in range(start[sample], stop[sample]):
            if time[event] < 0:
                continue
            if time[event] >= end:
                break
            while time[event] >= edge:
                step += 1
                edge = (step + 1) * width
            while row < first_row + first + step:
                row += 1
                pointer[row] = filled
            channel = channel_of[unit[event]]
            if binary_channels:
                if last_row[channel] == row:
                    continue
                last_row[channel] = row
            kept[filled] = channel
            filled += 1
        while row < first_row + steps:
            row += 1
            pointer[row] = filled
    return pointer, kept[:filled]
