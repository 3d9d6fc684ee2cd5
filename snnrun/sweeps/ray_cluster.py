"""launcher=ray: tasks of a Ray cluster."""

import multiprocessing
import socket
import time
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from snnrun.config.sweeps import RayConfig
from snnrun.errors import RunError
from snnrun.lock import is_locked
from snnrun.sweeps.job import STOPPED, Job, Outcome, cut_off
from snnrun.sweeps.ray_driver import Tasks, drive, end_session
from snnrun.sweeps.sharing import Machine, Place

LOG = "ray.log"
LOST = "the Ray cluster went away"
STOPS_WITHIN_S = 15.0
ANSWERS_WITHIN_S = 10.0


class RayCluster:
    """Tasks, each of which reserves its cores and GPUs; a process of its own talks to the cluster."""

    def __init__(self, config: RayConfig, machine: Machine, folder: Path) -> None:
        """Start worker processes here, or connect to the cluster of `config.address`; raises RunError."""
        self.slots = machine.jobs(config.jobs)
        self.lost: str | None = None
        self._closed = False
        self._log = folder / LOG
        spawn = multiprocessing.get_context("spawn")
        pipes = [spawn.Pipe() for _ in range(1 + self.slots)]
        self._control, *self._connections = (ours for ours, _ in pipes)
        theirs = [their for _, their in pipes]
        arguments = (_tasks(config, machine, self.slots), theirs[0], theirs[1:], self._log)
        self._driver = spawn.Process(target=drive, args=arguments, daemon=True)
        self._driver.start()
        for their in theirs:
            their.close()  # so that ours end when the driver does
        try:
            self._await_cluster()
        except BaseException:
            end_session(self._leader)  # it may wait for a cluster for minutes
            self.close()
            raise

    def run(self, job: Job, slot: int) -> Outcome:
        """Run a job as a task."""
        try:
            self._connections[slot].send(job)
            outcome: Outcome = self._connections[slot].recv()
        except (EOFError, OSError):  # the driver has ended
            if not self._closed:
                self.lost = f"launcher=ray: {LOST}"
                end_session(self._leader)
            _wait_for_end(job)
            return cut_off(job, STOPPED if self._closed else LOST)
        return outcome

    def close(self) -> None:
        """Stop the worker processes, or leave the cluster."""
        self._closed = True
        self._control.close()
        wait([self._driver.sentinel], STOPS_WITHIN_S)
        end_session(self._leader)
        self._driver.join()
        with suppress(OSError):
            if self._log.stat().st_size == 0:
                self._log.unlink()

    def _await_cluster(self) -> None:
        try:
            error = self._control.recv()
        except EOFError:
            error = f"Ray has ended; its messages are in {self._log}"
        if error is not None:
            raise RunError(f"launcher=ray: no cluster: {error}")

    @property
    def _leader(self) -> int:
        """The session of the driver, and so of all that it has started."""
        assert self._driver.pid is not None
        return self._driver.pid


def _tasks(config: RayConfig, machine: Machine, slots: int) -> Tasks:
    threads = config.threads or max(1, machine.cores // slots)
    gpus = min(1.0, len(machine.gpus) / slots) if config.gpus is None else config.gpus
    settings: dict[str, Any] = {"address": config.address}
    if config.address is None:
        settings = {"address": "local", "num_cpus": threads * slots, "include_dashboard": False}
    return Tasks(settings, {"num_cpus": threads, "num_gpus": gpus}, Place(threads, None, str(Path.cwd())))


def _wait_for_end(job: Job) -> None:
    """Wait until the process of a job has ended, as far as that can be seen, so that its results can be written."""
    deadline = time.monotonic() + STOPS_WITHIN_S
    while is_locked(job.folder) and time.monotonic() < deadline:
        time.sleep(0.1)


def _expect_answer(address: str | None) -> None:
    """Raise RunError where nobody answers at host:port, since Ray itself goes on asking for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto", say, of which Ray knows more
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN_S).close()
    except (OSError, OverflowError, UnicodeError) as error:  # the latter two: no such port, no such name
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"launcher=ray: no cluster: nobody answers at launcher.address={address}: {reason}") from None


def open_pool(config: RayConfig, machine: Machine, folder: Path) -> RayCluster:
    """The pool of launcher=ray; raises RunError where there is no cluster."""
    _expect_answer(config.address)
    return RayCluster(config, machine, folder)
