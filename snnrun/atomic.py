"""Writing files so that a crash, a kill or a full disk leaves the old content or the new, and never half of it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from snnrun.errors import RunError

PARTIAL = ".partial"  # one fixed suffix, so that what a killed process left is overwritten and does not pile up


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a RunError that names `path` and the reason, in one line."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from None


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the content of `path` by `data`, durably: temporary file beside it, fsync, rename.

    Raises:
        RunError: it cannot be written; `path` is as it was and no temporary file is left.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with write_errors(path):
            with open(partial, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def keep_as(path: Path, other: Path) -> None:
    """Let `other` name the present content of `path` too, in place of what it named before.

    Raises RunError. Where the file system has no second names (hard links), `path` is renamed.
    """
    partial = other.with_name(other.name + PARTIAL)
    with write_errors(other):
        partial.unlink(missing_ok=True)
        try:
            os.link(path, partial)
        except OSError:
            os.replace(path, other)
        else:
            os.replace(partial, other)
            partial.unlink(missing_ok=True)  # a rename between two names of one file does nothing


def append_durably(path: Path, data: bytes) -> None:
    """Add `data` at the end of `path`, which is made if it does not exist, and wait until it is on the disk.

    Raises:
        RunError: it cannot be written; what was in the file stays, and nothing of `data` is added.
    """
    with write_errors(path), open(path, "ab", buffering=0) as file:
        write_whole(file.fileno(), data)
        os.fsync(file.fileno())


def write_whole(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data` at the end of an open file, or raise OSError and cut the file back to its former size."""
    size = os.fstat(descriptor).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut; where folders cannot be opened, the system does so itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
