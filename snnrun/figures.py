"""Pictures of a run: spike rasters, the surrogate's curve, the confusion matrix, learning curves.

Every function returns a matplotlib Figure that no global list holds, so that a sweep of many jobs leaks none; `png`
renders it for the run folder and for TensorBoard alike. Colours are those of Okabe & Ito, safe for the colour-blind.
"""

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from snnrun.data.batch import EventBatch
    from snnrun.surrogates import Surrogate

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
DOTS_PER_INCH = 150
FONT_SIZE = 9
POINTS_PER_INCH = 72
MOST_CLASSES_WITH_NUMBERS = 25
RASTER_INCHES = 7.0, 3.4
# Room for numbers of five digits. A layout that fits itself draws everything twice.
RASTER_MARGINS = {"left": 0.1, "right": 0.97, "bottom": 0.15, "top": 0.91}
PAIR_INCHES = 7.0, 3.0
PAIR_MARGINS = {"left": 0.09, "right": 0.97, "bottom": 0.16, "top": 0.9, "wspace": 0.24}
CURVE_POINTS = 2001


def png(figure: Figure) -> bytes:
    """Render a figure as a PNG file."""
    return render(figure, "png")


def render(figure: Figure, kind: Literal["png", "svg", "pdf"]) -> bytes:
    """Render a figure as a file of that kind; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)  # saves without pyplot, whatever backend the user has set
    dated = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}[kind]
    figure.savefig(buffer, format=kind, metadata={dated: None})
    return buffer.getvalue()


def sample_raster(events: "EventBatch", sample: int, dt: float, title: str, rows: str = "neuron") -> Figure:
    """Raster of one sample of a batch, input or spikes of a hidden layer, over the whole duration of the sample.

    Args:
        events: the batch.
        sample: which of its samples.
        dt: length of a time step in ms; a spike is drawn in the middle of its step.
        title: what the picture shows; the mean rate is added.
        rows: what a row is: "channel" of the input, "neuron" of a layer.
    """
    times, units = _spikes_of(events, sample, dt)
    return raster(times, units, events.channels, events.steps * dt, title, rows)


def raster(
    times: NDArray[np.floating[Any]],
    units: NDArray[np.integer[Any]],
    channels: int,
    duration: float,
    title: str,
    rows: str = "neuron",
) -> Figure:
    """Raster of spikes: time to the right, units upwards; the axes depend on `channels` and `duration` alone.

    Args:
        times: (spikes,) in ms.
        units: (spikes,) from 0 to channels - 1.
        channels: number of rows.
        duration: length of the time axis in ms.
        title: what the picture shows; the mean rate is added.
        rows: what a row is: "channel" or "neuron".
    """
    figure, (axes,) = panels(1, *RASTER_INCHES, RASTER_MARGINS)
    _draw_raster(axes, times, units, channels, duration, RASTER_INCHES[1])
    axes.set(xlabel="time [ms]", ylabel=rows)
    rate_hz = len(times) / channels / (duration / 1000)
    _title(axes, f"{title} ({rate_hz:.1f} Hz per {rows})")
    return figure


def draw_spikes(axes: "Axes", events: "EventBatch", sample: int, dt: float, height: float) -> int:
    """Draw one sample of a batch as a raster into `axes`, `height` inches high; returns its number of spikes."""
    times, units = _spikes_of(events, sample, dt)
    _draw_raster(axes, times, units, events.channels, events.steps * dt, height)
    return len(times)


def _spikes_of(
    events: "EventBatch", sample: int, dt: float
) -> tuple[NDArray[np.floating[Any]], NDArray[np.integer[Any]]]:
    """Times [ms], in the middle of their steps, and units of one sample of a batch."""
    start, stop = sample * events.steps, (sample + 1) * events.steps
    pointer = events.pointer[start : stop + 1].cpu().numpy()
    steps = np.repeat(np.arange(events.steps), np.diff(pointer))
    return (steps + 0.5) * dt, events.unit[int(pointer[0]) : int(pointer[-1])].cpu().numpy()


def _draw_raster(
    axes: "Axes",
    times: NDArray[np.floating[Any]],
    units: NDArray[np.integer[Any]],
    channels: int,
    duration: float,
    height: float,
) -> None:
    row_points = 0.75 * height * POINTS_PER_INCH / channels
    size = float(np.clip(1.6 * row_points, 1.3, 9.0))  # longer than a row is high: most rows are empty at any time
    axes.plot(times, units, linestyle="none", marker="|", color="black", markersize=size, markeredgewidth=0.9)
    axes.set(xlim=(0, duration), ylim=(-0.5, channels - 0.5))
    axes.yaxis.set_major_locator(whole_numbers())


def surrogate_curve(surrogate: "Surrogate") -> Figure:
    """The surrogate's derivative and the smoothed step that it belongs to, around the threshold, with its steepness.

    The axis is the same for all surrogates: membrane potential from 0 to twice the threshold.
    """
    import torch

    distance = torch.linspace(-1, 1, CURVE_POINTS, dtype=torch.float64)
    potential = (1 + distance).numpy()
    figure, (left, right) = panels(2, *PAIR_INCHES, PAIR_MARGINS)
    derivative = surrogate.derivative(distance).numpy()
    left.plot(potential, derivative, color=BLUE)
    left.set(ylabel="surrogate derivative", ylim=(1.05 * min(derivative.min(), 0), 1.05 * surrogate.peak or 1))
    _title(left, f"{surrogate.name}, beta = {surrogate.beta:g}")
    right.plot(potential, (distance > 0).numpy(), color=GREY, linewidth=1, linestyle="--", label="step (forward)")
    right.plot(potential, surrogate.primitive(distance).numpy(), color=ORANGE, label="surrogate's integral")
    right.set(ylabel="spike")
    right.legend(frameon=False, loc=(0.53, 0.15), fontsize=FONT_SIZE - 1)
    for axes in (left, right):
        axes.set(xlim=(0, 2), xticks=np.linspace(0, 2, 5), xlabel="membrane potential [threshold]")
        axes.axvline(1, color=GREY, linewidth=0.6, linestyle=":")
    return figure


def confusion(counts: NDArray[np.integer[Any]], classes: Sequence[str], title: str = "confusion") -> Figure:
    """Confusion matrix: shade is the share of a true class, numbers are samples; the accuracy is in the title.

    Args:
        counts: (classes, classes), row = true class, column = predicted class.
        classes: names.
        title: what the picture shows.
    """
    number = len(classes)
    side = float(np.clip(0.27 * number, 3.0, 12.0))
    figure, (axes,) = panels(1, width=side + 2.0, height=side + 1.4)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(number), classes, rotation=90)
    axes.set_yticks(range(number), classes)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.spines[:].set_visible(True)
    axes.tick_params(labelsize=FONT_SIZE - 2)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    _title(axes, f"{title}: {accuracy:.1%} of {counts.sum()} samples right")
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the true class", size=FONT_SIZE)
    bar.ax.tick_params(labelsize=FONT_SIZE - 2)
    if number <= MOST_CLASSES_WITH_NUMBERS:
        for row, column in zip(*counts.nonzero(), strict=True):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=6)
    return figure


def learning_curves(rows: Sequence[Mapping[str, float]], best_epoch: int | None = None) -> Figure:
    """Loss and accuracy of training and validation over the epochs, from the rows of metrics.csv."""
    figure, (left, right) = panels(2, *PAIR_INCHES, PAIR_MARGINS)
    for axes, name, unit, scale in ((left, "loss", "cross-entropy [nat]", 1), (right, "accuracy", "accuracy [%]", 100)):
        for part, colour, marker in (("train", BLUE, "o"), ("valid", ORANGE, "s")):
            points = [(row["epoch"], scale * row[f"{name}/{part}"]) for row in rows if f"{name}/{part}" in row]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=3, label=part)
        axes.set(xlabel="epoch", ylabel=unit, xlim=(0, max((row["epoch"] for row in rows), default=1) + 1))
        axes.xaxis.set_major_locator(whole_numbers())
        if best_epoch is not None:
            axes.axvline(best_epoch, color=GREY, linewidth=0.8, linestyle=":", label="best checkpoint")
    losses = [value for row in rows for tag, value in row.items() if tag.startswith("loss/") and math.isfinite(value)]
    left.set_ylim(0, 1.1 * max(losses, default=1))
    right.set_ylim(0, 100)
    if left.lines:
        left.legend(edgecolor="none", fontsize=FONT_SIZE - 1)
    return figure


def panels(
    number: int, width: float, height: float, margins: Mapping[str, float] | None = None
) -> "tuple[Figure, list[Axes]]":
    """A figure of `number` panels side by side; see `grid`."""
    figure, (row,) = grid(1, number, width, height, margins)
    return figure, row


def grid(
    rows: int, columns: int, width: float, height: float, margins: Mapping[str, float] | None = None
) -> "tuple[Figure, list[list[Axes]]]":
    """A figure of rows and columns of panels, sizes in inches; without `margins`, they are made to fit."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=None if margins else "constrained")
    if margins:
        figure.subplots_adjust(**margins)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        style(axes)
    return figure, [list(row) for row in panels]


def style(axes: "Axes") -> None:
    """Give a panel the look of all the others."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT_SIZE - 1)
    axes.xaxis.label.set_fontsize(FONT_SIZE)
    axes.yaxis.label.set_fontsize(FONT_SIZE)


def whole_numbers() -> MaxNLocator:
    return MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, loc="left", fontsize=FONT_SIZE + 1)
