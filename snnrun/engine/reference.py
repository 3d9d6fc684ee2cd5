"""The reference engine: the scan over time in plain torch. It is the definition; the fused engines agree with it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Layer, Readout, ScanResult
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
            current = signal if layer.weight is None else signal @ layer.weight
            signal, share = self._scan_layer(current, layer)
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
        spikes, active = [], 0
        # unbind, not current[:, t]: the backward pass of an index writes a whole (batch, steps, neurons) tensor a step.
        for drive in current.unbind(1):
            if layer.recurrent is not None:
                drive = drive + (s.detach() if layer.detach_recurrent else s) @ layer.recurrent
            state, x = layer.neuron.step(layer.constants, state, s, drive)
            s = self.spike_function(x, layer.surrogate)
            spikes.append(s)
            if layer.surrogate.cutoff > 0:
                active += int(torch.count_nonzero(layer.surrogate.derivative(x.detach())))
        return torch.stack(spikes, 1), active / current.numel() if layer.surrogate.cutoff > 0 else 1.0


def integrate(current: Tensor, readout: Readout) -> Tensor:
    """o[t] of the leaky integrators for their input S[t] W, both (batch, steps, outputs)."""
    f = o = torch.zeros_like(current[:, 0])
    outputs = []
    for drive in current.unbind(1):
        f = readout.decay_syn * f + drive
        o = readout.decay_mem * o + (1 - readout.decay_mem) * f
        outputs.append(o)
    return torch.stack(outputs, 1)
