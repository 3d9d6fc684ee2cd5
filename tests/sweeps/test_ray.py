"""launcher=ray on a real Ray of this machine: workers, one that is killed, a cluster that goes away or is not there."""

import csv
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sweeps.conftest import results, wait_for

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not list its processes"),
]
WORDS = ("launcher=ray", "launcher.jobs=2", "launcher.threads=1", "name=lost")
WORKER = "ray::execute_at"
Start = Callable[..., "subprocess.Popen[str]"]


def session(process: "subprocess.Popen[str]") -> int | None:
    """The session of the cluster of a sweep: its driver, and all that this has started."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and os.getsid(int(path.name)) == int(path.name):
                return int(path.name)
    return None


def members(leader: int | None, part: str = "") -> list[int]:
    """The living processes of a session whose command line has `part` in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(path.name)) == leader and part in (path / "cmdline").read_text() != "":
                found.append(int(path.name))
    return found


@pytest.fixture
def start(command: Start) -> Iterator[Start]:
    """Starts a sweep; at the end nothing of it is left, whatever has happened, and no other cluster is touched."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> "subprocess.Popen[str]":
        begun.append(command(*words, RAY_worker_niceness="0"))  # else any other process of the machine goes first
        return begun[-1]

    yield begin
    for process in begun:
        leader = session(process)
        process.kill()
        process.communicate()
        for member in members(leader) if leader else []:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)


def test_a_cluster_of_two_workers(sweep):
    code, folder = sweep("launcher=ray", "launcher.jobs=2", "seed=1,2,3")
    assert code == 0
    assert [result["status"] for result in results(folder).values()] == ["done"] * 3


def test_an_address_that_nobody_answers_is_told_at_once(start):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{unheard.getsockname()[1]}"
        process = start("launcher=ray", f"launcher.address={address}", "seed=1,2")
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    expected = f"error: launcher=ray: no cluster: nobody answers at launcher.address={address}: Connection refused"
    assert expected in error.splitlines()


@pytest.mark.parametrize("victim", ["gcs_server", "raylet/raylet"])
def test_a_cluster_that_goes_away_is_told_in_a_line_and_the_sweep_goes_on(start, tmp_path, victim):
    process = start(*WORDS, "training.epochs=1,200", "seed=1,2")
    leader, folder = stopped_in_the_last_two_jobs(process, tmp_path / "outputs" / "sweeps" / "lost")
    for member in members(leader, victim):
        os.kill(member, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    shown = str(folder.relative_to(tmp_path))
    told = "error: launcher=ray: the Ray cluster went away; 2 of 4 jobs are done, and stay"
    assert err.splitlines() == [f"{told}; go on with: snnrun train sweep.resume={shown}"]
    assert out.splitlines()[-1] == shown
    assert members(leader) == []
    rows = list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["done", "done", "interrupted", "interrupted"]
    assert {row["error"] for row in rows[2:]} == {"the Ray cluster went away"}
    assert "4 jobs: 2 done, 2 interrupted" in (folder / "summary.md").read_text()

    done = {path: path.stat().st_mtime_ns for path in folder.glob("*epochs=1/results.json")}
    again = start(f"sweep.resume={shown}")
    out, err = again.communicate(timeout=300)
    assert (again.returncode, err) == (0, "")
    assert [result["status"] for result in results(folder).values()] == ["done"] * 4
    assert {path: path.stat().st_mtime_ns for path in done} == done
    for path in folder.glob("*epochs=200/metrics.csv"):
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 201)]
    assert not (folder / "earlier").exists()


def test_a_worker_that_is_killed_takes_no_other_job_with_it(start, tmp_path):
    process = start(*WORDS, "training.epochs=200", "seed=1,2,3")
    wait_for(lambda: len(list(tmp_path.glob("outputs/sweeps/lost/*/*/checkpoints/last.pt"))) >= 2)
    os.kill(members(session(process), WORKER)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    folder = tmp_path / out.splitlines()[-1]
    killed = next(name for name, result in results(folder).items() if result["status"] == "interrupted")
    assert err.splitlines() == ["error: 1 of 3 jobs failed", f"  {killed}: its process was killed, perhaps for memory"]
    assert sorted(result["status"] for result in results(folder).values()) == ["done", "done", "interrupted"]


def stopped_in_the_last_two_jobs(process: "subprocess.Popen[str]", sweeps: Path) -> tuple[int | None, Path]:
    """Let a sweep get as far as its last two jobs, and let the processes of these stand still."""
    running = lambda: list(sweeps.glob("*/*epochs=200/checkpoints/last.pt"))  # noqa: E731
    wait_for(lambda: len(running()) == 2)
    leader = session(process)
    for worker in members(leader, WORKER):
        os.kill(worker, signal.SIGSTOP)
    return leader, running()[0].parents[2]
