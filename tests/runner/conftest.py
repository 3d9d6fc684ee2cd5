"""A real small disk that fills up, and a tiny run that is left alone or stopped."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snnrun import train
from snnrun.config.compose import compose
from snnrun.epoch import Tally, train_epoch

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


@pytest.fixture
def small_disk(disk: Disk) -> Path:
    """The folder of a file system of 256 KiB."""
    return disk.folder


TINY = [
    *("dataset=randman", "dataset.samples=20", "dataset.test_samples=5", "dataset.units=20", "dataset.classes=3"),
    *("dataset.duration=50", "dataset.time_jitter=1", "network.hidden=[12]", "init.scale=3", "engine=cpu"),
    *("training.batch_size=16", "training.epochs=4", "training.log_every=2", "optimizer.schedule=cosine"),
]
Runner = Callable[..., Path]


class Stop(BaseException):
    """Ends a run as a kill does: nothing of the run catches it but `finally`."""


@pytest.fixture(scope="session")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run of four epochs that nothing has disturbed; do not change it."""
    folder = tmp_path_factory.mktemp("left_alone") / "run"
    train.run(compose(TINY), folder, TINY)
    return folder


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Begins the tiny run in a new folder, which it returns, and stops it in the given epoch."""

    def begin(epoch: int, *overrides: str) -> Path:
        folder, epochs = tmp_path / f"stopped{len(list(tmp_path.iterdir()))}", itertools.count(1)

        def epoch_or_stop(*arguments: Any) -> Tally:
            if next(epochs) == epoch:
                raise Stop
            return train_epoch(*arguments)

        config = compose([*TINY, *overrides])
        with monkeypatch.context() as patch:
            patch.setattr(train, "train_epoch", epoch_or_stop)
            with pytest.raises(Stop):
                train.run(config, folder, [*TINY, *overrides])
        return folder

    return begin
