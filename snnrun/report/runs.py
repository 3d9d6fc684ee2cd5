"""The folders of runs, read for a report: nothing is imported that a report can do without, and nothing is written."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from snnrun.errors import UserError
from snnrun.runs import find_runs
from snnrun.tensorboard import hyper_parameters

Value = float | str
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast


@dataclass(frozen=True)
class Run:
    """What a run's folder tells.

    Attributes:
        path: the folder.
        config: every key that runs can differ in, in full: numbers as float, else text.
        typed: the keys that were set on the command line.
        results: results.json, empty where there is none yet.
        metrics: the rows of metrics.csv, fields by column; what does not apply is absent.
    """

    path: Path
    config: Mapping[str, Value]
    typed: Sequence[str]
    results: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, float]] = ()

    @property
    def status(self) -> str:
        """The status in results.json; "unknown" where there is none."""
        return str(self.results.get("status", "unknown"))

    def figure(self, name: str) -> float:
        """A figure of results.json by its path ("accuracy/test"), NaN where there is none.

        A run that goes on has no final figures; its best validation accuracy so far is in its metrics.
        """
        found: Any = self.results
        for part in name.split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        if isinstance(found, int | float) and not isinstance(found, bool):
            return float(found)
        if name == "accuracy/valid_best":
            return max((row["accuracy/valid"] for row in self.metrics if "accuracy/valid" in row), default=math.nan)
        return math.nan


def find(folders: Iterable[Path]) -> tuple[list[Run], list[str]]:
    """Read the runs that `folders` are or hold, in the order of their paths.

    Returns:
        The runs, and a line for each folder that could not be read.

    Raises:
        UserError: a folder does not exist, or there is no run at all.
    """
    runs, problems = [], []
    for path in find_runs(folders):
        try:
            runs.append(read(path))
        except (OSError, ValueError, yaml.YAMLError) as error:
            problems.append(f"{path}: {str(error).splitlines()[0]}")
    if not runs:
        told = f"; not readable: {problems[0]}" if problems else ""
        raise UserError(f"{', '.join(map(str, folders))}: there is no run in it (a folder with a config.yaml){told}")
    return runs, problems


def read(path: Path) -> Run:
    """Read one run. Raises OSError or ValueError where a file is unreadable; results and metrics may be absent."""
    config = yaml.load((path / "config.yaml").read_text(encoding="utf-8"), Loader)
    if not isinstance(config, dict):
        raise ValueError("config.yaml holds no keys")
    typed = yaml.load(_text(path / "overrides.yaml") or "[]", Loader)
    results = json.loads(_text(path / "results.json") or "{}")
    if not isinstance(typed, list) or not isinstance(results, dict):
        raise ValueError("overrides.yaml is no list or results.json holds no keys")
    keys = [str(word).lstrip("+~").partition("=")[0] for word in typed]
    return Run(path, hyper_parameters(config), keys, results, list(_rows(_text(path / "metrics.csv"))))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _rows(text: str) -> Iterator[dict[str, float]]:
    """Yield the rows of a table of numbers; a last line that was cut off is none."""
    for row in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
        yield {column: float(number) for column, number in row.items() if number}
