"""The edge of a fused engine: what is checked here once need not be checked in the loops."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Arrivals, Layer, Readout
from snnrun.errors import UserError
from snnrun.neurons.base import Neuron


@dataclass(frozen=True)
class Takes:
    """What an engine takes.

    Attributes:
        engine: its name, for messages.
        device: where all tensors must be.
        types: the types of numbers it computes in.
        constants: how many constants the equations of a neuron have.
    """

    engine: str
    device: torch.device
    types: tuple[torch.dtype, ...]
    constants: Callable[[Neuron], int]


def check_stack(layers: Sequence[Layer], readout: Readout | None, takes: Takes) -> None:
    """Raise UserError unless shapes, types and devices of all tensors of a stack fit each other and the engine."""
    if not layers:
        raise UserError(f"engine={takes.engine}: there must be at least one layer")
    for number, layer in enumerate(layers, 1):
        given, expected = len(layer.constants), takes.constants(layer.neuron)
        if given != expected:
            raise UserError(f"layer {number} has {given} constants; {layer.neuron.name} has {expected}")
    real = layers[0].constants[0].dtype
    if real not in takes.types:
        allowed = " and ".join(_name(kind) for kind in takes.types)
        raise UserError(f"engine={takes.engine}: numbers are {_name(real)}; allowed are {allowed}")
    below: int | None = None
    for number, layer in enumerate(layers, 1):
        _check_layer(f"layer {number}", layer, below)
        below = layer.size
    if readout is not None:
        outputs = readout.weight.shape[-1]
        _check_shape("readout weight", readout.weight, (below or 0, outputs))
        _check_shape("readout decay_mem", readout.decay_mem, (outputs,))
        _check_shape("readout decay_syn", readout.decay_syn, (outputs,))
    for name, tensor in _tensors(layers, readout):
        _check_tensor(name, tensor, real, takes)


def check_inputs(inputs: EventBatch | Tensor, layers: Sequence[Layer], takes: Takes) -> None:
    """Raise UserError unless the inputs are sound and fit the first layer: no loop reads beyond an array then."""
    if isinstance(inputs, EventBatch):
        _check_events(inputs, layers[0], takes)
        _check_states(inputs.batch, layers)
        return
    if inputs.dim() != 3 or 0 in inputs.shape[:2]:
        raise UserError(
            f"inputs are {_shape(inputs)}; must be (batch, steps, inputs), with a sample and a step at least"
        )
    expected = layers[0].size if layers[0].weight is None else len(layers[0].weight)
    if inputs.shape[2] != expected:
        raise UserError(f"inputs are {_shape(inputs)}; the first layer takes (batch, steps, {expected})")
    _check_tensor("inputs", inputs, layers[0].constants[0].dtype, takes)
    if not bool(torch.isfinite(inputs).all()):
        raise UserError("inputs contain NaN or infinity; they must be finite numbers")
    _check_states(len(inputs), layers)


def _check_events(events: EventBatch, layer: Layer, takes: Takes) -> None:
    if layer.weight is None:
        raise UserError("inputs are events, so the first layer must have a weight")
    if events.batch < 1 or events.steps < 1:
        raise UserError(
            f"inputs are {events.batch} samples of {events.steps} steps; there must be one of each at least"
        )
    if len(layer.weight) != events.channels:
        raise UserError(f"inputs have {events.channels} channels; the first layer takes {len(layer.weight)}")
    for name, tensor, kind in (("pointer", events.pointer, torch.int64), ("unit", events.unit, torch.int32)):
        if tensor.dim() != 1 or tensor.dtype != kind or tensor.device != takes.device:
            raise UserError(
                f"the events' {name} is {_name(tensor.dtype)} {_shape(tensor)} on {tensor.device};"
                f" must be {_name(kind)} of one dimension on {takes.device}"
            )
    pointer, unit = events.pointer, events.unit
    if len(pointer) != events.batch * events.steps + 1:
        raise UserError(f"the events' pointer has {len(pointer)} entries; must be {events.batch} * {events.steps} + 1")
    if pointer[0] < 0 or pointer[-1] > len(unit) or bool((pointer[1:] < pointer[:-1]).any()):
        raise UserError(f"the events' pointer must rise from 0 to at most the number of events, {len(unit)}")
    if len(unit):
        lowest, highest = (int(bound) for bound in torch.aminmax(unit))
        if lowest < 0 or highest >= events.channels:
            raise UserError(f"events are of units {lowest} to {highest}; allowed are 0 to {events.channels - 1}")


def _check_layer(name: str, layer: Layer, below: int | None) -> None:
    neurons = layer.size
    if neurons == 0:
        raise UserError(f"{name} has no neurons")
    for k, constant in enumerate(layer.constants, 1):
        _check_shape(f"constant {k} of {name}", constant, (neurons,))
    if layer.weight is None:
        if below is not None:
            raise UserError(f"{name} has no weight; only the first layer can do without")
    else:
        _check_shape(f"weight of {name}", layer.weight, (len(layer.weight) if below is None else below, neurons))
    if layer.recurrent is not None:
        _check_shape(f"recurrent weight of {name}", layer.recurrent, (neurons, neurons))
    _check_arrivals(f"delays of {name}", layer.delays, layer.weight)
    _check_arrivals(f"recurrent delays of {name}", layer.recurrent_delays, layer.recurrent)


def _check_arrivals(name: str, arrivals: Arrivals | None, weight: Tensor | None) -> None:
    if arrivals is None:
        return
    if weight is None:
        raise UserError(f"{name}: there are no such weights")
    senders, neurons = weight.shape
    columns = 1 if arrivals.start.shape[-1] == 1 else neurons
    _check_shape(f"start of the {name}", arrivals.start, (senders, columns))
    _check_shape(f"share of the {name}", arrivals.share, (senders, columns, arrivals.share.shape[-1]))
    if arrivals.start.dtype != torch.int64:
        raise UserError(f"start of the {name} is {_name(arrivals.start.dtype)}; must be int64")
    lowest, highest = (int(bound) for bound in torch.aminmax(arrivals.start))
    if lowest < 0 or highest + arrivals.share.shape[-1] > arrivals.lags:
        raise UserError(f"{name} start at {lowest} to {highest} steps; must be from 0 to {arrivals.lags} less the bins")


def _check_states(batch: int, layers: Sequence[Layer]) -> None:
    for number, layer in enumerate(layers, 1):
        given, expected = layer.initial_state, len(layer.neuron.states)
        if given is not None and len(given) != expected:
            raise UserError(f"the initial state of layer {number} has {len(given)} variables; must be {expected}")
        for k, state in enumerate(given or (), 1):
            _check_shape(f"initial state {k} of layer {number}", state, (batch, layer.size))


def _tensors(layers: Sequence[Layer], readout: Readout | None) -> Iterator[tuple[str, Tensor]]:
    for number, layer in enumerate(layers, 1):
        named = [("weight", layer.weight), ("recurrent weight", layer.recurrent)]
        named += [
            ("share of the delays", late.share) for late in (layer.delays, layer.recurrent_delays) if late is not None
        ]
        named += [("constant", constant) for constant in layer.constants]
        named += [("initial state", state) for state in layer.initial_state or ()]
        yield from ((f"{name} of layer {number}", tensor) for name, tensor in named if tensor is not None)
    if readout is not None:
        for name in ("weight", "decay_mem", "decay_syn"):
            yield f"readout {name}", getattr(readout, name)


def _check_tensor(name: str, tensor: Tensor, real: torch.dtype, takes: Takes) -> None:
    if tensor.device != takes.device:
        raise UserError(f"{name} is on {tensor.device}; engine={takes.engine} takes all tensors on {takes.device} here")
    if tensor.dtype != real:
        raise UserError(
            f"{name} is {_name(tensor.dtype)}; the constants of the neurons are {_name(real)}, all must agree"
        )


def _check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise UserError(f"{name} is {_shape(tensor)}; must be {shape}")


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
