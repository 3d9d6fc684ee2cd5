"""`snnrun ls`: the runs in a folder, and those among them that have some key."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.line import HELP, Flag, shown_path, split
from snnrun.runs import find_runs, is_run
from snnrun.tables import table

if TYPE_CHECKING:
    from snnrun.run_list import Run

FLAGS = (HELP, Flag("--paths", ("-p",), "print the folders alone, for other commands"))
USAGE = """usage: snnrun ls [DIR...] [KEY=VALUE[,VALUE...] ...] [--paths]

List the runs in folders (default: outputs) with status, accuracy, epochs and age, the newest last.
KEY=VALUE keeps those whose configuration has the value: any key, an option of a group (surrogate=sigmoid), a preset
(experiment=debug), a label (tags=paper), status= done, running, interrupted, failed, killed or unreadable.
In texts * stands for anything.

examples:
  snnrun ls status=done surrogate=sigmoid beta=5
  snnrun ls outputs/sweeps tags=paper 'name=slope*'
  snnrun eval $(snnrun ls name=slopes --paths) dataset.speed=0.5,1,2"""
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun ls` with the words after the verb; returns the exit code."""
    line = split(arguments, FLAGS)
    if "--help" in line.flags:
        print(USAGE)
        return 0
    from snnrun.run_list import read_run, select

    folders = [Path(word) for word in line.words if "=" not in word or is_run(Path(word))]
    filters = [word for word in line.words if Path(word) not in folders]
    start = folders or [Path("outputs")] * Path("outputs").is_dir()
    runs = sorted((read_run(path) for path in find_runs(start)), key=lambda run: (run.started, run.path))
    chosen = select(runs, filters)
    if "--paths" in line.flags:
        for run in chosen:
            print(shown_path(run.path.absolute()))
    elif chosen:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print(table_of(chosen, time.time(), width))
    else:
        where = ", ".join(map(str, folders)) or "outputs"
        print(f"no run in {where}{' is such' if filters else ''}", file=sys.stderr)
    return 0


def age(seconds: float) -> str:
    """Return how long ago in one unit; a clock that went back gives 0.

    >>> age(7300.0)
    '2 h'
    """
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def table_of(runs: "Sequence[Run]", now: float, width: int | None = None) -> str:
    """Return one line a run, cut to `width` characters where that is given."""
    rows = []
    for run in runs:
        typed = [str(word) for word in run.results.get("overrides", ())]
        named = name_of(run)
        told = run.problem or " ".join(word for word in typed if word != f"name={named}")
        scores = (run.accuracy(name) for name in ("valid_best", "test"))
        shown = ["-" if score is None else f"{score:.1%}" for score in scores]
        path = shown_path(run.path.absolute())
        rows.append([run.status, *shown, str(run.epochs), age(now - run.started), named or "", path, told])
    text = table(("status", "valid", "test", "epochs", "age", "name", "run", "overrides"), rows)
    return "\n".join(line if width is None else _cut(line, width) for line in text.splitlines())


def name_of(run: "Run") -> str | None:
    """Return what `name=` of a run was, or None."""
    try:
        name = run.value("name")
    except KeyError:
        return None
    return None if name is None else str(name)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: max(width - 3, 0)] + "..."
