"""Paired comparisons."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from snnrun.errors import UserError
from snnrun.report.compare import Comparison, compare
from snnrun.report.runs import read

VALID = "accuracy/valid_best"


def pairs(make_run, differences):
    runs = []
    for seed, difference in enumerate(differences):
        runs.append(make_run(f"a{seed}", valid=0.5, seed=seed, typed=("surrogate=sigmoid",)))
        changed = {"name": "atan", "beta": 2.0}
        runs.append(
            make_run(f"b{seed}", valid=0.5 + difference, seed=seed, typed=("surrogate=atan",), surrogate=changed)
        )
    return [read(run) for run in runs]


def test_runs_are_paired_by_seed(make_run):
    runs = pairs(make_run, [0.1, 0.12, 0.08])
    found = compare(runs, "surrogate=sigmoid,atan", VALID)
    assert found.differences == pytest.approx((0.1, 0.12, 0.08))
    assert "atan is better" in str(found)
    assert found.p_t == pytest.approx(stats.ttest_rel([0.6, 0.62, 0.58], [0.5] * 3).pvalue)
    assert found.p_sign_flip == pytest.approx(2 / 8)


def test_a_run_without_a_partner_counts_for_nothing(make_run):
    runs = pairs(make_run, [0.1, 0.2])
    runs.append(read(make_run("alone", seed=9, valid=0.0, typed=("surrogate=sigmoid",))))
    assert len(compare(runs, "surrogate=sigmoid,atan", VALID).differences) == 2


def test_runs_that_differ_in_more_are_no_pair(make_run):
    runs = [
        read(make_run("a", typed=("surrogate=sigmoid", "beta=1"), surrogate={"beta": 1.0})),
        read(make_run("b", typed=("surrogate=atan", "beta=2"), surrogate={"name": "atan", "beta": 2.0})),
        read(make_run("c", typed=("surrogate=atan", "beta=3"), surrogate={"name": "atan", "beta": 3.0})),
    ]
    assert "nothing can be compared" in str(compare(runs, "surrogate=sigmoid,atan", VALID))


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=8))
def test_the_two_tests_are_those_of_scipy(differences):
    found = Comparison("k", ("a", "b"), VALID, tuple(differences))
    if np.ptp(differences) > 0:
        assert found.p_t == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    expected = stats.permutation_test(
        (np.array(differences),), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert found.p_sign_flip == pytest.approx(expected.pvalue, abs=1e-9)


def test_one_pair_is_no_test():
    found = Comparison("k", ("a", "b"), VALID, (0.1,))
    assert math.isnan(found.p_t)
    assert "two pairs at least" in str(found)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ("surrogate", "must be compare=KEY=A,B"),
        ("surrogate=a", "must be compare=KEY=A,B"),
        ("surogate=sigmoid,atan", "did you mean surrogate.name"),
        ("surrogate=sigmoid,gauss", "there are atan, sigmoid"),
    ],
)
def test_what_cannot_be_compared_is_told(make_run, request_, told):
    with pytest.raises(UserError, match=told):
        compare(pairs(make_run, [0.1]), request_, VALID)
