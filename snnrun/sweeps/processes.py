"""launcher=joblib: processes of this machine, started by joblib's loky."""

import signal
from contextlib import suppress
from pathlib import Path

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool, ShutdownExecutorError

from snnrun.config.sweeps import ProcessesConfig
from snnrun.sweeps.job import KILLED, STOPPED, Job, Outcome, cut_off, execute_at
from snnrun.sweeps.sharing import Machine


class Processes:
    """A process for each slot, so that one that is killed takes no other with it; a new one is started in its place."""

    def __init__(self, config: ProcessesConfig, machine: Machine) -> None:
        """`config` says how many jobs at a time, and how many threads each has."""
        self.slots = machine.jobs(config.jobs)
        self._places = machine.places(self.slots, config.threads)
        self._executors: dict[int, ProcessPoolExecutor] = {}
        self.lost: str | None = None
        self._closed = False

    def run(self, job: Job, slot: int) -> Outcome:
        """Run a job in the process of the slot."""
        place = self._places[slot]
        if slot not in self._executors:
            variables = dict(place.variables())
            self._executors[slot] = ProcessPoolExecutor(1, env=variables, initializer=_ignore_interrupts)
        try:
            outcome: Outcome = self._executors[slot].submit(execute_at, job, place).result()
        except (BrokenProcessPool, ShutdownExecutorError):
            with suppress(KeyError):
                self._executors.pop(slot).shutdown(wait=False, kill_workers=True)
            return cut_off(job, STOPPED if self._closed else KILLED)
        return outcome

    def close(self) -> None:
        """Stop the processes."""
        self._closed = True
        for executor in list(self._executors.values()):
            executor.shutdown(wait=False, kill_workers=True)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; here it is the sweep's own process that stops the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def open_pool(config: ProcessesConfig, machine: Machine, folder: Path) -> Processes:
    """The pool of launcher=joblib."""
    return Processes(config, machine)
