"""What an evaluation leaves: tables, numbers and pictures, in a new folder each time."""

import csv
import io
import json
import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from snnrun import figures
from snnrun.atomic import write_atomically, write_errors
from snnrun.config.check import show
from snnrun.config.resolvers import job_folder
from snnrun.evaluation import pictures
from snnrun.evaluation.activity import CONVENTION
from snnrun.evaluation.changes import AS_TRAINED, Change, label
from snnrun.evaluation.judge import Judgement
from snnrun.tables import table


@dataclass(frozen=True)
class Row:
    """The figures of one case: of one run, or the means over the runs of a group, with standard deviations.

    Attributes:
        name: the run's folder, or what is special about the group.
        changes: the conditions.
        runs: how many.
        means, deviations: by name; no deviation of a single run.
    """

    name: str
    changes: tuple[Change, ...]
    runs: int
    means: dict[str, float]
    deviations: dict[str, float]


def new_folder(parent: Path) -> Path:
    """Make parent/eval/<date>_<time>_<id>, which is new. Raises RunError if it cannot be made."""
    folder = parent / "eval" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(3)}"
    with write_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    return folder


def row_of(name: str, judgements: Sequence[Judgement]) -> Row:
    """Means and standard deviations over runs that were judged under the same conditions."""
    all_figures = [judgement.figures() for judgement in judgements]
    shared = [key for key in all_figures[0] if all(key in row for row in all_figures)]
    values = {key: [row[key] for row in all_figures] for key in shared}
    deviations = {key: stdev(column) for key, column in values.items() if len(column) > 1}
    return Row(name, judgements[0].case.changes, len(judgements), {k: mean(v) for k, v in values.items()}, deviations)


def write_run(folder: Path, run: str, judgements: Sequence[Judgement]) -> None:
    """Write all about one run: the table, and for each case its predictions, speakers, confusions and spikes."""
    rows = [row_of(run, [judgement]) for judgement in judgements]
    write_table(folder, rows, len(judgements[0].classes))
    for judgement in judgements:
        place = folder if len(judgements) == 1 else folder / _name(judgement.case.changes)
        with write_errors(place):
            place.mkdir(exist_ok=True)
        _write_case(place, run, judgement)


def write_table(folder: Path, rows: Sequence[Row], classes: int) -> None:
    """Write table.csv and, where something was changed, accuracy.png."""
    keys = list(dict.fromkeys(key for row in rows for key, _ in row.changes))
    names = list(dict.fromkeys(name for row in rows for name in row.means))
    spread = any(row.deviations for row in rows)
    header = ["name", *keys, *(["runs"] if spread else [])]
    header += [column for name in names for column in ((name, f"{name}_std") if spread else (name,))]
    lines = [header]
    for row in rows:
        values = dict(row.changes)
        line = [row.name, *(show(values[key]) if key in values else "" for key in keys)]
        line += [str(row.runs)] if spread else []
        for name in names:
            line += [_field(row.means.get(name))] + ([_field(row.deviations.get(name))] if spread else [])
        lines.append(line)
    _write_csv(folder / "table.csv", lines)
    if keys:
        figure = pictures.accuracy(_curves(rows, keys), ", ".join(keys), classes, "accuracy on changed data")
        write_atomically(folder / "accuracy.png", figures.png(figure))


def shown(rows: Sequence[Row]) -> str:
    """The table as people want to see it: percents, and spread where there is one."""
    named = len({row.name for row in rows}) > 1
    keys = list(dict.fromkeys(key for row in rows for key, _ in row.changes))
    means = rows[0].means
    columns = [*(["run"] if named else []), *(keys or ["data"]), "accuracy", "loss"]
    optional = [key for key in ("known_speakers", "unseen_speakers") if key in means]
    layers = [key for key in means if key.startswith("spikes_")]
    columns += [key.replace("_", " ") for key in (*optional, *layers)] + ["SynOps", "energy", "dense"]
    lines = []
    for row in rows:
        values = dict(row.changes)
        line = [row.name] if named else []
        line += [show(values[key]) if key in values else "" for key in keys] or [AS_TRAINED]
        line += [_percent(row, "accuracy"), f"{row.means['loss']:.3f}", *(_percent(row, key) for key in optional)]
        line += [f"{row.means.get(key, math.nan):.0f}" for key in layers]
        forms = {"synaptic_operations": "{:,.0f}", "energy_nj": "{:,.1f} nJ", "dense_energy_nj": "{:,.1f} nJ"}
        line += [form.format(row.means[key]) if key in row.means else "-" for key, form in forms.items()]
        lines.append(line)
    return f"{table(columns, lines)}\nspikes, SynOps and energies are means of one inference\n{CONVENTION}"


def _write_case(folder: Path, run: str, judgement: Judgement) -> None:
    found, case = judgement.found, judgement.case
    counts = found.confusion(len(judgement.classes)).numpy()
    title = f"{case.part}, {case.label}" if case.changes else case.part
    write_atomically(folder / "confusion.png", figures.png(figures.confusion(counts, judgement.classes, title)))
    _write_csv(
        folder / "confusion.csv",
        [
            ["true class", *judgement.classes],
            *([name, *map(str, row)] for name, row in zip(judgement.classes, counts.tolist(), strict=True)),
        ],
    )
    write_atomically(folder / "rasters.png", figures.png(pictures.rasters(judgement)))
    _write_csv(folder / "predictions.csv", _predictions(judgement))
    speakers = _speakers(judgement)
    if speakers:
        _write_csv(folder / "speakers.csv", speakers)
    content = {
        "run": run,
        "part": case.part,
        "checkpoint": case.checkpoint,
        "epoch": judgement.epoch,
        "changes": dict(case.changes),
        "seed": case.seed,
        "engine": judgement.engine,
        "device": judgement.device,
        "samples": len(found.labels),
        **judgement.figures(),
        "convention": CONVENTION.replace("\n", " "),
    }
    write_atomically(folder / "evaluation.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _predictions(judgement: Judgement) -> list[list[str]]:
    found = judgement.found
    layers = list(judgement.spikes)
    lines = [
        ["sample", "speaker", "label", "prediction", *(f"spikes_{name}" for name in layers), "synaptic_operations"]
    ]
    for index in range(len(found.labels)):
        speaker = "" if judgement.speakers is None else str(judgement.speakers[index])
        said = [judgement.classes[int(part[index])] for part in (found.labels, found.predictions)]
        spikes = [f"{judgement.spikes[name][index]:.0f}" for name in layers]
        operations = "" if judgement.operations is None else f"{judgement.operations[index]:.0f}"
        lines.append([str(index), speaker, *said, *spikes, operations])
    return lines


def _speakers(judgement: Judgement) -> list[list[str]]:
    """Accuracy of each speaker; nothing where nobody is named."""
    if judgement.speakers is None:
        return []
    correct = judgement.found.correct.numpy()
    lines = [["speaker", "trained_on", "samples", "accuracy"]]
    for speaker in np.unique(judgement.speakers):
        own = judgement.speakers == speaker
        known = "" if judgement.known is None else str(bool(judgement.known[own][0])).lower()
        lines.append([str(speaker), known, str(own.sum()), repr(float(correct[own].mean()))])
    return lines


def _curves(rows: Sequence[Row], keys: Sequence[str]) -> dict[str, list[pictures.Point]]:
    """Accuracy over the first changed key; the other keys and the experiment tell curves apart."""
    first = keys[0]
    numbers = all(isinstance(dict(row.changes).get(first), int | float) for row in rows)
    curves: dict[str, list[pictures.Point]] = {}
    for row in rows:
        others = [(key, value) for key, value in row.changes if key != first]
        several = len({other.name for other in rows}) > 1
        name = " ".join(part for part in (row.name if several else "", label(others) if others else "") if part)
        value = dict(row.changes).get(first)
        x = float(value) if numbers and value is not None else show(value)
        curves.setdefault(name, []).append((x, row.means["accuracy"], row.deviations.get("accuracy", math.nan)))
    return {name: sorted(points) if numbers else points for name, points in curves.items()}


def _percent(row: Row, key: str) -> str:
    if key not in row.means:
        return "-"
    spread = f" ± {row.deviations[key]:.1%}" if key in row.deviations else ""
    return f"{row.means[key]:.1%}{spread}"


def _name(changes: Sequence[Change]) -> str:
    return job_folder([f"{key}={show(value)}" for key, value in changes])


def _field(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(value)


def _write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    write_atomically(path, buffer.getvalue().encode())
