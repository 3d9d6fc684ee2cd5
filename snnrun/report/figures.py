"""The figures of a report. Points are means over seeds, bars their standard deviation, small dots single runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from snnrun.figures import FONT_SIZE, panels, whole_numbers
from snnrun.report.groups import Group, Groups, Spread, shown
from snnrun.report.runs import Value

# Okabe & Ito's colours, each with a marker and a dash of its own for prints in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
MOST_CURVES = len(COLOURS)
MOST_ROWS = 40
MOST_PANELS = 3
VALID, TEST = "accuracy/valid_best", "accuracy/test"
LOGARITHMIC_FROM = 8  # largest over smallest value of an axis


def draw(groups: Groups) -> dict[str, Figure]:
    """Return the figures that these runs allow, by file name."""
    made = {
        "accuracy": accuracy(groups),
        "learning_curves": learning_curves(groups),
        "rates": rates(groups),
        "cost": cost(groups),
        "time_constants": time_constants(groups),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def accuracy(groups: Groups) -> Figure | None:
    """Accuracy against the varied number, a curve a setting of the rest; a row a setting where no number varies."""
    figures = [name for name in (VALID, TEST) if any(g.spread(name).count for g in groups.groups)]
    if not figures:
        return None
    number = numeric_key(groups)
    if number is None:
        titles = {VALID: "best validation accuracy [%]", TEST: "test accuracy [%]"}
        return rows(groups, {titles[name]: scaled(name, 100) for name in figures})
    figure, axes = panels(len(figures), width=3.7 * len(figures), height=3.2)
    curves = _curves(groups, number)
    for panel, name in zip(axes, figures, strict=True):
        for k, (label, members) in enumerate(curves.items()):
            x = [float(g.setting[number] or 0) for g in members]
            found = [g.spread(name) for g in members]
            mean, spread = ([100 * getattr(s, part) for s in found] for part in ("mean", "deviation"))
            style = f"{MARKERS[k]}{LINES[k % len(LINES)]}"
            bars = np.nan_to_num(spread)
            panel.errorbar(
                x, mean, bars, fmt=style, color=COLOURS[k], label=label, capsize=2, markersize=4, linewidth=1.2
            )
        values = sorted({float(g.setting[number] or 0) for g in groups.groups})
        if values[0] > 0 and values[-1] / values[0] >= LOGARITHMIC_FROM:
            panel.set_xscale("log")
        panel.set_xticks(values, [f"{value:g}" for value in values])
        panel.minorticks_off()
        kind = "best validation" if name == VALID else "test"
        panel.set(xlabel=groups.keys[number], ylabel=f"{kind} accuracy [%]", ylim=(0, 100))
    if len(curves) > 1:
        axes[0].legend(frameon=False, fontsize=FONT_SIZE - 2)
    return figure


def learning_curves(groups: Groups) -> Figure | None:
    """Validation loss and accuracy over the epochs (of training where nothing was held out); mean over seeds."""
    part = (
        "valid" if any("loss/valid" in row for g in groups.groups for run in g.runs for row in run.metrics) else "train"
    )
    if not any(run.metrics for g in groups.groups for run in g.runs):
        return None
    shown_groups = groups.groups[:MOST_CURVES]
    figure, axes = panels(2, width=7.4, height=3.2)
    for k, member in enumerate(shown_groups):
        for panel, name, scale in ((axes[0], f"loss/{part}", 1), (axes[1], f"accuracy/{part}", 100)):
            epochs, found = _over_epochs(member, name)
            mean = scale * np.array([s.mean for s in found])
            spread = scale * np.nan_to_num([s.deviation for s in found])
            panel.plot(epochs, mean, LINES[k % len(LINES)], color=COLOURS[k], label=groups.label(member), linewidth=1.2)
            panel.fill_between(epochs, mean - spread, mean + spread, color=COLOURS[k], alpha=0.15, linewidth=0)
    for panel, name in ((axes[0], f"{part} loss [nat]"), (axes[1], f"{part} accuracy [%]")):
        panel.set(xlabel="epoch", ylabel=name)
        panel.xaxis.set_major_locator(whole_numbers())
    top = axes[0].dataLim.y1  # infinite where no loss is a number
    axes[0].set_ylim(0, 1.1 * top if 0 < top < np.inf else None)  # room above a loss that hardly changes, too
    axes[1].set_ylim(0, 100)
    left_out = len(groups.groups) - len(shown_groups)
    title = f"the first {len(shown_groups)} of {len(groups.groups)} settings" if left_out else None
    if len(shown_groups) > 1:
        axes[1].legend(frameon=False, fontsize=FONT_SIZE - 2, title=title, title_fontsize=FONT_SIZE - 2)
    return figure


def rates(groups: Groups) -> Figure | None:
    """Mean firing rate of each hidden layer at the end."""
    layers = sorted({layer for g in groups.groups for run in g.runs for layer in run.results.get("rate_hz", {})})
    measures = {f"{layer}: rate [Hz]": scaled(f"rate_hz/{layer}", 1) for layer in layers[:MOST_PANELS]}
    return rows(groups, measures) if measures else None


def cost(groups: Groups) -> Figure | None:
    """Time of an epoch and peak memory of the process; of runs that shared a machine these say little."""
    if not any(run.metrics for g in groups.groups for run in g.runs):
        return None
    measures = {
        "time an epoch, median [s]": _of_metrics("time/epoch_s", lambda values: float(np.median(values))),
        "peak memory [MB]": _of_metrics("memory/peak_mb", max),
    }
    return rows(groups, measures)


def time_constants(groups: Groups) -> Figure | None:
    """Mean of the learned time constants of each layer, where runs tell them."""
    names = sorted(
        f"{layer}/{constant}"
        for layer, constants in _merged(groups).items()
        if layer != "reference"
        for constant in constants
    )
    measures = {
        f"{name.removesuffix('_ms')}: mean [ms]": scaled(f"tau_fits/{name}/mean", 1) for name in names[:MOST_PANELS]
    }
    return rows(groups, measures) if measures else None


def _merged(groups: Groups) -> dict[str, dict[str, Any]]:
    """Layers and constants that any run has fits of."""
    found: dict[str, dict[str, Any]] = {}
    for member in groups.groups:
        for run in member.runs:
            for layer, constants in run.results.get("tau_fits", {}).items():
                found.setdefault(layer, {}).update(constants)
    return found


def numeric_key(groups: Groups) -> int | None:
    """The varied key that is best as an axis: the number with the most values, three at least."""
    counts = {}
    for k in range(len(groups.keys)):
        values = {g.setting[k] for g in groups.groups}
        if len(values) >= 3 and all(isinstance(value, float) for value in values):
            counts[k] = len(values)
    chosen = max(counts, key=lambda k: counts[k], default=None)
    return chosen if chosen is not None and len(_curves(groups, chosen)) <= MOST_CURVES else None


Measure = Callable[[Group], list[float]]


def scaled(name: str, scale: float) -> Measure:
    return lambda member: [scale * value for value in member.values(name)]


def _of_metrics(column: str, reduce: Callable[[Sequence[float]], float]) -> Measure:
    def measure(member: Group) -> list[float]:
        columns = ([row[column] for row in run.metrics if column in row] for run in member.runs)
        return [reduce(values) if values else math.nan for values in columns]

    return measure


def rows(groups: Groups, measures: Mapping[str, Measure]) -> Figure:
    """A panel a measure, a row a setting: mean and deviation, and every run as a dot."""
    members = groups.groups[:MOST_ROWS]
    figure, axes = panels(len(measures), width=2.2 + 2.8 * len(measures), height=1.0 + 0.26 * len(members))
    for number, (panel, (title, measure)) in enumerate(zip(axes, measures.items(), strict=True)):
        for row, member in enumerate(members):
            values = measure(member)
            found = Spread.of(values)
            panel.plot(values, [row] * len(values), ".", color="#999999", markersize=4, zorder=1)
            bar = 0 if math.isnan(found.deviation) else found.deviation
            panel.errorbar(found.mean, row, xerr=bar, fmt="o", color=COLOURS[0], capsize=2, markersize=4, zorder=2)
        panel.set(xlabel=title, ylim=(len(members) - 0.5, -0.5))
        panel.set_yticks(range(len(members)), [groups.label(g) for g in members] if number == 0 else [])
        panel.grid(axis="y", linewidth=0.4, alpha=0.4)
        panel.margins(x=0.08)
    return figure


def _curves(groups: Groups, number: int) -> dict[str, list[Group]]:
    """The groups by their setting without the varied number `number`."""
    found: dict[str, list[Group]] = {}
    rest = Groups(groups.keys[:number] + groups.keys[number + 1 :], ())
    for member in groups.groups:
        values: tuple[Value | None, ...] = member.setting[:number] + member.setting[number + 1 :]
        label = rest.label(Group(values, ())) if values else shown(None)
        found.setdefault(label, []).append(member)
    return found


def _over_epochs(member: Group, name: str) -> tuple[list[float], list[Spread]]:
    by_epoch: dict[float, list[float]] = {}
    for run in member.runs:
        for row in run.metrics:
            if name in row:
                by_epoch.setdefault(row["epoch"], []).append(row[name])
    epochs = sorted(by_epoch)
    return epochs, [Spread.of(by_epoch[epoch]) for epoch in epochs]
