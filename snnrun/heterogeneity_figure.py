"""The picture of the time constants after training: learned, at the start, fitted, and of real neurons."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from snnrun.figures import BLUE, FONT_SIZE, GREY, ORANGE, grid
from snnrun.heterogeneity import ALIKE, Populations, Sample, density

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN = "#009E73"
BINS = 25


def tau_fits(
    start: Populations, learned: Populations, described: Mapping[str, Any], reference: Sample | None
) -> Figure:
    """A row for each hidden layer and a panel for each of its time constants; the reference is that of membranes.

    Args:
        start: time constants before training, in ms.
        learned: those after it.
        described: from `heterogeneity.describe`.
        reference: experimental membrane time constants in ms, or None.
    """
    columns = max(len(constants) for constants in learned.values())
    figure, rows = grid(len(learned), columns, width=0.6 + 4.4 * columns, height=2.9 * len(learned) + 0.2)
    for row, (layer, constants) in zip(rows, learned.items(), strict=True):
        for axes, (name, values) in zip(row, constants.items(), strict=True):
            found = described[layer][f"{name}_ms"]
            _panel(axes, start[layer][name], values, found, reference if name == "tau_mem" else None)
            axes.set_xlabel(f"{name} [ms]")
            title = f"{layer} {name}: {found['mean']:.1f} ± {found['std']:.1f} ms"
            axes.set_title(title, loc="left", fontsize=FONT_SIZE + 1)
    return figure


def _panel(axes: "Axes", start: Sample, learned: Sample, found: Mapping[str, Any], reference: Sample | None) -> None:
    samples = [start, learned] if reference is None else [start, learned, reference]
    highest = 1.1 * max(float(np.quantile(values, 0.99)) for values in samples)
    bins = np.linspace(0, highest, BINS + 1).tolist()
    if reference is not None:
        axes.hist(reference, bins, density=True, color=GREY, alpha=0.3, label=f"reference ({len(reference)} neurons)")
    if _alike(start):
        axes.axvline(float(start.mean()), color=GREY, linewidth=1.2, label="start")
    else:
        axes.hist(start, bins, density=True, histtype="step", color=GREY, label="start")
    if _alike(learned):
        axes.axvline(float(learned.mean()), color=BLUE, linewidth=1.2, label="learned")
    else:
        axes.hist(learned, bins, density=True, color=BLUE, alpha=0.5, label="learned")
    if "best" in found:
        tau = np.linspace(highest / 500, highest, 500)
        for family, colour, line in (("gamma", ORANGE, "-"), ("lognormal", GREEN, "--")):
            label = f"{family}, KS {found[family]['ks']:.3f}"
            axes.plot(tau, density(found, family, tau), color=colour, linestyle=line, label=label)
    axes.set(xlim=(0, highest), ylabel="density [1/ms]")
    axes.legend(frameon=False, fontsize=FONT_SIZE - 2)


def _alike(values: Sample) -> bool:
    return bool(values.std() <= ALIKE * values.mean())
