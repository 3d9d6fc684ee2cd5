"""Changed spike trains: each change does what it says, and the result is a good set."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnrun.data.augmentation import Augmentation
from snnrun.data.batches import batches
from snnrun.data.binning import batch
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


def assert_good(result):
    """The promises of a set hold, but for the order of a sample's spikes: batches do not need it."""
    samples = [result.sample(number) for number in range(len(result))]
    orders = [np.argsort(time, kind="stable") for time, _ in samples]
    time, unit = (
        np.concatenate([sample[k][order] for sample, order in zip(samples, orders, strict=True)]) for k in (0, 1)
    )
    bounds = np.concatenate([[0], np.cumsum(result.counts)])
    replace(result, time=time, unit=unit, start=bounds[:-1], stop=bounds[1:]).check("test")
    assert not len(time) or time.min() >= 0


def changed(options, seed=0, **keys):
    changes = Augmentation.of(options(**keys))
    assert changes is not None
    result = changes.apply(ORIGINAL, ORDER, np.random.default_rng(seed))
    assert_good(result)
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
    binned, _ = batch(expected, [2, 0, 1], dt=3.0, duration=900.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    found = changed(options, **keys)
    again, _ = batch(found, [2, 0, 1], dt=3.0, duration=900.0)
    assert torch.equal(again.unit, binned.unit)
    assert torch.equal(again.pointer, binned.pointer)
    for number in range(len(ORDER)):
        assert np.array_equal(found.sample(number), expected.sample(number))


def test_samples_draw_for_themselves(options):
    """Equal draws would move the spikes of the same sample alike."""
    result = Augmentation.of(options(time_jitter=5.0)).apply(ORIGINAL, [2, 2], np.random.default_rng(0))
    assert not np.array_equal(result.sample(0)[0], result.sample(1)[0])


def test_no_draw_tells_of_another(options):
    """One number makes the shift in time, that over channels and the deletion of a spike: they are not correlated."""
    count = 40_000
    spikes = EventSet.from_offsets(
        unit=np.full(count, 500), time=np.full(count, 500_000), offsets=[0, count], labels=[0], channels=1000,
        classes=["a"],
    )  # fmt: skip
    changes = Augmentation.of(options(time_jitter=4.0, channel_jitter=20.0, deletion=0.5, insertion=0.0))
    result = changes.apply(spikes, [0], np.random.default_rng(1))
    time, unit = (values.astype(float) for values in result.sample(0))
    assert len(time) == pytest.approx(count / 2, rel=0.03)
    assert time.mean() == pytest.approx(500_000, abs=100)
    assert time.std() == pytest.approx(4_000, rel=0.02)
    assert unit.mean() == pytest.approx(500, abs=0.5)
    assert unit.std() == pytest.approx(20, rel=0.02)
    for one, other in ((time, unit), (time[1:], time[:-1]), (unit[1:], unit[:-1])):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


@pytest.mark.parametrize("binary", [False, True])
def test_batches_of_changed_samples_need_no_order(options, binary):
    result = changed(options, speed=(0.5, 2.0), time_jitter=30.0, insertion=0.5)
    found, _ = batch(result, [0, 1, 2], dt=7.0, duration=1000.0, binary=binary)
    counts = np.zeros((3, found.steps, CHANNELS))
    for number in range(3):
        time, unit = result.sample(number)
        inside = time < 1_000_000
        np.add.at(counts[number], (time[inside] // 7000, unit[inside]), 1)
    assert torch.equal(found.dense(torch.float64), torch.tensor(np.minimum(counts, 1) if binary else counts))


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
    assert_good(result)


def test_a_generator_repeats_its_changes(options):
    keys = {"time_jitter": 3.0, "deletion": 0.1, "speed": (0.5, 1.5)}
    first, same, other = (changed(options, seed, **keys) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.sample(0)[0], same.sample(0)[0])
    assert not np.array_equal(first.sample(0)[0][:100], other.sample(0)[0][:100])


def test_batches_change_spike_trains_only_where_they_are_told_to(options):
    section = options(deletion=0.5, pool=5)
    plain = list(batches(ORIGINAL, np.arange(SAMPLES), 4, section))
    assert [b.batch for b, _ in plain] == [4, 2]
    assert sum(len(b.unit) for b, _ in plain) == SAMPLES * EVENTS
    assert plain[0][0].channels == 10
    half = list(batches(ORIGINAL, np.arange(SAMPLES), 4, section, np.random.default_rng(0)))
    assert sum(len(b.unit) for b, _ in half) == pytest.approx(SAMPLES * EVENTS / 2, rel=0.05)
    assert [labels.tolist() for _, labels in half] == [[0, 1, 0, 1], [0, 1]]
