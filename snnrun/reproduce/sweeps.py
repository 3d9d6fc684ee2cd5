"""Runs of a part that there are already, and running those that are missing."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from snnrun.atomic import write_atomically
from snnrun.config.compose import to_container
from snnrun.config.plan import plan
from snnrun.errors import RunError
from snnrun.report.runs import Loader, Run, read
from snnrun.reproduce.rows import Part, Row
from snnrun.sweeps.job import FINISHED
from snnrun.sweeps.record import NAME

# What does not change what is learned: where files lie, and how many processes read them.
ELSEWHERE = frozenset(
    {"name", "tags", "device", "engine", "plugins", "output_dir", "print_config", "beta"}
    | {f"dataset.{key}" for key in ("root", "train", "valid", "test", "jobs")}
)


CUTOFF = "learning.cutoff="
Setting = Mapping[str, object]


@dataclass(frozen=True)
class Wanted:
    """The runs of a part: `settings` as its command line asks for them, and `runs` that are done, in their order."""

    part: Part
    settings: tuple[Setting, ...]
    runs: tuple[Run, ...]

    @property
    def missing(self) -> int:
        """How many are not done."""
        return len(self.settings) - len(self.runs)


def wanted(part: Part, outputs: Path) -> Wanted:
    """Look in the sweeps of the part's name for its runs; a run is one of them if its configuration is the same."""
    settings = settings_of(part)
    runs: dict[int, Run] = {}
    for path in _folders(outputs / "sweeps" / part.sweep):
        number = _place(path, settings)
        if number is not None and (run := read(path)).status in FINISHED:
            runs[number] = run  # the newest
    return Wanted(part, settings, tuple(runs[number] for number in sorted(runs)))


def settings_of(part: Part) -> tuple[Setting, ...]:
    """The configurations that the command line of a part asks for, by full key. Raises UserError."""
    return tuple(_setting(to_container(config)) for config in plan(part.words, multirun=True).configs)


def complete(found: Wanted, outputs: Path, jobs: int | None) -> int:
    """Run what is missing of a part, in its last sweep where that is of the same command; returns an exit code."""
    earlier = _unfinished(found, outputs)
    launcher = [] if jobs == 1 else ["launcher=joblib", *([f"launcher.jobs={jobs}"] if jobs else [])]
    if earlier is not None:
        return command(["train", f"sweep.resume={_quoted(earlier)}", *launcher])
    return command(["train", "-m", *found.part.words, *launcher, f"output_dir={_quoted(outputs)}"])


def bench(row: Row, outputs: Path) -> list[dict[str, object]]:
    """Return the measurements of a row that there are, one a line of `snnrun bench`."""
    lines = []
    for words in row.benches:
        path = _bench_file(row, words, outputs)
        if path.exists():
            content = json.loads(path.read_text())
            own = {"command": shlex.join(["snnrun", "bench", *words])}
            cutoffs = [word.removeprefix(CUTOFF) for word in words if word.startswith(CUTOFF)]
            own |= {"cutoff": cutoffs[-1]} if cutoffs else {}
            lines += [line | own for line in content["lines"]]
    return lines


def measure(row: Row, outputs: Path) -> None:
    """Do the measurements of a row that there are not. Raises RunError where one fails."""
    for words in row.benches:
        path = _bench_file(row, words, outputs)
        if path.exists():
            continue
        done = subprocess.run(
            [sys.executable, "-m", "snnrun", "bench", *words, "bench.format=json"], stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise RunError(f"snnrun bench {shlex.join(words)}: ended with exit code {done.returncode}")
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        content = {"measured": datetime.now().isoformat(timespec="seconds"), "words": words, "lines": lines}
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def command(words: Sequence[str]) -> int:
    """Run `snnrun` with `words` in a process of its own, whose output is shown; returns its exit code."""
    print(f"$ snnrun {shlex.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "snnrun", *words]).returncode


def _bench_file(row: Row, words: Sequence[str], outputs: Path) -> Path:
    number = row.benches.index(tuple(words)) + 1
    name = "_".join("".join(c if c.isalnum() or c in "=.-" else "-" for c in word) for word in words)
    return outputs / "bench" / row.name / f"{number}_{name[:150]}.json"


def _unfinished(found: Wanted, outputs: Path) -> Path | None:
    """The newest sweep of the part that was started with the same words, and whose recipe has not changed since."""
    for path in sorted((outputs / "sweeps" / found.part.sweep).glob(f"*/{NAME}"), reverse=True):
        content = yaml.load(path.read_text(), Loader)
        words = [str(word) for word in content.get("words", [])]
        kept = [word for word in words if not word.startswith(("launcher", "output_dir="))]
        same = all(_place(run.parent, found.settings) is not None for run in path.parent.glob("*/config.yaml"))
        if kept == list(found.part.words) and same:
            return path.parent
    return None


def _folders(folder: Path) -> Iterator[Path]:
    """Yield the run folders of all sweeps in a folder, those of older sweeps first."""
    for path in sorted(folder.glob("*/*/config.yaml"), key=lambda path: path.parts[-3:]):
        yield path.parent


def _place(folder: Path, settings: Sequence[Setting]) -> int | None:
    """Which of `settings` a run has, None if it is none of them.

    Only keys that both have are compared: a version that is newer than the run has more of them. What was left open
    (None) a run may have found in its data, as the input rate of init=fluctuation.
    """
    try:
        own = _setting(yaml.load((folder / "config.yaml").read_text(), Loader))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    same = (all(own.get(key, value) == value or value is None for key, value in wants.items()) for wants in settings)
    return next((number for number, agrees in enumerate(same) if agrees), None)


def _setting(container: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """The keys in full."""
    found: dict[str, object] = {}
    for key, value in container.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _setting(value, f"{name}.")
        elif name not in ELSEWHERE:
            found[name] = value
    return found


def _quoted(path: Path) -> str:
    text = os.fspath(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
