"""The loss around a trained solution, along a line and over a plane through it in the space of the hidden weights.

With spikes the loss has steps: as long as no spike of any sample moves, nothing changes, and where one does, the loss
jumps. With the smoothed spike function S = primitive of the surrogate in the forward pass, it is smooth. That is the
picture of the lecture on surrogate gradients (neuro4ml.github.io, week 5).

Directions are random and scaled to the weights, neuron by neuron ("filter normalised", Li et al. 2018, NeurIPS), so
that a distance of 1 moves every neuron's weights by their own length. The readout, time constants and delays stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.types import Engine
from snnrun.network import Network, SpikingLayer
from snnrun.surrogates import smooth_spike

Array = NDArray[np.float64]
Direction = list[Tensor]  # one for each moved weight matrix
FLAT = 1e-12  # relative difference of two losses that are the same but for rounding


@dataclass(frozen=True)
class Line:
    """Losses [nat] along a line.

    Attributes:
        place: (points,) distance from the solution.
        spikes: (points,) loss of the spiking network.
        smooth: (points,) loss with the smoothed spike function.
    """

    place: Array
    spikes: Array
    smooth: Array

    def figures(self) -> dict[str, float]:
        """How stepped each curve is.

        `flat_share` is the share of neighbouring points between which nothing changes at all; `roughness` the sum of
        the absolute second differences over that of the first: 0 on a straight line, 2 where every difference is undone
        by the next.
        """
        found = {}
        for name, loss in (("spikes", self.spikes), ("smooth", self.smooth)):
            first = np.diff(loss)
            found[f"{name}_flat_share"] = float(np.mean(np.abs(first) <= FLAT * np.abs(loss).max()))
            found[f"{name}_roughness"] = float(np.abs(np.diff(first)).sum() / max(np.abs(first).sum(), 1e-300))
        return found


class Landscape:
    """The loss of a network for one batch, as a function of its hidden weights."""

    def __init__(self, network: Network, engine: Engine, inputs: EventBatch, labels: Tensor) -> None:
        """`network` is moved about, and back when a loss has been computed; `engine` runs it with spikes."""
        self._network = network.double().eval().requires_grad_(False)
        self._spiking, self._smooth = engine, ReferenceEngine(smooth_spike)
        self._inputs, self._labels = inputs, labels
        self._weights = hidden_weights(network)
        self._solution = [weight.clone() for weight in self._weights]
        # The smoothed step is to go from 0 to 1, whatever the scale of the derivative in training.
        self._surrogates = network.surrogate, replace(network.surrogate, scale="area", cutoff=0.0)

    def directions(self, number: int, seed: int) -> list[Direction]:
        """Return random directions, of each neuron's incoming weights as long as these weights are."""
        generator = torch.Generator().manual_seed(seed)
        return [[_like(weight, generator) for weight in self._solution] for _ in range(number)]

    def loss(self, steps: Sequence[tuple[float, Direction]], smooth: bool = False) -> float:
        """Mean cross-entropy [nat] at the solution plus distances along directions."""
        for number, (weight, solution) in enumerate(zip(self._weights, self._solution, strict=True)):
            weight.copy_(solution + sum(place * direction[number] for place, direction in steps))
        self._network.surrogate = self._surrogates[smooth]
        try:
            output = self._network(self._inputs, self._smooth if smooth else self._spiking)
            return float(functional.cross_entropy(output.logits, self._labels))
        finally:
            self._network.surrogate = self._surrogates[0]
            for weight, solution in zip(self._weights, self._solution, strict=True):
                weight.copy_(solution)

    def line(self, direction: Direction, span: float, points: int) -> Line:
        """Losses from -span to span."""
        place = np.linspace(-span, span, points)
        spikes, smooth = (
            np.array([self.loss([(float(x), direction)], smooth) for x in place]) for smooth in (False, True)
        )
        return Line(place, spikes, smooth)

    def plane(self, directions: Sequence[Direction], span: float, points: int) -> tuple[Array, Array, Array]:
        """Places (points,), and losses (points, points) with spikes and smoothed; the row is the second direction."""
        place = np.linspace(-span, span, points)
        found = np.zeros((2, points, points))
        for row, y in enumerate(place):
            for column, x in enumerate(place):
                steps = [(float(x), directions[0]), (float(y), directions[1])]
                found[:, row, column] = self.loss(steps), self.loss(steps, smooth=True)
        return place, found[0], found[1]


def hidden_weights(network: Network) -> list[Tensor]:
    """The weight matrices of the hidden layers, from below and recurrent; empty for a network that does not spike."""
    layers = [layer for layer in network.hidden if isinstance(layer, SpikingLayer)]
    return [weight.data for layer in layers for weight in (layer.weight, layer.recurrent) if weight is not None]


def _like(weight: Tensor, generator: torch.Generator) -> Tensor:
    """A random direction (inputs, neurons), each column as long as that of the weights."""
    drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64).to(weight)
    length: Tensor = weight.norm(dim=0) / drawn.norm(dim=0)
    return drawn * length
