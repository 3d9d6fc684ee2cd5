"""Learnable delays of connections: when a spike arrives, and over which time bins its arrival is spread.

A spike of sender i reaches neuron j after the delay d_ij. Time is binned, so the arrival is spread over bins k by an
interpolation kernel g, through which the delay has a gradient; I[t] is what the neuron's step gets:

    I_j[t] = sum_i W_ij sum_k g_ij(k) S_i[t - k],  sum_k g_ij(k) = 1,  0 <= k <= lags - 1

linear: g(k) = max(0, 1 - |k - d / dt|), two bins a delay.
gaussian: g(k) proportional to exp(-(k - d / dt)^2 / (2 s^2)), whose width s shrinks over training: far bins then have a
    say early on, and in the end the kernel is hardly wider than a bin. It is cut at 3 s or just beyond.

Source: Hammouamri, Khalfaoui-Hassani & Masquelier 2023, arXiv:2306.17670, section 3 and the code that goes with it; the
cut is our own. Axonal delays, one a sender, are those of Shrestha & Orchard 2018 (SLAYER).
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from snnrun.engine.types import Arrivals

CUT = 3.0  # standard deviations of a Gaussian kernel to either side of the delay
_ROUNDING = 1e-9  # bins; keeps 25.000000001 from becoming 26


@dataclass(frozen=True)
class DelaySettings:
    """What the delays of a network have in common.

    Attributes:
        kind: "axonal" (one delay a sender) or "synaptic" (one a connection).
        maximum: longest delay [ms].
        dt: width of a time bin [ms].
        interpolation: "linear" or "gaussian".
        sigma: width of the Gaussian kernel in the first epoch and after its shrinking [ms]; None is half of `maximum`
            and half a bin, as published.
        shrink: share of the epochs over which the width shrinks, exponentially; 1/4 is published.
        round: in evaluation a delay is the nearest bin and the kernel that bin alone; parameters stay what they are.
        trained: whether delays are trained; else they stay what was drawn.
    """

    kind: str
    maximum: float
    dt: float
    interpolation: str = "gaussian"
    sigma: tuple[float, float] | None = None
    shrink: float = 0.25
    round: bool = False
    trained: bool = True

    @property
    def lags(self) -> int:
        """Number of bins in which a spike may arrive, that of its own step among them."""
        return math.ceil(self.maximum / self.dt - _ROUNDING) + 1

    def width(self, epoch: int, epochs: int) -> float:
        """Standard deviation [ms] of the kernel in epoch `epoch`, counted from 1, of `epochs`."""
        first, last = self.sigma or (self.maximum / 2, self.dt / 2)
        steps = self.shrink * epochs
        done = min(1.0, (epoch - 1) / steps) if steps > 0 else 1.0
        return first * float((last / first) ** done)


class Delays(nn.Module):
    """Delays of all connections of one weight matrix; calling it gives how spikes arrive.

    Parameter: value, ms, (senders, neurons), or (senders, 1) where axonal. Buffer: sigma, ms, the kernel's width.
    """

    def __init__(self, senders: int, neurons: int, settings: DelaySettings, generator: Generator) -> None:
        """Draw delays uniformly from 0 to the longest, as published."""
        super().__init__()
        self.settings = settings
        shape = (senders, 1 if settings.kind == "axonal" else neurons)
        drawn = settings.maximum * torch.rand(shape, generator=generator)
        self.value = nn.Parameter(drawn, requires_grad=settings.trained)
        self.sigma: Tensor
        self.register_buffer("sigma", torch.tensor(settings.width(1, 1)))

    def forward(self) -> Arrivals:
        """How spikes arrive, differentiable with respect to the delays."""
        settings = self.settings
        position = self.value / settings.dt
        if settings.round and not self.training:
            start, share = position.detach().round().long(), torch.ones_like(position).unsqueeze(-1)
        elif settings.interpolation == "linear":
            start, share = linear(position, settings.lags)
        else:
            start, share = gaussian(position, settings.lags, float(self.sigma) / settings.dt)
        return Arrivals(start, share, settings.lags)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set the width of the kernel for epoch `epoch`, counted from 1, of `epochs`."""
        self.sigma.fill_(self.settings.width(epoch, epochs))

    @torch.no_grad()
    def constrain(self) -> None:
        """Bring the delays back between 0 and the longest; call it after every step of the optimiser."""
        self.value.clamp_(0, self.settings.maximum)


def linear(position: Tensor, lags: int) -> tuple[Tensor, Tensor]:
    """First bin of each kernel, and its two shares (..., 2), for delays `position` in bins."""
    start = position.detach().floor().long().clamp(max=lags - 2)
    late = position - start
    return start, torch.stack((1 - late, late), -1)


def gaussian(position: Tensor, lags: int, sigma: float) -> tuple[Tensor, Tensor]:
    """First bin of each kernel, and its shares (..., bins), for delays and a width in bins.

    Near 0 and the longest delay the window of bins is moved inside, as bins beyond them do not exist.
    """
    reach = math.ceil(CUT * sigma - _ROUNDING)
    bins = min(2 * reach + 1, lags)
    start = (position.detach().round().long() - reach).clamp(0, lags - bins)
    distance = start.unsqueeze(-1) + torch.arange(bins, device=position.device) - position.unsqueeze(-1)
    return start, torch.softmax(-distance.square() / (2 * sigma**2), -1)
