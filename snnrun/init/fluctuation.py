"""Fluctuation-driven initialisation: the input makes the membrane fluctuate just below its threshold.

Source: Rossbroich, Gygax & Zenke 2022, Neuromorphic Computing and Engineering 2(4), 044016. Every weight is taken to
see Poisson spikes of one rate r, from below and from within the layer alike; k1 and k2 are the integrals of the
neuron's kernel and of its square (`Kernel.mean` and `Kernel.square`).
"""

import math
from dataclasses import replace

import torch
from torch import Generator, Tensor

from snnrun.errors import UserError
from snnrun.init.base import SCHEMES, LayerFacts, Weights, gaussian
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
    response = kernel(layer.neuron, layer.dt, layer.steps)
    n_i = inhibitory_neurons(layer.neurons, inhibitory)
    n_e = layer.neurons - n_i
    n_ff = layer.inputs - (inhibitory_neurons(layer.inputs, inhibitory) if layer.from_neurons else 0)
    # Mean weights in units of that from below.
    mean_e = math.sqrt((1 - alpha) * n_ff / (alpha * n_e)) if excitatory_recurrence else 0.0
    mean_i = (n_ff + n_e * mean_e) / n_i
    squares = 2 * (n_ff + n_e * mean_e**2 + n_i * mean_i**2)
    mean_ff = THRESHOLD / xi / (known_rate(rate_hz) * response.square * squares).sqrt()
    weight = _exponential(layer.inputs, layer.neurons, generator) * mean_ff
    weight[n_ff:] = 0
    recurrent = _exponential(layer.neurons, layer.neurons, generator) * mean_ff
    recurrent[:n_e] *= mean_e
    recurrent[n_e:] *= -mean_i
    return weight.float(), recurrent.float()


@SCHEMES.register("variance")
def variance(
    layer: LayerFacts, generator: Generator, *, direction: str, alpha: float, rate_hz: float | None
) -> Weights:
    """Centred normal weights that keep the rate (forward) or the size of the gradient (backward) from layer to layer.

    The derivation is our own, in the spirit of Perez-Nieves & Goodman 2023 (arXiv:2305.08879), whose formulas it does
    not repeat. It takes potentials as normal with mean 0 and standard deviation s, and leaves the reset out.

    forward: a neuron is above its threshold as often as an input spikes, Q(1 / s) = r dt, Q the tail of the normal
    distribution. Without the reset that is an upper bound of the rate.
    backward: with gradients that are independent between neurons and steps, one layer multiplies their variance by
    neurons E[w^2] sum k^2 E[h^2], h the surrogate; the sum is k2 / dt and E[w^2] = s^2 / (inputs r k2), so that
    s^2 E[h(v - 1)^2] = r dt inputs / neurons keeps it.

    Raises:
        UserError: no s does it: an input that spikes in every other step, or a surrogate without a derivative.
    """
    per_step = known_rate(rate_hz) * layer.dt / 1000
    deviation = forward_deviation(per_step) if direction == "forward" else backward_deviation(layer, per_step)
    return fluctuation(layer, generator, mu_u=0.0, xi=THRESHOLD / deviation, alpha=alpha, rate_hz=rate_hz)


def forward_deviation(per_step: float) -> float:
    """s with Q(1 / s) = per_step."""
    if per_step >= 0.5:
        raise UserError(
            f"init.direction=forward: inputs spike {per_step:.2g} times a step; it must be below 0.5, as a potential "
            "that fluctuates around 0 is above the threshold less often; shorten dataset.dt or set dataset.binary=true"
        )
    quantile = math.sqrt(2) * float(torch.erfinv(torch.tensor(1 - 2 * per_step, dtype=torch.float64)))
    return THRESHOLD / quantile


def backward_deviation(layer: LayerFacts, per_step: float) -> float:
    """s with s^2 E[h(v - 1)^2] = per_step * inputs / neurons, by bisection; the left side grows with s."""
    target = per_step * layer.inputs / layer.neurons
    low, high = 1e-3, 1e3
    if not gain_of_gradient(layer, low) < target < gain_of_gradient(layer, high):
        raise UserError(f"init.direction=backward: surrogate={layer.surrogate.name} passes on too little or too much")
    while high / low > 1 + 1e-6:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if gain_of_gradient(layer, middle) < target else (low, middle)
    return high


def gain_of_gradient(layer: LayerFacts, deviation: float) -> float:
    """s^2 E[h(v - 1)^2] for v ~ N(0, s)."""
    # Steps fine enough for the narrowest surrogate within the bulk of the distribution, and for the distribution.
    width = max(8 * deviation, 2.0)
    v = torch.linspace(-width, width, 200_001, dtype=torch.float64)
    density = torch.exp(-0.5 * (v / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
    surrogate = replace(layer.surrogate, cutoff=0.0)
    mean_square = torch.trapezoid(surrogate.derivative(v - THRESHOLD).square() * density, v)
    return deviation**2 * float(mean_square)


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
