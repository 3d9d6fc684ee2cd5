"""The check of the first batch: will this network learn at all?"""

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from snnrun.network import Network

SILENT_HZ = 0.1
SATURATED_SHARE = 0.5
VANISHING = 1e-9  # of the largest gradient norm of any layer


def gradient_norms(network: Network) -> dict[str, float]:
    """Euclidean norm of the gradient of all parameters of each layer, hidden1 ... and readout."""
    return {name: _norm(p.grad for p in module.parameters()) for name, module in network.parts().items()}


def check_first_batch(
    network: Network, counts: Sequence[Tensor], norms: dict[str, float], steps: int, duration_s: float
) -> Iterator[str]:
    """Warnings, one line each, about layers that are silent or saturated or get no gradient.

    Args:
        network: after the backward pass of the first batch.
        counts: spikes of every neuron over the sample, (batch, neurons) a layer.
        norms: from `gradient_norms`.
        steps: time steps of a sample.
        duration_s: length of a sample in seconds.
    """
    for name, layer in zip(network.layer_names(), counts, strict=True):
        spikes = layer.detach().double().mean(0)
        per_step, rate_hz = spikes / steps, spikes / duration_s
        silent = float((rate_hz < SILENT_HZ).double().mean())
        saturated = float((per_step > SATURATED_SHARE).double().mean())
        if silent > 0.5:
            yield (
                f"{name}: {silent:.0%} of the neurons are silent (below {SILENT_HZ} Hz) on the first batch; "
                "raise init.scale, or set regularizer.lower"
            )
        if saturated > 0.1:
            yield (
                f"{name}: {saturated:.0%} of the neurons spike in more than half of the steps on the first batch; "
                "lower init.scale or init.recurrent_scale, or set regularizer.upper"
            )
    largest = max(norms.values())
    for name, norm in norms.items():
        if norm <= VANISHING * largest:
            yield f"{name}: its gradient vanishes on the first batch (norm {norm:.1e}); it will not learn"


def _norm(gradients: Iterator[Tensor | None]) -> float:
    return math.sqrt(sum(float(g.detach().double().square().sum()) for g in gradients if g is not None))
