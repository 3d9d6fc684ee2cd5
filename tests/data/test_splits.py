"""Held-out samples: a function of the seed, whole speakers, no sample in two parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnrun.data import splits
from snnrun.errors import UserError

SEEDS = st.integers(0, 2**32 - 1)
SPEAKERS = st.lists(st.integers(0, 9), min_size=2, max_size=60).map(np.array)
FRACTIONS = st.floats(0.01, 0.99)


@given(speakers=SPEAKERS.filter(lambda known: len(set(known)) > 1), fraction=FRACTIONS, seed=SEEDS)
def test_drawn_speakers_are_some_and_not_all(speakers, fraction, seed):
    held = splits.draw_speakers(speakers, fraction, seed)
    known = set(speakers.tolist())
    assert set(held) < known
    assert held
    assert abs(len(held) - fraction * len(known)) <= 1
    assert held == splits.draw_speakers(speakers, fraction, seed)
    chosen = splits.by_speakers(speakers, held)
    assert set(speakers[chosen]) == set(held)
    assert not set(np.delete(speakers, chosen)) & set(held)


def test_another_seed_draws_other_speakers():
    drawn = {splits.draw_speakers(np.arange(20), 0.2, seed) for seed in range(10)}
    assert len(drawn) > 5


@given(speakers=SPEAKERS.filter(lambda known: len(set(known)) > 1), folds=st.integers(2, 10), seed=SEEDS)
def test_every_speaker_is_in_exactly_one_fold(speakers, folds, seed):
    known = np.unique(speakers).tolist()
    if folds > len(known):
        with pytest.raises(UserError, match=rf"dataset.folds={folds}: must be 2 to {len(known)}"):
            splits.fold_speakers(speakers, 0, folds, seed)
        return
    parts = [splits.fold_speakers(speakers, fold, folds, seed) for fold in range(folds)]
    assert sorted(speaker for part in parts for speaker in part) == known
    assert all(parts)


def test_a_fold_that_is_not_there():
    with pytest.raises(UserError, match=r"dataset.fold=3: must be 0 to 2"):
        splits.fold_speakers(np.arange(5), 3, 3, 0)


@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=200).map(np.array), fraction=FRACTIONS, seed=SEEDS)
def test_a_fraction_takes_the_same_share_of_each_class(labels, fraction, seed):
    held = splits.by_fraction(labels, fraction, seed)
    assert len(set(held)) == len(held)
    assert 1 <= len(held) < len(labels)
    assert abs(len(held) - fraction * len(labels)) <= 1
    share = len(held) / len(labels)
    for label in range(5):
        assert abs(np.sum(labels[held] == label) - share * np.sum(labels == label)) <= 1
    np.testing.assert_array_equal(held, splits.by_fraction(labels, fraction, seed))


def test_every_sample_may_be_drawn():
    labels = np.repeat([0, 1, 2], 10)
    drawn = np.concatenate([splits.by_fraction(labels, 0.1, seed) for seed in range(200)])
    counts = np.bincount(drawn, minlength=30)
    assert counts.min() > 5
    assert counts.max() < 45


def test_speakers_that_cannot_be_held_out():
    with pytest.raises(UserError, match="speaker 7 is not in the training data; there are 1, 2"):
        splits.by_speakers(np.array([1, 2]), [7])
    with pytest.raises(UserError, match="names every speaker"):
        splits.by_speakers(np.array([1, 2, 1]), [1, 2])
    with pytest.raises(UserError, match="one speaker only"):
        splits.draw_speakers(np.array([1, 1]), 0.1, 0)
    with pytest.raises(UserError, match="needs at least 2"):
        splits.by_fraction(np.array([1]), 0.1, 0)
