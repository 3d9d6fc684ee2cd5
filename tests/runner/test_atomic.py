"""Files are the old or the new ones, whatever happens while they are written."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snnrun.atomic import append_durably, write_atomically
from snnrun.errors import RunError

CONTENT_BYTES = 300_000
WRITER = """
import sys
from pathlib import Path
from snnrun.atomic import write_atomically
letter = 0
while True:
    letter += 1
    write_atomically(Path(sys.argv[1]), bytes([letter % 256]) * {size})
    if letter == 1:
        print("started", flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    moments = random.Random(0)
    for _ in range(15):
        command = [sys.executable, "-c", WRITER.format(size=CONTENT_BYTES), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(moments.uniform(0, 0.02))
            os.kill(child.pid, signal.SIGKILL)
        content = path.read_bytes()
        assert content == content[:1] * CONTENT_BYTES
    assert len(list(tmp_path.iterdir())) <= 2  # the file, and at most one that was cut off


def test_a_full_disk_keeps_the_old_content_and_leaves_no_rubbish(small_disk: Path) -> None:
    path = small_disk / "file"
    write_atomically(path, b"old")
    with pytest.raises(RunError, match=r"cannot write .*/file: No space left on device"):
        write_atomically(path, bytes(1_000_000))
    assert path.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [path]


def test_a_full_disk_adds_nothing_to_a_table(small_disk: Path) -> None:
    path = small_disk / "table"
    append_durably(path, b"one\n")
    with pytest.raises(RunError, match="No space left"):
        append_durably(path, b"two\n" * 250_000)
    assert path.read_bytes() == b"one\n"
    append_durably(path, b"three\n")
    assert path.read_bytes() == b"one\nthree\n"


def test_a_read_only_disk_is_told_in_one_line(small_disk: Path) -> None:
    write_atomically(small_disk / "file", b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(RunError, match="Read-only file system") as error:
        write_atomically(small_disk / "file", b"new")
    assert "\n" not in str(error.value)
    assert (small_disk / "file").read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunError, match="Permission denied"):
            write_atomically(tmp_path / "file", b"new")
    finally:
        tmp_path.chmod(0o700)


def test_a_missing_folder_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file or directory"):
        write_atomically(tmp_path / "gone" / "file", b"new")
