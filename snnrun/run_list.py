"""Runs at a glance, and which of them have some key: quick for a thousand folders.

Nothing parses a whole config.yaml: a key is found in its text, whose layout is our own, and only its value is parsed.
"""

import fnmatch
import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from snnrun.config.tree import read_tree
from snnrun.errors import UserError
from snnrun.lock import is_locked
from snnrun.registry import did_you_mean

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
OF_RESULTS = ("status", "epochs", "best_epoch")
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Run:
    """A run folder, as far as it can be read.

    Attributes:
        path: the folder.
        results: what results.json holds.
        config: text of config.yaml; empty where there is none.
        started: when; the time of the folder's files where it does not tell.
        epochs: how many are done.
        problem: what cannot be read, or nothing.
    """

    path: Path
    results: dict[str, Any] = field(default_factory=dict)
    config: str = ""
    started: float = 0.0
    epochs: int = 0
    problem: str = ""

    @property
    def status(self) -> str:
        """That of results.json; "killed" where it says running and nothing runs."""
        if self.problem:
            return UNREADABLE
        status = str(self.results.get("status", "unknown"))
        return "killed" if status == "running" and not is_locked(self.path) else status

    def accuracy(self, name: str) -> float | None:
        """One of the accuracies, from 0 to 1."""
        found = self.results.get("accuracy")
        value = found.get(name) if isinstance(found, dict) else None
        return float(value) if isinstance(value, int | float) else None

    def value(self, key: str) -> Any:
        """The value of a key of the configuration, or of results.json; raises KeyError if there is none."""
        if key == "status":
            return self.status
        if key in OF_RESULTS:
            return self.results[key]
        if key == "experiment":
            typed = [str(word).partition("=") for word in self.results.get("overrides", ())]
            return next((value for name, _, value in reversed(typed) if name.lstrip("+") == key), None)
        return config_value(self.config, key)


def read_run(path: Path) -> Run:
    """Read a run folder; what cannot be read is told in `problem`."""
    try:
        results = json.loads(_text(path / "results.json") or "{}")
        if not isinstance(results, dict):
            raise ValueError("results.json holds no keys")
        config = _text(path / "config.yaml")
        metrics = _text(path / "metrics.csv")
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return Run(path, problem=str(reason).splitlines()[0], started=_time_of_files(path))
    done = results.get("epochs")
    epochs = done if isinstance(done, int) else max(metrics.count("\n") - 1, 0)
    return Run(path, results, config, _started(path), epochs)


def config_value(text: str, key: str) -> Any:
    """Return the value of a key in the text of a config.yaml; raises KeyError if it is not there.

    >>> config_value("seed: 1\\nneuron:\\n  name: lif\\n  dt: 2.0\\n", "neuron.dt")
    2.0
    """
    for depth, part in enumerate(key.split(".")):
        indent = "  " * depth
        # What belongs to a key stands deeper, but for the items of a list, which YAML lets stand as deep as their key.
        found = re.search(rf"^{indent}{re.escape(part)}:(.*(?:\n{indent}(?: |- ).*)*)", text, re.MULTILINE)
        if not found:
            raise KeyError(key)
        text = found[1]
    try:
        return yaml.load(textwrap.dedent(text), Loader=LOADER)
    except yaml.YAMLError:
        raise KeyError(key) from None


def select(runs: Sequence[Run], filters: Sequence[str]) -> list[Run]:
    """Return the runs for which every `key=value` holds; values with commas are alternatives, * and ? stand for any.

    A list (tags) has to hold the value. Raises UserError for a key that neither the configuration nor a run has.
    """
    kept = list(runs)
    for line in filters:
        key, _, value = line.partition("=")
        _check_key(key, line, runs)
        wanted = [value] if value.startswith(("[", "{", "'", '"')) else value.split(",")
        kept = [run for run in kept if any(_matches(run, key, one) for one in wanted)]
    return kept


def _matches(run: Run, key: str, wanted: str) -> bool:
    try:
        found = run.value(key)
    except KeyError:
        return False
    if isinstance(found, dict):
        found = found.get("name")  # surrogate=sigmoid
    if isinstance(found, list) and not wanted.startswith("["):
        return any(_equal(item, wanted) for item in found)
    return _equal(found, wanted)


def _equal(found: Any, wanted: str) -> bool:
    try:
        value = yaml.load(wanted, Loader=LOADER)
    except yaml.YAMLError:
        value = wanted
    if isinstance(found, str):
        return fnmatch.fnmatchcase(found, wanted)
    return bool(found == value) and isinstance(found, bool) == isinstance(value, bool)


def _check_key(key: str, line: str, runs: Sequence[Run]) -> None:
    tree = read_tree()
    known = [*OF_RESULTS, *tree.groups, *tree.names()]
    if key in known or any(_has(run, key) for run in runs):
        return
    raise UserError(f"{line}: no run has such a key{did_you_mean(key, known)}")


def _has(run: Run, key: str) -> bool:
    try:
        run.value(key)
    except KeyError:
        return False
    return True


def _text(path: Path) -> str:
    """The content of a file, nothing if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _started(path: Path) -> float:
    try:
        return datetime.fromisoformat(json.loads(_text(path / "environment.json"))["started"]).timestamp()
    except (OSError, ValueError, KeyError, TypeError):
        return _time_of_files(path)


def _time_of_files(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return datetime.now(UTC).timestamp()
