"""Binning against the obvious loop, and against the published way of binning float16 times."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnrun.data.binning import batch, steps_in
from snnrun.data.events import EventSet
from snnrun.data.hdf5 import _microseconds


def event_set(samples, channels, labels=None):
    """`samples`: lists of (time in us, unit)."""
    ordered = [sorted(sample) for sample in samples]
    flat = [event for sample in ordered for event in sample]
    return EventSet.from_offsets(
        unit=np.array([unit for _, unit in flat], np.int64),
        time=np.array([time for time, _ in flat], np.int64),
        offsets=np.cumsum([0, *map(len, ordered)]),
        labels=np.arange(len(samples)) if labels is None else labels,
        channels=channels,
        classes=[str(number) for number in range(max(len(samples), 2))],
    )


def naive_counts(samples, channels, dt, duration, binary, pool):
    steps = steps_in(duration, dt)
    counts = np.zeros((len(samples), steps, -(-channels // pool)))
    for number, sample in enumerate(samples):
        for time, unit in sample:
            for step in range(steps):
                if step * (dt * 1000) <= time < (step + 1) * (dt * 1000) and time < duration * 1000:
                    counts[number, step, unit // pool] += 1
    return np.minimum(counts, 1) if binary else counts


CHANNELS = 7
SAMPLES = st.lists(
    st.lists(st.tuples(st.integers(-3000, 40_000), st.integers(0, CHANNELS - 1)), max_size=25),
    min_size=1,
    max_size=5,
)


@given(
    samples=SAMPLES,
    dt=st.sampled_from([0.1, 0.3, 1.0, 7.0, 1400 / 99, 100.0]),
    duration=st.sampled_from([1.0, 20.0, 33.3, 50.0]),
    binary=st.booleans(),
    pool=st.integers(1, 9),
    data=st.data(),
)
def test_batch_equals_the_obvious_loop(samples, dt, duration, binary, pool, data):
    order = data.draw(st.lists(st.integers(0, len(samples) - 1), max_size=6))
    binned, labels = batch(event_set(samples, CHANNELS), order, dt=dt, duration=duration, binary=binary, pool=pool)
    expected = naive_counts([samples[index] for index in order], CHANNELS, dt, duration, binary, pool)
    assert torch.equal(binned.dense(torch.float64), torch.tensor(expected))
    assert labels.tolist() == order
    assert binned.pointer[0] == 0
    assert binned.pointer[-1] == len(binned.unit)
    assert binned.unit.dtype == torch.int32
    assert binned.pointer.dtype == torch.int64


@given(samples=SAMPLES, duration=st.sampled_from([1.0, 20.0, 50.0]))
def test_every_event_is_in_a_batch_or_counted_as_outside(samples, duration):
    events = event_set(samples, CHANNELS)
    binned, _ = batch(events, np.arange(len(samples)), dt=1.0, duration=duration)
    assert len(binned.unit) + events.outside(duration) == len(events.time)


@pytest.mark.parametrize("dt", [0.5, 1.0, 2.0, 5.0, 10.0, 14.0])
def test_every_float16_time_is_on_its_own_side_of_every_edge(dt):
    seconds = np.arange(1 << 15, dtype=np.uint16).view(np.float16)
    seconds = np.sort(seconds[np.isfinite(seconds) & (seconds < 1.4)])
    time = _microseconds(seconds, np.array([len(seconds)]), 0, "test")
    events = event_set([[]], len(seconds))
    events = EventSet.from_offsets(
        unit=np.arange(len(seconds)),
        time=time,
        offsets=[0, len(seconds)],
        labels=[0],
        channels=65_000,
        classes=["a"],
    )
    binned, _ = batch(events, [0], dt=dt, duration=1400.0)
    steps = np.repeat(np.arange(binned.steps), np.diff(binned.pointer.numpy()))
    edges = np.arange(binned.steps + 1) * dt / 1000
    assert np.array_equal(steps, np.searchsorted(edges, seconds.astype(np.float64), side="right") - 1)


def test_spytorch_binning_is_its_published_code():
    """Over every float16 time: the 100 edges of np.linspace(0, 1.4, num=100), np.digitize, nothing past the end."""
    seconds = np.arange(1 << 15, dtype=np.uint16).view(np.float16)
    seconds = np.sort(seconds[np.isfinite(seconds) & (seconds < 2.0)])
    events = EventSet.from_offsets(
        unit=np.arange(len(seconds)),
        time=_microseconds(seconds, np.array([len(seconds)]), 0, "test"),
        offsets=[0, len(seconds)],
        labels=[0],
        channels=65_000,
        classes=["a"],
    )
    binned, _ = batch(events, [0], dt=14.0, duration=1400.0, binning="spytorch")
    published = np.digitize(seconds.astype(np.float64), np.linspace(0, 1.4, num=100))
    published = published[published < 100]  # 100 is past the last step
    steps = np.repeat(np.arange(binned.steps), np.diff(binned.pointer.numpy()))
    assert binned.steps == 100
    assert steps.tolist() == published.tolist()
    assert steps.min() == 1


@given(width=st.integers(1, 50_000), step=st.integers(0, 200))
def test_an_event_on_an_edge_begins_the_next_bin(width, step):
    time = step * width
    binned, _ = batch(event_set([[(time, 0)]], 1), [0], dt=width / 1000, duration=(time + width) / 1000)
    assert binned.pointer[step : step + 2].tolist() == [0, 1]


def test_the_number_of_steps_does_not_suffer_from_rounding():
    assert steps_in(1000, 0.1) == 10_000
    assert steps_in(1000, 10) == 100
    assert steps_in(1000, 300) == 4
    assert steps_in(1, 10) == 1
    assert steps_in(1400, 1400 / 99) == 99
