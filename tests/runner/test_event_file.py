"""An event file on a disk that fills up, and one whose writer is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snnrun.errors import RunError
from snnrun.event_file import EventFile
from snnrun.summaries import picture, scalar
from snnrun.tensorboard import Board


def test_two_files_of_one_process_have_different_names(tmp_path: Path) -> None:
    with EventFile(tmp_path) as first, EventFile(tmp_path) as second:
        assert first.path != second.path


def test_a_missing_folder_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write .*tfevents.*: No such file"):
        EventFile(tmp_path / "gone")


def test_a_full_disk_is_told_in_one_line_and_keeps_the_curve(small_disk: Path) -> None:
    file = EventFile(small_disk)
    file.add(scalar("lr", 1.0), 1)
    file.flush()
    file.add(picture("surrogate", bytes(1_000_000)), 2)
    with pytest.raises(RunError, match="No space left on device"):
        file.flush()
    file.add(scalar("lr", 3.0), 3)
    file.close()
    events = EventAccumulator(str(small_disk)).Reload()
    assert [event.step for event in events.Scalars("lr")] == [1, 3]


def test_a_closed_file_can_be_closed_again(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.close()
    board.close()


WRITER = """
import pathlib, sys
from snnrun.tensorboard import Board
board = Board(pathlib.Path(sys.argv[1]))
for epoch in range(1, 1_000_000):
    board.scalars({"loss/train": epoch / 2}, epoch)
    if epoch == 100:
        print("started", flush=True)
"""


def test_a_killed_writer_leaves_a_readable_curve(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
    events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    curve = [(event.step, event.value) for event in events.Scalars("loss/train")]
    assert len(curve) >= 100
    assert curve == [(epoch, epoch / 2) for epoch in range(1, len(curve) + 1)]
