"""Hydra runs the jobs; here is what a job does, and what comes after."""

import gc
import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from snnrun.commands.line import Line, shown_path
from snnrun.config.compose import Plan, checked, to_container
from snnrun.config.resolvers import register_resolvers
from snnrun.config.schema import Config
from snnrun.errors import RunError, SnnrunError, UserError
from snnrun.run_folder import RunFolder

log = logging.getLogger(__name__)
hydra_main = hydra.main(config_path="pkg://snnrun.conf", config_name="config", version_base="1.3")


def show(line: Line, plan: Plan) -> None:
    """Print the configuration: ours where it is resolved, else what Hydra shows."""
    if line.flags.get("--cfg") == "job" and "--resolve" in line.flags:
        print(OmegaConf.to_yaml(OmegaConf.create(to_container(plan.configs[0]))), end="")
        return
    flags = [name for name in ("--resolve",) if name in line.flags]
    flags += [f"{name}={line.flags[name]}" for name in ("--cfg", "--info") if name in line.flags]
    with _command_line(line, [*flags, *plan.lines]):
        hydra_main(lambda _: None)()


def run(plan: Plan, folder: Path, line: Line) -> int:
    """Train once in `folder`; returns the exit code. Raises what training raises, told in one line by the caller."""
    failures: list[SnnrunError] = []

    def task(container: DictConfig) -> float:
        # Hydra prints a message of its own for an exception that leaves the task, so none does.
        try:
            return _job(container, list(line.words))
        except Exception as error:
            failures.append(told(error, folder))
            return math.nan

    with _command_line(line, [*plan.lines, f"hydra.run.dir={_quoted(folder)}"]):
        hydra_main(task)()
    if not failures:
        return 0
    print(f"error: {failures[0]}", file=sys.stderr)
    if isinstance(failures[0], UserError):
        _remove_if_empty(folder)
    return failures[0].exit_code


def sweep(plan: Plan, folder: Path, line: Line) -> int:
    """Run all jobs of a sweep in `folder`, one failing or not; returns 1 if one failed, else 0."""
    with _command_line(line, ["--multirun", *plan.lines, f"hydra.sweep.dir={_quoted(folder)}"]):
        hydra_main(sweep_job)()
    failed = {name: error for name in plan.subfolders if (error := _failure(folder / name)) is not None}
    if failed:
        print(f"error: {len(failed)} of {len(plan.subfolders)} jobs failed", file=sys.stderr)
    for name, error in failed.items():
        print(f"  {name}: {error}", file=sys.stderr)
    return 1 if failed else 0


def sweep_job(container: DictConfig) -> float:
    """Train one job of a sweep; a failure goes into its own folder and does not stop the others.

    Launchers send this function to other processes by its name. Returns the value of the run, nan for a failure.
    """
    register_resolvers()
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    try:
        return _job(container, list(settings.overrides.task))
    except Exception as error:
        _write_failure(folder, str(told(error, folder)), list(settings.overrides.task))
        return math.nan


def _job(container: DictConfig, overrides: list[str]) -> float:
    config = checked(container, [], Config)
    folder = Path(HydraConfig.get().runtime.output_dir)
    RunFolder(folder).request(asdict(config), overrides)
    gc.disable()  # nothing of what an import makes is garbage, and looking for some takes 0.7 s
    from snnrun.train import run as train  # not before the configuration stands: it imports torch

    gc.enable()
    return train(config, folder, overrides)


def told(error: Exception, folder: Path) -> SnnrunError:
    """Return the error as one that can be told in a line; the traceback goes to the job's log."""
    log.info("the run failed", exc_info=error)
    if isinstance(error, SnnrunError):
        return error
    lines = str(error).strip().splitlines() or [""]
    return RunError(f"{type(error).__name__}: {lines[0]} (traceback in {shown_path(folder / 'train.log')})")


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a run that stopped at bad input before it wrote more than its log and what was asked for."""
    names = {path.name for path in folder.iterdir()}
    if names <= {"train.log", "config.yaml", "overrides.yaml", "plugins"}:
        logging.shutdown()
        shutil.rmtree(folder)


def _write_failure(folder: Path, error: str, overrides: list[str]) -> None:
    """Add status and error to the job's results.json, or write one."""
    path = folder / "results.json"
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError):
        results = {"overrides": overrides}
    results |= {"status": "failed", "error": error}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=2) + "\n")
    os.replace(partial, path)


def _failure(folder: Path) -> str | None:
    """Return why the job in `folder` is not done, or None if it is."""
    try:
        results = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError):
        return "left no readable results.json"
    if results.get("status") == "done":
        return None
    return str(results.get("error", f"status {results.get('status')}"))


@contextmanager
def _command_line(line: Line, arguments: list[str]) -> Iterator[None]:
    """Hydra reads its arguments from sys.argv, and reports errors its own way unless told to raise them."""
    register_resolvers()
    before = sys.argv
    extra = ["--config-dir", str(line.config_dir)] if line.config_dir else []
    sys.argv = ["snnrun train", *extra, *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(" ".join(str(error).split())) from None
    finally:
        sys.argv = before
        del os.environ["HYDRA_FULL_ERROR"]


def _quoted(path: Path) -> str:
    """Return a path as a quoted value of an override."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
