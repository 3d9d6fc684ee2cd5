"""Surrogate derivatives of the spike function: one table of shapes, and the spike function that uses them.

The forward pass is always the Heaviside step S = H(x), H(0) = 0, of the distance x = v - threshold. The backward pass
replaces its derivative by a smooth h(x) (Neftci, Mostafa & Zenke 2019, IEEE Signal Processing Magazine 36(6), 51-63).
Each shape is written in z = beta * x. `scale` divides h by its peak or by its area, so that a sweep over the slope
beta can hold either of them fixed (Zenke & Vogels 2021, Neural Computation 33(4), 899-925: learning is robust to the
shape of a surrogate and sensitive to its scale).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnrun.errors import UserError
from snnrun.registry import Registry

LEAST = 1e-30  # height of a derivative that is not 0; its inverse is the most

Curve = Callable[[Tensor, float, float], Tensor]
Number = Callable[[float, float], float]


@dataclass(frozen=True)
class Shape:
    """One row of the table of surrogate shapes.

    Attributes:
        derivative: h(x; beta, gamma) elementwise, in its published normalisation.
        primitive: integral of h from minus infinity to x, the smoothed spike function.
        peak: h(0; beta, gamma).
        area: integral of h over all x.
        beta: usual steepness.
        gamma: usual second parameter; None where the shape has none.
        source: where the form was published.
    """

    derivative: Curve
    primitive: Curve
    peak: Number
    area: Number
    beta: float
    gamma: float | None
    source: str


SHAPES: Registry[Shape] = Registry("surrogate")


def register_derivative(
    name: str, *, beta: float, gamma: float | None = None, source: str = ""
) -> Callable[[Curve], Curve]:
    """Return a decorator that adds a derivative h(x; beta, gamma) to the table; all else is found numerically.

    `beta` and `gamma` are the usual values. h must be finite for every x, and where |beta x| is above 1e4 it counts as
    zero.
    """

    def add(derivative: Curve) -> Curve:
        @functools.cache
        def peak(beta: float, gamma: float) -> float:
            return float(derivative(torch.zeros(1, dtype=torch.float64), beta, gamma))

        @functools.cache
        def integral(beta: float, gamma: float) -> tuple[Tensor, Tensor]:
            # In z = beta x, on a grid that is fine near the threshold and wide far away.
            x = torch.sinh(torch.linspace(-10, 10, 200_001, dtype=torch.float64)) / beta
            return x, torch.cumulative_trapezoid(derivative(x, beta, gamma), x)

        def primitive(x: Tensor, beta: float, gamma: float) -> Tensor:
            grid, values = integral(beta, gamma)
            place = torch.searchsorted(grid.to(x), x.detach().contiguous()).clamp(1, len(values)) - 1
            return values.to(x)[place]

        shape = Shape(derivative, primitive, peak, lambda b, g: float(integral(b, g)[1][-1]), beta, gamma, source)
        SHAPES.register(name)(shape)
        return derivative

    return add


def _sigmoid(x: Tensor, beta: float, gamma: float) -> Tensor:
    # e^-|z| / (1 + e^-|z|)^2 never overflows; sigma(z) (1 - sigma(z)) with e^z does at z > 88 in float32.
    decay = torch.exp(-(beta * x).abs())
    return beta * decay / (1 + decay) ** 2


def _superspike(x: Tensor, beta: float, gamma: float) -> Tensor:
    return 1 / (1 + beta * x.abs()) ** 2


def _triangle(x: Tensor, beta: float, gamma: float) -> Tensor:
    return gamma * (1 - beta * x.abs()).clamp(min=0)


def _triangle_primitive(x: Tensor, beta: float, gamma: float) -> Tensor:
    z = (beta * x).clamp(-1, 1)
    return gamma / beta * (0.5 + z - 0.5 * z * z.abs())


def _boxcar(x: Tensor, beta: float, gamma: float) -> Tensor:
    return beta * ((beta * x).abs() < 0.5).to(x.dtype)


def _atan(x: Tensor, beta: float, gamma: float) -> Tensor:
    return beta / 2 / (1 + (math.pi / 2 * beta * x) ** 2)


def _normal(x: Tensor, mean: float, sigma: float) -> Tensor:
    return torch.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def _normal_cdf(x: Tensor, mean: float, sigma: float) -> Tensor:
    return 0.5 * torch.erfc(-(x - mean) / (sigma * math.sqrt(2)))


WIDE = 6.0  # multi_gaussian: width of the two negative lobes in units of the width of the central one


def _multi_gaussian(x: Tensor, beta: float, gamma: float) -> Tensor:
    sigma = 1 / beta
    lobes = _normal(x, sigma, WIDE * sigma) + _normal(x, -sigma, WIDE * sigma)
    return (1 + gamma) * _normal(x, 0.0, sigma) - gamma * lobes


def _multi_gaussian_primitive(x: Tensor, beta: float, gamma: float) -> Tensor:
    sigma = 1 / beta
    lobes = _normal_cdf(x, sigma, WIDE * sigma) + _normal_cdf(x, -sigma, WIDE * sigma)
    return (1 + gamma) * _normal_cdf(x, 0.0, sigma) - gamma * lobes


def _multi_gaussian_peak(beta: float, gamma: float) -> float:
    lobe = math.exp(-0.5 / WIDE**2) / WIDE
    return beta / math.sqrt(2 * math.pi) * (1 + gamma - 2 * gamma * lobe)


def _exponential(x: Tensor, beta: float, gamma: float) -> Tensor:
    return gamma * beta / 2 * torch.exp(-(beta * x).abs())


def _exponential_primitive(x: Tensor, beta: float, gamma: float) -> Tensor:
    z = beta * x
    rising, falling = torch.exp(z.clamp(max=0)), torch.exp(-z.clamp(min=0))
    return gamma * torch.where(z > 0, 1 - 0.5 * falling, 0.5 * rising)


def _erfc(x: Tensor, beta: float, gamma: float) -> Tensor:
    return beta / math.sqrt(math.pi) * torch.exp(-((beta * x) ** 2))


for _name, _row in {
    "sigmoid": Shape(
        _sigmoid, lambda x, b, g: torch.sigmoid(b * x), lambda b, g: b / 4, lambda b, g: 1.0, 5.0, None,
        "the lecture on surrogate gradients (neuro4ml.github.io, week 5): beta s(beta x) (1 - s(beta x)), beta = 5",
    ),
    "superspike": Shape(
        _superspike, lambda x, b, g: 1 / b + x / (1 + b * x.abs()), lambda b, g: 1.0, lambda b, g: 2 / b, 100.0, None,
        "Zenke & Ganguli 2018, Neural Computation 30(6), 1514-1541 (the derivative of the fast sigmoid)",
    ),
    "triangle": Shape(
        _triangle, _triangle_primitive, lambda b, g: g, lambda b, g: g / b, 1.0, 1.0,
        "Esser et al. 2016, PNAS 113(41), 11441-11446; gamma: the dampening factor of Bellec et al. 2018",
    ),
    "boxcar": Shape(
        _boxcar, lambda x, b, g: (b * x).clamp(-0.5, 0.5) + 0.5, lambda b, g: b, lambda b, g: 1.0, 1.0, None,
        "Bittar & Garner 2022, Frontiers in Neuroscience 16:865897 (1 within half a threshold of the threshold)",
    ),
    "atan": Shape(
        _atan, lambda x, b, g: 0.5 + torch.atan(math.pi / 2 * b * x) / math.pi, lambda b, g: b / 2, lambda b, g: 1.0,
        2.0, None, "Fang et al. 2021, ICCV, 2661-2671 (parametric LIF)",
    ),
    "gaussian": Shape(
        lambda x, b, g: _normal(x, 0.0, 1 / b), lambda x, b, g: _normal_cdf(x, 0.0, 1 / b),
        lambda b, g: b / math.sqrt(2 * math.pi), lambda b, g: 1.0, 2.0, None,
        "Yin, Corradi & Bohte 2020, ICONS; beta = 1 / sigma, sigma = 0.5",
    ),
    "multi_gaussian": Shape(
        _multi_gaussian, _multi_gaussian_primitive, _multi_gaussian_peak, lambda b, g: 1 - g, 2.0, 0.15,
        "Yin, Corradi & Bohte 2021, Nature Machine Intelligence 3, 905-913; gamma = h = 0.15, s = 6, sigma = 0.5",
    ),
    "exponential": Shape(
        _exponential, _exponential_primitive, lambda b, g: g * b / 2, lambda b, g: g, 5.0, 1.0,
        "Shrestha & Orchard 2018, NeurIPS (SLAYER); gamma: the factor c of Baronig et al. 2025 (c = 0.4)",
    ),
    "erfc": Shape(
        _erfc, lambda x, b, g: 0.5 * torch.erfc(-b * x), lambda b, g: b / math.sqrt(math.pi), lambda b, g: 1.0,
        2.0, None, "escape noise with Gaussian noise: Gygax & Zenke 2025, Neural Computation 37(5), 886-925",
    ),
    "none": Shape(
        lambda x, b, g: torch.zeros_like(x), lambda x, b, g: (x > 0).to(x.dtype), lambda b, g: 0.0, lambda b, g: 0.0,
        1.0, None, "the true derivative of the step, zero everywhere: the baseline that cannot learn",
    ),
}.items():  # fmt: skip
    SHAPES.register(_name)(_row)


@dataclass(frozen=True)
class Surrogate:
    """A shape with its parameters: what stands for dH/dx in the backward pass.

    Attributes:
        name: a key of `SHAPES`.
        beta: steepness, > 0 (multiplies the distance from the threshold).
        gamma: second parameter of the shape; unused by shapes that have none.
        scale: "none" keeps the published form, "peak" makes h(0) = 1, "area" makes the integral of h 1.
        cutoff: h counts as zero where |h| < cutoff * h(0): neurons far from their threshold leave the backward pass
            (Perez-Nieves & Goodman 2021, NeurIPS, "Sparse spiking gradient descent"); 0 keeps all of it.
    """

    name: str
    beta: float
    gamma: float = 1.0
    scale: str = "none"
    cutoff: float = 0.0

    def __post_init__(self) -> None:
        """Raise UserError where 32-bit numbers would overflow or vanish."""
        for what, size in ("height", self.shape.peak(self.beta, self.gamma)), ("scale", self.factor):
            if size and not LEAST <= abs(size) <= 1 / LEAST:
                given = f"surrogate.beta={self.beta:g}, surrogate.gamma={self.gamma:g}"
                text = f"the {what} of {self.name} would be {size:.1e}; allowed are {LEAST:g} to {1 / LEAST:g}"
                raise UserError(f"{given}: {text}")

    @property
    def shape(self) -> Shape:
        """The row of the table."""
        return SHAPES[self.name]

    @property
    def factor(self) -> float:
        """What the published form is multiplied by to get the asked-for scale (1 for "none", and for a zero curve)."""
        if self.scale == "none":
            return 1.0
        measure = self.shape.peak if self.scale == "peak" else self.shape.area
        size = measure(self.beta, self.gamma)
        return 1 / size if size else 1.0

    @property
    def peak(self) -> float:
        """h(0), the largest value of the scaled derivative."""
        return self.factor * self.shape.peak(self.beta, self.gamma)

    def derivative(self, x: Tensor) -> Tensor:
        """h(x), elementwise, same shape and dtype as x. Finite for every finite x."""
        h = self.factor * self.shape.derivative(x, self.beta, self.gamma)
        return h if self.cutoff == 0 else h * (h.abs() >= self.cutoff * self.peak)

    def primitive(self, x: Tensor) -> Tensor:
        """Integral of h from minus infinity to x: a smooth stand-in for the step, to check gradients with."""
        return self.factor * self.shape.primitive(x, self.beta, self.gamma)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(x), None


def spike(x: Tensor, surrogate: Surrogate) -> Tensor:
    """H(x) with H(0) = 0 forward, `surrogate.derivative(x)` backward. Any shape; values 0 or 1 in the dtype of x."""
    result: Tensor = _Spike.apply(x, surrogate)  # type: ignore[no-untyped-call]
    return result


def smooth_spike(x: Tensor, surrogate: Surrogate) -> Tensor:
    """The primitive of the surrogate forward and backward: a differentiable network to check gradients on.

    A surrogate gradient is in general not the gradient of any loss (Gygax & Zenke 2025), so finite differences are
    only meaningful on this smoothed forward pass.
    """
    return surrogate.primitive(x)
