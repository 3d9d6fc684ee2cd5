"""One job of a sweep, wherever it runs: its log, its failure, its result."""

import gc
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from snnrun.atomic import write_atomically, write_errors
from snnrun.errors import RunError, SnnrunError
from snnrun.lock import is_locked
from snnrun.sweeps.sharing import Place
from snnrun.sweeps.trial import Trial
from snnrun.threads import importing_torch

LOG = "train.log"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
State = Literal["new", "done", "failed", "cut off"]
FINISHED = ("done", "pruned")
KILLED = "its process was killed, perhaps for memory"
STOPPED = "the sweep was stopped"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What one job computes and where it leaves it; plain data, so that it can go to another process.

    Attributes:
        config: the checked configuration, as `to_container` gives it.
        folder: the run's folder, absolute.
        overrides: what distinguishes it, for results.json.
        trial: which trial of a search it is, if it is one.
    """

    config: dict[str, Any]
    folder: Path
    overrides: tuple[str, ...]
    trial: Trial | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name


@dataclass(frozen=True)
class Outcome:
    """How a job ended: `error` is one line, or None where it is done."""

    job: Job
    error: str | None = None


def execute(job: Job) -> Outcome:
    """Train one job; what goes wrong is in the job's own log and folder, and does not stop the others."""
    try:
        with write_errors(job.folder):
            job.folder.mkdir(parents=True, exist_ok=True)
        with job_log(job.folder / LOG):
            try:
                _train(job)
            except Exception as error:
                told = tell(error, job.folder)
                write_failure(job, str(told))
                return Outcome(job, str(told))
            finally:
                _free()
    except RunError as error:  # the folder or the log cannot be made: a full disk
        return Outcome(job, str(error))
    return Outcome(job)


def execute_at(job: Job, place: Place) -> Outcome:
    """Train one job in a process of its own, at its place; nobody watches, so nothing is shown but warnings."""
    place.take()
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
        return execute(job)


def cut_off(job: Job, error: str) -> Outcome:
    """Say of a job whose process is gone why it is, in its results too; it can go on from its last epoch."""
    if state(job.folder) != "done":
        write_failure(job, error, "interrupted")
    return Outcome(job, error)


def _train(job: Job) -> None:
    """Train, or go on: what is in the folder already is of this very job, since a failed attempt was put aside."""
    from snnrun.config.compose import from_container
    from snnrun.run_folder import RunFolder

    config = from_container(job.config)
    begun = (job.folder / "config.yaml").exists()
    if not begun:
        RunFolder(job.folder).request(job.config, job.overrides)
    with importing_torch(config.engine, config.learning.name):
        from snnrun import train  # not before the configuration stands: it imports torch

    if job.trial is not None:
        watch = job.trial.watch()
        train.resume(job.folder, watch=watch) if begun else train.run(config, job.folder, list(job.overrides), watch)
        if watch.pruned:
            with RunFolder.open(job.folder).lock() as folder:
                folder.update_results(status="pruned")
    elif begun:
        train.resume(job.folder)
    else:
        train.run(config, job.folder, list(job.overrides))


def tell(error: Exception, folder: Path) -> SnnrunError:
    """Return the error as one that can be told in a line; the traceback goes to the job's log."""
    log.info("the run failed", exc_info=error)
    if isinstance(error, SnnrunError):
        return error
    lines = str(error).strip().splitlines() or [""]
    return RunError(f"{type(error).__name__}: {lines[0]} (traceback in {_shown(folder / LOG)})")


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def write_failure(job: Job, error: str, status: Literal["failed", "interrupted"] = "failed") -> None:
    """Add status and error to the job's results.json, or write one; a disk that is full is not a second failure."""
    if is_locked(job.folder):
        return  # another process is at it, which may be why it failed here
    found = read_results(job.folder) or {"overrides": list(job.overrides)}
    with suppress(RunError):
        text = json.dumps(found | {"status": status, "error": error}, indent=2, ensure_ascii=False)
        write_atomically(job.folder / "results.json", f"{text}\n".encode())


def read_results(folder: Path) -> dict[str, Any] | None:
    """Return what is in results.json; None where there is none that can be read."""
    try:
        results = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError):
        return None
    return results if isinstance(results, dict) else None


def state(folder: Path) -> State:
    """Return what is known of a job by its folder: whether it is done, can go on, or is to be repeated."""
    results = read_results(folder)
    status = None if results is None else results.get("status")
    if status in FINISHED:
        return "done"
    if results is None and (folder / "results.json").exists():
        return "failed"
    if status == "failed":
        return "failed"
    return "cut off" if (folder / "config.yaml").exists() else "new"


class _LogFile(logging.FileHandler):
    """A log that a full disk silences: the run says it itself, in one line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        return


@contextmanager
def job_log(path: Path) -> Iterator[None]:
    """Everything that is logged goes to `path`, at its end, and warnings to stderr too. Raises RunError."""
    root = logging.getLogger()
    with write_errors(path):
        file = _LogFile(path)
    file.setFormatter(logging.Formatter(FORMAT))
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    console.setLevel(logging.WARNING)
    before, root.handlers, level = root.handlers, [file, console], root.level
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(level)
        with suppress(OSError):
            file.close()


def _free() -> None:
    """Leave nothing behind for the next job in this process."""
    gc.collect()
    if gc.get_freeze_count() == 0:
        gc.freeze()  # modules stay anyway; looking through them again would take 0.1 s after every job
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
