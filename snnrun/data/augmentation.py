"""Spike trains changed at random, for training on more than there is and for testing out of distribution."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import numpy as np
import torch
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from snnrun.data.events import MICROSECONDS, EventSet, Units

Range = tuple[float, float]
_LATEST = 2.0**31  # us, what int32 holds
_DIGIT_BITS = 11
_DIGITS = 1 << _DIGIT_BITS
_LEVELS = 1 << 16  # of a normal draw
_PARTS = 4  # of a batch that are changed side by side


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
        """The samples `indices`, changed, as a set of their own.

        They are changed in a few parts, each with random numbers of its own, by as many threads as torch uses; the
        result does not depend on how many those are.
        """
        chosen = events.select(np.asarray(indices, np.int64))
        speed = random.uniform(*self.speed, len(chosen))
        shift = random.integers(-self.channel_shift, self.channel_shift, len(chosen), endpoint=True)
        inserted = random.poisson(self.insertion * chosen.counts)
        seeds = random.integers(1 << 63, size=_PARTS)

        def change(part: int) -> tuple[NDArray[np.int32], Units, NDArray[np.int64]]:
            own = slice(part * len(chosen) // _PARTS, (part + 1) * len(chosen) // _PARTS)
            return _change(
                chosen.time,
                chosen.unit,
                chosen.start[own],
                chosen.stop[own],
                np.random.Generator(np.random.SFC64(seeds[part])),
                speed[own],
                shift[own],
                inserted[own],
                self.time_jitter * MICROSECONDS,
                self.channel_jitter,
                self.deletion,
                max(1.0, self.duration * MICROSECONDS),
                chosen.channels,
                _quantiles(),
            )

        with ThreadPoolExecutor(min(_PARTS, torch.get_num_threads())) as threads:
            parts = list(threads.map(change, range(_PARTS)))
        counts = np.concatenate([np.diff(offsets) for _, _, offsets in parts])
        offsets = np.concatenate([[0], np.cumsum(counts)])
        time, unit = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        return replace(chosen, time=time, unit=unit, start=offsets[:-1], stop=offsets[1:])


@cache
def _quantiles() -> NDArray[np.float32]:
    """(65,536,) values of a normal distribution with mean 0 and deviation 1, all equally likely."""
    return np.asarray(ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS), np.float32)


@njit(cache=True, nogil=True)
def _change(
    time: NDArray[np.int32],
    unit: Units,
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    random: np.random.Generator,
    speed: NDArray[np.float64],
    shift: NDArray[np.int64],
    inserted: NDArray[np.int64],
    time_jitter: float,
    channel_jitter: float,
    deletion: float,
    end: float,
    channels: int,
    normal: NDArray[np.float32],
) -> tuple[NDArray[np.int32], Units, NDArray[np.int64]]:
    """Times, units and offsets of the changed samples; `speed`, `shift` and `inserted` are given for each sample.

    One uniform draw makes the two normal ones of an event: its first 16 bits and the next 16 choose from `normal`.
    """
    jitter = time_jitter > 0 or channel_jitter > 0
    samples = len(start)
    most = 0
    for sample in range(samples):
        most += stop[sample] - start[sample] + inserted[sample]
    new_time, new_unit = np.empty(most, np.int32), np.empty(most, unit.dtype)
    offsets = np.zeros(samples + 1, np.int64)
    filled = 0
    for sample in range(samples):
        for event in range(start[sample], stop[sample]):
            if deletion > 0 and random.random() < deletion:
                continue
            moved = time[event] * speed[sample]
            channel = unit[event] + shift[sample]
            if jitter:
                bits = int(random.random() * (_LEVELS * _LEVELS))
                moved += normal[bits // _LEVELS] * time_jitter
                channel += int(np.rint(normal[bits % _LEVELS] * channel_jitter))
            if 0 <= moved < _LATEST and 0 <= channel < channels:
                new_time[filled], new_unit[filled] = int(moved), channel
                filled += 1
        for _ in range(inserted[sample]):
            new_time[filled] = int(random.random() * end)
            new_unit[filled] = int(random.random() * channels)
            filled += 1
        offsets[sample + 1] = filled
        if time_jitter > 0 or inserted[sample] > 0:
            _sort_by_time(new_time[offsets[sample] : filled], new_unit[offsets[sample] : filled])
    return new_time[:filled], new_unit[:filled], offsets


@njit(cache=True, nogil=True)
def _sort_by_time(time: NDArray[np.int32], unit: Units) -> None:
    """Sort both in place by radix, 11 bits at a time; the times of a sample have some 20."""
    other_time, other_unit = np.empty_like(time), np.empty_like(unit)
    latest = time.max() if len(time) else 0
    bits = 0
    while latest >> bits:
        ends = np.zeros(_DIGITS + 1, np.int64)
        for event in range(len(time)):
            ends[((time[event] >> bits) & (_DIGITS - 1)) + 1] += 1
        for digit in range(_DIGITS):
            ends[digit + 1] += ends[digit]
        for event in range(len(time)):
            digit = (time[event] >> bits) & (_DIGITS - 1)
            other_time[ends[digit]], other_unit[ends[digit]] = time[event], unit[event]
            ends[digit] += 1
        time[:], unit[:] = other_time, other_unit
        bits += _DIGIT_BITS
