"""One process at a time: a lock on a folder that the system itself gives back when its holder dies, however it dies."""

import fcntl
import os
import socket
import weakref
from contextlib import suppress
from pathlib import Path

from snnrun.errors import UserError

NAME = ".lock"
_MOST_BYTES = 200


class Lock:
    """The right to write in a folder, held until `release` or the end of the process.

    It is on the open file and not on its name, so that it holds where the folder is moved to. The text in the file
    only names the holder.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock on `folder`.

        Raises:
            UserError: another process has it, or the folder cannot be written.
        """
        path = folder / NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
        self._close = weakref.finalize(self, os.close, descriptor)
        if not _take(descriptor):
            holder = os.read(descriptor, _MOST_BYTES).decode(errors="replace").strip()
            self.release()
            raise UserError(f"{folder} is being written by {holder or 'another process'}; wait for it, or stop it")
        with suppress(OSError):  # a full disk: the lock holds without the holder's name
            os.truncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def release(self) -> None:
        """Give the lock back; doing so again does nothing."""
        self._close()


def is_locked(folder: Path) -> bool:
    """Whether a living process has the lock on `folder`."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _take(descriptor)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    """Lock an open file; returns False if another process has it. Where a file system has no locks, all get it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some cluster file systems are mounted without locks: better no lock than no training
        return True
    return True
