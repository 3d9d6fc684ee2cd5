"""A TensorBoard event file, written in the foreground.

torch's SummaryWriter hands its records to a thread, which prints a traceback of its own when the disk is full and
imports TensorFlow where that is installed. Records and summaries are the same here; only the writing differs.
"""

import itertools
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from snnrun.atomic import write_errors, write_whole

PREFIX = "events.out.tfevents."
_numbers = itertools.count()  # file names stay unique in a process that trains many runs


class EventFile:
    """One event file in `folder`, which TensorBoard shows as a run.

    Records wait in memory until `flush`. A flush that fails raises RunError, and the file keeps its records so far.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        """Make the file. With `purge_step`, TensorBoard hides that step and later ones of the files before this one."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        name = f"{PREFIX}{_second(folder):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self.path = folder / name
        self._event = Event
        self._pending: list[bytes] = []
        self._descriptor = -1
        with write_errors(self.path):
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        self._add(Event(file_version="brain.Event:2", step=purge_step or 0))
        if purge_step is not None:
            self._add(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))
        try:
            self.flush()
        except BaseException:
            self.close()
            raise

    def add(self, summary: Any, step: int) -> None:
        """Add a Summary protocol buffer at `step`."""
        self._add(self._event(summary=summary, step=step))

    def flush(self, durably: bool = False) -> None:
        """Write the records that wait, `durably` to the disk itself. Raises RunError, and they are then given up."""
        data, self._pending = b"".join(self._pending), []
        with write_errors(self.path):
            write_whole(self._descriptor, data)
            if durably:
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Flush and close; closing again does nothing."""
        if self._descriptor < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "EventFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, event: Any) -> None:
        event.wall_time = time.time()
        self._pending.append(_record(event.SerializeToString()))


def _second(folder: Path) -> int:
    """The time for a new file's name, after that of every file in `folder`: TensorBoard reads them in this order, and
    a clock may have been set back."""
    stamps = (path.name.removeprefix(PREFIX).partition(".")[0] for path in folder.glob(f"{PREFIX}*"))
    return max(int(time.time()), *(int(stamp) + 1 for stamp in stamps if stamp.isdecimal()), 0)


def _record(data: bytes) -> bytes:
    """Frame `data` as TensorFlow's record format does: length, its CRC, data, their CRC."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    length = len(data).to_bytes(8, "little")
    crc_length, crc_data = (int(masked_crc32c(part)).to_bytes(4, "little") for part in (length, data))
    return length + crc_length + data + crc_data
