"""Fluctuation-driven initialisation: the input makes the membrane fluctuate just below its threshold.

Source: Rossbroich, Gygax & Zenke 2022, Neuromorphic Computing and Engineering 2(4), 044016. Every weight is taken to
see Poisson spikes of one rate r, from below and from within the layer alike; k1 and k2 are the integrals of the
neuron's kernel and of its square (`Kernel.mean` and `Kernel.square`).
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from snnrun.errors import UserError
from snnrun.init.base import EXPECTATIONS, SCHEMES, Expectation, LayerFacts, Weights, gaussian
from snnrun.init.kernel import kernel
from snnrun.neurons import THRESHOLD


@SCHEMES.register("fluctuation")
def fluctuation(
    layer: LayerFacts, generator: Generator, *, mu_u: float, xi: float, alpha: float, rate_hz: float | None
) -> Weights:
    """Normal weights for which the potential has mean mu_u and standard deviation (1 - mu_u) / xi.

    mean of w: mu_u / (N r k1), N all inputs, recurrent ones among them
    variance of w: share ((1 - mu_u) / xi)^2 / (n r k2) - mean^2, where n inputs make this share of the fluctuations:
    alpha for those from below and 1 - alpha for recurrent ones; 1 in a feed-forward layer.

    Args:
        mu_u: mean of the potential, in thresholds; 0 is the centred case.
        xi: distance of the mean from the threshold in standard deviations.
        alpha: share of the variance that comes from below, 0 to 1.
        rate_hz: rate of every input in Hz.

    Raises:
        UserError: the mean alone fluctuates more than asked for, so that a variance would be negative.
    """
    response = kernel(layer.neuron, layer.dt, layer.steps)
    rate = known_rate(rate_hz)
    mean = mu_u / ((layer.inputs + layer.recurrent * layer.neurons) * rate * response.mean) if mu_u else 0.0
    target = ((THRESHOLD - mu_u) / xi) ** 2

    def draw(rows: int, share: float) -> Tensor:
        variance = share * target / (rows * rate * response.square) - mean**2
        if bool((variance < 0).any()):
            text = f"needs weights of negative variance from {rows} inputs at {rate:.3g} Hz; a smaller xi, or a mu_u"
            raise UserError(f"init.mu_u={mu_u:g} with init.xi={xi:g}: {text} closer to 0, makes it possible")
        return (mean + gaussian(rows, layer.neurons, variance.sqrt(), generator)).float()

    if not layer.recurrent:
        return draw(layer.inputs, 1.0), None
    return draw(layer.inputs, alpha), draw(layer.neurons, 1 - alpha)


@EXPECTATIONS.register("fluctuation")
def expected(layer: LayerFacts, *, mu_u: float, xi: float, alpha: float, rate_hz: float | None) -> Expectation:
    """Mean mu_u and standard deviation (1 - mu_u) / xi; arguments as in `fluctuation`."""
    variance = ((THRESHOLD - mu_u) / xi) ** 2
    if not layer.recurrent:
        return Expectation(means=(mu_u, 0.0), variances=(variance, 0.0))
    below = layer.inputs / (layer.inputs + layer.neurons)
    return Expectation(means=(below * mu_u, (1 - below) * mu_u), variances=(alpha * variance, (1 - alpha) * variance))


@SCHEMES.register("fluctuation_dale")
def fluctuation_dale(
    layer: LayerFacts,
    generator: Generator,
    *,
    xi: float,
    alpha: float,
    rate_hz: float | None,
    inhibitory: float,
    excitatory_recurrence: bool,
) -> Weights:
    """Exponential weights that obey Dale's law and balance: potential of mean 0 and standard deviation 1 / xi.

    All inputs from below are excitatory. The last neurons of the layer are inhibitory, so that their recurrent weights
    are negative; those of the others are positive, or 0 without `excitatory_recurrence`. Inhibitory neurons of the
    layer below send nothing here.

    With w ~ Exp(l) of mean 1/l and mean square 2/l^2, balance asks for n_ff / l_ff + n_e / l_e = n_i / l_i, and the
    variance 2 r k2 (n_ff / l_ff^2 + n_e / l_e^2 + n_i / l_i^2) is 1 / xi^2. Excitation from below makes the share
    alpha of the variance of all excitation: l_e / l_ff = sqrt(alpha n_e / ((1 - alpha) n_ff)).

    Args:
        xi: distance of the threshold from the mean in standard deviations.
        alpha: share of the excitatory variance that comes from below; without effect without excitatory recurrence.
        rate_hz: rate of every input in Hz.
        inhibitory: share of inhibitory neurons.
        excitatory_recurrence: whether excitatory neurons have recurrent weights.
    """
    plan = DalePlan.of(layer, xi, alpha, rate_hz, inhibitory, excitatory_recurrence)
    weight = _exponential(layer.inputs, layer.neurons, generator) * plan.mean_ff
    weight[plan.n_ff :] = 0
    recurrent = _exponential(layer.neurons, layer.neurons, generator) * plan.mean_ff
    recurrent[: plan.n_e] *= plan.mean_e
    recurrent[plan.n_e :] *= -plan.mean_i
    return weight.float(), recurrent.float()


@EXPECTATIONS.register("fluctuation_dale")
def expected_dale(
    layer: LayerFacts,
    *,
    xi: float,
    alpha: float,
    rate_hz: float | None,
    inhibitory: float,
    excitatory_recurrence: bool,
) -> Expectation:
    """Mean 0 and standard deviation 1 / xi, as long as the scales leave the balance; see `fluctuation_dale`."""
    plan = DalePlan.of(layer, xi, alpha, rate_hz, inhibitory, excitatory_recurrence)
    response = kernel(layer.neuron, layer.dt, layer.steps)
    mean = plan.n_ff * known_rate(rate_hz) * float((plan.mean_ff * response.mean).mean())
    below = plan.n_ff / (plan.n_ff + plan.n_e * plan.mean_e**2 + plan.n_i * plan.mean_i**2)
    variance = (THRESHOLD / xi) ** 2
    return Expectation(means=(mean, -mean), variances=(below * variance, (1 - below) * variance))


@dataclass(frozen=True)
class DalePlan:
    """How many inputs of each kind a layer has, and their mean weights.

    Attributes:
        n_ff, n_e, n_i: excitatory inputs from below, excitatory and inhibitory neurons of the layer.
        mean_ff: mean weight from below, (neurons,).
        mean_e, mean_i: mean absolute recurrent weights in units of mean_ff.
    """

    n_ff: int
    n_e: int
    n_i: int
    mean_ff: Tensor
    mean_e: float
    mean_i: float

    @classmethod
    def of(
        cls,
        layer: LayerFacts,
        xi: float,
        alpha: float,
        rate_hz: float | None,
        inhibitory: float,
        excitatory_recurrence: bool,
    ) -> "DalePlan":
        """The equations of `fluctuation_dale`, solved."""
        n_i = inhibitory_neurons(layer.neurons, inhibitory)
        n_e = layer.neurons - n_i
        n_ff = layer.inputs - (inhibitory_neurons(layer.inputs, inhibitory) if layer.from_neurons else 0)
        mean_e = math.sqrt((1 - alpha) * n_ff / (alpha * n_e)) if excitatory_recurrence else 0.0
        mean_i = (n_ff + n_e * mean_e) / n_i
        squares = 2 * (n_ff + n_e * mean_e**2 + n_i * mean_i**2)
        square = kernel(layer.neuron, layer.dt, layer.steps).square
        mean_ff = THRESHOLD / xi / (known_rate(rate_hz) * square * squares).sqrt()
        return cls(n_ff, n_e, n_i, mean_ff, mean_e, mean_i)


def inhibitory_neurons(neurons: int, share: float) -> int:
    """How many of `neurons` are inhibitory."""
    return round(share * neurons)


def known_rate(rate_hz: float | None) -> float:
    """The rate of the input; raises UserError where neither a key nor the data has told it."""
    if rate_hz is None:
        raise UserError("init.rate_hz=null: there is no data to measure it on here; give a rate in Hz")
    return rate_hz


def _exponential(rows: int, columns: int, generator: Generator) -> Tensor:
    return torch.empty(rows, columns, dtype=torch.float64).exponential_(generator=generator)
