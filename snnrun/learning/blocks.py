"""The scan of a stack over time in blocks of steps: what a rule keeps is one block, however long the sample.

The equations are those of the reference engine: the step of the neuron model, in plain torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Layer, Readout
from snnrun.neurons import State
from snnrun.surrogates import spike

BLOCK = 50  # steps; a longer one costs memory, a shorter one more calls


@dataclass(frozen=True)
class LayerBlock:
    """One layer over one block of steps; every tensor but the last two is (batch, steps, ...).

    Attributes:
        entering: what the layer got, (batch, steps, inputs).
        before: S[t-1], (batch, steps, neurons).
        spikes: S[t].
        distance: x[t], the distance of the potential from the threshold.
        state: state variables after the block, each (batch, neurons).
    """

    entering: Tensor
    before: Tensor
    spikes: Tensor
    distance: Tensor
    state: State

    def active(self, layer: Layer) -> float:
        """Share of neuron-steps whose surrogate derivative is at or above its cutoff."""
        if layer.surrogate.cutoff == 0:
            return 1.0
        derivative = layer.surrogate.derivative(self.distance.detach())
        return int(torch.count_nonzero(derivative)) / derivative.numel()


def blocks_of(inputs: EventBatch, length: int, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
    """The first step of each block, and the input's counts in it, (batch, at most `length`, channels)."""
    for start in range(0, inputs.steps, length):
        yield start, inputs.window(start, min(start + length, inputs.steps)).dense(dtype)


def zero_state(layer: Layer, batch: int) -> State:
    """The state before the first step."""
    return tuple(torch.zeros_like(layer.constants[0].detach()).repeat(batch, 1) for _ in layer.neuron.states)


def scan_layer(
    layer: Layer, state: State, spikes: Tensor, entering: Tensor, current: Sequence[Tensor] | None = None
) -> LayerBlock:
    """Run one layer over one block.

    Args:
        layer: with a weight; its `initial_state` is not read.
        state: state variables before the block, each (batch, neurons).
        spikes: S of the step before the block, (batch, neurons).
        entering: (batch, steps, inputs).
        current: added to the current of each step, each (batch, neurons), where a gradient with respect to it is due.
    """
    assert layer.weight is not None
    before, after, distances = [], [], []
    for step, drive in enumerate((entering @ layer.weight).unbind(1)):
        if layer.recurrent is not None:
            drive = drive + (spikes.detach() if layer.detach_recurrent else spikes) @ layer.recurrent
        if current is not None:
            drive = drive + current[step]
        before.append(spikes)
        state, x = layer.neuron.step(layer.constants, state, spikes, drive)
        spikes = spike(x, layer.surrogate)
        after.append(spikes)
        distances.append(x)
    return LayerBlock(entering, torch.stack(before, 1), torch.stack(after, 1), torch.stack(distances, 1), state)


class Activity:
    """Spikes of a stack on its way through a sample."""

    def __init__(self, layers: int) -> None:
        self._counts: list[Tensor | None] = [None] * layers
        self._active = [0.0] * layers
        self._steps = [0] * layers

    def add(self, number: int, layer: Layer, block: LayerBlock) -> None:
        """Count a block of layer `number`."""
        spikes, counts = block.spikes.detach().sum(1), self._counts[number]
        self._counts[number] = spikes if counts is None else counts + spikes
        steps = block.spikes.shape[1]
        self._active[number] += block.active(layer) * steps
        self._steps[number] += steps

    @property
    def counts(self) -> tuple[Tensor, ...]:
        """Spikes of every neuron so far, (batch, neurons) a layer."""
        return tuple(counts for counts in self._counts if counts is not None)

    @property
    def active(self) -> Tensor:
        """(layers,) share of neuron-steps with a derivative."""
        return torch.tensor(self._active, dtype=torch.float64) / torch.tensor(self._steps)


class StackScan:
    """A stack on its way through a sample, block by block."""

    def __init__(self, batch: int, layers: Sequence[Layer]) -> None:
        self._states = [zero_state(layer, batch) for layer in layers]
        self._spikes = [state[0] for state in self._states]  # none precede the first step
        self.activity = Activity(len(layers))

    def advance(self, layers: Sequence[Layer], entering: Tensor) -> list[LayerBlock]:
        """Run all layers over the next block; what is carried over to the one after it has no gradient."""
        found = []
        for number, layer in enumerate(layers):
            block = scan_layer(layer, self._states[number], self._spikes[number], entering)
            self._states[number] = tuple(part.detach() for part in block.state)
            self._spikes[number] = block.spikes[:, -1].detach()
            self.activity.add(number, layer, block)
            found.append(block)
            entering = block.spikes
        return found


class Integrators:
    """Leaky integrators of the readout on their way through a sample."""

    def __init__(self, readout: Readout, current: Tensor, potential: Tensor) -> None:
        """`current` f and `potential` o before the first step, (batch, outputs) each; see `Readout`."""
        self.decay_mem, self.decay_syn = readout.decay_mem, readout.decay_syn
        self.current, self.potential = current, potential

    def advance(self, drive: Tensor) -> Tensor:
        """o[t] over a block for the input S[t] W, both (batch, steps, outputs)."""
        trace = []
        for step in drive.unbind(1):
            self.current = self.decay_syn * self.current + step
            self.potential = self.decay_mem * self.potential + (1 - self.decay_mem) * self.current
            trace.append(self.potential)
        return torch.stack(trace, 1)

    def detach(self) -> None:
        """Keep the numbers and forget the graph."""
        self.current, self.potential = self.current.detach(), self.potential.detach()
