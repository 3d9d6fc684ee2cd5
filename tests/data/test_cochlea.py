"""The model of the inner ear: closed forms, statistics, and the published software on a short sound."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from snnrun.data.auditory_nerve import (
    _REFRACTORY_STEPS,
    STEP,
    _binomial,
    bushy_cells,
    bushy_spikes,
    fibres,
    hair_cells,
    rest,
)
from snnrun.data.basilar_membrane import BasilarMembrane, velocity_blocks
from snnrun.data.cochlea import Cochlea, encode, prepare
from snnrun.errors import UserError

DATA = Path(os.environ.get("SNNRUN_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
FEW = Cochlea(places=60)  # more than one block of the filter bank


def tone(frequency: float, seconds: float = 0.1, rate: int = 48_000) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def vowel(samples: int = 4_798) -> np.ndarray:
    """A short sound with energy at many places, (samples,) at 48 kHz."""
    time = np.arange(samples) / 48_000
    noise = np.random.default_rng(0).normal(size=samples)
    return 0.3 * np.sin(2 * np.pi * 700 * time) + 0.3 * np.sin(2 * np.pi * 3000 * time) + 0.05 * noise


def advance(velocity: np.ndarray) -> np.ndarray:
    """Chance of a fibre's spike, (steps, places), for a velocity of that shape."""
    stores, release = rest(velocity.shape[1]), np.empty(velocity.shape)
    for step in range(velocity.shape[0]):
        hair_cells(velocity[step], *stores, release[step])
    return release


def test_hair_cells_at_rest_stay_there() -> None:
    release = advance(np.zeros((500, 3)))
    assert np.ptp(release) < 1e-12
    # c of Meddis 1986 for a constant permeability k: M y k / (l k + y (l + r))
    k = 2000 * 5 / 305
    assert release[0, 0] == pytest.approx(50_000 * STEP * 5.05 * k / (2500 * k + 5.05 * 9080), rel=1e-12)


def test_hair_cells_adapt_to_a_steady_push_and_do_not_answer_a_pull() -> None:
    push, pull = advance(np.full((4000, 1), 100.0)), advance(np.full((4000, 1), -100.0))
    assert push[:100].max() > 3 * push[-1, 0]
    assert push[-1, 0] > advance(np.zeros((1, 1)))[0, 0]
    assert pull[-1, 0] < 1e-6


@pytest.mark.parametrize(("trials", "probability"), [(40.0, 0.002), (40.0, 0.3), (7.0, 0.9), (1.0, 0.5)])
def test_one_draw_gives_a_binomial_number(trials: float, probability: float) -> None:
    draws = (np.arange(2000) + 0.5) / 2000
    numbers = [_binomial(draw, trials, probability) for draw in draws]
    expected = stats.binom.ppf(1 - draws, int(trials), probability)
    assert np.array_equal(numbers, expected)


def test_every_free_fibre_fires_when_it_must() -> None:
    assert _binomial(0.3, 12.0, 1.0) == 12
    assert _binomial(0.3, 12.0, 1.7) == 12


def test_a_fibre_rests_1_ms_after_a_spike() -> None:
    assert pytest.approx(1e-3) == _REFRACTORY_STEPS * STEP
    free, fired = np.full(3, 40.0), np.zeros((24, 3))
    for step in range(24):
        fibres(np.uint64(1), step, 0, np.ones(3), free, fired[step])
    assert np.all(fired[0] == 40)
    assert np.all(fired[1:] == 0)
    fibres(np.uint64(1), 24, 0, np.ones(3), free, fired[0])
    assert np.all(fired[0] == 40)


def test_a_volley_moves_a_bushy_cell_as_its_equation_says() -> None:
    """The sum of two decaying exponentials: 13,000 / 40 dt for each fibre, 0.5 ms and 1 ms."""
    current, membrane, waiting = np.zeros(1), np.zeros(1), np.zeros(1)
    trace = []
    for step in range(200):
        bushy_cells(np.full(1, 3.0 if step == 0 else 0.0), current, membrane, waiting)
        trace.append(membrane[0])
    fast, slow = np.exp(-STEP / 0.5e-3), np.exp(-STEP / 1e-3)
    step = np.arange(1, 201)
    expected = 3 * 13_000 / 40 * STEP * (slow**step - fast**step) / (slow - fast)
    np.testing.assert_allclose(trace, expected, rtol=1e-9)


def test_a_resting_bushy_cell_stays_at_zero() -> None:
    current, membrane, waiting = np.zeros(1), np.zeros(1), np.full(1, 24.0)
    above = [bushy_cells(np.full(1, 40.0), current, membrane, waiting) for _ in range(25)]
    assert above == [False] * 24 + [True]


def test_a_low_tone_reaches_high_units_and_a_high_tone_low_ones() -> None:
    low, high = (np.median(encode(tone(hertz), 48_000, 1).units) for hertz in (300, 6000))
    assert low > 500
    assert high < 250


def test_spikes_are_sorted_in_time_and_within_the_sound() -> None:
    spikes = encode(vowel(), 48_000, 1, FEW)
    assert len(spikes.times) == len(spikes.units) > 20
    assert np.all(np.diff(spikes.times) >= 0)
    assert 0 <= spikes.times[0] <= spikes.times[-1] <= 0.1
    assert len(np.unique(spikes.units)) > 10
    assert spikes.units.max() < FEW.places


def test_the_seed_fixes_the_spikes_and_another_one_changes_them() -> None:
    first, again, other = (encode(vowel(), 48_000, seed, FEW) for seed in (5, 5, 6))
    assert np.array_equal(first.times, again.times)
    assert np.array_equal(first.units, again.units)
    assert not np.array_equal(first.times, other.times)


def test_a_place_does_not_depend_on_the_blocks_around_it() -> None:
    """The draws go by place and step: all of a block, and a part of it at its first unit, agree."""
    velocity = np.random.default_rng(0).normal(0, 40, (2000, 6)).astype(np.float32)
    steps, units = bushy_spikes(velocity, np.uint64(9), 100)
    part_steps, part_units = bushy_spikes(velocity[:, 3:].copy(), np.uint64(9), 103)
    assert len(part_steps) > 10
    assert np.array_equal(steps[units >= 103], part_steps)
    assert np.array_equal(units[units >= 103], part_units)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_other_sample_rates_are_resampled(rate: int) -> None:
    assert prepare(tone(440, rate=rate), rate, Cochlea()).size == pytest.approx(4800, abs=2)


def test_the_sound_gets_its_level_and_its_ramps() -> None:
    flat = prepare(tone(440), 48_000, Cochlea(ramp=0.0))
    assert np.sqrt(np.mean(flat**2)) == pytest.approx(0.3)
    ramped = prepare(np.ones(4800), 48_000, Cochlea(ramp=0.02)) / 0.3
    assert ramped[0] == ramped[-1] == 0
    assert ramped[480] == pytest.approx(0.5)
    assert np.all(ramped[960:3840] == pytest.approx(1))
    half = prepare(np.ones(4800), 48_000, Cochlea(ramp=None)) / 0.3
    assert half[1200] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.zeros(4800), "silent"),
        (np.full(4800, 1e-12), "silent"),
        (np.zeros(0), "two samples"),
        (np.full(4800, np.nan), "finite"),
        (np.ones((4800, 2)), "one channel"),
    ],
)
def test_a_sound_that_is_none_is_refused(sound: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        encode(sound, 48_000, 1, FEW)


@pytest.mark.parametrize("wrong", [{"places": 1}, {"c0": 0.0}, {"level": float("nan")}, {"ramp": -0.1}])
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"cochlea.{next(iter(wrong))}="):
        Cochlea(**wrong)  # type: ignore[arg-type]


def test_agrees_with_lauscher() -> None:
    """Membrane and hair cells exactly, the spikes' number within its chance, on 0.1 s at 12 places."""
    pytest.importorskip("lauscher")
    from lauscher.audiowaves import MonoAudioWave
    from lauscher.transformations.basilar_membrane import BasilarMembrane as TheirMembrane
    from lauscher.transformations.bushy_cell import BushyCell
    from lauscher.transformations.hair_cell import HairCell

    sound = vowel()
    theirs = MonoAudioWave(list(sound), 48_000).transform(TheirMembrane(channels=12))
    velocity = np.array(theirs.channels)
    bins = velocity.shape[1]
    assert bins == sound.size // 2 + 1
    ours = np.concatenate([block for _, block in velocity_blocks(sound, BasilarMembrane(12), bins)])
    assert np.abs(ours - velocity[:, : ours.shape[1]]).max() < 1e-6 * np.abs(velocity).max()

    probability = theirs.transform(HairCell())
    release = advance(np.ascontiguousarray(velocity.T))
    np.testing.assert_allclose(release.T, probability.channels, rtol=1e-9, atol=1e-12)

    their_counts = [len(probability.transform(BushyCell()).spike_times) for _ in range(10)]
    drive = np.ascontiguousarray(velocity.T.astype(np.float32))
    counts = [len(bushy_spikes(drive, np.uint64(seed), 0)[0]) for seed in range(200)]
    assert np.mean(counts) > 10
    error = np.sqrt(np.var(counts) * (1 / 10 + 1 / 200))
    assert abs(np.mean(counts) - np.mean(their_counts)) < 4 * error


def test_agrees_with_the_published_example() -> None:
    """The sound and the 618 spikes that lauscher's authors keep: 70 places, C0 of 2020, ramps over half the sound."""
    folder = DATA / "cochlea"
    if not (folder / "reference.npz").exists():
        pytest.skip(f"needs {folder}/reference.npz and spoken_digit.flac of lauscher; set SNNRUN_TEST_DATA")
    soundfile = pytest.importorskip("soundfile")
    sound, rate = soundfile.read(folder / "spoken_digit.flac")
    times, channels = np.load(folder / "reference.npz")["arr_0"]
    settings = Cochlea(places=70, c0=1e8, ramp=None)
    runs = [encode(sound, rate, seed, settings) for seed in range(10)]
    assert np.mean([len(run.times) for run in runs]) == pytest.approx(len(times), abs=80)
    edges = np.linspace(0, 0.8, 17)
    ours = np.mean([np.histogram2d(run.times, run.units, (edges, np.arange(0, 71, 7)))[0] for run in runs], axis=0)
    theirs = np.histogram2d(times, channels, (edges, np.arange(0, 71, 7)))[0]
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9
