"""Spike trains changed at random, for training on more than there is and for testing out of distribution."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from snnrun.data.events import MICROSECONDS, EventSet, Units
from snnrun.data.parts import in_parts

Range = tuple[float, float]
_LATEST = 2.0**31  # us, what int32 holds
_LEVELS = 1 << 12  # of a normal draw
_STRIDE = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio


class AugmentationOptions(Protocol):
    """The keys of `dataset` that change spike trains."""

    @property
    def duration(self) -> float:
        """Length of a sample [ms]; inserted spikes are spread over it."""

    @property
    def speed(self) -> float | Range:
        """Factor, or range of factors, on spike times."""

    @property
    def time_jitter(self) -> float:
        """Standard deviation of a normal shift of each spike [ms]."""

    @property
    def channel_jitter(self) -> float:
        """Standard deviation of a normal shift of each spike [channels]."""

    @property
    def channel_shift(self) -> int:
        """Largest shift of a whole sample [channels]."""

    @property
    def deletion(self) -> float:
        """Probability that a spike is left out."""

    @property
    def insertion(self) -> float:
        """Spikes added, as a share of those that are there."""


@dataclass(frozen=True)
class Augmentation:
    """What is drawn anew each time a sample is used.

    Attributes:
        speed: spike times are multiplied by a factor drawn from this range for each sample (above 1 is slower).
        time_jitter: standard deviation of a normal shift of each spike [ms].
        channel_jitter: the same over channels.
        channel_shift: all spikes of a sample move by one whole number of channels, uniform from -shift to shift.
        deletion: each spike is left out with this probability.
        insertion: so many spikes for each that is there are added, uniform over the duration and the channels.
        duration: length of a sample [ms].

    Spikes that leave the channels or the time before 0 are dropped.
    """

    speed: Range
    time_jitter: float
    channel_jitter: float
    channel_shift: int
    deletion: float
    insertion: float
    duration: float

    @classmethod
    def of(cls, options: AugmentationOptions) -> "Augmentation | None":
        """What the configuration asks for; None where it changes nothing."""
        low, high = options.speed if isinstance(options.speed, tuple) else (options.speed, options.speed)
        made = cls(
            (low, high),
            options.time_jitter,
            options.channel_jitter,
            options.channel_shift,
            options.deletion,
            options.insertion,
            options.duration,
        )
        return None if made == cls((1.0, 1.0), 0, 0, 0, 0, 0, options.duration) else made

    def apply(self, events: EventSet, indices: ArrayLike, random: np.random.Generator) -> EventSet:
        """The samples `indices`, changed, as a set of their own; spikes of a sample are in no order.

        Each sample has random numbers of its own. They are changed by as many threads as torch uses; the result does
        not depend on how many those are.
        """
        chosen = events.select(np.asarray(indices, np.int64))
        speed = random.uniform(*self.speed, len(chosen))
        shift = random.integers(-self.channel_shift, self.channel_shift, len(chosen), endpoint=True)
        inserted = random.poisson(self.insertion * chosen.counts)
        seeds = random.integers(1 << 64, size=len(chosen), dtype=np.uint64)
        start = np.concatenate([[0], np.cumsum(chosen.counts + inserted)])
        stop = np.empty(len(chosen), np.int64)
        time, unit = np.empty(start[-1], np.int32), np.empty(start[-1], chosen.unit.dtype)

        def change(part: slice) -> None:
            _change(
                chosen.time,
                chosen.unit,
                chosen.start[part],
                chosen.stop[part],
                seeds[part],
                speed[part],
                shift[part],
                inserted[part],
                *_quantiles(self.time_jitter * MICROSECONDS, self.channel_jitter),
                self.deletion,
                max(1.0, self.duration * MICROSECONDS),
                chosen.channels,
                time,
                unit,
                start[:-1][part],
                stop[part],
            )

        in_parts(change, len(chosen))
        return replace(chosen, time=time, unit=unit, start=start[:-1], stop=stop)


@lru_cache(maxsize=4)
def _quantiles(time_jitter: float, channel_jitter: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Shifts in time and over channels, 4,096 equally likely ones each, of normal distributions around 0.

    They are of these standard deviations; those over channels are whole.
    """
    normal = ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS)
    return np.asarray(normal * time_jitter, np.float32), np.rint(normal * channel_jitter).astype(np.int32)


@njit(cache=True, nogil=True)
def _bits(seed: np.uint64, number: int) -> np.uint64:
    """64 random bits, those of this number in the stream of the seed: SplitMix64 (Steele, Lea & Flood 2014).

    Any of a stream can be had without those before, and the few multiplications are compiled into the loop.
    """
    bits = seed + np.uint64(number) * _STRIDE
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@njit(cache=True, nogil=True)
def _change(
    time: NDArray[np.int32],
    unit: Units,
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    seeds: NDArray[np.uint64],
    speed: NDArray[np.float64],
    shift: NDArray[np.int64],
    inserted: NDArray[np.int64],
    time_shifts: NDArray[np.float32],
    channel_shifts: NDArray[np.int64],
    deletion: float,
    end: float,
    channels: int,
    new_time: NDArray[np.int32],
    new_unit: Units,
    new_start: NDArray[np.int64],
    new_stop: NDArray[np.int64],
) -> None:
    """Fill times, units and ends of the changed samples, which begin at `new_start`.

    The 64 bits of an event: its shift in time (12), its shift over channels (12), whether it is left out (32).
    """
    deleted = np.uint64(deletion * 2.0**32)
    for sample in range(len(start)):
        seed, filled = seeds[sample], new_start[sample]
        for event in range(start[sample], stop[sample]):
            bits = _bits(seed, event - start[sample])
            moved = time[event] * speed[sample] + time_shifts[bits & np.uint64(_LEVELS - 1)]
            channel = unit[event] + shift[sample] + channel_shifts[(bits >> np.uint64(16)) & np.uint64(_LEVELS - 1)]
            if (bits >> np.uint64(32)) >= deleted and 0 <= moved < _LATEST and 0 <= channel < channels:
                new_time[filled], new_unit[filled] = int(moved), channel
                filled += 1
        for number in range(inserted[sample]):
            bits = _bits(seed, stop[sample] - start[sample] + number)
            new_time[filled] = int((bits >> np.uint64(32)) * (end / 2.0**32))
            new_unit[filled] = ((bits & np.uint64(0xFFFFFFFF)) * np.uint64(channels)) >> np.uint64(32)
            filled += 1
        new_stop[sample] = filled
