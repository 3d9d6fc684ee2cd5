"""Weights that keep rates or gradients alike from layer to layer; a fluctuation-driven start with a computed xi."""

import math
from dataclasses import replace

import torch
from torch import Generator

from snnrun.errors import UserError
from snnrun.init.base import EXPECTATIONS, SCHEMES, Expectation, LayerFacts, Weights
from snnrun.init.fluctuation import expected, fluctuation, known_rate
from snnrun.neurons import THRESHOLD


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
    deviation = aimed_deviation(layer, direction, rate_hz)
    return fluctuation(layer, generator, mu_u=0.0, xi=THRESHOLD / deviation, alpha=alpha, rate_hz=rate_hz)


@EXPECTATIONS.register("variance")
def expected_variance(layer: LayerFacts, *, direction: str, alpha: float, rate_hz: float | None) -> Expectation:
    """Mean 0 and the standard deviation s of `variance`."""
    xi = THRESHOLD / aimed_deviation(layer, direction, rate_hz)
    return expected(layer, mu_u=0.0, xi=xi, alpha=alpha, rate_hz=rate_hz)


def aimed_deviation(layer: LayerFacts, direction: str, rate_hz: float | None) -> float:
    """The s of `variance`; raises UserError if there is none."""
    per_step = known_rate(rate_hz) * layer.dt / 1000
    return forward_deviation(per_step) if direction == "forward" else backward_deviation(layer, per_step)


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
