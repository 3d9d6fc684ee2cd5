"""What runs differ in."""

import math

import pytest

from snnrun.report.groups import Spread, group, varied_keys
from snnrun.report.runs import find, read


def read_all(*folders):
    return [read(folder) for folder in folders]


def test_runs_that_differ_in_the_seed_only_are_one_group(make_run):
    runs = read_all(make_run("a", seed=1), make_run("b", seed=2))
    groups = group(runs)
    assert groups.keys == ()
    assert [len(g.runs) for g in groups.groups] == [2]
    assert groups.label(groups.groups[0]) == "all runs"


def test_a_usual_slope_that_follows_from_the_shape_is_no_key_of_its_own(make_run):
    runs = read_all(
        make_run("a", typed=("surrogate=sigmoid",)),
        make_run("b", typed=("surrogate=superspike",), surrogate={"name": "superspike", "beta": 10.0}),
    )
    assert varied_keys(runs) == ("surrogate.name",)


def test_a_slope_that_was_varied_is_a_key(make_run):
    runs = read_all(
        *(make_run(f"a{b}", typed=("surrogate=sigmoid", f"beta={b}"), surrogate={"beta": b}) for b in (1.0, 5.0)),
        make_run("b", typed=("surrogate=atan", "beta=5"), surrogate={"name": "atan"}),
    )
    assert varied_keys(runs) == ("surrogate.name", "surrogate.beta")
    groups = group(runs)
    assert [groups.label(g) for g in groups.groups] == ["atan, beta 5", "sigmoid, beta 1", "sigmoid, beta 5"]


def test_a_key_that_was_not_typed_is_found(make_run):
    runs = read_all(make_run("a"), make_run("b", dataset={"dt": 5.0}))
    assert varied_keys(runs) == ("dataset.dt",)


def test_a_rate_that_was_measured_on_each_split_is_no_key_and_one_that_was_typed_is(make_run):
    runs = read_all(*(make_run(f"a{k}", seed=k, init={"rate_hz": 7.0 + k}) for k in (1, 2)))
    assert varied_keys(runs) == ()
    typed = read_all(*(make_run(f"b{k}", typed=("init.rate_hz=8",), seed=k, init={"rate_hz": 7.0 + k}) for k in (1, 2)))
    assert varied_keys(typed) == ("init.rate_hz",)


def test_spread_counts_what_is_there():
    assert Spread.of([0.5, math.nan, 0.7]) == Spread(pytest.approx(0.6), pytest.approx(0.1414, abs=1e-4), 2)
    assert math.isnan(Spread.of([0.5]).deviation)
    assert math.isnan(Spread.of([]).mean)


def test_a_folder_that_cannot_be_read_hides_no_other(make_run):
    good = make_run("a")
    (make_run("b") / "config.yaml").write_text("a: [")
    (make_run("c") / "results.json").write_text("{")
    (make_run("d") / "config.yaml").write_bytes(b"\xff\xfe\x00")
    runs, problems = find([good.parent])
    assert [run.path for run in runs] == [good]
    assert len(problems) == 3


def test_a_run_that_goes_on_has_its_best_so_far(make_run):
    run = read(make_run("a", valid=None, status="running"))
    assert run.figure("accuracy/valid_best") == pytest.approx(0.27)
    assert math.isnan(run.figure("accuracy/test"))


def test_a_last_line_that_was_cut_off_is_none(make_run):
    folder = make_run("a")
    with open(folder / "metrics.csv", "a") as file:
        file.write("4,0.5,0.")
    assert [row["epoch"] for row in read(folder).metrics] == [1, 2, 3]
