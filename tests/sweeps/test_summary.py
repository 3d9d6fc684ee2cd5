"""The summary of a sweep: its figures are those of the folders."""

import csv
import math
import statistics

import pytest

from snnrun.sweeps.summary import Row, as_csv, as_markdown, as_text, group
from tests.sweeps.conftest import results


def row(lr: str, seed: int, valid: float, status: str = "done", error: str = "") -> Row:
    return Row(f"lr={lr},seed={seed}", {"lr": lr, "seed": str(seed), "x": "1"}, status, valid, valid / 2, 10.0, error)


ROWS = [
    row("0.1", 1, 0.5),
    row("0.1", 2, 0.7),
    row("0.1", 3, 0.9, "failed", "a | b"),
    row("0.2", 1, math.nan, "not run"),
]


def test_mean_and_spread_over_seeds():
    first, second = group(ROWS)
    assert (first.mean("valid"), first.spread("valid")) == (
        pytest.approx(0.6),
        pytest.approx(statistics.stdev([0.5, 0.7])),
    )
    assert math.isnan(second.mean("valid"))
    assert math.isnan(second.spread("valid"))


def test_the_csv_has_a_line_a_job():
    lines = list(csv.DictReader(as_csv(ROWS).splitlines()))
    assert [line["status"] for line in lines] == ["done", "done", "failed", "not run"]
    assert [line["seeds"] for line in lines] == ["2 of 3"] * 3 + ["0 of 1"]
    assert float(lines[0]["accuracy/valid_best_mean"]) == pytest.approx(0.6)
    assert lines[0]["accuracy/test"] == "0.25"
    assert lines[2]["error"] == "a | b"
    assert lines[3]["accuracy/valid_best"] == ""


def test_the_page(tmp_path):
    page = as_markdown(tmp_path / "slopes" / "today", ROWS)
    assert page.startswith("# slopes/today\n\n4 jobs: 2 done, 1 failed, 1 not run; all with x=1\n")
    assert "| 0.1 | 2 of 3 | 60.0% ± 14.1% | 30.0% ± 7.1% | 10.0 s |" in page
    assert "- `lr=0.1,seed=3`: a | b" in page
    assert "60.0% ± 14.1%" in as_text(ROWS)


def test_a_single_seed_has_no_spread(tmp_path):
    assert "±" not in as_text([row("0.1", 1, 0.5), row("0.2", 1, 0.5)])


def test_a_real_sweep(sweep):
    code, folder = sweep("seed=1,2", "optimizer.lr=0.01,1e300", "name=slopes")
    assert code == 1
    found = results(folder)
    lines = {line["folder"]: line for line in csv.DictReader((folder / "summary.csv").read_text().splitlines())}
    assert lines.keys() == found.keys()
    for name, line in lines.items():
        assert line["status"] == found[name]["status"]
        if "1e+300" in name:
            assert (line["status"], "(traceback in " in line["error"]) == ("failed", True)
            assert "Traceback" in (folder / name / "train.log").read_text()
        else:
            assert float(line["accuracy/test"]) == found[name]["accuracy"]["test"]
            assert float(line["accuracy/valid_best"]) == found[name]["accuracy"]["valid_best"]
            assert float(line["seconds"]) == found[name]["seconds"]


def test_an_interrupted_sweep_leaves_its_summary(sweep, monkeypatch):
    calls = []

    def interrupted(config, folder, overrides):
        calls.append(folder)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("snnrun.train.run", interrupted)
    code, folder = sweep("seed=1,2,3")
    assert code == 130
    assert len(list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))) == 3


def test_two_sweeps_of_one_name_have_two_folders(sweep, monkeypatch):
    monkeypatch.setattr("snnrun.train.run", lambda config, folder, overrides: 0.0)
    folders = {sweep("seed=1", "name=slopes")[1] for _ in range(3)}
    assert len(folders) == 3
    assert {folder.parent.name for folder in folders} == {"slopes"}
