"""The CPU engine: the scan over time by events, in compiled loops."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnrun.data.batch import EventBatch
from snnrun.engine.checks import Takes, check_inputs, check_stack
from snnrun.engine.cpu.derivatives import curve_of
from snnrun.engine.cpu.layout import Array, layout_of, tensors_of
from snnrun.engine.cpu.neurons import EQUATIONS
from snnrun.engine.cpu.scan import Inputs, Scan, to_tensor
from snnrun.engine.reference import current_of
from snnrun.engine.types import Layer, Readout, ScanResult
from snnrun.memory import blank

TAKES = Takes(
    "cpu", torch.device("cpu"), (torch.float32, torch.float64), lambda neuron: EQUATIONS[neuron.name].constants
)


class CpuEngine:
    """Events in, and work in proportion to events and spikes; see `snnrun.engine.cpu` for how.

    For inputs that are a tensor (batch, steps, inputs) torch computes the currents, an array (batch, steps, neurons);
    for events there is no such array.
    """

    name = "cpu"

    def scan(
        self,
        inputs: EventBatch | Tensor,
        layers: Sequence[Layer],
        readout: Readout | None,
        *,
        record: bool = False,
    ) -> ScanResult:
        """See `Engine.scan`."""
        check_stack(layers, readout, TAKES)
        check_inputs(inputs, layers, TAKES)
        if isinstance(inputs, Tensor) and layers[0].weight is not None:
            inputs = current_of(inputs, layers[0])
            layers = [replace(layers[0], weight=None, delays=None), *layers[1:]]
        current = inputs if isinstance(inputs, Tensor) else None
        tensors = [current, *tensors_of(layers, readout)]
        tensors += [None if layer.initial_state is None else torch.stack(layer.initial_state) for layer in layers]
        keep = torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)
        scan = _prepare(inputs, layers, readout, keep)
        active = torch.tensor([1.0 if layer.surrogate.cutoff == 0 else torch.nan for layer in layers]).double()
        output, *counts = _Scan.apply(_Call(scan, active, len(layers)), *tensors)  # type: ignore[no-untyped-call]
        return ScanResult(
            output=None if readout is None else output,
            counts=tuple(counts),
            spikes=tuple(_recorded(scan, k) for k in range(len(layers))) if record else None,
            active=active,
        )

    def unsupported(self, layers: Sequence[Layer]) -> str | None:
        """See `Engine.unsupported`."""
        for layer in layers:
            if layer.neuron.name not in EQUATIONS:
                return f"neuron {layer.neuron.name} has no fused equations"
            if curve_of(layer.surrogate) is None:
                return f"surrogate {layer.surrogate.name} has no fused derivative"
        if len({layer.neuron.name for layer in layers}) > 1:
            return "its layers are of different neuron models"
        return None


def _prepare(inputs: EventBatch | Tensor, layers: Sequence[Layer], readout: Readout | None, keep: bool) -> Scan:
    layout = layout_of(layers, readout)
    if isinstance(inputs, EventBatch):
        arrays = Inputs(
            inputs.pointer.contiguous().numpy(), inputs.unit.contiguous().numpy(),
            np.zeros((inputs.batch, 0, 0), layout.real),
        )  # fmt: skip
        return Scan(layers[0].neuron.name, layout, arrays, inputs.batch, inputs.steps, keep)
    current = inputs.detach().contiguous().numpy()
    arrays = Inputs(np.zeros(1, np.int64), np.zeros(0, np.int32), current)
    return Scan(layers[0].neuron.name, layout, arrays, len(inputs), inputs.shape[1], keep)


def _recorded(scan: Scan, layer: int) -> EventBatch:
    """The spikes of a layer over the whole batch."""
    pointers, units, total = [np.zeros(1, np.int64)], [], 0
    for block in scan.blocks:
        pointer, unit = scan.spikes[block].pointer[layer], scan.spikes[block].unit
        pointers.append(pointer[1:] - pointer[0] + total)
        units.append(unit[pointer[0] : pointer[-1]])
        total += len(units[-1])
    neurons = int(scan.layout.table[layer]["neurons"])
    return EventBatch(
        torch.from_numpy(np.concatenate(pointers)), torch.from_numpy(np.concatenate(units)), scan.batch, scan.steps,
        neurons,
    )  # fmt: skip


@dataclass(frozen=True)
class _Call:
    """What a call of the operation carries besides tensors."""

    scan: Scan
    active: Tensor
    layers: int


class _Scan(torch.autograd.Function):
    """The scan as an operation of torch.

    Tensors: the current that enters, those of `layout.tensors_of`, and the initial states (states, batch, neurons) of
    each layer; None where there is none. Results: output (batch, steps, outputs), and the counts of every layer.
    """

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        scan, table = call.scan, call.scan.layout.table
        flat = scan.layout.pack(tensors[1 : -call.layers])
        initial = [
            _padded_states(state, scan, int(layer["width"]))
            for state, layer in zip(tensors[-call.layers :], table, strict=True)
        ]
        output = blank(scan.output_shape, scan.layout.real)
        counts = [np.zeros((scan.batch, int(layer["neurons"])), scan.layout.real) for layer in table]
        scan.forward(flat, initial, output, counts)
        results = tuple(torch.from_numpy(array) for array in (output, *counts))
        if scan.keep:
            ctx.call, ctx.flat = call, flat
            # Only the gradient of the decays needs the output, which is large.
            # What is saved goes when the backward pass has run, and not only when nobody holds a result any more.
            ctx.tensors, kept = len(tensors), [torch.from_numpy(array) for array in scan.take()]
            ctx.save_for_backward(results[0] if scan.layout.readout["trained"] else None, *tensors, *kept)
            ctx.set_materialize_grads(False)
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor | None, *grad_counts: Tensor | None) -> tuple[Tensor | None, ...]:
        scan, layers = ctx.call.scan, ctx.call.layers
        output, *saved = ctx.saved_tensors
        tensors, arrays = saved[: ctx.tensors], [array.numpy() for array in saved[ctx.tensors :]]
        real = scan.layout.real
        given = np.zeros(scan.output_shape, real) if grad_output is None else grad_output.contiguous().numpy()
        kept = np.zeros((scan.batch, 0, 0), real) if output is None else output.numpy()
        current = tensors[0]
        shape = (scan.batch, 0, 0) if current is None or not current.requires_grad else current.shape
        grad_current = np.empty(shape, real)
        panels = scan.layout.pack_panels(ctx.flat)
        scan.put(arrays)
        grads = scan.backward(ctx.flat, panels, kept, given, _joined_counts(scan, grad_counts), grad_current)
        scan.take()
        _report_active(ctx.call, grads.active)
        parts = [None if place is None else to_tensor(place.part(grads.flat)) for place in scan.layout.places]
        initial = [
            None if tensor is None else to_tensor(grad)
            for tensor, grad in zip(tensors[-layers:], grads.initial, strict=True)
        ]
        return None, torch.from_numpy(grad_current) if shape[1] else None, *parts, *initial


def _padded_states(state: Tensor | None, scan: Scan, width: int) -> Array:
    """Initial states (states, batch, width) from (states, batch, neurons); empty for none."""
    if state is None:
        return np.zeros((scan.states, scan.batch, 0), scan.layout.real)
    rows = np.zeros((scan.states, scan.batch, width), scan.layout.real)
    rows[:, :, : state.shape[2]] = state.detach().numpy()
    return rows


def _joined_counts(scan: Scan, grads: Sequence[Tensor | None]) -> Array:
    """Gradients of the counts side by side, (batch, total width); no columns where none is given."""
    if all(grad is None for grad in grads):
        return np.zeros((scan.batch, 0), scan.layout.real)
    rows = np.zeros((scan.batch, scan.layout.total_width), scan.layout.real)
    for layer, grad in zip(scan.layout.table, grads, strict=True):
        if grad is not None:
            rows[:, layer["below"] : layer["below"] + layer["neurons"]] = grad.numpy()
    return rows


def _report_active(call: _Call, active: Any) -> None:
    table = call.scan.layout.table
    for k, layer in enumerate(table):
        if torch.isnan(call.active[k]):
            call.active[k] = active[k] / (call.scan.batch * call.scan.steps * layer["neurons"])
