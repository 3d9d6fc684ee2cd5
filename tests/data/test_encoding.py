"""Encoding in parts and processes."""

import io
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from snnrun.data.cochlea import Spikes
from snnrun.data.encoding import Progress, encode_all


class Counting:
    """An encoder that makes `number` spikes, notes what it was asked for, and is killed at `fatal`."""

    def __init__(self, fatal: int | None = None) -> None:
        self.asked: list[int] = []
        self.fatal = fatal

    def __call__(self, number: int) -> Spikes:
        if number == self.fatal:
            raise KeyboardInterrupt
        self.asked.append(number)
        return Spikes(np.arange(number) / 1000, np.full(number, number, np.uint16))


@pytest.mark.parametrize("jobs", [1, 2])
def test_spikes_come_in_order_whatever_the_processes(tmp_path: Path, jobs: int) -> None:
    spikes = list(encode_all(45, Counting(), tmp_path, jobs))
    assert [sound.units.size for sound in spikes] == list(range(45))
    assert all(np.all(sound.units == number) for number, sound in enumerate(spikes))


def test_after_a_kill_it_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(encode_all(60, Counting(fatal=45), tmp_path, 1))
    again = Counting()
    assert len(list(encode_all(60, again, tmp_path, 1))) == 60
    assert again.asked == list(range(40, 60))


def test_a_broken_part_is_made_again(tmp_path: Path) -> None:
    list(encode_all(60, Counting(), tmp_path, 1))
    (tmp_path / "0000020.npz").write_bytes(b"PK half of it")
    again = Counting()
    spikes = list(encode_all(60, again, tmp_path, 1))
    assert again.asked == list(range(20, 40))
    assert [sound.units.size for sound in spikes] == list(range(60))


class Slow:
    """An encoder that notes its process and takes its time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, number: int) -> Spikes:
        (self.folder / f"{os.getpid()}.pid").touch()
        time.sleep(0.5)
        return Spikes(np.zeros(1), np.zeros(1, np.uint16))


def encode_slowly(folder: Path) -> None:
    list(encode_all(400, Slow(folder), folder, 2))


def is_running(process: int) -> bool:
    """Whether there is such a process, and not only what is left of it until someone asks how it ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see other processes")
def test_the_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    parent = get_context("spawn").Process(target=encode_slowly, args=(tmp_path,))
    parent.start()
    wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    parent.kill()
    parent.join()
    workers = [int(file.stem) for file in tmp_path.glob("*.pid")]
    wait_until(lambda: not any(map(is_running, workers)))


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_progress_ends_with_the_total() -> None:
    stream = io.StringIO()
    progress = Progress(3, stream)
    progress.add(1)
    progress.add(2)
    assert stream.getvalue().startswith("3 of 3 sounds")
    assert stream.getvalue().count("\n") == 1
