"""From the trace of the readout to one number a class.

The trace is that of leaky integrators, or, for the readouts in `SPIKING`, the spikes of one more layer of neurons: 1 at
a step with a spike, else 0. Everything is differentiable; through spikes the gradient is that of the surrogate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnrun.memory import zeros
from snnrun.registry import Registry

# (trace (batch, steps, outputs), time constant of the readout in steps) -> (batch, outputs)
Reduction = Callable[[Tensor, float], Tensor]

READOUTS: Registry[Reduction] = Registry("readout")
SPIKING = ("spike_count", "first_spike")


class _Largest(torch.autograd.Function):
    """The largest over dimension 1 of (batch, steps, outputs), with a gradient whose zeros take no memory.

    That of `Tensor.max` is as large as the trace, and one step of each output in it is not 0.
    """

    @staticmethod
    def forward(ctx: Any, trace: Tensor) -> Tensor:
        largest, step = trace.max(1, keepdim=True)
        ctx.shape = trace.shape
        ctx.save_for_backward(step)
        return largest.squeeze(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (step,) = ctx.saved_tensors
        if grad.device.type == "cpu":
            empty = torch.from_numpy(zeros(tuple(ctx.shape), np.dtype(str(grad.dtype).removeprefix("torch."))))
        else:
            empty = grad.new_zeros(ctx.shape)
        return empty.scatter_(1, step, grad.unsqueeze(1))


@READOUTS.register("max")
def maximum(trace: Tensor, tau: float) -> Tensor:
    """Largest potential over time (Cramer et al. 2020, IEEE TNNLS, "max over time")."""
    largest: Tensor = _Largest.apply(trace)  # type: ignore[no-untyped-call]
    return largest


@READOUTS.register("mean")
def mean(trace: Tensor, tau: float) -> Tensor:
    """Mean potential over time."""
    return trace.mean(1)


@READOUTS.register("last")
def last(trace: Tensor, tau: float) -> Tensor:
    """Potential at the last time step."""
    return trace[:, -1]


@READOUTS.register("softmax")
def softmax(trace: Tensor, tau: float) -> Tensor:
    """Sum over time of the softmax over outputs: sum_t softmax(o[t]).

    Source: Bittar & Garner 2022, Frontiers in Neuroscience 16:865897; Hammouamri et al. 2024, ICLR (SNN-delays).
    """
    return trace.softmax(2).sum(1)


@READOUTS.register("spike_count")
def spike_count(trace: Tensor, tau: float) -> Tensor:
    """Number of spikes, the logits of a cross-entropy: sum_t S[t].

    Source: the rate code of Eshraghian et al. 2023, Proceedings of the IEEE 111(9), 1016-1054 (snnTorch).
    """
    return trace.sum(1)


@READOUTS.register("first_spike")
def first_spike(trace: Tensor, tau: float) -> Tensor:
    """Minus the time of the first spike in units of tau: -sum_t prod_{t' <= t} (1 - S[t']) / tau.

    The sum counts the steps before the first spike; without one it is the length of the sample. Its derivative by S[t]
    is by how much a spike there would change the time (a difference, exact for spikes of 0 or 1).

    Source: logits in proportion to minus the time, as Mostafa 2018, IEEE TNNLS 29(7), and Goltz et al. 2021, Nature
    Machine Intelligence 3, 823-835; the form as a product, which needs no rule of its own for the gradient, is ours.
    """
    return -torch.cumprod(1 - trace, 1).sum(1) / tau


@dataclass(frozen=True)
class Scores:
    """From the trace (batch, steps, outputs) to one number a class, (batch, classes): the mean of its outputs' scores.

    Attributes:
        name: of the readout, a key of `READOUTS`.
        tau: time constant of the readout in steps.
        population: outputs of each class, which stand together.
    """

    name: str
    tau: float
    population: int = 1

    def __call__(self, trace: Tensor) -> Tensor:
        """The scores."""
        scores = READOUTS[self.name](trace, self.tau)
        return scores if self.population == 1 else scores.unflatten(1, (-1, self.population)).mean(2)
