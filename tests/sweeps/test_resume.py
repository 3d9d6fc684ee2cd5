"""Going on with a sweep: what is done stays as it is, what failed is repeated and nothing is overwritten."""

import json
from pathlib import Path

import pytest

from snnrun.cli import main
from snnrun.sweeps.job import state
from snnrun.sweeps.record import Record, only_one


def job(folder: Path, part: str) -> Path:
    """The folder of the job whose name has `part` in it."""
    return next(path for path in folder.iterdir() if part in path.name)


def change(folder: Path, **results: object) -> None:
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | results))


def test_done_is_skipped_and_failed_is_repeated(sweep):
    code, folder = sweep("seed=1,2", "optimizer.lr=0.01")
    assert code == 0
    change(job(folder, "seed=2"), status="failed", error="the power went")
    (job(folder, "seed=2") / "mine.txt").write_text("precious")
    before = (job(folder, "seed=1") / "results.json").stat().st_mtime_ns
    code, again = sweep(f"sweep.resume={folder}")
    assert (code, again) == (0, folder)
    assert (job(folder, "seed=1") / "results.json").stat().st_mtime_ns == before
    assert state(job(folder, "seed=2")) == "done"
    (kept,) = (folder / "earlier").iterdir()
    assert (kept / "mine.txt").read_text() == "precious"
    assert json.loads((kept / "results.json").read_text())["error"] == "the power went"
    assert "2 jobs: 2 done" in (folder / "summary.md").read_text()


def test_an_unreadable_run_is_repeated(sweep):
    _, folder = sweep("seed=1,2")
    (job(folder, "seed=1") / "results.json").write_text("{")
    assert sweep(f"sweep.resume={folder}")[0] == 0
    assert state(job(folder, "seed=1")) == "done"


def test_a_job_that_was_never_begun_runs(sweep, tmp_path):
    _, folder = sweep("seed=1,2")
    job(folder, "seed=2").rename(tmp_path / "gone")
    assert sweep(f"sweep.resume={folder}")[0] == 0
    assert state(job(folder, "seed=2")) == "done"


def test_relative_paths_refer_to_where_the_sweep_was_started(sweep, tmp_path, monkeypatch):
    _, folder = sweep("seed=1,2", "output_dir=results")
    change(job(folder, "seed=2"), status="failed")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert sweep(f"sweep.resume={folder}") == (0, folder)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep.resume=nowhere"], "nowhere: there is no sweep: it has no sweep.yaml"),
        (["sweep.resume=[1]"], "sweep.resume=[1]: must be the folder of a sweep"),
        (["sweep.resume=broken"], "it does not hold words and working_folder"),
        (["sweep.resume=fine", "beta=3"], "beta=3: what a sweep computes is fixed when it goes on"),
        (["launcher=nothing", "-m"], "launcher=nothing: no such launcher"),
        (["sweep.resum=x"], "sweep.resum=x: no such key (did you mean sweep.resume?)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ("broken", "fine"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "sweep.yaml").write_text("words: 3\n")
    Record(["seed=1"], None, str(tmp_path)).write(tmp_path / "fine")
    assert main(["train", *words]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1


def test_a_sweep_that_is_still_running_is_left_alone(tmp_path, capsys):
    Record(["seed=1"], None, str(tmp_path)).write(tmp_path)
    with only_one(tmp_path):
        assert main(["train", f"sweep.resume={tmp_path}"]) == 2
    assert "still running in another process" in capsys.readouterr().err


def test_what_was_cut_off_goes_on_after_its_last_epoch(sweep):
    _, folder = sweep("seed=1,2", "training.epochs=3")
    run = job(folder, "seed=2")
    whole = (run / "metrics.csv").read_text().splitlines()
    change(run, status="interrupted", error="the sweep was stopped")
    assert sweep(f"sweep.resume={folder}")[0] == 0
    assert state(run) == "done"
    again = (run / "metrics.csv").read_text().splitlines()
    assert again[:3] == whole[:3]
    assert not (folder / "earlier").exists()
    assert "error" not in json.loads((run / "results.json").read_text())
