"""The installed `snnrun reproduce`: runs what is missing, and nothing twice."""

import csv
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from snnrun.config.plan import plan
from snnrun.reproduce.rows import read_rows

ROWS = [(name, quick) for quick in (False, True) for name in read_rows(quick, {})]


def reproduce(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "snnrun"), "reproduce", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "quick"), ROWS)
def test_the_commands_of_a_row_can_run(name, quick):
    row = read_rows(quick, {})[name]
    for part in row.parts:
        assert shlex.split(part.command)[:3] == ["snnrun", "train", "-m"]
        planned = plan(part.words, multirun=True)
        assert planned.folder.parent.name == part.sweep
        assert {config.dataset.name for config in planned.configs} == {part.data}
        seeds = {config.seed for config in planned.configs}
        assert quick or len(seeds) >= 3


def test_a_row_is_run_once_and_put_on_record(tmp_path):
    words = ("--quick", "surrogate_slopes", "jobs=1")
    first = reproduce(tmp_path, *words)
    assert first.returncode == 0, first.stderr
    page = tmp_path / "outputs/quick/RESULTS.md"
    assert "beta" in page.read_text()
    record = (tmp_path / "outputs/quick/results/surrogate_slopes.csv").read_text()
    runs = {"/".join(path.parts[-3:-1]) for path in tmp_path.glob("outputs/sweeps/*/*/*/config.yaml")}
    assert {row["run"] for row in csv.DictReader(record.splitlines())} == runs
    assert (tmp_path / "outputs/quick/docs/results/surrogate_slopes_accuracy.png").read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    again = reproduce(tmp_path, *words)
    assert "$ snnrun" not in again.stdout
    assert "surrogate_slopes: done" in again.stdout
    assert page.read_text() == text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["surogate_shapes"], "no such row (did you mean surrogate_shapes?)"),
        (["job=2"], "no such key (did you mean jobs?)"),
        (["jobs=0"], "must be a whole number at least 1"),
        (["shd=nowhere"], "there is no such folder"),
        (["--collect"], "was not made by snnrun reproduce"),
    ],
)
def test_bad_input_is_one_line(tmp_path, words, told):
    (tmp_path / "RESULTS.md").write_text("my own results\n")
    done = reproduce(tmp_path, *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "RESULTS.md").read_text() == "my own results\n"


@pytest.mark.slow
def test_every_row_runs_in_a_small_size(tmp_path):
    done = reproduce(tmp_path, "--quick")
    assert done.returncode == 0, done.stderr
    unmeasured = [line for line in done.stdout.splitlines() if "runs are done" in line and "of the data" not in line]
    assert not unmeasured
