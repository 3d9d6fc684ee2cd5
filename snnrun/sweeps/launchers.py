"""Where the jobs of a sweep run: in this process, or several at a time in others."""

import importlib
import importlib.util
import shutil
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol

from snnrun.config.sweeps import LauncherConfig, SweepConfig
from snnrun.errors import ClusterError, UserError
from snnrun.sweeps.job import Job, Outcome, execute
from snnrun.sweeps.sharing import Machine

POOLS = {  # launcher -> module with `open_pool`, package that it needs, extra that installs it
    "joblib": ("snnrun.sweeps.processes", "joblib", "joblib"),
    "submitit_local": ("snnrun.sweeps.cluster", "submitit", "slurm"),
    "slurm": ("snnrun.sweeps.cluster", "submitit", "slurm"),
    "ray": ("snnrun.sweeps.ray_cluster", "ray", "ray"),
}


Outcomes = Generator[Outcome, None, None]


class Pool(Protocol):
    """Somewhere that can run `slots` jobs at a time; `lost` is None, or says why it cannot run any more of them."""

    slots: int
    lost: str | None

    def run(self, job: Job, slot: int) -> Outcome:
        """Run a job to its end in a slot that is free; called from a thread for each slot."""

    def close(self) -> None:
        """Stop whatever is running, and let every `run` return."""


def require(config: SweepConfig) -> None:
    """Raise UserError where a package is not installed that the launcher or the sweeper needs."""
    launcher, sweeper = config.launcher.name, config.sweeper.name
    if launcher in POOLS:
        _require_package(f"launcher={launcher}", *POOLS[launcher][1:])
    if launcher == "slurm" and shutil.which("sbatch") is None:
        raise UserError("launcher=slurm: there is no sbatch here; start the sweep on a machine of the cluster")
    if sweeper == "optuna":
        _require_package(f"sweeper={sweeper}", "optuna", "optuna")


def _require_package(choice: str, package: str, extra: str) -> None:
    """Raise UserError, which says what to install, where a package is missing that `choice` needs."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{choice} needs {package}; install it with: pip install 'snnrun[{extra}]'")


def launch(jobs: Iterable[Job], config: LauncherConfig, machine: Machine, folder: Path) -> Outcomes:
    """Run the jobs and yield how each ended, in the order in which they end.

    A job is taken from `jobs` when there is room for it, after the outcomes before it have been looked at. `folder` is
    that of the sweep. Close the iterator if it is left early, which stops the jobs. Raises RunError where there is
    nowhere for them to run, ClusterError where that goes away, after the outcomes of the jobs that ran there.
    """
    if config.name not in POOLS:
        for job in jobs:
            print(f"\njob {job.name}", flush=True)
            yield execute(job)
        return
    pool: Pool = importlib.import_module(POOLS[config.name][0]).open_pool(config, machine, folder)
    with ThreadPoolExecutor(pool.slots) as threads:
        try:
            yield from _concurrently(iter(jobs), pool, threads)
        finally:
            pool.close()


def _concurrently(jobs: Iterator[Job], pool: Pool, threads: ThreadPoolExecutor) -> Outcomes:
    free = list(range(pool.slots))
    running: dict[Future[Outcome], int] = {}
    while True:
        while free and pool.lost is None and (job := next(jobs, None)) is not None:
            slot = free.pop(0)
            running[threads.submit(pool.run, job, slot)] = slot
        if not running:
            break
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            free.append(running.pop(future))
            yield future.result()
    if pool.lost is not None:
        raise ClusterError(pool.lost)
