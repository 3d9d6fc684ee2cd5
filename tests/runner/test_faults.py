"""Real faults: a disk that is full at any write, one that cannot be written, a checkpoint that a power cut cut."""

import pytest

from snnrun import train
from snnrun.config.compose import compose
from snnrun.errors import RunError, UserError
from snnrun.run_folder import RunFolder
from tests.runner.conftest import TINY
from tests.runner.same_run import assert_same


@pytest.mark.parametrize("kibibytes", [4, 16, 64, 140, 200, 260, 320])
def test_a_disk_that_is_full_at_some_write_loses_nothing(disk, left_alone, kibibytes):
    disk.remount(f"size={kibibytes}k")
    folder, config = disk.folder / "run", compose(TINY)
    with pytest.raises(RunError, match="No space left on device") as error:
        train.run(config, folder, TINY)
    assert "\n" not in str(error.value)
    disk.remount("size=10m")
    if (folder / "config.yaml").exists():
        assert RunFolder(folder).status() in ("failed", "interrupted", None)
        train.resume(folder)
        assert_same(left_alone, folder)
    else:
        assert kibibytes == 4


def test_a_disk_that_cannot_be_written_is_told(disk):
    disk.remount("size=10m")
    folder = disk.folder / "run"
    train.run(compose([*TINY, "training.epochs=1"]), folder, TINY)
    disk.remount("ro")
    with pytest.raises(UserError, match=r"cannot write .*/run/\.lock: Read-only file system"):
        train.resume(folder, ["training.epochs=2"])
    disk.remount("rw")
    train.resume(folder, ["training.epochs=2"])
    assert len(RunFolder(folder).metrics()) == 2
