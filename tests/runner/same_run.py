"""Whether two run folders tell of the same run, apart from how long things took and how much memory there was."""

import csv
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snnrun.run_folder import RunFolder

MEASURED = ("time/", "memory/")
EVERYTHING = {"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}


def assert_same(one: Path, other: Path) -> None:
    """Compare metrics.csv, results.json, the checkpoints byte for byte, and the curves and pictures of TensorBoard."""
    assert rows(one) == rows(other)
    for name in ("last", "previous", "best"):
        assert (
            RunFolder(one).checkpoints.path(name).read_bytes() == RunFolder(other).checkpoints.path(name).read_bytes()
        )
    assert results(one) == results(other)
    assert board(one) == board(other)
    assert not list(other.rglob("*.partial"))


def rows(folder: Path) -> list[dict[str, str]]:
    """metrics.csv as text, so that floats are compared bit for bit."""
    with open(folder / "metrics.csv", newline="") as file:
        table = list(csv.DictReader(file))
    return [{tag: text for tag, text in row.items() if not tag.startswith(MEASURED)} for row in table]


def results(folder: Path) -> dict[str, Any]:
    """results.json without what was typed and the duration."""
    return {key: value for key, value in RunFolder(folder).results().items() if key not in ("seconds", "overrides")}


def board(folder: Path) -> dict[str, list[Any]]:
    """Steps and values of all curves, pictures and histograms."""
    events = EventAccumulator(str(folder), size_guidance=EVERYTHING).Reload()
    tags = events.Tags()
    curves = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]}
    curves |= {tag: [(e.step, e.encoded_image_string) for e in events.Images(tag)] for tag in tags["images"]}
    curves |= {tag: [(e.step, e.histogram_value) for e in events.Histograms(tag)] for tag in tags["histograms"]}
    return {tag: values for tag, values in curves.items() if not tag.startswith(MEASURED)}
