"""The reference engine: the scan over time in plain torch. It is the definition; the fused engines agree with it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Arrivals, Layer, Readout, ScanResult
from snnrun.surrogates import Surrogate, spike

SpikeFunction = Callable[[Tensor, Surrogate], Tensor]


class ReferenceEngine:
    """Plain torch and autograd: any device, any dtype, any neuron model. Memory grows with batch * steps * neurons."""

    name = "reference"

    def __init__(self, spike_function: SpikeFunction = spike) -> None:
        """`spike_function(x, surrogate)` gives S from x; the smoothed one makes finite differences meaningful."""
        self.spike_function = spike_function

    def scan(
        self,
        inputs: EventBatch | Tensor,
        layers: Sequence[Layer],
        readout: Readout | None,
        *,
        record: bool = False,
    ) -> ScanResult:
        """See `Engine.scan`."""
        dtype = layers[0].constants[0].dtype
        signal = inputs.dense(dtype) if isinstance(inputs, EventBatch) else inputs
        counts, spikes, active = [], [], []
        for layer in layers:
            signal, share = self._scan_layer(current_of(signal, layer), layer)
            counts.append(signal.sum(1))
            active.append(share)
            if record:
                spikes.append(EventBatch.from_dense(signal))
        return ScanResult(
            output=None if readout is None else integrate(signal @ readout.weight, readout),
            counts=tuple(counts),
            spikes=tuple(spikes) if record else None,
            active=torch.tensor(active, dtype=torch.float64),
        )

    def unsupported(self, layers: Sequence[Layer]) -> str | None:
        """Nothing is: see the class."""
        return None

    def _scan_layer(self, current: Tensor, layer: Layer) -> tuple[Tensor, float]:
        """Spikes (batch, steps, neurons) of one layer, and the share of neuron-steps in the backward pass."""
        zero = torch.zeros_like(current[:, 0])
        state = layer.initial_state or (zero,) * len(layer.neuron.states)
        s = zero
        recurrence = None if layer.recurrent is None else Recurrence(layer.recurrent, layer.recurrent_delays)
        spikes, active = [], 0
        # unbind, not current[:, t]: the backward pass of an index writes a whole (batch, steps, neurons) tensor a step.
        for drive in current.unbind(1):
            if recurrence is not None:
                drive = drive + recurrence.current(s.detach() if layer.detach_recurrent else s)
            state, x = layer.neuron.step(layer.constants, state, s, drive)
            s = self.spike_function(x, layer.surrogate)
            spikes.append(s)
            if layer.surrogate.cutoff > 0:
                active += int(torch.count_nonzero(layer.surrogate.derivative(x.detach())))
        return torch.stack(spikes, 1), active / current.numel() if layer.surrogate.cutoff > 0 else 1.0


def current_of(signal: Tensor, layer: Layer) -> Tensor:
    """Current (batch, steps, neurons) from below, for what enters, (batch, steps, inputs or neurons)."""
    if layer.weight is None:
        return signal
    if layer.delays is None:
        return signal @ layer.weight
    by_sender = layer.delays.start.shape[1] == 1
    share = layer.delays.dense()
    # torch's convolution correlates: the last entry of its kernel is that of lag 0.
    kernel = (share if by_sender else share * layer.weight).flip(0).permute(1, 2, 0)
    past = functional.pad(signal.transpose(1, 2), (layer.delays.lags - 1, 0))
    if by_sender:
        return functional.conv1d(past, kernel, groups=len(kernel)).transpose(1, 2) @ layer.weight
    return functional.conv1d(past, kernel.transpose(0, 1)).transpose(1, 2)


class Recurrence:
    """Recurrent current of a layer, step by step; with delays, what is on its way is (batch, lags, neurons).

    Spikes are multiplied when they are sent and not when they arrive, so that no step keeps all spikes before it.
    """

    def __init__(self, weight: Tensor, delays: Arrivals | None) -> None:
        """See `Layer`."""
        self.weight = weight if delays is None else (delays.dense() * weight).transpose(0, 1).flatten(1)
        self.lags = 1 if delays is None else delays.lags
        self.pending: Tensor | None = None

    def current(self, spikes: Tensor) -> Tensor:
        """Current (batch, neurons) of this step, for the spikes of the step before it."""
        sent = spikes @ self.weight
        if self.lags == 1:
            return sent
        sent = sent.view(len(sent), self.lags, -1)
        if self.pending is not None:
            sent = sent + functional.pad(self.pending[:, 1:], (0, 0, 0, 1))
        self.pending = sent
        return sent[:, 0]


def integrate(current: Tensor, readout: Readout) -> Tensor:
    """o[t] of the leaky integrators for their input S[t] W, both (batch, steps, outputs)."""
    f = o = torch.zeros_like(current[:, 0])
    outputs = []
    for drive in current.unbind(1):
        f = readout.decay_syn * f + drive
        o = readout.decay_mem * o + (1 - readout.decay_mem) * f
        outputs.append(o)
    return torch.stack(outputs, 1)
