"""SIGINT and SIGTERM: the run stops between two batches and can go on; the same again stops it at once."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snnrun.run_folder import RunFolder
from tests.runner.conftest import TINY
from tests.runner.processes import Start, forked
from tests.runner.same_run import assert_same

LONG = [*TINY, "training.epochs=100000", "training.log_every=100000"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interrupts")


@pytest.fixture(scope="module")
def start(place: Path) -> Iterator[Start]:
    with forked(place) as starting:
        yield starting


def wait_for_epochs(folder: Path, number: int, seconds: float = 120) -> None:
    """Wait until the run in `folder` has trained so many epochs."""
    end = time.monotonic() + seconds
    while len(RunFolder(folder).metrics()) < number:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_signals_save_and_the_run_goes_on(start, place):
    folder, words, first = place / "run", ["train", *LONG, f"hydra.run.dir={place / 'run'}"], 1
    for name, code in (("SIGINT", 130), ("SIGTERM", 143)):
        process = start(*words)
        wait_for_epochs(folder, first + 1)
        os.kill(process.pid, signal.Signals[name])
        assert process.wait() == code
        run = RunFolder.open(folder)
        assert run.results()["status"] == "interrupted"
        first = run.load_checkpoint("last")["epoch"]
        told = (place / "output.txt").read_text()
        assert f"interrupted by {name}" in told
        assert "go on with: snnrun train resume=run" in told
        words = ["train", f"resume={folder}"]
    assert start("train", f"resume={folder}", f"training.epochs={first + 2}").wait() == 0
    assert (run.results()["status"], run.results()["epochs"], len(run.metrics())) == ("done", first + 2, first + 2)


def test_a_second_signal_stops_at_once_and_does_no_damage(start, place, left_alone):
    folder = place / "twice"
    process = start("train", *TINY, f"hydra.run.dir={folder}")
    wait_for_epochs(folder, 1)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.002)
    assert process.wait() in (130, -signal.SIGINT)
    assert RunFolder.open(folder).status() == "interrupted"
    assert start("train", f"resume={folder}").wait() == 0
    assert_same(left_alone, folder)
