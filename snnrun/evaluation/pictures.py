"""Pictures of an evaluation: accuracy over what was changed, and the spikes of right and wrong samples."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from snnrun.evaluation.judge import Judgement
from snnrun.figures import BLUE, DOTS_PER_INCH, FONT_SIZE, GREY, ORANGE, draw_spikes, style

COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
Point = tuple[float | str, float, float]  # what was changed to, accuracy, its standard deviation over seeds or NaN


def accuracy(curves: Mapping[str, Sequence[Point]], key: str, classes: int, title: str) -> Figure:
    """Accuracy against the changed key, a curve for each experiment; bars are standard deviations over seeds.

    Args:
        curves: points by the name of the experiment ("" where there is one only). All x are numbers, or all texts.
        key: the changed key, for the axis.
        classes: number of classes, for the level of chance.
        title: what the picture shows.
    """
    figure = Figure(figsize=(6.5, 3.8), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    style(axes)
    for number, (name, points) in enumerate(curves.items()):
        x = [value for value, _, _ in points]
        y = [100 * mean for _, mean, _ in points]
        spread = [0 if math.isnan(deviation) else 100 * deviation for _, _, deviation in points]
        colour = COLOURS[number % len(COLOURS)]
        line = "-" if all(isinstance(value, float) for value in x) else "none"
        axes.errorbar(x, y, spread, color=colour, linestyle=line, marker="o", markersize=4, capsize=3, label=name)
    axes.axhline(100 / classes, color=GREY, linewidth=0.8, linestyle=":")
    axes.annotate("chance", (1, 100 / classes), xycoords=("axes fraction", "data"), fontsize=FONT_SIZE - 2, color=GREY,
                  xytext=(-2, 2), textcoords="offset points", ha="right")  # fmt: skip
    axes.set(ylim=(0, 100), xlabel=key, ylabel="accuracy [%]")
    axes.set_title(title, loc="left", fontsize=FONT_SIZE + 1)
    texts = [value for points in curves.values() for value, _, _ in points if isinstance(value, str)]
    if texts:
        axes.tick_params(axis="x", labelrotation=30 if max(map(len, texts)) > 8 else 0)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=FONT_SIZE - 2)
    return figure


def rasters(found: Judgement) -> Figure:
    """Spikes of the input and of every hidden layer: a column for a sample that is right, one for a wrong one."""
    layers = list(found.spikes)
    figure = Figure(
        figsize=(4.5 * len(found.samples), 2.1 * len(layers) + 0.6), dpi=DOTS_PER_INCH, layout="constrained"
    )
    panels = figure.subplots(len(layers), len(found.samples), squeeze=False, sharex=True)
    dt = found.case.config.dataset.dt
    for column, sample in enumerate(found.samples):
        wrong = f"taken for {found.classes[sample.prediction]}"
        verdict = "right" if sample.label == sample.prediction else wrong
        for row, name in enumerate(layers):
            axes = panels[row, column]
            style(axes)
            spikes = draw_spikes(axes, sample.spikes[name], sample.place, dt, 2.1)
            axes.set_ylabel(f"{name} {'channel' if name == 'input' else 'neuron'}", fontsize=FONT_SIZE - 1)
            axes.text(
                1, 1.01, f"{spikes} spikes", transform=axes.transAxes, ha="right", fontsize=FONT_SIZE - 2, color=GREY
            )
        title = f"{found.case.part} sample {sample.index}, class {found.classes[sample.label]}: {verdict}"
        panels[0, column].set_title(title, loc="left", fontsize=FONT_SIZE, pad=14)
        panels[-1, column].set_xlabel("time [ms]", fontsize=FONT_SIZE)
    return figure
