"""Commands in processes that can be killed: the installed one, and forks of a process that has imported everything."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

# Reads command lines, runs each in a fork of its own, and tells of each its process number and then how it ended.
FORKING = """
import json, os, sys
import numpy as np
from snnrun import figures, train  # imports torch and numba; neither has started a thread yet
from snnrun.cli import main
from snnrun.config.compose import compose

compose()
figures.png(figures.raster(np.zeros(1), np.zeros(1, int), 1, 1.0, "warm"))
for line in sys.stdin:
    if (child := os.fork()) == 0:
        output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1), os.dup2(output, 2)
        code = main(json.loads(line))
        sys.stdout.flush()
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Process(Protocol):
    """A command that runs."""

    pid: int

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it."""


class Start(Protocol):
    """Starts `snnrun` with some words."""

    def __call__(self, *words: str) -> Process: ...


@contextlib.contextmanager
def forked(folder: Path) -> Iterator[Start]:
    """Starts commands in forks, one at a time, in `folder`; their output goes to output.txt there."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", FORKING], cwd=folder, stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        requests, answers = parent.stdin, parent.stdout

        def start(*words: str) -> Process:
            print(json.dumps(words), file=requests, flush=True)
            return Fork(int(answers.readline()), answers)

        yield start
        requests.close()


class Fork:
    """A command in a fork."""

    def __init__(self, pid: int, answers: IO[str]) -> None:
        self.pid = pid
        self._answers = answers

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it."""
        return int(self._answers.readline())


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[Start]:
    """Starts the installed command in `folder`; its output goes to output.txt there."""
    command = str(Path(sys.executable).parent / "snnrun")
    with open(folder / "output.txt", "a") as output:
        yield lambda *words: subprocess.Popen([command, *words], cwd=folder, stdout=output, stderr=output)
