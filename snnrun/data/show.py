"""What `snnrun data show` tells of a data set: its numbers as text, and a picture of one sample of each class."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from snnrun.data.dataset import Dataset
from snnrun.data.events import MICROSECONDS, EventSet
from snnrun.errors import RunError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 5
_MOST_CLASSES = 40  # in the picture


def describe(data: Dataset, duration: float) -> list[str]:
    """Lines on every part: samples, classes, speakers, spikes a sample, last spike, rate of a channel.

    Args:
        data: the data set.
        duration: length of a sample [ms], for the rates.
    """
    lines = [f"{data.channels} channels; {len(data.classes)} classes: {', '.join(data.classes)}"]
    for name, part in data.parts().items():
        lines.append(f"{name}:")
        lines += [f"  {title:<24}{text}" for title, text in _rows(part, duration)]
    return [*lines, *(line for line in data.log if "dropped" in line or line.startswith("validation"))]


def _rows(part: EventSet, duration: float) -> list[tuple[str, str]]:
    per_class = np.bincount(part.labels, minlength=len(part.classes))
    counts, last = part.counts, _last_times(part) / MICROSECONDS
    rates = channel_rates(part, duration)
    rows = [
        ("samples", f"{len(part)}, {_span(per_class)} a class"),
        ("spikes a sample", f"{counts.mean():.0f} +- {counts.std():.0f} ({_span(counts)})"),
        ("last spike of a sample", f"{last.mean():.0f} +- {last.std():.0f} ms (up to {last.max():.0f} ms)"),
        ("rate of a channel", f"{rates.mean():.2f} Hz ({rates.min():.2f} to {rates.max():.2f}; {_silent(rates)})"),
    ]
    if part.speakers is not None:
        per_speaker = np.unique(part.speakers, return_counts=True)[1]
        rows.insert(1, ("speakers", f"{len(per_speaker)}, {_span(per_speaker)} samples each"))
    return rows


def channel_rates(part: EventSet, duration: float) -> NDArray[np.float64]:
    """Mean rate of each channel [Hz], (channels,), over all samples of `duration` [ms]."""
    total = np.zeros(part.channels)
    for sample in range(len(part)):
        time, unit = part.sample(sample)
        inside = (time >= 0) & (time < duration * MICROSECONDS)
        total += np.bincount(unit[inside], minlength=part.channels)
    return total / (len(part) * duration / 1000)


def draw(data: Dataset, duration: float, path: Path) -> None:
    """Write a PNG with the raster of the first training sample of each class and the rate of each channel.

    Raises:
        RunError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    part = data.train
    shown = [(label, name) for label, name in enumerate(part.classes) if label in part.labels][:_MOST_CLASSES]
    rows = math.ceil((len(shown) + 1) / _COLUMNS)
    figure = Figure(figsize=(2.6 * _COLUMNS, 2.1 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis, (label, name) in zip(axes, shown, strict=False):
        _raster(axis, part, int(np.flatnonzero(part.labels == label)[0]), duration, name)
    _rates(axes[len(shown)], channel_rates(part, duration))
    for axis in axes[len(shown) + 1 :]:
        axis.remove()
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from None


def _raster(axis: "Axes", part: EventSet, sample: int, duration: float, title: str) -> None:
    time, unit = part.sample(sample)
    size = min(4.0, max(0.3, 2000 / max(len(time), 1)))
    axis.scatter(time / MICROSECONDS, unit, s=size, c="black", linewidths=0, rasterized=True)
    axis.set(xlim=(0, duration), ylim=(-0.5, part.channels - 0.5))
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("time [ms]", fontsize=7)
    axis.set_ylabel("channel", fontsize=7)
    axis.tick_params(labelsize=7)


def _rates(axis: "Axes", rates: NDArray[np.float64]) -> None:
    axis.plot(rates, np.arange(len(rates)), color="tab:blue", linewidth=0.8)
    axis.set(xlim=(0, None), ylim=(-0.5, len(rates) - 0.5))
    axis.set_title("all training samples", fontsize=9)
    axis.set_xlabel("rate [Hz]", fontsize=7)
    axis.set_ylabel("channel", fontsize=7)
    axis.tick_params(labelsize=7)


def _last_times(part: EventSet) -> NDArray[np.int64]:
    some = part.counts > 0
    last = np.zeros(len(part), np.int64)
    last[some] = part.time[part.stop[some] - 1]
    return last


def _span(counts: NDArray[np.int64]) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def _silent(rates: NDArray[np.float64]) -> str:
    return f"{int(np.count_nonzero(rates == 0))} silent"
