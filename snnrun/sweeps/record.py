"""What a sweep's folder tells of the sweep itself, so that it can go on: sweep.yaml."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from snnrun.atomic import write_atomically
from snnrun.errors import UserError
from snnrun.runs import EARLIER
from snnrun.sweeps.job import Job, Outcome, state

NAME = "sweep.yaml"


@dataclass(frozen=True)
class Record:
    """How a sweep was started.

    Attributes:
        words: the words of the command line after the verb, without flags.
        config_dir: the absolute folder of --config-dir, or None.
        working_folder: to which relative paths refer.
    """

    words: list[str]
    config_dir: str | None
    working_folder: str

    def write(self, folder: Path) -> None:
        """Write it into the sweep's folder. Raises RunError."""
        write_atomically(folder / NAME, yaml.safe_dump(asdict(self), sort_keys=False, allow_unicode=True).encode())

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Read it from a sweep's folder; raises UserError where there is none, or it cannot be read."""
        path = folder / NAME
        try:
            content = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            raise UserError(f"sweep.resume={folder}: there is no sweep: it has no {NAME}") from None
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from None
        fits = isinstance(content, dict) and isinstance(content.get("words"), list)
        if not fits or not isinstance(content.get("working_folder"), str):
            raise UserError(f"cannot read {path}: it does not hold words and working_folder")
        given = content.get("config_dir")
        return cls([str(word) for word in content["words"]], given and str(given), content["working_folder"])


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the sweep for this process: two that run the same jobs would spoil them. Raises UserError.

    The system lets go of it when the process ends, however it ends.
    """
    with open(folder / NAME) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"sweep.resume={folder}: the sweep is still running in another process") from None
        yield


class Grid:
    """The jobs of a sweep that are all known from the start."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Look which of `jobs` are left to do."""
        self._jobs = jobs
        self._left = [job for job in jobs if state(job.folder) != "done"]

    @property
    def left(self) -> int:
        """How many jobs are not done."""
        return len(self._left)

    def jobs(self) -> Iterator[Job]:
        """Yield those that are not done; what is left of a failed one is put aside, and never overwritten."""
        for job in self._left:
            if state(job.folder) == "failed":
                _put_aside(job.folder)
            yield job

    def all(self) -> Sequence[Job]:
        """All jobs, in their order."""
        return self._jobs

    def tell(self, outcome: Outcome) -> None:
        """Nothing depends on how a job ended."""


def _put_aside(folder: Path) -> None:
    """Move the folder of a job to earlier/, under its own name and a number."""
    shelf = folder.parent / EARLIER
    try:
        shelf.mkdir(exist_ok=True)
        number = 1
        while (target := shelf / f"{folder.name}_{number}").exists():
            number += 1
        os.rename(folder, target)
    except OSError as error:
        raise UserError(f"{folder} cannot be put aside: {error.strerror}") from None
