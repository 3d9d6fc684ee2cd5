"""Activity regularisers: soft lower and upper bounds on the firing rates of a layer.

After the LowerBoundL2 and UpperBoundL2 of fmi-basel/stork (Rossbroich, Gygax & Zenke 2022); here relative to the
bound, so that a strength means the same at every duration and rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ActivityBounds:
    """Strengths (0 is off) and bounds in Hz."""

    lower: float
    lower_rate_hz: float
    upper: float
    upper_rate_hz: float

    def __call__(self, counts: Sequence[Tensor], duration_s: float) -> Tensor | None:
        """The penalty summed over layers, a scalar; None where both strengths are 0.

        lower * mean over samples and neurons of max(0, 1 - rate / lower_rate_hz)^2
        + upper * mean over samples of max(0, mean rate of the layer / upper_rate_hz - 1)^2

        Args:
            counts: spikes of every neuron, (batch, neurons) a layer.
            duration_s: length of a sample in seconds.
        """
        terms = []
        for layer in counts:
            rate_hz = layer / duration_s
            if self.lower > 0:
                terms.append(self.lower * torch.relu(1 - rate_hz / self.lower_rate_hz).square().mean())
            if self.upper > 0:
                excess = torch.relu(rate_hz.mean(1) / self.upper_rate_hz - 1)
                terms.append(self.upper * excess.square().mean())
        return torch.stack(terms).sum() if terms else None
