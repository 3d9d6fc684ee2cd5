"""What one input spike does to the membrane: the numerical kernel of the very model that will be trained."""

from dataclasses import dataclass

import torch
from torch import Tensor

from snnrun.neurons import THRESHOLD, Neuron


@dataclass(frozen=True)
class Kernel:
    """The integrals over time of a neuron's response k(t) to an input of weight 1.

    Attributes:
        mean: integral of k, (neurons,) in s. Input of N weights w at rate r has the mean potential N E[w] r mean.
        square: integral of k^2, (neurons,) in s. Its variance over time is N E[w^2] r square, for Poisson spikes.
    """

    mean: Tensor
    square: Tensor


def kernel(neuron: Neuron, dt: float, steps: int) -> Kernel:
    """The kernel over a sample of `steps` steps of `dt` ms.

    A response that outlasts the sample is cut there: the variance is then that at the end of the sample. Sums over
    steps stand for the integrals, as the simulation has it.

    Source: Rossbroich, Gygax & Zenke 2022, Neuromorphic Computing and Engineering 2(4), 044016 (epsilon kernels).
    """
    response = impulse_response(neuron, steps)
    seconds = dt / 1000
    return Kernel(response.sum(0) * seconds, response.square().sum(0) * seconds)


@torch.no_grad()
def impulse_response(neuron: Neuron, steps: int) -> Tensor:
    """Potential after an input of weight 1 in step 0, (steps, neurons) float64; nobody spikes."""
    size = len(neuron.constants()[0])
    current = torch.zeros(1, steps, size, dtype=torch.float64)
    current[:, 0] = 1
    return potential(neuron, current)[0]


@torch.no_grad()
def potential(neuron: Neuron, current: Tensor) -> Tensor:
    """Potential of neurons that never spike, driven by `current`; both (batch, steps, neurons) float64."""
    constants = tuple(constant.detach().to(current) for constant in neuron.constants())
    silence = torch.zeros_like(current[:, 0])
    state, trace = (silence,) * len(neuron.states), []
    for drive in current.unbind(1):
        state, x = neuron.step(constants, state, silence, drive)
        trace.append(x + THRESHOLD)
    return torch.stack(trace, 1)
