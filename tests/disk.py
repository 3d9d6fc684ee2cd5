"""A real small disk that fills up."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DISK_BYTES = 256 * 1024


class Disk:
    """A small file system that can be filled up, made larger and made read-only."""

    def __init__(self, folder: Path) -> None:
        """Mount one of `DISK_BYTES` on `folder`."""
        if os.name != "posix" or os.geteuid() != 0:
            pytest.skip("only root can mount a small file system")
        self.folder = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "snnrun-test", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")

    def remount(self, options: str) -> None:
        """Change it: "size=1m", "ro", "rw"."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of 256 KiB."""
    made = Disk(tmp_path / "disk")
    yield made
    subprocess.run(["umount", str(made.folder)], check=True)
