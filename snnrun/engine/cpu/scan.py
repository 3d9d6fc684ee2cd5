"""A scan and its backward pass over all blocks of a batch: from tensors to compiled loops and back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snnrun.engine.cpu.adjoint import MOST_LISTED
from snnrun.engine.cpu.backward import layer_retreat, work_size
from snnrun.engine.cpu.blocks import Block, blocks_of, checkpoint_interval, groups_of, run_all
from snnrun.engine.cpu.forward import layer_scan
from snnrun.engine.cpu.layout import Array, Layout
from snnrun.engine.cpu.neurons import EQUATIONS
from snnrun.engine.cpu.readout import scan_readout
from snnrun.engine.cpu.rows import row_loops
from snnrun.memory import blank

CURRENT_BYTES = 128_000_000  # as much as 1000 steps of 128 samples of 200 neurons take
# Of the currents that are summed at once: input and recurrent weights then drive one another out of the cache less.
DRIVE_BYTES = 2**17
LISTED_SHARE = 8  # one of so many neuron-steps may be active for the active ones to be listed
LATE_STEPS = 100  # of a chunk with delays, at least

Indices = NDArray[np.int64]
Units = NDArray[np.int32]


@cache
def kernels(model: str, late: bool) -> tuple[Any, Any]:
    """The compiled forward and backward scan of a neuron model, `late` with delays."""
    equations = EQUATIONS[model]
    loops = row_loops(equations)
    return layer_scan(model, loops, late), layer_retreat(model, loops, equations.states, late)


@dataclass(frozen=True)
class Inputs:
    """What enters the first layer: events (see `EventBatch`), or currents (batch, steps, neurons)."""

    pointer: Indices
    unit: Units
    current: Array


@dataclass(frozen=True)
class Spikes:
    """Spikes of all layers for a block: those of (m, t) at pointer[layer, m * steps + t] of unit, and the next."""

    pointer: Indices
    unit: Units


@dataclass(frozen=True)
class Active:
    """Neurons near the threshold, laid out as `Spikes` are, and their surrogate derivatives, 0 where cut.

    pointer[layer, 0] is -1 where those of a layer are not listed.
    """

    pointer: Indices
    unit: NDArray[np.uint16]
    derivative: Array


@dataclass
class Scan:
    """One scan of a stack of layers: what is fixed before it begins, and what is kept for the backward pass.

    Attributes:
        model: name of the neuron model.
        layout: of the stack.
        inputs: what enters.
        batch, steps: size of the batch.
        keep: whether there will be a backward pass.
        checkpoints: for each block the states before the first step of every chunk, flat, layer after layer.
        readout_checkpoints: for each block that of the readout, where its decays are trained.
        spikes: of each block.
        active: of each block. What is listed needs no checkpoints.
        currents: of each block (samples, steps, width) of one layer after the other, flat; empty where they are not
            kept. Only with delays, where they cost more than with rows of weights, and only CURRENT_BYTES of them.
    """

    model: str
    layout: Layout
    inputs: Inputs
    batch: int
    steps: int
    keep: bool
    checkpoints: dict[Block, Array] = field(default_factory=dict)
    readout_checkpoints: dict[Block, Array] = field(default_factory=dict)
    spikes: dict[Block, Spikes] = field(default_factory=dict)
    active: dict[Block, Active] = field(default_factory=dict)
    currents: dict[Block, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        widest = int(self.layout.table["width"].max())
        self.states = EQUATIONS[self.model].states
        self.blocks = blocks_of(self.batch, widest)
        span = self.layout.span
        usual = checkpoint_interval(self.steps, self.blocks[0].padded_samples * widest * self.layout.real.itemsize)
        # With delays a chunk looks `span` steps beyond its end, and back where currents are not kept; a sender's spikes
        # in it are sent together.
        self.interval = min(self.steps, max(usual, 4 * span, LATE_STEPS if span else 1))
        currents = self.batch * self.steps * self.layout.total_width * self.layout.real.itemsize
        self.keep_currents = span > 0 and self.keep and currents <= CURRENT_BYTES
        # Steps of a row of what is on its way, see `late`; no power of two, as rows then would share cache lines.
        looks = span if self.keep_currents else 2 * span
        self.pitch = 0 if span == 0 else (self.interval + looks + 1) // 16 * 16 + 24
        self.offsets = np.concatenate([np.zeros(0, np.int32), *(self._offsets(start) for start in self.layout.delays)])
        self.chunks = -(-self.steps // self.interval)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(batch, steps, outputs) of the readout; 0 outputs without one."""
        return self.batch, self.steps, int(self.layout.readout["outputs"])

    def take(self) -> list[Array]:
        """Take out the large arrays that `forward` kept, so that whoever holds them can let them go."""
        kept: list[Array] = []
        for block in self.blocks:
            active = self.active.pop(block)
            kept += [active.pointer, active.unit, active.derivative, self.checkpoints.pop(block)]
            kept.append(self.currents.pop(block))
        return kept

    def put(self, kept: Sequence[Array]) -> None:
        """Put back what `take` gave."""
        for k, block in enumerate(self.blocks):
            pointer, unit, derivative, self.checkpoints[block], self.currents[block] = kept[5 * k : 5 * k + 5]
            self.active[block] = Active(pointer, unit, derivative)  # type: ignore[arg-type]

    def _offsets(self, start: NDArray[np.int32]) -> NDArray[np.int32]:
        """Places of the first bins in rows of time, for delays (senders, width) in steps; flat."""
        rows = np.arange(start.shape[1], dtype=np.int32) * np.int32(self.pitch)
        return (start + rows).reshape(-1)

    def forward(self, flat: Array, initial: Sequence[Array], output: Array, counts: Sequence[Array]) -> None:
        """Run all blocks.

        Args:
            flat: weights and constants, see `Layout`.
            initial: for each layer (states, batch, width), or empty.
            output: (batch, steps, outputs) gets the readout; 0 outputs without one.
            counts: for each layer (batch, neurons), zeros; gets the number of spikes.
        """
        for _ in run_all(lambda block: self._forward_block(block, flat, initial, output, counts), self.blocks):
            pass

    def _forward_block(
        self, block: Block, flat: Array, initial: Sequence[Array], output: Array, counts: Sequence[Array]
    ) -> None:
        scan, _ = kernels(self.model, self.layout.span > 0)
        samples, real, table = block.samples, self.layout.real, self.layout.table
        part = slice(block.first, block.last)
        checkpoints = blank(self.states * samples * self.chunks * self.layout.total_width * self.keep, real)
        pointers = np.zeros((len(table), samples * self.steps + 1), np.int64)
        currents = blank(samples * self.steps * self.layout.total_width * self.keep_currents, real)
        lists: list[Units] = []
        active_pointers = np.zeros_like(pointers)
        active_lists: list[tuple[NDArray[np.uint16], Array]] = []
        pointer, unit, start = self.inputs.pointer, self.inputs.unit, block.first * self.steps
        for k, layer in enumerate(table):
            width = int(layer["width"])
            size = self.states * samples * self.chunks * width * self.keep
            begin = self.states * samples * self.chunks * int(layer["below"]) * self.keep
            own = checkpoints[begin : begin + size].reshape(-1, self.states, samples, width)
            fired = blank(2 * self.steps * int(layer["neurons"]), np.dtype(np.int32))
            work = blank((self.states + 2, width), real)
            drives = blank((min(self.steps, max(1, DRIVE_BYTES // (width * real.itemsize))), 1, width), real)
            room = self._room(samples, layer)
            active, derivative = blank(room, np.dtype(np.uint16)), blank(room, real)
            active_pointers[k, 0] = 0 if room else -1
            pending = blank(int(layer["neurons"]) * self.pitch, real)
            size, begin = samples * self.steps * width, samples * self.steps * int(layer["below"])
            kept = currents[begin : begin + size].reshape(samples, -1, width)
            sample = 0
            while True:
                sample = scan(
                    layer, flat, pointer, unit, start, self.inputs.current[part], initial[k][:, part], self.interval,
                    own, work, drives, pointers[k], fired, counts[k][part], sample, self.offsets, self.pitch, pending,
                    kept, active_pointers[k], active, derivative,
                )  # fmt: skip
                if sample == samples:
                    break
                fired = _longer(fired, int(pointers[k, sample * self.steps]))
            unit = fired[: pointers[k, -1]].copy()
            lists.append(unit)
            used = max(0, int(active_pointers[k, -1])) if active_pointers[k, 0] == 0 else 0
            active_lists.append((active[:used], derivative[:used]))
            pointer, start = pointers[k], 0
        if output.shape[2] > 0:
            trained = bool(self.layout.readout["trained"]) and self.keep
            width = int(self.layout.readout["width"])
            kept = blank((self.chunks * trained, samples, width), real)
            work = blank((2, width), real)
            scan_readout(self.layout.readout, flat, pointer, unit, self.interval, kept, work, output[part])
            self.readout_checkpoints[block] = kept
        # One array for all layers: those above the first begin where the one below ends.
        for k in range(1, len(table)):
            pointers[k] += pointers[k - 1, -1]
            if active_pointers[k, 0] == 0:
                active_pointers[k] += sum(len(units) for units, _ in active_lists[:k])
        listed = sum(len(units) for units, _ in active_lists)
        kept_units, kept_derivatives = blank(listed, np.dtype(np.uint16)), blank(listed, real)
        np.concatenate([units for units, _ in active_lists], out=kept_units)
        np.concatenate([values for _, values in active_lists], out=kept_derivatives)
        self.active[block] = Active(active_pointers, kept_units, kept_derivatives)
        self.checkpoints[block] = checkpoints if (active_pointers[:, 0] < 0).any() else checkpoints[:0].copy()
        self.currents[block] = currents
        self.spikes[block] = Spikes(pointers, np.concatenate(lists))

    def _room(self, samples: int, layer: np.void) -> int:
        """Places for active neurons of a layer in a block: 0 where they alone do not make its backward pass.

        Above that many the lists would cost more than the checkpoints that they replace.
        """
        needs_states = layer["carries"] or layer["trained"] or layer["remembers"] or self.layout.span > 0
        if not self.keep or layer["threshold"] == 0 or needs_states or layer["neurons"] > MOST_LISTED:
            return 0
        return int(samples * self.steps * layer["neurons"] // LISTED_SHARE + layer["width"])

    def backward(
        self, flat: Array, panels: Array, output: Array, grad_output: Array, grad_counts: Array, grad_current: Array
    ) -> "Gradients":
        """Go back through all blocks.

        Args:
            flat, panels: weights and constants, and the packed transposed weights; see `Layout`.
            output, grad_output: (batch, steps, outputs) of the readout.
            grad_counts: (batch, total width), or no columns.
            grad_current: (batch, steps, neurons) gets the gradient of the currents that enter, or has no steps.
        """
        layout, groups = self.layout, groups_of(self.blocks, flat.nbytes)

        def work(group: list[Block]) -> tuple[Array, list[Array], Indices]:
            grads = blank(len(flat), layout.real)
            grads[:] = 0
            active = np.zeros(len(layout.table), np.int64)
            initial = [
                self._backward_block(block, flat, panels, output, grad_output, grad_counts, grad_current, grads, active)
                for block in group
            ]
            return grads, initial, active

        # Added up as they come, always in the order of the groups, so that few copies are held at once.
        results = run_all(work, groups)
        grads, initial, active = next(results)
        for other, states, count in results:
            np.add(grads, other, out=grads)
            initial += states
            active += count
        return Gradients(grads, self._by_layer(initial), active)

    def _backward_block(
        self, block: Block, flat: Array, panels: Array, output: Array, grad_output: Array, grad_counts: Array,
        grad_current: Array, grads: Array, active: Indices,
    ) -> Array:  # fmt: skip
        _, scan = kernels(self.model, self.layout.span > 0)
        layout, part, spikes = self.layout, slice(block.first, block.last), self.spikes[block]
        listed = self.active[block]
        size = work_size(layout.table, layout.readout, self.states, block.samples, block.padded_samples, self.interval)
        grad_initial = blank(self.states * block.samples * layout.total_width, layout.real)
        empty = np.zeros((0, 0, 0), layout.real)
        scan(
            layout.table, layout.readout, flat, panels, self.inputs.pointer, self.inputs.unit, block.first * self.steps,
            self.inputs.current[part], spikes.pointer, spikes.unit, self.interval, self.checkpoints[block],
            self.readout_checkpoints.get(block, empty), output[part], grad_output[part], grad_counts[part],
            block.samples, block.padded_samples, blank(size, layout.real), grads, grad_current[part], grad_initial,
            active, self.offsets, self.pitch, layout.span, np.zeros(1, layout.table.dtype),
            self.currents[block], listed.pointer, listed.unit, listed.derivative,
        )  # fmt: skip
        return grad_initial

    def _by_layer(self, initial: Sequence[Array]) -> list[Array]:
        """Gradients of the initial states, (states, batch, neurons) of each layer, from those of the blocks."""
        layers = []
        for layer in self.layout.table:
            width, neurons, parts = int(layer["width"]), int(layer["neurons"]), []
            for block, states in zip(self.blocks, initial, strict=True):
                begin = self.states * block.samples * int(layer["below"])
                part = states[begin : begin + self.states * block.samples * width]
                parts.append(part.reshape(self.states, block.samples, width)[:, :, :neurons])
            layers.append(np.concatenate(parts, 1))
        return layers


@dataclass(frozen=True)
class Gradients:
    """Flat gradients of weights and constants, those of the initial states of each layer, and active neuron-steps."""

    flat: Array
    initial: list[Array]
    active: Any


def _longer(fired: Units, used: int) -> Units:
    longer = np.empty(2 * len(fired), np.int32)
    longer[:used] = fired[:used]
    return longer


def to_tensor(array: Array) -> Tensor:
    """A tensor over the memory of a contiguous copy of an array."""
    return torch.from_numpy(np.ascontiguousarray(array))
