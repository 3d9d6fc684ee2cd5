"""What an initialisation scheme is: a function from the facts about a layer to its weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from snnrun.neurons import Neuron
from snnrun.registry import Registry
from snnrun.surrogates import Surrogate


@dataclass(frozen=True)
class LayerFacts:
    """What a scheme may know about the layer whose weights it draws.

    Attributes:
        inputs: number of what sends into the layer: channels of the data, or neurons of the layer below.
        neurons: size of this layer.
        recurrent: whether there are recurrent weights.
        from_neurons: whether the inputs are neurons, and not channels of the data.
        neuron: the population itself, for its time constants.
        surrogate: what stands for the derivative of its spikes.
        dt: width of a time bin of the data in ms.
        steps: time steps of a sample.
    """

    inputs: int
    neurons: int
    recurrent: bool
    from_neurons: bool
    neuron: Neuron
    surrogate: Surrogate
    dt: float
    steps: int


Weights = tuple[Tensor, Tensor | None]  # (inputs, neurons), and (neurons, neurons) where recurrent; row = sender
# Called with the facts, a generator, and as keywords the keys of the scheme's own config (beyond name and the scales,
# which the network multiplies by what the scheme draws).
Scheme = Callable[..., Weights]

SCHEMES: Registry[Scheme] = Registry("init")


@dataclass(frozen=True)
class Expectation:
    """The potential of neurons that never spike, as a scheme aims at it; in thresholds.

    Attributes:
        means: what input from below and recurrent input add to its mean.
        variances: what both add to its variance over time.
    """

    means: tuple[float, float]
    variances: tuple[float, float]

    def scaled(self, scale: float, recurrent_scale: float) -> tuple[float, float]:
        """Mean and standard deviation where the weights were multiplied by these factors."""
        mean = scale * self.means[0] + recurrent_scale * self.means[1]
        return mean, math.sqrt(scale**2 * self.variances[0] + recurrent_scale**2 * self.variances[1])


# Schemes that aim at a potential; called with the facts and, as keywords, the keys of the scheme's own config.
EXPECTATIONS: Registry[Callable[..., Expectation]] = Registry("expectation of an init")


def gaussian(rows: int, columns: int, std: float | Tensor, generator: Generator) -> Tensor:
    """(rows, columns) from a normal distribution with mean 0; `std` may be one for each column."""
    return torch.randn(rows, columns, generator=generator) * std


def uniform_within(rows: int, columns: int, bound: float, generator: Generator) -> Tensor:
    """(rows, columns) from a uniform distribution between -bound and bound."""
    return (2 * torch.rand(rows, columns, generator=generator) - 1) * bound


def readout_weights(neurons: int, outputs: int, scale: float, generator: Generator) -> Tensor:
    """(neurons, outputs) ~ N(0, scale / sqrt(neurons)), the same under every scheme.

    Source: Rossbroich, Gygax & Zenke 2022 (readout weights N(0, 1) / sqrt(k)).
    """
    return gaussian(neurons, outputs, scale / math.sqrt(neurons), generator)
