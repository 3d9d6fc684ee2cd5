"""launcher=ray: tasks of a Ray cluster."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from snnrun.config.sweeps import RayConfig
from snnrun.errors import RunError
from snnrun.sweeps.job import STOPPED, Job, Outcome, cut_off, execute_at
from snnrun.sweeps.sharing import Machine, Place


class RayCluster:
    """Tasks, each of which reserves its cores and GPUs."""

    def __init__(self, config: RayConfig, machine: Machine) -> None:
        """Start worker processes here, or connect to the cluster of `config.address`; raises RunError."""
        self.slots = machine.jobs(config.jobs)
        threads = config.threads or max(1, machine.cores // self.slots)
        here = min(1.0, len(machine.gpus) / self.slots)
        gpus = here if config.gpus is None else config.gpus
        settings: dict[str, Any] = {"address": config.address}
        if config.address is None:
            settings = {"address": "local", "num_cpus": threads * self.slots, "include_dashboard": False}
        try:
            ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, OSError, RuntimeError, ValueError) as error:
            raise RunError(f"launcher=ray: no cluster: {' '.join(str(error).split())}") from None
        # Ray sets CUDA_VISIBLE_DEVICES itself; a job that is killed is not repeated behind the sweep's back.
        self._task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(execute_at)
        self._place = Place(threads, None, str(Path.cwd()))
        self._closed = False

    def run(self, job: Job, slot: int) -> Outcome:
        """Run a job as a task."""
        try:
            outcome: Outcome = ray.get(self._task.remote(job, self._place))
        except (RayError, OSError, RuntimeError) as error:
            told = str(error).strip().splitlines() or [type(error).__name__]
            return cut_off(job, STOPPED if self._closed else told[0])
        return outcome

    def close(self) -> None:
        """Stop the worker processes, or leave the cluster."""
        self._closed = True
        with contextlib.suppress(RayError):
            ray.shutdown()


def open_pool(config: RayConfig, machine: Machine, folder: Path) -> RayCluster:
    """The pool of launcher=ray."""
    return RayCluster(config, machine)
