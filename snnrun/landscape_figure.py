"""Pictures of the loss around a solution: along a line, near by, and over a plane."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snnrun.figures import BLUE, FONT_SIZE, GREY, ORANGE, panels
from snnrun.landscape import Line

DISTANCE = "distance from the solution [weights]"


def line_figure(line: Line, near: Line) -> Figure:
    """The loss along a line; beside it a small stretch of it, with spikes and smoothed."""
    figure, (whole, left, right) = panels(3, 10.4, 3.1)
    whole.plot(line.place, line.spikes, color=BLUE, linewidth=1, label="with spikes")
    whole.plot(line.place, line.smooth, color=ORANGE, linewidth=1.2, linestyle="--", label="smoothed")
    whole.axvspan(near.place[0], near.place[-1], color=GREY, alpha=0.35, linewidth=0)
    whole.set(xlabel=DISTANCE, ylabel="loss [nat]")
    whole.legend(frameon=False, fontsize=FONT_SIZE - 1)
    scale = 10 ** np.floor(np.log10(near.place[-1]))
    for panel, loss, colour, title in (
        (left, near.spikes, BLUE, "with spikes, near by"),
        (right, near.smooth, ORANGE, "smoothed, near by"),
    ):
        change = loss - loss[len(loss) // 2]
        unit = 10 ** np.floor(np.log10(max(np.abs(change).max(), 1e-12)))
        panel.plot(near.place / scale, change / unit, color=colour, linewidth=1.2)
        panel.set(xlabel=f"distance [{scale:g} weights]", ylabel=f"change of the loss [{unit:.0e} nat]")
        panel.set_title(title, loc="left", fontsize=FONT_SIZE)
    return figure


def plane_figure(place: NDArray[np.float64], spikes: NDArray[np.float64], smooth: NDArray[np.float64]) -> Figure:
    """The loss over a plane, with spikes and smoothed; the cross is the solution."""
    figure, axes = panels(2, 7.4, 3.3)
    for panel, loss, title in zip(axes, (spikes, smooth), ("with spikes", "smoothed"), strict=True):
        image = panel.pcolormesh(place, place, loss, cmap="viridis", shading="nearest", rasterized=True)
        panel.contour(place, place, loss, levels=8, colors="white", linewidths=0.6)
        panel.plot(0, 0, "+", color="white", markersize=8)
        panel.set(xlabel="first direction [weights]", ylabel="second direction [weights]", aspect="equal")
        panel.set_title(title, loc="left", fontsize=FONT_SIZE)
        bar = figure.colorbar(image, ax=panel, shrink=0.8)
        bar.set_label("loss [nat]", size=FONT_SIZE)
        bar.ax.tick_params(labelsize=FONT_SIZE - 2)
    return figure
