"""The figures of the page, drawn from the records: mean over seeds, bars of one standard deviation."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from snnrun.figures import FONT_SIZE, panels
from snnrun.report.figures import COLOURS, LINES, LOGARITHMIC_FROM, MARKERS, rows, scaled
from snnrun.report.groups import Group, Groups, Spread, full_key, group
from snnrun.report.runs import Run, Value
from snnrun.reproduce.page import Content
from snnrun.reproduce.records import PART

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = tuple[list[float], list[Spread]]
Asked = Mapping[str, Any]
SHARES = ("accuracy/", "active/", "silent/", "eval/")  # drawn in percent
PANEL_INCHES = 3.5, 3.1
LEGEND_INCHES = 1.4
NEAREST = 0.15  # share of a logarithmic axis between two places that have room for both labels
MOST_INSIDE = 4  # curves whose legend finds room between them
LEGEND_SHARE = 0.4  # height of a legend above the curves, as a share of theirs


def draw(content: Content) -> Iterator[tuple[str, str, Figure]]:
    """Yield name, caption and figure of each figure that the records of a row allow."""
    for asked in content.row.figures:
        runs = list(content.runs.get(asked["part"], ())) if "part" in asked else content.everything
        lines = [line for line in content.bench if all(line.get(k) == v for k, v in asked.get("where", {}).items())]
        figure = KINDS[asked["kind"]](asked, runs, lines)
        if figure is not None:
            yield f"{content.row.name}_{asked['name']}", asked["caption"], figure


def _options(asked: Asked, runs: Sequence[Run], lines: Sequence[Mapping[str, Value]]) -> Figure | None:
    """A row a setting, a panel a measure; `part_titles` says in words what each part is."""
    groups = group(_titled(runs, asked["part_titles"]) if "part_titles" in asked else runs)
    measures = {title: scaled(name, _scale(name)) for name, title in asked["measures"].items() if _has(groups, name)}
    return rows(groups, measures) if measures else None


def _titled(runs: Sequence[Run], titles: Mapping[str, str]) -> list[Run]:
    """The runs with the title of their part in place of its name; a key that ends in .name is not written beside it."""
    found = []
    for run in runs:
        config = {key: value for key, value in run.config.items() if key != PART}
        found.append(replace(run, config=config | {"part.name": titles[str(run.config[PART])]}))
    return found


def _against(asked: Asked, runs: Sequence[Run], lines: Sequence[Mapping[str, Value]]) -> Figure | None:
    """Measures against a key, a number; a curve a setting of the rest, a panel a measure and value of `split`."""
    groups = group(runs)
    key, split = full_key(asked["x"]), asked.get("split")
    measures = {name: title for name, title in asked["measures"].items() if _has(groups, name)}
    if key not in groups.keys or not measures:
        return None
    split = split if split in groups.keys else None
    values = list(dict.fromkeys(member.setting[groups.keys.index(split)] for member in groups.groups)) if split else []
    shown_panels = [(name, title, value) for name, title in measures.items() for value in values or [None]]
    aside = LEGEND_INCHES if _settings_of(groups, [key, split]) > MOST_INSIDE else 0
    width = PANEL_INCHES[0] * len(shown_panels) + aside
    figure, axes = panels(len(shown_panels), width, PANEL_INCHES[1])
    for panel, (name, title, value) in zip(axes, shown_panels, strict=True):
        members = [m for m in groups.groups if not split or m.setting[groups.keys.index(split)] == value]
        curves: dict[str, Curve] = {}
        for member in members:
            x, label = _taken_out(groups, member, [key, *([split] if split else [])])
            place, spreads = curves.setdefault(label, ([], []))
            place.append(_number(x))
            spreads.append(member.spread(name))
        _draw_curves(panel, curves, _scale(name))
        panel.set(xlabel=asked.get("x_title", key), ylabel=title)
        if name in asked.get("logarithmic", ()):
            panel.set_yscale("log", nonpositive="mask")
        if split:
            panel.set_title(asked["split_titles"][str(value)], fontsize=FONT_SIZE, loc="left")
    if aside:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, fontsize=FONT_SIZE - 2, loc="outside right center")
    _share_axis(axes, shown_panels)
    return figure


def _speeds(asked: Asked, runs: Sequence[Run], lines: Sequence[Mapping[str, Value]]) -> Figure | None:
    """Accuracy on changed data against the factor on spike times, a curve a setting."""
    groups = group(runs)
    found = {name for run in runs for name in run.results.get("eval", {})}
    speeds = sorted(float(name.partition("=")[2]) for name in found)
    if not speeds:
        return None
    figure, (panel,) = panels(1, 4.6, PANEL_INCHES[1])
    curves: dict[str, Curve] = {}
    for member in groups.groups:
        spreads = [member.spread(f"eval/dataset.speed={speed:g}/accuracy") for speed in speeds]
        curves[groups.label(member)] = speeds, spreads
    _draw_curves(panel, curves, 100)
    panel.set(xlabel="factor on spike times (above 1 is slower)", ylabel="test accuracy [%]", ylim=(0, 100))
    return figure


def _scaling(asked: Asked, runs: Sequence[Run], lines: Sequence[Mapping[str, Value]]) -> Figure | None:
    """Measurements of a step against one size on logarithmic axes, with the exponent at the large end."""
    x = asked["x"]
    curves: dict[str, dict[float, Mapping[str, Value]]] = {}  # what was measured twice counts once
    for line in lines:
        label = f"bptt, {line['engine']} engine" if line["learning"] == "bptt" else str(line["learning"])
        curves.setdefault(label, {}).setdefault(float(line[x]), line)
    if not curves:
        return None
    figure, axes = panels(len(asked["measures"]), PANEL_INCHES[0] * len(asked["measures"]), PANEL_INCHES[1])
    for panel, (name, title) in zip(axes, asked["measures"].items(), strict=True):
        for k, (label, curve) in enumerate(curves.items()):
            sizes = np.array(sorted(curve))
            values = np.array([float(curve[size][name]) for size in sizes])
            kept = values > 0
            power = exponent(sizes[kept], values[kept])
            told = f"{label}: exponent {power:.2f}" if math.isfinite(power) else label
            style = f"{MARKERS[k]}{LINES[k % len(LINES)]}"
            panel.loglog(sizes[kept], values[kept], style, color=COLOURS[k], label=told, markersize=4, linewidth=1.2)
        panel.set(xlabel=asked["x_title"], ylabel=title)
        low, high = panel.get_ylim()
        panel.set_ylim(low, high * (high / low) ** LEGEND_SHARE)  # room above all curves, on a logarithmic axis
        panel.legend(frameon=False, fontsize=FONT_SIZE - 2, loc="upper left")
    return figure


def _cutoffs(asked: Asked, runs: Sequence[Run], lines: Sequence[Mapping[str, Value]]) -> Figure | None:
    """Time of the passes of a training step against the cutoff."""
    places = [float(line["cutoff"]) for line in lines if "cutoff" in line and "backward_s" in line]
    if len(places) < 2:
        return None
    figure, (panel,) = panels(1, 4.2, PANEL_INCHES[1])
    curves: dict[str, Curve] = {}
    for name in ("backward", "forward"):
        curves[name] = places, [Spread(float(line[f"{name}_s"]), math.nan, 1) for line in lines]
    _draw_curves(panel, curves, 1000)
    panel.set(xlabel="cutoff, as a share of the peak", ylabel="time of a pass [ms]")
    panel.set_ylim(0, None)
    return figure


def exponent(sizes: Any, values: Any) -> float:
    """The exponent p of values ~ sizes^p, fitted to the larger half of the sizes; NaN for fewer than two."""
    large = sizes >= np.median(sizes) if len(sizes) else np.zeros(0, bool)
    if np.count_nonzero(large) < 2:
        return math.nan
    return float(np.polyfit(np.log(sizes[large]), np.log(values[large]), 1)[0])


KINDS: dict[str, Callable[[Asked, Sequence[Run], Sequence[Mapping[str, Value]]], Figure | None]] = {
    "options": _options,
    "against": _against,
    "speeds": _speeds,
    "scaling": _scaling,
    "cutoffs": _cutoffs,
}


def _number(value: Value | None) -> float:
    """The place of a value on an axis: of a list, such as network.hidden, its length."""
    if isinstance(value, str) and value.startswith("["):
        return value.count(",") + 1
    return float(value or 0)


def _settings_of(groups: Groups, without: Sequence[str | None]) -> int:
    """How many settings there are apart from these keys."""
    rest = [k for k, key in enumerate(groups.keys) if key not in without]
    return len({tuple(member.setting[k] for k in rest) for member in groups.groups})


def _draw_curves(panel: "Axes", curves: Mapping[str, Curve], scale: float) -> None:
    looks = zip(cycle(COLOURS), cycle(MARKERS), cycle(LINES), strict=False)
    for number, ((label, (x, found)), (colour, marker, line)) in enumerate(zip(curves.items(), looks, strict=False)):
        order = np.argsort(x)
        mean = scale * np.array([found[k].mean for k in order])
        bars = scale * np.nan_to_num([found[k].deviation for k in order])
        inside = "none" if number >= len(COLOURS) else colour  # the same looks again, but hollow
        panel.errorbar(
            np.array(x)[order], mean, bars, fmt=marker + line, color=colour, label=label, capsize=2, markersize=4,
            linewidth=1.2, markerfacecolor=inside,
        )  # fmt: skip
    values = sorted({value for x, _ in curves.values() for value in x})
    if values[0] > 0 and values[-1] / values[0] >= LOGARITHMIC_FROM:
        panel.set_xscale("log")
    elif values[0] == 0 and len(values) > 2 and values[-1] / values[1] >= LOGARITHMIC_FROM:
        panel.set_xscale("symlog", linthresh=values[1])
    panel.set_xticks(values, _labels(values))
    panel.minorticks_off()
    if 1 < len(curves) <= MOST_INSIDE:
        panel.legend(frameon=False, fontsize=FONT_SIZE - 2)


def _labels(values: Sequence[float]) -> list[str]:
    """Labels of the ticks; on an axis over a wide range, which is logarithmic, none where two would touch."""
    positive = [value for value in values if value > 0]
    wide = len(positive) > 1 and positive[-1] / positive[0] >= LOGARITHMIC_FROM
    labels, last = [], 0.0
    for value in values:
        near = wide and last > 0 and math.log(value / last) < NEAREST * math.log(positive[-1] / positive[0])
        labels.append("" if near else f"{value:g}")
        last = last if near else value
    return labels


def _share_axis(axes: Sequence["Axes"], shown_panels: Sequence[tuple[str, str, Value | None]]) -> None:
    """Panels of the same measure get the same vertical axis."""
    for name in dict.fromkeys(name for name, _, _ in shown_panels):
        same = [panel for panel, (own, _, _) in zip(axes, shown_panels, strict=True) if own == name]
        low, high = min(panel.get_ylim()[0] for panel in same), max(panel.get_ylim()[1] for panel in same)
        for panel in same:
            if panel.get_yscale() == "linear":
                panel.set_ylim((0, 100) if name.startswith("accuracy/") else (min(low, 0), high))


def _taken_out(groups: Groups, member: Group, keys: Sequence[str]) -> tuple[Value | None, str]:
    """The value of the first of `keys`, and the label of the setting without all of them."""
    rest = [k for k, key in enumerate(groups.keys) if key not in keys]
    others = Groups(tuple(groups.keys[k] for k in rest), ())
    label = others.label(Group(tuple(member.setting[k] for k in rest), ())) if rest else "all runs"
    return member.setting[groups.keys.index(keys[0])], label


def _has(groups: Groups, name: str) -> bool:
    return any(member.spread(name).count for member in groups.groups)


def _scale(name: str) -> float:
    return 100 if name.startswith(SHARES) else 1
