"""SIGINT and SIGTERM while a network trains: the first stops the run where nothing is half done."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from snnrun.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TOLD = b"stopping after this batch; the same again stops at once\n"


class Interrupts:
    """Within a `with` statement, a signal is noted and `check` raises it; a second one ends the process at once.

    The second does what the system does by default, so that it works in the middle of anything, and leaves behind what
    a killed process leaves: whole files. Outside the main thread, where Python allows no handlers, nothing changes.
    """

    def __init__(self) -> None:
        self._noted: int | None = None
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Raise Interrupted if there was a signal; call it where the run can stop."""
        if self._noted is not None:
            raise Interrupted(self._noted)

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        os.write(2, TOLD)  # print may be what was interrupted
