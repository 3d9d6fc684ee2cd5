"""The reference engine, watched: what every layer gets and does at every step, and the gradients there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.types import Layer, Readout, ScanResult
from snnrun.neurons import THRESHOLD, Neuron
from snnrun.neurons.base import State


class Probe:
    """The reference engine, watched: `records` has what every layer of every scan got and did at every step."""

    name = "reference"

    def __init__(self) -> None:
        self.records: list[Record] = []

    def scan(
        self, inputs: EventBatch | Tensor, layers: Sequence[Layer], readout: Readout | None, *, record: bool = False
    ) -> ScanResult:
        """See `Engine.scan`."""
        records = [Record(layer.neuron) for layer in layers]
        self.records += records
        watched = [replace(layer, neuron=cast(Neuron, r)) for layer, r in zip(layers, records, strict=True)]
        return ReferenceEngine().scan(inputs, watched, readout, record=record)

    def unsupported(self, layers: Sequence[Layer]) -> str | None:
        """Nothing is."""
        return None


class Record:
    """Stands for a neuron model in an engine and keeps what goes in and out of its steps."""

    def __init__(self, neuron: Neuron) -> None:
        self.neuron = neuron
        self.states = neuron.states
        self.currents: list[Tensor] = []
        self._distances: list[Tensor] = []

    def step(self, constants: Sequence[Tensor], state: State, spikes: Tensor, current: Tensor) -> tuple[State, Tensor]:
        """See `Neuron.step`."""
        if current.requires_grad:
            current.retain_grad()
        state, x = self.neuron.step(constants, state, spikes, current)
        self.currents.append(current)
        self._distances.append(x)
        return state, x

    def current(self) -> Tensor:
        """Input and recurrent current, (batch, steps, neurons)."""
        return torch.stack([current.detach() for current in self.currents], 1)

    def potential(self) -> Tensor:
        """Potential before the reset relative to a threshold of 1, (batch, steps, neurons)."""
        return torch.stack([x.detach() for x in self._distances], 1) + THRESHOLD

    def step_norms(self) -> Tensor:
        """Norm of the gradient with respect to the current of each step, (steps,); after the backward pass."""
        norms = [0.0 if current.grad is None else float(current.grad.double().norm()) for current in self.currents]
        return torch.tensor(norms, dtype=torch.float64)

    def back_norms(self, ends: Tensor) -> Tensor:
        """How a gradient fares on its way back in time within the layer, (steps,) float64; before the graph is freed.

        It is that of a random combination of the potentials of each sample at its step `ends` (batch,), with respect
        to the currents 0, 1, ... steps before; root mean square over samples, relative to that of the same step.
        """
        steps, samples = len(self._distances), torch.arange(len(ends), device=ends.device)
        distances = torch.stack(self._distances, 1)[samples, ends]
        if not distances.requires_grad:
            return torch.zeros(steps, dtype=torch.float64)
        weights = torch.randn(distances.shape, generator=torch.Generator().manual_seed(0)).to(distances)
        found = torch.autograd.grad((weights * distances).sum(), self.currents, retain_graph=True, allow_unused=True)
        nothing = torch.zeros_like(distances)
        gradients = torch.stack([nothing if g is None else g for g in found], 1).double()
        lags = ends[:, None] - torch.arange(steps, device=ends.device)  # (batch, steps)
        there = lags >= 0
        squares = gradients.square().sum(2)[there]
        sums = torch.zeros(steps, dtype=torch.float64, device=ends.device).index_add_(0, lags[there], squares)
        norms = (sums / torch.bincount(lags[there], minlength=steps).clamp(min=1)).sqrt()
        return norms / norms[0] if norms[0] > 0 else norms


def last_input_step(inputs: EventBatch) -> Tensor:
    """The last step of each sample in which something enters, (batch,); the last of all where nothing ever does."""
    filled = inputs.pointer.diff().view(inputs.batch, inputs.steps) > 0
    from_the_end = filled.flip(1).int().argmax(1)
    return inputs.steps - 1 - from_the_end
