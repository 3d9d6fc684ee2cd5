"""One run: Hydra composes it and keeps its log; here is what it does, and what comes after."""

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

from snnrun.commands.line import Line
from snnrun.config.compose import checked, to_container
from snnrun.config.plan import Plan
from snnrun.config.resolvers import register_resolvers
from snnrun.config.schema import Config
from snnrun.errors import SnnrunError, UserError
from snnrun.run_folder import RunFolder
from snnrun.sweeps.job import tell
from snnrun.threads import importing_torch

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
        sys.argv = ["snnrun", "train", *_config_dir(line), *line.words]  # as typed, and no longer what Hydra was given
        # Hydra prints a message of its own for an exception that leaves the task, so none does.
        try:
            return _job(container, list(line.words))
        except Exception as error:
            failures.append(tell(error, folder))
            return math.nan

    with _command_line(line, [*plan.lines, f"hydra.run.dir={_quoted(folder)}"]):
        hydra_main(task)()
    if not failures:
        return 0
    print(f"error: {failures[0]}", file=sys.stderr)
    if isinstance(failures[0], UserError):
        _remove_if_empty(folder)
    return failures[0].exit_code


def _job(container: DictConfig, overrides: list[str]) -> float:
    config = checked(container, [], Config)
    folder = Path(HydraConfig.get().runtime.output_dir)
    RunFolder(folder).request(asdict(config), overrides)
    with importing_torch(config.engine, config.learning.name):
        from snnrun.train import run as train  # not before the configuration stands: it imports torch
    return train(config, folder, overrides)


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a run that stopped at bad input before it wrote more than its log and what was asked for."""
    names = {path.name for path in folder.iterdir()}
    if names <= {"train.log", "config.yaml", "overrides.yaml", "plugins"}:
        logging.shutdown()
        shutil.rmtree(folder)


@contextmanager
def _command_line(line: Line, arguments: list[str]) -> Iterator[None]:
    """Hydra reads its arguments from sys.argv, and reports errors its own way unless told to raise them."""
    register_resolvers()
    before = sys.argv
    sys.argv = ["snnrun train", *_config_dir(line), *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(" ".join(str(error).split())) from None
    finally:
        sys.argv = before
        del os.environ["HYDRA_FULL_ERROR"]


def _config_dir(line: Line) -> list[str]:
    return ["--config-dir", str(line.config_dir)] if line.config_dir else []


def _quoted(path: Path) -> str:
    """Return a path as a quoted value of an override."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
