"""Surrogate derivatives on the device; the table and its sources are in `snnrun.surrogates`."""

# Device code: compile-time arguments in capitals as is usual in Triton, which infers all other types itself.
# ruff: noqa: N803

import triton
import triton.language as tl

from snnrun.surrogates import WIDE

SHAPES = (
    "sigmoid", "superspike", "triangle", "boxcar", "atan", "gaussian", "multi_gaussian", "exponential", "erfc", "none",
)  # fmt: skip

LOBE: tl.constexpr = tl.constexpr(WIDE)


@triton.jit
def normal(x, mean, sigma):
    """Density of the normal distribution."""
    z = (x - mean) / sigma
    return tl.exp(-0.5 * z * z) / (sigma * 2.5066282746310002)


@triton.jit
def derivative(x, beta, gamma, factor, threshold, SHAPE: tl.constexpr, SPARSE: tl.constexpr):
    """Derivative h(x) of a tile: the published form times `factor`; where SPARSE, zero if |h| < threshold."""
    z = beta * x
    if SHAPE == "sigmoid":
        decay = tl.exp(-tl.abs(z))
        h = beta * decay / ((1 + decay) * (1 + decay))
    elif SHAPE == "superspike":
        root = 1 + tl.abs(z)
        h = 1 / (root * root)
    elif SHAPE == "triangle":
        h = gamma * tl.maximum(1 - tl.abs(z), 0.0)
    elif SHAPE == "boxcar":
        h = tl.where(tl.abs(z) < 0.5, beta, 0.0)
    elif SHAPE == "atan":
        root = 1.5707963267948966 * z
        h = beta / 2 / (1 + root * root)
    elif SHAPE == "gaussian":
        h = normal(x, 0.0, 1 / beta)
    elif SHAPE == "multi_gaussian":
        lobes = normal(z, 1.0, LOBE) + normal(z, -1.0, LOBE)
        h = beta * ((1 + gamma) * normal(z, 0.0, 1.0) - gamma * lobes)
    elif SHAPE == "exponential":
        h = gamma * beta / 2 * tl.exp(-tl.abs(z))
    elif SHAPE == "erfc":
        h = beta * 0.5641895835477563 * tl.exp(-z * z)
    else:
        tl.static_assert(SHAPE == "none")
        h = tl.zeros_like(x)
    h = factor * h
    if SPARSE:
        h = tl.where(tl.abs(h) >= threshold, h, 0.0)
    return h
