"""The picture of a diagnosis: for every hidden layer potentials, rates, and the gradient over time."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from snnrun.figures import BLUE, FONT_SIZE, GREY, ORANGE, grid
from snnrun.preflight import SILENT_HZ

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from snnrun.diagnosis import Diagnosis, LayerDiagnosis

BINS = 60
MOST_POTENTIALS = 1_000_000  # drawn; more change no bar


def diagnosis(found: "Diagnosis") -> Figure:
    """A row of four panels for each hidden layer."""
    figure, rows = grid(len(found.layers), 4, width=13, height=2.7 * len(found.layers) + 0.2)
    for (potentials, rates, by_step, back), layer in zip(rows, found.layers, strict=True):
        _potentials(potentials, layer)
        _rates(rates, layer)
        _gradient(by_step, layer, found.dt)
        _back(back, layer, found.dt)
    return figure


def _potentials(axes: "Axes", layer: "LayerDiagnosis") -> None:
    """Distribution of the potential, with and without the layer's own spikes, and the one predicted."""
    stride = -(-layer.free.numel() // MOST_POTENTIALS)
    free, reset = (values.flatten()[::stride].double().numpy() for values in (layer.free, layer.potential))
    both = np.concatenate([free, reset])
    low, high = np.quantile(both, [0.002, 0.998])
    low, high = min(low, -0.2), max(high, 1.2)
    bins = np.linspace(low, high, BINS + 1).tolist()
    axes.hist(reset, bins, density=True, color=BLUE, alpha=0.4, label="as simulated")
    axes.hist(free, bins, density=True, histtype="step", color=BLUE, label="if it never spiked")
    if layer.predicted is not None and layer.predicted.std > 0:
        v = np.linspace(low, high, 400)
        z = (v - layer.predicted.mean) / layer.predicted.std
        density = np.exp(-0.5 * z**2) / (layer.predicted.std * np.sqrt(2 * np.pi))
        axes.plot(v, density, color=ORANGE, linestyle="--", label="predicted")
    axes.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
    highest = 2 * max(patch.get_height() for patch in axes.patches if isinstance(patch, Rectangle))
    axes.set(
        xlim=(low, high),
        yscale="log",
        ylim=(1e-4 * highest, highest),
        xlabel="membrane potential [threshold]",
        ylabel="density",
    )
    axes.legend(frameon=False, fontsize=FONT_SIZE - 2)
    moments = layer.membrane
    _title(axes, f"{layer.name}: {moments.mean:.2f} ± {moments.std:.2f}")


def _rates(axes: "Axes", layer: "LayerDiagnosis") -> None:
    """Neurons by their rate."""
    rates = layer.rates_hz.numpy()
    highest = max(float(rates.max()), 1.0)
    axes.hist(rates, np.linspace(0, highest, 31).tolist(), weights=np.full(len(rates), 1 / len(rates)), color=BLUE)
    axes.axvline(float(rates.mean()), color=ORANGE, linestyle="--", linewidth=1, label=f"mean {rates.mean():.1f} Hz")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set(xlim=(0, highest), xlabel="rate [Hz]", ylabel="neurons")
    axes.legend(frameon=False, fontsize=FONT_SIZE - 2)
    _title(axes, f"{layer.silent:.0%} below {SILENT_HZ} Hz, {layer.saturated:.0%} saturated")


def _gradient(axes: "Axes", layer: "LayerDiagnosis", dt: float) -> None:
    """Norm of the gradient at every step, on a logarithmic axis."""
    norms = layer.step_norms.numpy()
    times = (np.arange(len(norms)) + 0.5) * dt
    there = norms > 0
    axes.plot(times[there], norms[there], color=BLUE)
    axes.set(xlim=(0, len(norms) * dt), xlabel="time [ms]", ylabel="norm of dL/dI[t]")
    if there.any():
        axes.set_yscale("log")
    _title(axes, "gradient of the loss")


def _back(axes: "Axes", layer: "LayerDiagnosis", dt: float) -> None:
    """How a gradient fares on its way back in time, and the line of which the gain is the slope."""
    norms = layer.back_norms.numpy()
    there = (norms > 0) & np.isfinite(norms)
    lags = np.arange(len(norms))[there]
    axes.plot(lags * dt, norms[there], color=BLUE)
    axes.set(xlim=(0, len(norms) * dt), xlabel="time back [ms]", ylabel="norm, relative")
    if len(lags) > 1:
        centre = np.log(norms[there]).mean() - np.log(layer.gain_per_step) * lags.mean()
        axes.plot(lags * dt, np.exp(centre + np.log(layer.gain_per_step) * lags), color=ORANGE, linestyle="--")
        axes.set_yscale("log")
    _title(axes, f"back in time: gain {layer.gain_per_step:.3f} a step, {layer.over_time}")


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, loc="left", fontsize=FONT_SIZE)
