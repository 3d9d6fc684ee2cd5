"""A disk that is full in the middle of a sweep: a line a job, what is done stays, and the sweep goes on."""

import csv
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snnrun.cli import main
from tests.sweeps.conftest import TINY, results, write_options

Told = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Told:
    """Runs `snnrun train` in this process; returns the exit code, and the lines that it and its processes print."""
    monkeypatch.chdir(tmp_path)
    write_options(tmp_path / "conf")

    def run(*words: str) -> tuple[int, list[str], list[str]]:
        code = main(["train", *words])
        out, err = capfd.readouterr()
        print(out, err)
        return code, out.splitlines(), err.splitlines()

    return run


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no process that is started, nor this one, write a file of more bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("launcher", ["local", "joblib"])
def test_a_job_whose_files_find_no_room_fails_in_a_line(told, launcher):
    words = ("-m", "-cd", "conf", *TINY, f"launcher={launcher}", "network.hidden=[4],[300],[5]")
    with largest_file(500_000):
        code, out, err = told(*words)
    folder = Path(out[-1])
    (failed,) = (name for name in results(folder) if "300" in name)
    assert code == 1
    assert err[0] == "error: 1 of 3 jobs failed"
    assert err[1].startswith(f"  {failed}: cannot write ")
    assert err[1].endswith("/last.pt: File too large")
    assert len(err) == 2
    assert [row["status"] for row in summary(folder)] == ["done", "failed", "done"]
    assert "traceback" not in " ".join(out).lower()
    goes_on(told, folder)


def test_a_disk_that_is_full_after_some_jobs(told, disk):
    disk.remount("size=1m")
    code, out, err = told("-m", "-cd", "conf", *TINY, "seed=1,2,3,4", "output_dir=disk")
    folder = Path(out[-1])
    full = "No space left on device"
    failed = [line for line in err if line.startswith("  ")]
    others = [line for line in err if line not in failed]
    assert code == 1
    assert 1 <= len(failed) <= 3
    assert all(": cannot write " in line and line.endswith(full) for line in failed)
    assert others[-1] == f"error: {len(failed)} of 4 jobs failed"
    assert [line.endswith(f"summary.csv: {full}") for line in others[:-1]] in ([], [True])
    assert f"4 jobs: {4 - len(failed)} done, " in "\n".join(out)
    disk.remount("size=10m")
    goes_on(told, folder)


def summary(folder: Path) -> list[dict[str, str]]:
    """The rows of summary.csv."""
    return list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))


def goes_on(told: Told, folder: Path) -> None:
    """Go on with a sweep where there is room again: what is done stays as it is, the rest is done."""
    done = {path: path.stat().st_mtime_ns for path in folder.glob("*/results.json") if '"done"' in path.read_text()}
    assert done
    code, _, err = told(f"sweep.resume={folder}")
    assert (code, err) == (0, [])
    assert {row["status"] for row in summary(folder)} == {"done"}
    assert {path: path.stat().st_mtime_ns for path in done} == done
