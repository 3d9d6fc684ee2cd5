"""launcher=slurm and launcher=submitit_local, through submitit."""

import pickle
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError
from submitit.helpers import DelayedSubmission

from snnrun.config.sweeps import ProcessesConfig, SlurmConfig
from snnrun.sweeps.job import KILLED, STOPPED, Job, Outcome, cut_off, execute_at
from snnrun.sweeps.sharing import Machine, Place

LOOK_EVERY_S = 1.0
ASK_EVERY_S = 30.0
FILES_ARRIVE_S = 15.0  # a shared file system may show a result later than the queue forgets the job
MOST_TIMEOUTS = 1000  # how often a job may be out of time and go on
NEVER_MIN = 60 * 24 * 365
FOLDER = "submitit"


class _Task:
    """What submitit runs; out of time, it goes into the queue again, and its job goes on from its last epoch."""

    def __call__(self, job: Job, place: Place) -> Outcome:
        return execute_at(job, place)

    def checkpoint(self, job: Job, place: Place) -> DelayedSubmission:
        return DelayedSubmission(self, job, place)


class Cluster:
    """Jobs that submitit starts, each on its own."""

    def __init__(self, executor: submitit.Executor, places: list[Place], slurm: bool) -> None:
        """`places` has one for each job at a time; `slurm` is whether SLURM can be asked about them."""
        self.slots = len(places)
        self._executor, self._places, self._slurm = executor, places, slurm
        self._lock = threading.Lock()
        self._running: dict[int, Any] = {}
        self.lost: str | None = None
        self._closed = False

    def run(self, job: Job, slot: int) -> Outcome:
        """Submit a job and wait for its end."""
        try:
            with self._lock:  # submitit's executors are not made for several threads
                submitted = self._executor.submit(_Task(), job, self._places[slot])
        except (FailedJobError, OSError) as error:
            return Outcome(job, f"cannot be submitted: {' '.join(str(error).split())}")
        self._running[slot] = submitted
        try:
            return self._result(job, submitted)
        finally:
            del self._running[slot]

    def close(self) -> None:
        """Cancel what is in the queue or running."""
        self._closed = True
        for submitted in list(self._running.values()):
            submitted.cancel(check=False)

    def _result(self, job: Job, submitted: Any) -> Outcome:
        over = _out_of_queue(submitted) if self._slurm else submitted.done
        while not over():
            time.sleep(LOOK_EVERY_S)
            if self._closed:
                return cut_off(job, STOPPED)
        if not submitted.paths.result_pickle.exists():
            return cut_off(job, f"{KILLED} (log in {submitted.paths.stderr})")
        state, result = pickle.loads(submitted.paths.result_pickle.read_bytes())
        if state != "success":
            return cut_off(job, f"{str(result).strip().splitlines()[-1]} (log in {submitted.paths.stderr})")
        assert isinstance(result, Outcome)
        return result


def _out_of_queue(submitted: Any) -> Callable[[], bool]:
    """Return what tells whether a job of SLURM is over; it looks for the result, and now and then at the queue."""
    asked = time.monotonic()

    def over() -> bool:
        nonlocal asked
        if submitted.paths.result_pickle.exists():
            return True
        if time.monotonic() - asked < ASK_EVERY_S:
            return False
        asked = time.monotonic()
        if _in_queue(submitted.job_id):
            return False
        time.sleep(FILES_ARRIVE_S)
        return True

    return over


def _in_queue(job_id: str) -> bool:
    """Whether SLURM still knows the job; submitit would ask its accounting, which not every cluster has."""
    try:
        asked = subprocess.run(["squeue", "-h", "-j", job_id, "-o", "%T"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return True
    return bool(asked.stdout.strip()) if asked.returncode == 0 else "Invalid job id" not in asked.stderr


def open_pool(config: ProcessesConfig | SlurmConfig, machine: Machine, folder: Path) -> Cluster:
    """The pool of launcher=slurm or launcher=submitit_local; submitit's files go to `folder`/submitit."""
    if isinstance(config, ProcessesConfig):
        places = machine.places(machine.jobs(config.jobs), config.threads)
        executor = submitit.AutoExecutor(folder / FOLDER, cluster="local")
        executor.update_parameters(timeout_min=NEVER_MIN)
        return Cluster(executor, places, slurm=False)
    executor = submitit.AutoExecutor(folder / FOLDER, cluster="slurm", slurm_max_num_timeout=MOST_TIMEOUTS)
    executor.update_parameters(**_parameters(config))
    return Cluster(executor, [Place(config.threads, None, str(Path.cwd()))] * config.jobs, slurm=True)


def _parameters(config: SlurmConfig) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "name": "snnrun",
        "timeout_min": config.time_min,
        "cpus_per_task": config.threads,
        "mem_gb": config.mem_gb,
        "slurm_additional_parameters": {"requeue": True} | dict(_option(line) for line in config.sbatch),
    }
    if config.gpus:
        parameters["gpus_per_node"] = config.gpus
    if config.partition is not None:
        parameters["slurm_partition"] = config.partition
    return parameters


def _option(line: str) -> tuple[str, Any]:
    """Take an option of sbatch apart: "qos=low" has a value, "exclusive" has none."""
    name, equals, value = line.lstrip("-").partition("=")
    return name.replace("-", "_"), value if equals else True
