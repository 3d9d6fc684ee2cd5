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
    """Strengths (0 is off) and bounds in Hz, each on every neuron or on the mean rate of a layer ("population")."""

    lower: float
    lower_rate_hz: float
    upper: float
    upper_rate_hz: float
    lower_per: str = "neuron"
    upper_per: str = "population"

    def __call__(self, counts: Sequence[Tensor], duration_s: float) -> Tensor | None:
        """The penalty summed over layers, a scalar; None where both strengths are 0.

        lower * mean of max(0, 1 - rate / lower_rate_hz)^2 + upper * mean of max(0, rate / upper_rate_hz - 1)^2

        over samples and neurons, or for a population over samples, rate being the mean over its neurons.

        Args:
            counts: spikes of every neuron, (batch, neurons) a layer.
            duration_s: length of a sample in seconds.
        """
        terms = []
        for layer in counts:
            rate_hz = layer / duration_s
            if self.lower > 0:
                shortfall = torch.relu(1 - _rates(rate_hz, self.lower_per) / self.lower_rate_hz)
                terms.append(self.lower * shortfall.square().mean())
            if self.upper > 0:
                excess = torch.relu(_rates(rate_hz, self.upper_per) / self.upper_rate_hz - 1)
                terms.append(self.upper * excess.square().mean())
        return torch.stack(terms).sum() if terms else None


def _rates(rate_hz: Tensor, per: str) -> Tensor:
    return rate_hz.mean(1) if per == "population" else rate_hz
