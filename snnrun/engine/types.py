"""The one operation of an engine: the scan of a stack of layers over time.

A stack and not a single layer is the unit, because a fused engine keeps no (batch, time, neuron) array of floats, and
the gradient that flows from a layer into the one below is such an array: only an engine that holds both layers can
hand it over in pieces. A stack of one layer is a layer's scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.neurons.base import Neuron
from snnrun.surrogates import Surrogate


@dataclass(frozen=True)
class Arrivals:
    """When spikes arrive that are on their way for a while: I_j[t] = sum_i W_ij sum_r share_ijr x_i[t - start_ij - r].

    Attributes:
        start: (senders, neurons) int64, steps to the first bin; (senders, 1) where all connections of a sender agree.
        share: (senders, neurons or 1, bins), what part arrives in which bin, differentiable.
        lags: start + bins <= lags.
    """

    start: Tensor
    share: Tensor
    lags: int

    def dense(self) -> Tensor:
        """The shares by lag, (lags, senders, neurons or 1)."""
        lag = self.start.unsqueeze(-1) + torch.arange(self.share.shape[-1], device=self.start.device)
        empty = self.share.new_zeros(*self.start.shape, self.lags)
        return empty.scatter(2, lag, self.share).permute(2, 0, 1)


@dataclass(frozen=True)
class Layer:
    """The tensors and equations of one spiking layer.

    I[t] = x[t] weight + S[t-1] recurrent, where x[t] are the spikes that enter; then one step of the neuron. Delays
    come on top: a recurrent spike without one is a step late already.

    Attributes:
        neuron: the model, for its equations; its own parameters are not read, `constants` are.
        constants: constants of the neuron's step, each (neurons,).
        surrogate: what stands for the derivative of the spike.
        weight: (inputs, neurons); None where what enters the first layer is a current already.
        recurrent: (neurons, neurons), row = sending neuron; None for a feed-forward layer.
        detach_recurrent: True keeps the gradient from flowing through the recurrent spikes (not through the weights).
        initial_state: state before the first step, each (batch, neurons); None is all zero. No spikes precede it.
        delays: when the spikes that enter arrive; None is at once.
        recurrent_delays: when recurrent spikes arrive; None is one step later.
    """

    neuron: Neuron
    constants: tuple[Tensor, ...]
    surrogate: Surrogate
    weight: Tensor | None
    recurrent: Tensor | None = None
    detach_recurrent: bool = False
    initial_state: tuple[Tensor, ...] | None = None
    delays: Arrivals | None = None
    recurrent_delays: Arrivals | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.constants[0])


@dataclass(frozen=True)
class Readout:
    """A layer of leaky integrators that never spike.

    f[t] = decay_syn f[t-1] + S[t] weight,  o[t] = decay_mem o[t-1] + (1 - decay_mem) f[t]

    Attributes:
        weight: (neurons of the last layer, outputs).
        decay_mem: (outputs,).
        decay_syn: (outputs,); zeros make it a readout without a synapse.
    """

    weight: Tensor
    decay_mem: Tensor
    decay_syn: Tensor


@dataclass(frozen=True)
class ScanResult:
    """What a scan gives.

    Attributes:
        output: o[t] of the readout, (batch, steps, outputs), differentiable; None without a readout.
        counts: spikes of each neuron over the sample, (batch, neurons) for every layer, differentiable.
        spikes: the spikes of every layer, where they were asked for (`record=True`); carries no gradient.
        active: (layers,) float64 on the CPU, share of neuron-steps that took part in the backward pass (derivative of
            the surrogate at or above its cutoff); filled at the latest when the backward pass has run, NaN before.
    """

    output: Tensor | None
    counts: tuple[Tensor, ...]
    spikes: tuple[EventBatch, ...] | None
    active: Tensor


class Engine(Protocol):
    """An implementation of the scan."""

    name: str

    def scan(
        self,
        inputs: EventBatch | Tensor,
        layers: Sequence[Layer],
        readout: Readout | None,
        *,
        record: bool = False,
    ) -> ScanResult:
        """Run a stack of layers over a batch.

        Args:
            inputs: events, or a tensor (batch, steps, inputs) of any real numbers, which then gets a gradient. Where
                the first layer has no weight, the tensor is its current (batch, steps, neurons).
            layers: from the input up, at least one.
            readout: integrates the spikes of the last layer.
            record: also return the spikes.

        Raises:
            UserError: tensors whose shapes, types or devices do not fit each other or the engine.
        """

    def unsupported(self, layers: Sequence[Layer]) -> str | None:
        """Why this engine cannot run such layers ("neuron foo has no fused equations"), or None."""
