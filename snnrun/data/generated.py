"""Data sets that are drawn and not loaded: `poisson` and `randman`.

Both are a function of `data_seed` (by default the seed of the run) and of their keys.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snnrun.data.dataset import Parts
from snnrun.data.events import MICROSECONDS, EventSet
from snnrun.data.sources import SOURCES

_PRECISION = 1e-3  # harmonics weaker than this are left out, as randman does
_MOST_HARMONICS = 1000


class PoissonOptions(Protocol):
    """Keys of `dataset=poisson`."""

    duration: float
    samples: int
    units: int
    classes: int
    rate_hz: float
    data_seed: int | None


class RandmanOptions(Protocol):
    """Keys of `dataset=randman`."""

    duration: float
    samples: int
    test_samples: int
    units: int
    classes: int
    manifold_dim: int
    alpha: float
    spikes: int
    time_fraction: float
    data_seed: int | None


@SOURCES.register("poisson")
def poisson(options: PoissonOptions, seed: int) -> Parts:
    """Random patterns with random labels, as in the first tutorial of SPyTorch (github.com/fzenke/spytorch).

    There each bin of 1 ms draws a spike or none; here the spikes are a Poisson process in continuous time, so that the
    data does not depend on `dataset.dt`.
    """
    random = _random(options.data_seed, seed)
    cells = options.samples * options.units
    cell = np.repeat(np.arange(cells), random.poisson(options.rate_hz * options.duration / 1000, cells))
    time = random.random(len(cell)) * options.duration * MICROSECONDS
    # Every class as often as any other, as far as that goes: none is missing by chance.
    labels = random.permutation(np.arange(options.samples) % options.classes)
    sample, unit = np.divmod(cell, options.units)
    events = _event_set(sample, time, unit, labels, options.units, options.classes)
    return Parts(events, notes=("poisson: the labels are random, so there is nothing to test on",))


@SOURCES.register("randman")
def randman(options: RandmanOptions, seed: int) -> Parts:
    """Smooth random manifolds (Zenke & Vogels 2021, Neural Computation 33(4); github.com/fzenke/randman).

    A class is a manifold of dimension `manifold_dim` in the space of the units' spike times; a sample is a random point
    on it. A unit fires `spikes` times, once on each of so many manifolds. `samples` a class are for training,
    `test_samples` a class, from the same manifolds, for testing.
    """
    random = _random(options.data_seed, seed)
    each = options.samples + options.test_samples
    shape = (options.classes, each, options.spikes, options.units)
    times = np.empty(shape)
    for label in range(options.classes):
        points = random.random((each, options.manifold_dim))
        for spike in range(options.spikes):
            times[label, :, spike] = _standardised(_manifold(random, points, options.units, options.alpha))
    times *= options.time_fraction * options.duration * MICROSECONDS
    parts = np.split(times, [options.samples], axis=1)
    train, test = (_spike_times(part, random, options) for part in parts)
    return Parts(train, test=test if options.test_samples else None)


def _random(data_seed: int | None, seed: int) -> np.random.Generator:
    return np.random.default_rng(seed if data_seed is None else data_seed)


def _manifold(
    random: np.random.Generator, points: NDArray[np.float64], units: int, alpha: float
) -> NDArray[np.float64]:
    """Heights (points, units) of a random smooth function of each unit at `points` (points, dimension).

    f(x) = product over d of sum_i a_i s_i sin(2 pi (i x_d b_i + c_i)) with s_i = 1 / ((i + 1)^alpha + 1) and a, b, c
    uniform in 0 to 1, drawn for each unit and dimension; the larger alpha, the smoother.
    """
    harmonics = min(int(np.ceil(_PRECISION ** (-1 / alpha))), _MOST_HARMONICS)
    order = np.arange(1, harmonics)
    strength = 1 / ((order + 1.0) ** alpha + 1)
    heights = np.ones((len(points), units))
    for dimension in range(points.shape[1]):
        amplitude, frequency, phase = random.random((3, len(order), units))
        curve = np.zeros_like(heights)
        for number, weight, rate, shift in zip(order, amplitude * strength[:, None], frequency, phase, strict=True):
            curve += weight * np.sin(2 * np.pi * (number * np.outer(points[:, dimension], rate) + shift))
        heights *= curve
    return heights


def _standardised(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each unit's heights moved and scaled to 0 up to, but not including, 1."""
    low, high = heights.min(axis=0), heights.max(axis=0)
    scaled: NDArray[np.float64] = (heights - low) / (high - low + 1e-7)
    return scaled


def _spike_times(times: NDArray[np.float64], random: np.random.Generator, options: RandmanOptions) -> EventSet:
    """The set of times (classes, samples, spikes, units) [us], its samples in random order."""
    classes, each, spikes, units = times.shape
    order = random.permutation(classes * each)
    flat = times.reshape(classes * each, spikes * units)[order]
    sample, place = np.divmod(np.arange(flat.size), max(spikes * units, 1))
    return _event_set(sample, flat.ravel(), place % units, order // max(each, 1), units, classes)


def _event_set(
    sample: NDArray[np.int64],
    time: NDArray[np.float64],
    unit: NDArray[np.int64],
    labels: NDArray[np.int64],
    channels: int,
    classes: int,
) -> EventSet:
    """A set of numbered classes from events in any order, each with the number of its sample."""
    order = np.lexsort((unit, time, sample))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(sample, minlength=len(labels)))])
    return EventSet.from_offsets(
        unit=unit[order],
        time=time[order].astype(np.int32),
        offsets=offsets,
        labels=labels,
        channels=channels,
        classes=[str(number) for number in range(classes)],
    )
