"""Launchers, for real: several jobs at a time, each with its share of the machine, one that is killed, an interrupt."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from snnrun.cli import main
from snnrun.environment import available_cores
from snnrun.sweeps.job import state
from snnrun.sweeps.sharing import Machine
from tests.sweeps.conftest import results, wait_for


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_two_jobs_at_a_time(sweep, launcher):
    code, folder = sweep(f"launcher={launcher}", "launcher.jobs=2", "optimizer.lr=0.1,1e300", "seed=1")
    assert code == 1
    found = {name: result["status"] for name, result in results(folder).items()}
    assert sorted(found.values()) == ["done", "failed"]
    done = next(name for name, status in found.items() if status == "done")
    environment = json.loads((folder / done / "environment.json").read_text())
    assert environment["threads"] == max(1, available_cores() // 2)
    assert "Traceback" in next(folder.glob("*1e+300*/train.log")).read_text()


@pytest.mark.slow
def test_a_job_that_is_killed_takes_no_other_with_it(command, tmp_path):
    words = ("launcher=joblib", "launcher.jobs=2", "seed=1,2,3", "training.epochs=100000", "name=killed")
    process = command(*words)
    running = lambda: {p.parent for p in tmp_path.glob("outputs/sweeps/killed/*/*/checkpoints/last.pt")}  # noqa: E731
    try:
        wait_for(lambda: len(running()) == 2)
        victim, other = workers(process.pid)[:2]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len(running()) == 3)  # its place is taken by the third job
        assert other in workers(process.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    folder = tmp_path / out.splitlines()[-1]
    assert "its process was killed, perhaps for memory" in (folder / "summary.md").read_text()
    assert "Traceback" not in err
    wait_for(lambda: not workers(process.pid))
    assert [state(path.parent) for path in folder.glob("*/results.json")] == ["cut off"] * 3


def workers(parent: int) -> list[int]:
    """The processes that run the jobs of a sweep, oldest first."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True).stdout
    return sorted(int(line.split()[0]) for line in listed.splitlines() if "popen_loky" in line)


@pytest.mark.parametrize(
    ("machine", "jobs", "threads", "expected"),
    [
        (Machine(8, ()), None, None, [(2, None)] * 4),
        (Machine(2, ()), 2, None, [(1, None)] * 2),
        (Machine(1, ()), 4, None, [(1, None)] * 4),
        (Machine(8, ("0", "1")), None, None, [(4, "0"), (4, "1")]),
        (Machine(8, ("3", "5")), 3, 1, [(1, "3"), (1, "5"), (1, "3")]),
    ],
    ids=str,
)
def test_the_machine_is_shared(machine, jobs, threads, expected):
    places = machine.places(machine.jobs(jobs), threads)
    assert [(place.threads, place.gpu) for place in places] == expected


def test_gpus_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8a")
    assert Machine.here(["auto"]).gpus == ("2", "GPU-8a")
    assert Machine.here(["cpu", "cpu"]).gpus == ()
    variables = Machine(4, ("2",)).places(2, None)[0].variables()
    assert (variables["CUDA_VISIBLE_DEVICES"], variables["OMP_NUM_THREADS"]) == ("2", "2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "launcher=joblib"], "launcher=joblib needs joblib; install it with: pip install 'snnrun[joblib]'"),
        (["-m", "launcher=ray"], "launcher=ray needs ray; install it with: pip install 'snnrun[ray]'"),
        (
            ["-m", "sweeper=optuna", "beta=1,2"],
            "sweeper=optuna needs optuna; install it with: pip install 'snnrun[optuna]'",
        ),
        (["launcher=joblib"], "launcher=joblib: is for the jobs of a sweep, which needs -m"),
        (["-m", "launcher=joblib,local"], "launcher=joblib,local: launcher cannot vary within a sweep"),
        (
            ["-m", "launcher.jobs=2"],
            "launcher.jobs=2: no such key with launcher=local (with launcher=joblib|",
        ),
        (["-m", "device=cuda:0,1"], "device=cuda:0,1: one run computes on a single device"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("snnrun.config.files.conf_folder", lambda: Path(__file__).parents[2] / "conf")
    assert main(["train", *words]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
