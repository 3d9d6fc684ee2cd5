"""Changed spike trains: each change does what it says, and the result is a good set."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnrun.data.augmentation import Augmentation
from snnrun.data.batches import batches
from snnrun.data.events import EventSet

SAMPLES, EVENTS, CHANNELS = 6, 3000, 50


def made(seed=0):
    random = np.random.default_rng(seed)
    return EventSet.from_offsets(
        unit=random.integers(0, CHANNELS, SAMPLES * EVENTS),
        time=np.sort(random.integers(0, 900_000, (SAMPLES, EVENTS)), axis=1).ravel(),
        offsets=np.arange(SAMPLES + 1) * EVENTS,
        labels=np.arange(SAMPLES) % 2,
        speakers=np.arange(SAMPLES),
        channels=CHANNELS,
        classes=["a", "b"],
    )


ORIGINAL = made()
ORDER = [4, 1, 5]


def changed(options, seed=0, **keys):
    changes = Augmentation.of(options(**keys))
    assert changes is not None
    result = changes.apply(ORIGINAL, ORDER, np.random.default_rng(seed))
    result.check("test")
    assert result.labels.tolist() == [0, 1, 1]
    assert result.speakers.tolist() == ORDER
    return result


def pairs(result):
    """(time, unit) of each sample of the result, with those of the original."""
    for number, index in enumerate(ORDER):
        yield result.sample(number), ORIGINAL.sample(index)


def test_nothing_asked_for_is_nothing_done(options):
    assert Augmentation.of(options()) is None
    assert Augmentation.of(options(speed=(1.0, 1.0))) is None


@pytest.mark.parametrize("threads", [1, 3])
def test_the_draws_do_not_depend_on_the_number_of_threads(options, threads, monkeypatch):
    keys = {"speed": (0.5, 2.0), "time_jitter": 3.0, "channel_jitter": 2.0, "deletion": 0.2, "insertion": 0.1}
    expected = changed(options, **keys)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    found = changed(options, **keys)
    assert np.array_equal(found.time, expected.time)
    assert np.array_equal(found.unit, expected.unit)


def test_parts_of_a_batch_draw_for_themselves(options):
    """Two of a batch are in different parts; equal draws would move their spikes alike."""
    result = Augmentation.of(options(time_jitter=5.0)).apply(ORIGINAL, [2, 2], np.random.default_rng(0))
    assert not np.array_equal(result.sample(0)[0], result.sample(1)[0])


def test_a_speed_scales_all_times(options):
    for (time, unit), (old_time, old_unit) in pairs(changed(options, speed=1.5)):
        assert time.tolist() == (old_time * 1.5).astype(int).tolist()
        assert unit.tolist() == old_unit.tolist()


def test_a_range_of_speeds_draws_one_for_each_sample(options):
    factors = []
    for (time, _), (old_time, _) in pairs(changed(options, speed=(0.5, 2.0))):
        ratio = time[old_time > 100_000] / old_time[old_time > 100_000]
        assert np.ptp(ratio) < 1e-3
        factors.append(ratio.mean())
    assert 0.5 <= min(factors) < max(factors) <= 2.0


def test_time_jitter_keeps_the_units_and_has_its_width(options):
    for (time, unit), (old_time, old_unit) in pairs(changed(options, time_jitter=4.0)):
        kept = len(time)
        assert EVENTS - 60 < kept <= EVENTS  # a few leave at 0
        assert np.abs(np.bincount(unit, minlength=CHANNELS) - np.bincount(old_unit, minlength=CHANNELS)).sum() < 60
        assert abs(time.mean() - old_time.mean()) < 2_000
    single = EventSet.from_offsets(
        unit=np.zeros(20_000, int), time=np.full(20_000, 500_000), offsets=[0, 20_000], labels=[0], channels=1,
        classes=["a"],
    )  # fmt: skip
    result = Augmentation.of(options(time_jitter=4.0)).apply(single, [0], np.random.default_rng(0))
    assert result.time.std() == pytest.approx(4_000, rel=0.05)
    assert result.time.mean() == pytest.approx(500_000, abs=150)


def test_channel_jitter_and_shift(options):
    for (time, unit), (old_time, old_unit) in pairs(changed(options, channel_shift=10)):
        fits = []
        for shift in range(-10, 11):
            moved = old_unit.astype(int) + shift
            inside = (moved >= 0) & (moved < CHANNELS)
            fits.append(np.array_equal(unit, moved[inside]) and np.array_equal(time, old_time[inside]))
        assert sum(fits) == 1
    for (time, _), (old_time, _) in pairs(changed(options, channel_jitter=1.0)):
        assert len(time) > 0.95 * EVENTS
        assert set(time) <= set(old_time)


def test_deletion_and_insertion_change_the_number_as_asked(options):
    result = changed(options, deletion=0.25)
    assert result.counts.sum() == pytest.approx(0.75 * 3 * EVENTS, rel=0.05)
    for (time, _), (old_time, _) in pairs(result):
        assert set(time) <= set(old_time)
    result = changed(options, insertion=0.5)
    assert result.counts.sum() == pytest.approx(1.5 * 3 * EVENTS, rel=0.05)
    assert result.time.max() < 1_000_000
    assert result.time.max() > 950_000


@given(
    seed=st.integers(0, 2**32 - 1),
    speed=st.floats(0.01, 5000),
    time_jitter=st.sampled_from([0.0, 0.001, 30.0, 1e6]),
    channel_jitter=st.sampled_from([0.0, 0.4, 1e6]),
    channel_shift=st.integers(0, 100),
    deletion=st.sampled_from([0.0, 0.5, 0.999]),
    insertion=st.sampled_from([0.0, 0.1, 3.0]),
)
def test_any_change_gives_a_good_set(seed, speed, **rest):
    keys = {"duration": 1000.0, "speed": (speed, speed), **rest}
    result = Augmentation(**keys).apply(ORIGINAL, ORDER, np.random.default_rng(seed))
    result.check("test")


def test_a_generator_repeats_its_changes(options):
    keys = {"time_jitter": 3.0, "deletion": 0.1, "speed": (0.5, 1.5)}
    first, same, other = (changed(options, seed, **keys) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.time, same.time)
    assert not np.array_equal(first.time[:100], other.time[:100])


def test_batches_change_spike_trains_only_where_they_are_told_to(options):
    section = options(deletion=0.5, pool=5)
    plain = list(batches(ORIGINAL, np.arange(SAMPLES), 4, section))
    assert [b.batch for b, _ in plain] == [4, 2]
    assert sum(len(b.unit) for b, _ in plain) == SAMPLES * EVENTS
    assert plain[0][0].channels == 10
    half = list(batches(ORIGINAL, np.arange(SAMPLES), 4, section, np.random.default_rng(0)))
    assert sum(len(b.unit) for b, _ in half) == pytest.approx(SAMPLES * EVENTS / 2, rel=0.05)
    assert [labels.tolist() for _, labels in half] == [[0, 1, 0, 1], [0, 1]]
