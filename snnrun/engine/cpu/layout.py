"""How the tensors of a stack of layers lie in memory while the CPU engine works on them.

All weights and constants are rows of one flat array, and so are their gradients; rows are padded to whole panels. A
record for each layer says where, so that the compiled loops take a stack of any depth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snnrun.engine.cpu.compile import inner_function
from snnrun.engine.cpu.derivatives import curve_of, reach_of
from snnrun.engine.cpu.late import padded_taps
from snnrun.engine.cpu.neurons import EQUATIONS, Rules
from snnrun.engine.cpu.simd import LANES, TILE_BYTES
from snnrun.engine.types import Arrivals, Layer, Readout
from snnrun.memory import zeros_in_large_pages

Array = NDArray[np.generic]

SAME_SET = 512  # numbers; see `padded`


def layer_type(real: np.dtype[np.generic]) -> np.dtype[np.void]:
    """The record of a layer.

    neurons, width: neurons, and how many places a row has (a multiple of a panel). inputs: rows of the weights, 0 if a
    current enters. senders: rows of the recurrent weights, 0 if there are none. weight, recurrent, constants: where
    they begin in the flat array. below: sum of the widths of the layers below. recurrent_panels, above_panels: where
    the packed transposed weights begin through which this layer's spikes act. send_back: whether the gradient flows
    through recurrent spikes that are not delayed. carries: whether it flows from a step to the spikes before it within
    a neuron. trained: whether a constant needs a gradient. remembers: whether the adjoint needs the states in any case.
    taps, recurrent_taps: bins in which a delayed spike arrives, 0 without delays; each weight then is that many
    numbers. offsets, recurrent_offsets: where the delays begin. late: whether any is delayed. send_late: whether the
    gradient flows through delayed recurrent spikes. curve ... reach: the surrogate.
    """
    whole = [
        "neurons", "width", "inputs", "senders", "constant_rows", "weight", "recurrent", "constants", "below",
        "recurrent_panels", "above_panels", "send_back", "carries", "trained", "remembers", "taps", "recurrent_taps",
        "offsets", "recurrent_offsets", "late", "send_late", "curve",
    ]  # fmt: skip
    broken = ["one", "to_zero", "by_one", "through", "slope", "height", "side", "threshold", "reach"]
    return np.dtype([(name, np.int64) for name in whole] + [(name, real) for name in broken], align=True)


READOUT = np.dtype([(name, np.int64) for name in ("senders", "outputs", "width", "weight", "decays", "trained")])


@inner_function
def matrix(flat, start, rows, columns):  # type: ignore[no-untyped-def]
    """The (rows, columns) matrix that begins at `start` of a flat array."""
    return flat[start : start + rows * columns].reshape(rows, columns)


@inner_function
def rules_of(layer):  # type: ignore[no-untyped-def]
    """The reset rules of a layer's record."""
    return Rules(layer.one, layer.to_zero, layer.by_one, layer.through)


def padded(count: int) -> int:
    """Places in a row for `count` numbers.

    Rows are never a multiple of 2 KB (of 32-bit numbers) apart: the same column of all rows of a tile would fall into
    one or two sets of the first-level cache, and they would drive one another out of it.
    """
    places = -(-count // LANES) * LANES
    return places + LANES if places and places % SAME_SET == 0 else places


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in the flat array: (rows, columns) of it in rows of `width` from `start` on."""

    start: int
    rows: int
    columns: int
    width: int

    def view(self, flat: Array) -> Array:
        """The padded matrix in a flat array."""
        return flat[self.start : self.start + self.rows * self.width].reshape(self.rows, self.width)

    def part(self, flat: Array) -> Array:
        """The matrix without its padding."""
        return self.view(flat)[:, : self.columns]


@dataclass(frozen=True)
class Layout:
    """Layout of a stack.

    Attributes:
        table: a record for each layer, see `layer_type`.
        readout: record of the readout, of type READOUT; outputs 0 if there is none.
        places: for each layer those of weight, recurrent, constants; at last readout weight and decays. None: absent.
        size: length of the flat array.
        panels: length of the array of packed transposed weights.
        delays: steps to the first bin of every delayed connection, (senders, width) of one matrix after the other.
        span: steps that a spike may take to its last bin; 0 without delays.
    """

    table: NDArray[np.void]
    readout: np.void
    places: list[Place | None]
    size: int
    panels: int
    delays: list[NDArray[np.int32]]
    span: int

    @property
    def real(self) -> np.dtype[np.generic]:
        """Type of the numbers."""
        return self.table.dtype["one"]

    @property
    def total_width(self) -> int:
        """Sum of the widths of all layers."""
        return int(self.table["width"].sum())

    def pack(self, tensors: Sequence[Tensor | None]) -> Array:
        """The flat array of the tensors, given in the order of `places`."""
        flat = zeros_in_large_pages(self.size, self.real)
        for place, tensor in zip(self.places, tensors, strict=True):
            if place is not None and tensor is not None:
                place.part(flat)[:] = tensor.detach().numpy().reshape(place.rows, place.columns)
        return flat

    def pack_panels(self, flat: Array) -> Array:
        """The transposed weights in tiles of columns, (depth, columns of a tile) one after the other.

        They are as `products.multiply` takes them: all but the last of TILE_BYTES.
        """
        packed = np.empty(self.panels, self.real)
        for k, layer in enumerate(self.table):
            own = self.places[3 * k + 1] if layer["recurrent_taps"] == 0 else None
            delayed_above = k + 1 < len(self.table) and self.table[k + 1]["taps"] > 0
            above = None if delayed_above else self.places[3 * k + 3]
            for place, start in ((own, layer["recurrent_panels"]), (above, layer["above_panels"])):
                if place is not None:
                    self.pack_one(place, flat, packed, int(start), int(layer["width"]))
        return packed

    def pack_one(self, place: Place, flat: Array, packed: Array, start: int, width: int) -> None:
        """Pack the transposed weights at `place` in `flat` into `packed` from `start` on, for rows of `width`."""
        wide = TILE_BYTES // self.real.itemsize
        square = np.zeros((place.columns, width), self.real)
        square[:, : place.rows] = place.part(flat).T
        for column in range(0, width, wide):
            tile = square[:, column : column + wide]
            packed[start + column * place.columns :][: tile.size] = tile.reshape(-1)


def layout_of(layers: Sequence[Layer], readout: Readout | None) -> Layout:
    """Lay out a stack, whose shapes have been checked."""
    real = np.dtype(str(layers[0].constants[0].dtype).removeprefix("torch."))
    table = np.zeros(len(layers), layer_type(real))
    places: list[Place | None] = []
    delays: list[NDArray[np.int32]] = []
    size = panels = below = span = offsets = 0

    def put(rows: int, columns: int, width: int) -> Place:
        nonlocal size
        places.append(Place(size, rows, columns, width))
        size += rows * width
        return places[-1]  # type: ignore[return-value]

    def taps_of(arrivals: Arrivals | None, neurons: int, width: int) -> int:
        nonlocal span, offsets
        if arrivals is None:
            return 0
        bins = arrivals.share.shape[-1]
        start = np.zeros((len(arrivals.start), width), np.int32)
        start[:, :neurons] = arrivals.start.numpy()
        delays.append(start)
        offsets += start.size
        span = max(span, arrivals.lags + padded_taps(bins) - bins + 1)
        return padded_taps(bins)

    for k, layer in enumerate(layers):
        record = table[k]
        neurons, width = layer.size, padded(layer.size)
        record["neurons"], record["width"], record["below"] = neurons, width, below
        below += width
        if layer.weight is None:
            places.append(None)
        else:
            record["inputs"], record["offsets"] = len(layer.weight), offsets
            record["taps"] = taps = taps_of(layer.delays, neurons, width)
            record["weight"] = put(len(layer.weight), neurons * max(taps, 1), width * max(taps, 1)).start
        if layer.recurrent is None:
            places.append(None)
        else:
            record["senders"], record["recurrent_offsets"] = neurons, offsets
            record["recurrent_taps"] = taps = taps_of(layer.recurrent_delays, neurons, width)
            record["recurrent"] = put(neurons, neurons * max(taps, 1), width * max(taps, 1)).start
            record["recurrent_panels"], panels = panels, panels + width * neurons
        record["constant_rows"] = len(layer.constants)
        record["constants"] = put(len(layer.constants), neurons, width).start
        depth = layers[k + 1].size if k + 1 < len(layers) else 0 if readout is None else readout.weight.shape[1]
        record["above_panels"], panels = panels, panels + width * depth
        back = layer.recurrent is not None and not layer.detach_recurrent
        record["send_late"] = back and record["recurrent_taps"] > 0
        record["send_back"] = back and record["recurrent_taps"] == 0
        record["late"] = record["taps"] > 0 or record["recurrent_taps"] > 0
        record["carries"] = not layer.neuron.detach_reset or EQUATIONS[layer.neuron.name].spikes_act
        record["remembers"] = EQUATIONS[layer.neuron.name].remembers
        record["trained"] = any(constant.requires_grad for constant in layer.constants)
        _set_numbers(record, layer)
    record = np.zeros(1, READOUT)[0]
    if readout is None:
        places += [None, None]
    else:
        senders, outputs = readout.weight.shape
        width = padded(outputs)
        record["senders"], record["outputs"], record["width"] = senders, outputs, width
        record["weight"] = put(senders, outputs, width).start
        record["decays"] = put(2, outputs, width).start
        record["trained"] = readout.decay_mem.requires_grad or readout.decay_syn.requires_grad
    return Layout(table, record, places, size, panels, delays, span)


def _set_numbers(record: np.void, layer: Layer) -> None:
    curve = curve_of(layer.surrogate)
    assert curve is not None
    record["curve"], record["slope"], record["height"], record["side"] = curve
    record["threshold"] = layer.surrogate.cutoff * layer.surrogate.peak
    record["reach"] = reach_of(layer.surrogate) if record["threshold"] > 0 else np.inf
    record["one"] = 1
    record["to_zero"] = layer.neuron.reset == "zero"
    record["by_one"] = layer.neuron.reset == "subtract"
    record["through"] = not layer.neuron.detach_reset


def tensors_of(layers: Sequence[Layer], readout: Readout | None) -> list[Tensor | None]:
    """The tensors of a stack in the order of `Layout.places`; constants and decays stacked to matrices."""
    tensors: list[Tensor | None] = []
    for layer in layers:
        weights = delayed(layer.weight, layer.delays), delayed(layer.recurrent, layer.recurrent_delays)
        tensors += [*weights, torch.stack(layer.constants)]
    if readout is None:
        return [*tensors, None, None]
    return [*tensors, readout.weight, torch.stack((readout.decay_mem, readout.decay_syn))]


def delayed(weight: Tensor | None, arrivals: Arrivals | None) -> Tensor | None:
    """Weights (senders, neurons) as what arrives in each bin, (senders, neurons * taps); themselves without delays."""
    if weight is None or arrivals is None:
        return weight
    bins = arrivals.share.shape[-1]
    return functional.pad(weight.unsqueeze(-1) * arrivals.share, (0, padded_taps(bins) - bins)).flatten(1)
