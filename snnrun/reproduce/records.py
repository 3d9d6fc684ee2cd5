"""What is kept of runs whose folders are too large to be kept: results/<row>.csv, a line a run, and back again."""

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from snnrun.report.groups import SEED, shown, varied_keys
from snnrun.report.runs import Run, Value

PART, FOLDER, STATUS, COMMIT, DEVICE = "part", "run", "status", "commit", "device"
DATASET = "dataset.name"
SECTIONS = ("accuracy", "loss", "rate_hz", "cosine", "tau_fits")
ALONE = ("epochs", "best_epoch", "seconds", "parameters")
LAST = ("grad_norm", "silent", "active", "cosine")  # sections of metrics.csv whose last row counts
DIAGNOSIS = ("rate_hz", "silent", "saturated", "grad_norm", "grad_gain_per_step")
DEEPEST = "deepest"  # the last hidden layer, whatever its number
EVALUATED = ("accuracy", "unseen_speakers")
SPEED, DURATION = "dataset.speed", "dataset.duration"
Line = dict[str, str]


def lines_of(part: str, runs: Sequence[Run]) -> list[Line]:
    """Return a line for each run of a part: the varied keys and the seed, then the figures as its folder holds them."""
    own = [DATASET, *(key for key in varied_keys(runs) if key != DATASET), SEED]
    lines = []
    for run in runs:
        line = {PART: part, FOLDER: "/".join(run.path.parts[-2:]), STATUS: run.status, COMMIT: _commit(run.path)}
        line |= {DEVICE: str(run.results.get(DEVICE, ""))}
        line |= {key: shown(run.config[key]) for key in own if key in run.config}
        lines.append(line | {name: repr(value) for name, value in figures_of(run).items()})
    return lines


def read_lines(text: str) -> dict[str, list[Line]]:
    """Return the lines of a record by part."""
    found: dict[str, list[Line]] = {}
    for line in csv.DictReader(io.StringIO(text)):
        found.setdefault(line[PART], []).append({key: field for key, field in line.items() if field != ""})
    return found


def as_csv(lines: Iterable[Line]) -> str:
    """Return lines as CSV: part, folder, state, keys, seed, figures."""
    listed = list(lines)
    columns = dict.fromkeys(column for line in listed for column in line)
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, sorted(columns, key=_order), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(listed)
    return buffer.getvalue()


def read(text: str) -> dict[str, list[Run]]:
    """Return the runs of each part that are on record; their `config` holds the varied keys, the seed and the part."""
    return {part: [_run(line) for line in lines] for part, lines in read_lines(text).items()}


def read_bench(text: str) -> list[dict[str, Value]]:
    """Return measurements of `snnrun bench`: numbers as float, else text; what does not apply is absent."""
    lines = csv.DictReader(io.StringIO(text))
    return [{key: _value(field) for key, field in line.items() if field != ""} for line in lines]


def figures_of(run: Run) -> dict[str, float]:
    """Return the figures of a run by path, such as accuracy/test, those that are numbers."""
    found = {name: value for part in (*SECTIONS, *ALONE) for name, value in _numbers(run.results.get(part), part)}
    if run.metrics:
        found |= {key: value for key, value in run.metrics[-1].items() if key.partition("/")[0] in LAST}
        for key, reduce in (("time/epoch_s", statistics.median), ("memory/peak_mb", max)):
            values = [row[key] for row in run.metrics if key in row]
            found |= {key: float(reduce(values))} if values else {}
    layers = _json(run.path / "diagnosis.json").get("layers", {})
    hidden = [layer for layer in layers if layer.startswith("hidden")]
    for layer, facts in [*layers.items(), *((DEEPEST, layers[layer]) for layer in hidden[-1:])]:
        for name in DIAGNOSIS:
            found |= _numbers(facts.get(name), f"diagnosis/{layer}/{name}")
    landscapes = sorted(run.path.glob("landscape/*/landscape.json"))
    for path in landscapes[-1:]:
        found |= _numbers(_json(path).get("figures"), "landscape")
    return found | _evaluations(run.path)


def judged_at(folder: Path, speed: float) -> bool:
    """Whether the network of a run was judged on spike times times `speed`."""
    return f"eval/{SPEED}={speed:g}/accuracy" in _evaluations(folder)


def _evaluations(folder: Path) -> dict[str, float]:
    """Figures of a network that was judged again at other speeds; of several evaluations the last counts."""
    files = [*folder.glob("eval/*/evaluation.json"), *folder.glob("eval/*/*/evaluation.json")]
    found: dict[str, float] = {}
    for path in sorted(files, key=lambda path: path.relative_to(folder).parts[1]):
        content = _json(path)
        changes = content.get("changes", {})
        if SPEED in changes and set(changes) <= {SPEED, DURATION} and content.get("part") == "test":
            for name in EVALUATED:
                found |= _numbers(content.get(name), f"eval/{SPEED}={changes[SPEED]:g}/{name}")
    return found


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{name}/{key}")
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield name, float(value)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _commit(folder: Path) -> str:
    """The commit of snnrun that computed a run, "+" where there were changes."""
    states: dict[str, dict[str, Any]] = _json(folder / "environment.json").get("git") or {}
    state = states.get("snnrun", {})
    commit = str(state.get("commit") or "")[:12]
    return f"{commit}+" if commit and state.get("dirty") else commit


def _run(line: Line) -> Run:
    config: dict[str, Value] = {}
    results: dict[str, Any] = {name: line[name] for name in (STATUS, DEVICE) if name in line}
    for column, text in line.items():
        if _is_figure(column):
            _put(results, column, float(text))
        elif column not in (FOLDER, STATUS, COMMIT, DEVICE):
            config[column] = text if column == PART else _value(text)
    return Run(Path(line[FOLDER]), config, [PART], results)


def _is_figure(column: str) -> bool:
    return "/" in column or column in ALONE


def _order(column: str) -> tuple[int, str]:
    """Where a column stands: what the run is, its keys in their order, its figures, those first that most ask for."""
    first = (PART, FOLDER, STATUS, COMMIT, DEVICE)
    if column in first:
        return first.index(column), ""
    if not _is_figure(column):
        return len(first) + (column == SEED), ""
    sections = (*SECTIONS[:1], *ALONE)
    section = column.partition("/")[0]
    return 10 + (sections.index(section) if section in sections else len(sections)), column


def _put(results: dict[str, Any], name: str, value: float) -> None:
    *sections, last = name.split("/")
    for section in sections:
        results = results.setdefault(section, {})
    results[last] = value


def _value(field: str) -> Value:
    try:
        return float(field)
    except ValueError:
        return field
