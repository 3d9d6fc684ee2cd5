"""The loss around the solution of a run: computed, drawn, and kept in the run's folder."""

import csv
import io
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from snnrun.atomic import write_atomically, write_errors
from snnrun.data.batches import batches
from snnrun.device import pick_device
from snnrun.engine.select import choose
from snnrun.errors import UserError
from snnrun.evaluation.changes import read_changes
from snnrun.evaluation.trained import Trained, load_data
from snnrun.figures import png
from snnrun.landscape import Landscape, hidden_weights
from snnrun.landscape_figure import line_figure, plane_figure
from snnrun.seeding import numpy_stream, seed_everything

NEAR = 0.002  # of the span: the stretch in which single steps are seen


def look_around(path: Path, part: str, sizes: Mapping[str, float]) -> Path:
    """Compute the loss along a line, near the solution and over a plane; returns the new folder with what was found.

    Args:
        path: the run's folder.
        part: train, valid or test.
        sizes: span, points (of a line), plane (points a side; 0 is none), samples and seed.

    Raises:
        UserError: the run has no such data, or no hidden spikes that a surrogate could smooth.
    """
    run = Trained(path)
    (changes,), _ = read_changes([f"part={part}"])
    chosen = run.case(changes)
    seed_everything(chosen.config.seed, deterministic=False)
    device, data = pick_device(chosen.config.device), load_data(chosen.config)
    events = data.parts().get(part)
    if events is None or not len(events):
        raise UserError(f"part={part}: {path} has no such data; there is {', '.join(data.parts())}")
    network, epoch = run.network(chosen, data, device)
    if not hidden_weights(network) or network.surrogate.peak == 0:
        raise UserError(f"{path}: has no spikes with a surrogate, whose smoothed form the loss could be compared with")
    samples, seed = min(int(sizes["samples"]), len(events)), int(sizes["seed"])
    order = numpy_stream(seed, "landscape").permutation(len(events))[:samples]
    inputs, labels = next(iter(batches(events, order, samples, chosen.config.dataset)))
    engine, _ = choose(chosen.config.engine, device, network.double().tensors())
    torch.set_num_threads(1)  # thousands of small operations: more threads would only wait for each other
    landscape = Landscape(network, engine, inputs.to(device), labels.to(device))
    span, points = sizes["span"], int(sizes["points"])
    first, second = landscape.directions(2, seed)
    line = landscape.line(first, span, points)
    near = landscape.line(first, NEAR * span, points)
    folder = _new_folder(path)
    for name, found in (("line", line), ("near", near)):
        columns = zip(found.place, found.spikes, found.smooth, strict=True)
        _write_csv(folder / f"{name}.csv", ["distance", "loss_spikes", "loss_smooth"], columns)
    write_atomically(folder / "line.png", png(line_figure(line, near)))
    if sizes["plane"]:
        place, spikes, smooth = landscape.plane([first, second], span, int(sizes["plane"]))
        rows = (
            (x, y, spikes[row, column], smooth[row, column])
            for row, y in enumerate(place)
            for column, x in enumerate(place)
        )
        _write_csv(folder / "plane.csv", ["first", "second", "loss_spikes", "loss_smooth"], rows)
        write_atomically(folder / "plane.png", png(plane_figure(place, spikes, smooth)))
    middle = {"loss_spikes": landscape.loss([]), "loss_smooth": landscape.loss([], smooth=True)}
    content = {
        "run": str(path),
        "epoch": epoch,
        "part": part,
        **sizes,
        "engine": engine.name,
        "figures": middle | {f"near_{name}": value for name, value in near.figures().items()},
    }
    write_atomically(folder / "landscape.json", (json.dumps(content, indent=2) + "\n").encode())
    return folder


def _new_folder(path: Path) -> Path:
    folder = path / "landscape" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(3)}"
    with write_errors(folder):
        folder.mkdir(parents=True)
    return folder


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(columns)
    table.writerows([repr(float(value)) for value in row] for row in rows)
    write_atomically(path, buffer.getvalue().encode())
