"""A small disk, and a tiny run that is left alone or stopped."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snnrun import train
from snnrun.config.compose import compose
from snnrun.epoch import Tally, train_epoch
from tests.disk import Disk, disk  # noqa: F401 - a fixture


@pytest.fixture
def small_disk(disk: Disk) -> Path:  # noqa: F811
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
