"""Drawn data sets: what they hold, and that a seed gives the same one again."""

import numpy as np
import pytest

from snnrun.data import load
from snnrun.data.generated import _manifold, _standardised


@pytest.fixture
def poisson(options):
    def make(seed=0, **changed):
        keys = {"samples": 200, "units": 50, "classes": 3, "rate_hz": 20.0, "data_seed": None, "validation": "none"}
        return load(options(name="poisson", **(keys | changed)), seed)

    return make


@pytest.fixture
def randman(options):
    def make(seed=0, **changed):
        keys = {
            "samples": 60,
            "test_samples": 20,
            "units": 30,
            "classes": 4,
            "manifold_dim": 2,
            "alpha": 2.0,
            "spikes": 1,
            "time_fraction": 1.0,
            "data_seed": None,
            "validation": "fraction",
            "duration": 100.0,
        }
        return load(options(name="randman", **(keys | changed)), seed)

    return make


def test_poisson_counts_have_the_mean_and_the_variance_of_the_rate(poisson):
    train = poisson().train
    cells = np.zeros((200, 50))
    for sample in range(200):
        np.add.at(cells[sample], train.sample(sample)[1], 1)
    assert cells.mean() == pytest.approx(20, abs=5 * np.sqrt(20 / 10_000))
    assert cells.var() == pytest.approx(20, rel=0.1)
    assert train.time.max() < 1_000_000
    assert abs(train.time.mean() - 500_000) < 5_000
    assert np.bincount(train.labels).tolist() == [67, 67, 66]


def test_poisson_has_nothing_to_test_on(poisson):
    data = poisson()
    assert data.test is None
    assert data.valid is None


@pytest.mark.parametrize("make", ["poisson", "randman"])
def test_a_seed_gives_the_same_data_again(make, request):
    make = request.getfixturevalue(make)
    first, same, other = make(1).train, make(1).train, make(2).train
    np.testing.assert_array_equal(first.time, same.time)
    np.testing.assert_array_equal(first.labels, same.labels)
    assert not np.array_equal(first.time[:500], other.time[:500])
    fixed = [make(seed, data_seed=7, split_seed=0).train for seed in (1, 2)]
    np.testing.assert_array_equal(fixed[0].time, fixed[1].time)


def test_every_unit_of_randman_fires_as_often_as_asked(randman):
    data = randman(spikes=3)
    assert len(data.train) + len(data.valid) == 240
    assert len(data.test) == 80
    for part in data.parts().values():
        for sample in range(len(part)):
            assert np.bincount(part.sample(sample)[1], minlength=30).tolist() == [3] * 30
    assert np.bincount(data.test.labels).tolist() == [20] * 4


def test_randman_fills_its_share_of_the_duration(randman):
    for fraction in (1.0, 0.5):
        time = randman(time_fraction=fraction).train.time
        assert time.min() < 3_000 * fraction
        assert 97_000 * fraction < time.max() < 100_000 * fraction


def test_samples_of_a_class_are_alike_and_of_others_not(randman):
    """On smooth manifolds the nearest neighbour of a sample is of its class."""
    data = randman(samples=150, alpha=3.0, manifold_dim=1, validation="none")

    def times(part):
        rows = np.empty((len(part), 30))
        for sample in range(len(part)):
            time, unit = part.sample(sample)
            rows[sample, unit] = time
        return rows

    distances = np.linalg.norm(times(data.test)[:, None] - times(data.train)[None], axis=2)
    assert np.mean(data.train.labels[distances.argmin(axis=1)] == data.test.labels) > 0.95


def test_a_manifold_is_the_product_of_its_harmonics():
    points = np.array([[0.3, 0.8]])
    random = np.random.default_rng(0)
    expected = 1.0
    for dimension in range(2):
        amplitude, frequency, phase = random.random((3, 31, 1))[:, :, 0]
        total = 0.0
        for i in range(1, 32):
            wave = np.sin(2 * np.pi * (i * points[0, dimension] * frequency[i - 1] + phase[i - 1]))
            total += amplitude[i - 1] * wave / ((i + 1) ** 2 + 1)
        expected *= total
    assert _manifold(np.random.default_rng(0), points, 1, 2.0)[0, 0] == pytest.approx(expected)


def test_standardised_times_stay_below_one():
    scaled = _standardised(np.array([[1.0, -2.0], [3.0, 5.0], [2.0, 0.0]]))
    assert scaled.min() == 0
    assert 0.99 < scaled.max() < 1
