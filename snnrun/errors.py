"""The two kinds of failure that end a command with one line and no traceback, and being told to stop."""

import signal


class SnnrunError(Exception):
    """A failure that is told to the user in one line; `exit_code` is what the command returns."""

    exit_code = 1


class UserError(SnnrunError):
    """Bad input: a key, a value, a file or a combination that cannot work. Exit code 2.

    The message is one line: what is wrong, where, what is allowed and the nearest valid name.
    """

    exit_code = 2


class RunError(SnnrunError):
    """A failure while running: a loss that is not finite, a full disk. Exit code 1."""


class ClusterError(RunError):
    """Where the jobs of a sweep run has gone away: no more of them can run now, and those that are done stay."""


class Interrupted(KeyboardInterrupt):
    """A signal told the command to stop; `exit_code` is 128 and the signal's number, as a shell counts."""

    def __init__(self, number: int) -> None:
        """`number` of the signal."""
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = 128 + number
