"""`snnrun train`: check the configuration, make the run's folder, train; or the same for every job of a sweep; or go
on with a run."""

import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.line import HELP, Flag, Line, shown_path, split
from snnrun.errors import ClusterError, UserError

if TYPE_CHECKING:
    from snnrun.config.sweeps import SweepConfig

ELSEWHERE = ("slurm", "ray")  # launchers whose jobs may run on other machines than this one
RESUME = "resume="
FLAGS = (
    HELP,
    Flag("--multirun", ("-m",), "a sweep: every combination of values given with commas"),
    Flag("--config-dir", ("-cd",), "a folder with your own options, as DIR/neuron/mine.yaml", value="DIR"),
    Flag("--cfg", ("-c",), "print the configuration and stop", "job|hydra|all", ("job", "hydra", "all")),
    Flag("--resolve", (), "with --cfg: the values in place of ${references}"),
    Flag(
        "--info",
        ("-i",),
        "print how the configuration comes about and stop",
        "[WHAT]",
        ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
        default="all",
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun train` with the words after the verb; returns the exit code."""
    line = split(arguments, FLAGS)
    if "--help" in line.flags:
        from snnrun.commands.help import train_help

        print(train_help(FLAGS, line.words, line.config_dir))
        return 0
    logging.raiseExceptions = False  # a log on a full disk is no reason for a traceback of its own
    if any(word.startswith(RESUME) for word in line.words):
        from snnrun.commands.resume import resume

        return resume(line)
    return _train(line)


def _train(line: Line) -> int:
    from snnrun.commands import launch, sweep
    from snnrun.config.plan import plan
    from snnrun.sweeps.launchers import require

    multirun, only_shown = "--multirun" in line.flags, "--cfg" in line.flags or "--info" in line.flags
    if multirun and only_shown:
        raise UserError("--multirun cannot go with --cfg or --info; leave one out")
    if "--resolve" in line.flags and "--cfg" not in line.flags:
        raise UserError("--resolve needs --cfg job")
    earlier = sweep.folder_to_resume(line.words)
    if earlier is not None and not only_shown:
        with _ending_with(earlier.absolute(), f"sweep.{RESUME}"):
            return sweep.resume(earlier, line.words)
    checked = plan(line.words, multirun, line.config_dir)
    if only_shown:
        launch.show(line, checked)
        return 0
    if checked.needs_multirun:
        raise UserError(checked.needs_multirun)
    if multirun:
        require(checked.sweep)
    else:
        _require_one_run(checked.sweep)
    if checked.sweep.launcher.name not in ELSEWHERE and any(config.device == "cuda" for config in checked.configs):
        _require_cuda()
    folder = _make_sweep_folder(checked.folder) if multirun else _make_folder(checked.folder)
    with _ending_with(folder, f"sweep.{RESUME}" if multirun else RESUME):
        return sweep.start(checked, folder, line) if multirun else launch.run(checked, folder, line)


@contextmanager
def _ending_with(folder: Path, key: str) -> Iterator[None]:
    """Whatever happens, the last line is the folder; what stops it in between tells with which `key` to go on."""
    try:
        yield
    except KeyboardInterrupt:
        print(how_to_resume(folder, key), file=sys.stderr)
        raise
    except ClusterError as lost:
        raise ClusterError(f"{lost}; {how_to_resume(folder, key)}") from None
    finally:
        if folder.exists():
            sys.stderr.flush()
            print(shown_path(folder), flush=True)


def how_to_resume(folder: Path, key: str = RESUME) -> str:
    """Return the line that tells how to go on with an interrupted run or sweep."""
    return f"go on with: snnrun train {key}{shlex.quote(str(shown_path(folder)))}"


def _require_one_run(config: "SweepConfig") -> None:
    """Raise UserError for a launcher or a sweeper without a sweep."""
    for key, name, usual in (("launcher", config.launcher.name, "local"), ("sweeper", config.sweeper.name, "grid")):
        if name != usual:
            raise UserError(f"{key}={name}: is for the jobs of a sweep, which needs -m")


def _require_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise UserError("device=cuda: there is no CUDA device here; allowed are auto and cpu")


def _make_sweep_folder(folder: Path) -> Path:
    """Create the folder of a new sweep; where two of the same name start in the same second, one gets a number."""
    if folder.parent.parent.name != "sweeps":  # hydra.sweep.dir=..., which is taken as it is
        return _make_folder(folder)
    numbered, number = folder, 1
    while numbered.exists():
        number += 1
        numbered = folder.with_name(f"{folder.name}_{number}")
    return _make_folder(numbered)


def _make_folder(folder: Path) -> Path:
    """Create the folder, which must be new, and return its absolute path; raises UserError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        raise UserError(f"{folder} exists already; nothing was changed") from None
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another with output_dir=") from None
    return folder.absolute()
