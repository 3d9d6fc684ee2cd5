"""A sweep from the command line: a new one, or one to go on with; and the summary that it leaves."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from snnrun.commands.line import Line
from snnrun.config.compose import to_container
from snnrun.config.plan import Plan, plan, plan_job
from snnrun.config.sweeps import OptunaConfig
from snnrun.config.tree import read_tree
from snnrun.errors import ClusterError, Interrupted, RunError, UserError
from snnrun.sweeps import summary
from snnrun.sweeps.job import FINISHED, Job
from snnrun.sweeps.launchers import launch, require
from snnrun.sweeps.record import Grid, Record, only_one
from snnrun.sweeps.sharing import Machine
from snnrun.tensorboard import describe_sweep

if TYPE_CHECKING:
    from snnrun.sweeps.search import Search

RESUME = "sweep.resume"
CHANGEABLE = ("launcher", "sweeper")  # how a sweep is run may change when it goes on; what it computes may not


def start(checked: Plan, folder: Path, line: Line) -> int:
    """Run all jobs of a new sweep in `folder`; returns 1 if one failed, else 0."""
    config_dir = str(line.config_dir.resolve()) if line.config_dir else None
    Record(line.words, config_dir, os.getcwd()).write(folder)
    describe_sweep(folder, [to_container(config) for config in checked.configs], complete=checked.space is None)
    with only_one(folder):
        return _run(checked, folder, line.config_dir)


def folder_to_resume(words: Sequence[str]) -> Path | None:
    """Return the folder of sweep.resume=... on the line, or None. Raises UserError where it is no text."""
    for word in words:
        if word.lstrip("+").partition("=")[0] == RESUME:
            try:
                value = OverridesParser.create().parse_override(word).value()
            except HydraException:
                raise UserError(f"{word}: must be a folder; quote it where it has special characters") from None
            if value is not None and not (isinstance(value, str) and value):
                raise UserError(f"{word}: must be the folder of a sweep")
            return None if value is None else Path(value)
    return None


def resume(folder: Path, words: Sequence[str]) -> int:
    """Go on with the sweep in `folder`: do what is not done; returns 1 if a job is still not, else 0."""
    folder = folder.absolute()
    record = Record.read(folder)
    changes = [word for word in words if word.lstrip("+").partition("=")[0] != RESUME]
    for word in changes:
        if word.lstrip("+").partition("=")[0].split(".")[0] not in CHANGEABLE:
            raise UserError(f"{word}: what a sweep computes is fixed when it goes on; only launcher may be changed")
    with _working_folder(record.working_folder), only_one(folder):
        config_dir = Path(record.config_dir) if record.config_dir else None
        checked = plan(_changed(record.words, changes), multirun=True, config_dir=config_dir)
        require(checked.sweep)
        return _run(checked, folder, config_dir)


def _changed(words: Sequence[str], changes: Sequence[str]) -> list[str]:
    """Return the words of a sweep with those about its launcher or sweeper replaced where there are new ones."""
    keys = {word.lstrip("+").partition("=")[0] for word in changes}
    groups = {key for key in keys if key in read_tree().groups}
    kept = []
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        if key not in keys and key.split(".")[0] not in groups:
            kept.append(word)
    return [*kept, *changes]


def _run(checked: Plan, folder: Path, config_dir: Path | None) -> int:
    for note in checked.notes:
        print(note, flush=True)
    source = _listed(checked, folder) if checked.space is None else _searched(checked, folder, config_dir)
    machine = Machine.here(config.device for config in checked.configs)
    errors: dict[str, str | None] = {}
    lost: ClusterError | None = None
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with closing(launch(source.jobs(), checked.sweep.launcher, machine, folder)) as outcomes:
            for outcome in outcomes:
                source.tell(outcome)
                errors[outcome.job.name] = outcome.error
                row = summary.read_row(outcome.job, outcome.error)
                print(f"{len(errors)} of {source.left}: {row.name}: {summary.line(row)}", flush=True)
    except ClusterError as error:
        lost = error
    finally:
        signal.signal(signal.SIGTERM, before)
        rows = [summary.read_row(job, errors.get(job.name)) for job in source.all()]
        if rows:
            print(f"\n{summary.as_text(rows)}\n", flush=True)
            _write(folder, rows)
    if lost is not None:
        done = sum(row.status in FINISHED for row in rows)
        raise ClusterError(f"{lost}; {done} of {len(rows)} jobs are done, and stay")
    return _failures(rows)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def _listed(checked: Plan, folder: Path) -> Grid:
    jobs = [
        Job(to_container(config), folder / name, overrides)
        for config, name, overrides in zip(checked.configs, checked.subfolders, checked.overrides, strict=True)
    ]
    grid = Grid(jobs)
    if grid.left < len(jobs):
        print(f"{len(jobs) - grid.left} of {len(jobs)} jobs are done already", flush=True)
    return grid


def _searched(checked: Plan, folder: Path, config_dir: Path | None) -> "Search":
    from snnrun.sweeps.search import Search  # needs optuna

    def compose(words: list[str]) -> Job:
        found = plan_job(words, config_dir)
        return Job(to_container(found.configs[0]), folder / found.subfolders[0], found.overrides[0])

    assert checked.space is not None
    assert isinstance(checked.sweep.sweeper, OptunaConfig)
    return Search(checked.sweep.sweeper, checked.space, compose, folder)


def _write(folder: Path, rows: Sequence[summary.Row]) -> None:
    try:
        summary.write(folder, rows)
    except RunError as error:  # the results of the jobs stand in their own folders
        print(f"error: {error}", file=sys.stderr)


def _failures(rows: Sequence[summary.Row]) -> int:
    failed = [row for row in rows if row.error]
    if failed:
        print(f"error: {len(failed)} of {len(rows)} jobs failed", file=sys.stderr)
    for row in failed:
        print(f"  {row.name}: {row.error}", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def _working_folder(path: str) -> Iterator[None]:
    """Relative paths of a sweep refer to the folder in which it was started."""
    before = Path.cwd()
    try:
        os.chdir(path)
    except OSError as error:
        raise UserError(f"{path}, where the sweep was started: {error.strerror}") from None
    try:
        yield
    finally:
        os.chdir(before)
