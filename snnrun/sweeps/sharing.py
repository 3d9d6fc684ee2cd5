"""Jobs at a time on one machine share it: each has its own cores and its own GPU, and no more threads than cores.

Threads beyond the cores wait for each other in spin locks: two jobs with two threads each on two cores take about 40
times as long as one after the other.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from snnrun.environment import available_cores

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Place:
    """Where a job runs, for the process that runs it.

    Attributes:
        threads: how many it may use; None leaves that to the system.
        gpu: value of CUDA_VISIBLE_DEVICES; None leaves it as it is.
        folder: to which relative paths refer.
    """

    threads: int | None
    gpu: str | None
    folder: str

    def variables(self) -> Mapping[str, str]:
        """The environment variables that say so to torch, numba and BLAS, if set before these are loaded."""
        found = {} if self.threads is None else dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        return found if self.gpu is None else found | {"CUDA_VISIBLE_DEVICES": self.gpu}

    def take(self) -> None:
        """Make this process a process of this place."""
        os.environ.update(self.variables())
        os.chdir(self.folder)


@dataclass(frozen=True)
class Machine:
    """What there is to share: cores, and GPUs by the names that CUDA_VISIBLE_DEVICES takes."""

    cores: int
    gpus: tuple[str, ...]

    @classmethod
    def here(cls, devices: Iterable[str]) -> "Machine":
        """This machine; `devices` are those that the jobs ask for (auto, cpu, cuda)."""
        return cls(available_cores(), () if set(devices) == {"cpu"} else _gpus())

    def jobs(self, asked: int | None) -> int:
        """How many jobs to run at a time where `asked` is the user's wish."""
        return asked or len(self.gpus) or max(1, self.cores // 2, min(2, self.cores))

    def places(self, jobs: int, threads: int | None) -> list[Place]:
        """A place for each of `jobs` at a time; `threads` None divides the cores."""
        each = threads or max(1, self.cores // jobs)
        gpus = [self.gpus[slot % len(self.gpus)] for slot in range(jobs)] if self.gpus else [None] * jobs
        return [Place(each, gpu, str(Path.cwd())) for gpu in gpus]


def _gpus() -> tuple[str, ...]:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return tuple(name.strip() for name in given.split(",") if name.strip() not in ("", "-1"))
    import torch

    return tuple(str(index) for index in range(torch.cuda.device_count()))
