"""The diagnosis of a network before training: will it spike, where do its potentials lie, do gradients reach the start?

One batch goes through the reference engine, whose steps can be watched; forward and backward, nothing is changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from snnrun.config import Config
from snnrun.data.batch import EventBatch
from snnrun.engine.probe import Probe, last_input_step
from snnrun.init.kernel import potential
from snnrun.learning import Task
from snnrun.learning.base import loss_of
from snnrun.network import expected_potential
from snnrun.preflight import SATURATED_SHARE, SILENT_HZ, check_first_batch, gradient_norms

STEADY = 1e3  # a gradient that changes by less than this factor over the sample neither vanishes nor explodes


@dataclass(frozen=True)
class Moments:
    """Mean of a membrane potential, and its standard deviation over time and samples; both in thresholds."""

    mean: float
    std: float

    @classmethod
    def of(cls, potential: Tensor) -> "Moments":
        """Those of (batch, steps, neurons): the mean over everything, the root of the mean variance of a neuron."""
        flat = potential.double().flatten(0, 1)
        return cls(float(flat.mean()), math.sqrt(float(flat.var(0, correction=0).mean())))


@dataclass(frozen=True)
class LayerDiagnosis:
    """What one hidden layer does on the batch.

    Attributes:
        name: hidden1, hidden2, ...
        rates_hz: mean rate of each neuron, (neurons,).
        silent: share of neurons below 0.1 Hz.
        saturated: share of neurons that spike in more than half of the steps.
        potential: the potential before the reset, (batch, steps, neurons), relative to a threshold of 1.
        free: what the potential would be with the same input and recurrent spikes if the neurons did not spike
            themselves, which is what schemes of initialisation predict; same shape.
        predicted: the scheme's prediction for `free`, or None where it has none.
        grad_norm: norm of the loss's gradient with respect to all parameters of the layer.
        step_norms: (steps,) norm over samples and neurons of the loss's gradient with respect to the input current of
            each step, everything that follows from that current included.
        back_norms: how a gradient fares on its way back in time within the layer: that of a random combination of
            potentials in the last step in which a sample has input, with respect to the current so many steps before
            (0, 1, ...); root mean square over samples, relative to that of the same step.
    """

    name: str
    rates_hz: Tensor
    silent: float
    saturated: float
    potential: Tensor
    free: Tensor
    predicted: Moments | None
    grad_norm: float
    step_norms: Tensor
    back_norms: Tensor

    @property
    def membrane(self) -> Moments:
        """Moments of `potential`."""
        return Moments.of(self.potential)

    @property
    def free_membrane(self) -> Moments:
        """Moments of `free`."""
        return Moments.of(self.free)

    @property
    def gain_per_step(self) -> float:
        """Factor by which a gradient grows with each step back in time: below 1 it shrinks; NaN where there is none.

        The slope of a straight line through the logarithms of `back_norms`.
        """
        there = (self.back_norms > 0) & self.back_norms.isfinite()
        lags = there.nonzero().flatten().double()
        if len(lags) < 2:
            return math.nan
        logs, centred = self.back_norms[there].double().log(), lags - lags.mean()
        return math.exp(float((centred * logs).sum() / centred.square().sum()))

    @property
    def over_time(self) -> str:
        """What becomes of a gradient on its way back through the whole sample: steady, vanishes or explodes; none."""
        if math.isnan(self.gain_per_step):
            return "none"
        whole = math.log(self.gain_per_step) * (len(self.step_norms) - 1)
        if abs(whole) < math.log(STEADY):
            return "steady"
        return "explodes" if whole > 0 else "vanishes"


@dataclass(frozen=True)
class Diagnosis:
    """What a network does on one batch before it is trained.

    Attributes:
        layers: the hidden layers.
        readout_norm: gradient norm of the readout's parameters.
        samples, steps, dt: size of the batch, and the width of a step in ms.
        warnings: what will hinder learning, a line each.
    """

    layers: tuple[LayerDiagnosis, ...]
    readout_norm: float
    samples: int
    steps: int
    dt: float
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures as plain numbers, for diagnosis.json."""
        return {
            "samples": self.samples,
            "steps": self.steps,
            "dt_ms": self.dt,
            "layers": {layer.name: _layer_json(layer) for layer in self.layers},
            "readout": {"grad_norm": self.readout_norm},
            "warnings": list(self.warnings),
        }

    def scalars(self) -> dict[str, float | None]:
        """The figures by their TensorBoard tags."""
        found: dict[str, float | None] = {"grad_norm/readout": self.readout_norm}
        for layer in self.layers:
            found[f"rate_hz/{layer.name}"] = float(layer.rates_hz.mean())
            found[f"silent/{layer.name}"] = layer.silent
            found[f"saturated/{layer.name}"] = layer.saturated
            found[f"membrane_mean/{layer.name}"] = layer.membrane.mean
            found[f"membrane_std/{layer.name}"] = layer.membrane.std
            found[f"grad_norm/{layer.name}"] = layer.grad_norm
            gain = layer.gain_per_step
            found[f"grad_gain/{layer.name}"] = None if math.isnan(gain) else gain
        return found

    def table(self) -> list[str]:
        """The figures as the lines of a table, a column for each layer."""
        import io

        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table("", *(layer.name for layer in self.layers), "readout", box=box.SIMPLE_HEAD)
        for column in table.columns[1:]:
            column.justify = "right"
        for title, cells in _rows(self.layers, self.readout_norm):
            table.add_row(title, *cells)
        text = io.StringIO()
        Console(file=text, width=60 + 14 * len(self.layers), color_system=None).print(table)
        return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]


def diagnose(config: Config, task: Task, inputs: EventBatch, labels: Tensor) -> Diagnosis:
    """Run a batch forward and backward and look at every layer; the network stays as it is.

    Args:
        config: for the prediction of its scheme, and the bins.
        task: for its network and its loss, which is that of backpropagation through time.
        inputs, labels: the batch, where the network is.
    """
    network, probe = task.network, Probe()
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    network.eval()  # without dropout
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.train()  # it normalises the batch, as it knows no other yet
    network.zero_grad(set_to_none=True)
    output = network(inputs, probe)
    loss = loss_of(output, labels, task)
    if loss.requires_grad:
        loss.backward(retain_graph=True)
    norms = gradient_norms(network)
    ends = last_input_step(inputs)
    counts = [layer.detach() for layer in output.counts]
    layers = []
    for number, name in enumerate(network.layer_names()):
        record = probe.records[number]  # a spiking readout has the last one
        rates, per_step = counts[number].double().mean(0).cpu() / task.duration_s, counts[number].double().mean(0)
        expected = expected_potential(config, network, number)
        layers.append(
            LayerDiagnosis(
                name=name,
                rates_hz=rates,
                silent=float((rates < SILENT_HZ).double().mean()),
                saturated=float((per_step / inputs.steps > SATURATED_SHARE).double().mean()),
                potential=record.potential().cpu(),
                free=potential(record.neuron, record.current().double()).cpu(),
                predicted=None if expected is None else Moments(*expected),
                grad_norm=norms[name],
                step_norms=record.step_norms().cpu(),
                back_norms=record.back_norms(ends).cpu(),
            )
        )
    warnings = tuple(check_first_batch(network, counts, norms, inputs.steps, task.duration_s))
    network.zero_grad(set_to_none=True)
    for buffer, before in buffers:
        buffer.copy_(before)  # what the normalisation has seen does not count as training
    return Diagnosis(tuple(layers), norms["readout"], inputs.batch, inputs.steps, config.dataset.dt, warnings)


def _layer_json(layer: LayerDiagnosis) -> dict[str, Any]:
    free, predicted = layer.free_membrane, layer.predicted
    return {
        "rate_hz": float(layer.rates_hz.mean()),
        "silent": layer.silent,
        "saturated": layer.saturated,
        "membrane": _moments_json(layer.membrane),
        "membrane_without_spikes": _moments_json(free),
        "membrane_predicted": None if predicted is None else _moments_json(predicted),
        "grad_norm": layer.grad_norm,
        "grad_gain_per_step": layer.gain_per_step,
        "grad_over_time": layer.over_time,
        "grad_norm_by_step": layer.step_norms.tolist(),
        "grad_norm_by_steps_back": layer.back_norms.tolist(),
    }


def _moments_json(moments: Moments) -> Mapping[str, float]:
    return {"mean": moments.mean, "std": moments.std}


def _rows(layers: Sequence[LayerDiagnosis], readout_norm: float) -> list[tuple[str, list[str]]]:
    """Title and cells of every row of the table."""

    def moments(found: Moments | None) -> str:
        return "" if found is None else f"{found.mean:.2f} ± {found.std:.2f}"

    rows = [
        ("mean rate [Hz]", [f"{float(layer.rates_hz.mean()):.1f}" for layer in layers]),
        (f"silent neurons (below {SILENT_HZ} Hz)", [f"{layer.silent:.0%}" for layer in layers]),
        ("saturated neurons (over half of the steps)", [f"{layer.saturated:.0%}" for layer in layers]),
        ("membrane [thresholds]", [moments(layer.membrane) for layer in layers]),
        ("  if it never spiked", [moments(layer.free_membrane) for layer in layers]),
    ]
    if any(layer.predicted for layer in layers):
        rows.append(("  so predicted by the scheme", [moments(layer.predicted) for layer in layers]))
    rows += [
        ("gradient norm", [*(f"{layer.grad_norm:.2e}" for layer in layers), f"{readout_norm:.2e}"]),
        ("a gradient's gain per step back in time", [f"{layer.gain_per_step:.3f}" for layer in layers]),
        (f"  over {len(layers[0].step_norms)} steps it", [layer.over_time for layer in layers]),
    ]
    return rows
