"""Surrogate derivatives over a row of neurons, whole or where they are not cut; shapes as in `snnrun.surrogates`."""

import math
from functools import cache

import numpy as np
import torch
from numba import types
from numba.extending import overload

from snnrun.engine.cpu.compile import FASTMATH, inner_function, row_function
from snnrun.engine.cpu.products import append_within
from snnrun.engine.cpu.simd import power_of_two
from snnrun.surrogates import WIDE, Surrogate

NONE, LOGISTIC, RATIONAL, TRIANGLE, BOXCAR, LORENTZ, GAUSS, EXPONENTIAL, LOBES = range(9)
_ROOT2, _ROOT_2PI = math.sqrt(2), math.sqrt(2 * math.pi)


def curve_of(surrogate: Surrogate) -> tuple[int, float, float, float] | None:
    """(curve, slope, height, side): h(x) = height * curve(slope * x), where LOBES also has two lobes of weight -side.

    None for a surrogate that the engine does not know.
    """
    beta, gamma, factor = surrogate.beta, surrogate.gamma, surrogate.factor
    known = {
        "none": (NONE, 1.0, 0.0, 0.0),
        "sigmoid": (LOGISTIC, beta, beta, 0.0),
        "superspike": (RATIONAL, beta, 1.0, 0.0),
        "triangle": (TRIANGLE, beta, gamma, 0.0),
        "boxcar": (BOXCAR, beta, beta, 0.0),
        "atan": (LORENTZ, math.pi / 2 * beta, beta / 2, 0.0),
        "gaussian": (GAUSS, beta / _ROOT2, beta / _ROOT_2PI, 0.0),
        "exponential": (EXPONENTIAL, beta, gamma * beta / 2, 0.0),
        "erfc": (GAUSS, beta, beta / math.sqrt(math.pi), 0.0),
        "multi_gaussian": (LOBES, beta / _ROOT2, (1 + gamma) * beta / _ROOT_2PI, gamma / (1 + gamma) / WIDE),
    }
    if surrogate.name not in known:
        return None
    curve, slope, height, side = known[surrogate.name]
    return curve, slope, factor * height, side


# exp(r) for |r| <= ln(2) / 2 by its Taylor series: the error is below the rounding of each type.
_LOG2_E = 1 / math.log(2)
_SERIES = {32: [1 / math.factorial(k) for k in range(8)], 64: [1 / math.factorial(k) for k in range(14)]}


def exp_negative(y):  # type: ignore[no-untyped-def]
    """exp(y) for y <= 0, in arithmetic that LLVM turns into vectors; below the normal numbers it is tiny, not 0."""
    return math.exp(y)


@overload(exp_negative, jit_options={"fastmath": FASTMATH, "error_model": "numpy"})
def _exp_negative(y):  # type: ignore[no-untyped-def]
    if y is types.float32:
        low, log2_e, half = np.float32(-87), np.float32(_LOG2_E), np.float32(0.5)
        # ln(2) in two parts, the first with so few digits that its multiples are exact (Cephes).
        coarse, fine = np.float32(0.693359375), np.float32(-2.12194440e-4)
        c0, c1, c2, c3, c4, c5, c6, c7 = (np.float32(c) for c in _SERIES[32])

        def single(y):  # type: ignore[no-untyped-def]
            y = y if y > low else low
            n = np.floor(y * log2_e + half)
            r = (y - n * coarse) - n * fine
            return power_of_two(n) * (c0 + r * (c1 + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * (c6 + r * c7)))))))

        return single
    return lambda y: math.exp(y)


@row_function
def derivative_row(x, h, curve, slope, height, side):  # type: ignore[no-untyped-def]
    """h[n] = h(x[n]); the scalars are those of `curve_of`, in the dtype of x."""
    one = slope / slope
    if curve == LOGISTIC:
        for n in range(len(x)):
            decay = exp_negative(-abs(slope * x[n]))
            h[n] = height * decay / ((one + decay) * (one + decay))
    elif curve == RATIONAL:
        for n in range(len(x)):
            base = one + abs(slope * x[n])
            h[n] = height / (base * base)
    elif curve == TRIANGLE:
        zero = one - one
        for n in range(len(x)):
            rise = one - abs(slope * x[n])
            h[n] = height * (rise if rise > zero else zero)
    elif curve == BOXCAR:
        half, zero = one / (one + one), one - one
        for n in range(len(x)):
            h[n] = height if abs(slope * x[n]) < half else zero
    elif curve == LORENTZ:
        for n in range(len(x)):
            z = slope * x[n]
            h[n] = height / (one + z * z)
    elif curve == GAUSS:
        for n in range(len(x)):
            z = slope * x[n]
            h[n] = height * exp_negative(-z * z)
    elif curve == EXPONENTIAL:
        for n in range(len(x)):
            h[n] = height * exp_negative(-abs(slope * x[n]))
    elif curve == LOBES:
        _lobes_row(x, h, slope, height, side)
    else:
        h[:] = one - one


@row_function
def _lobes_row(x, h, slope, height, side):  # type: ignore[no-untyped-def]
    """A Gaussian less two that are WIDE times as wide, one standard deviation to either side."""
    real = x.dtype.type
    shift, narrow = real(1 / _ROOT2), real(1 / WIDE)
    for n in range(len(x)):
        z = slope * x[n]
        left, right = (z + shift) * narrow, (z - shift) * narrow
        lobes = exp_negative(-left * left) + exp_negative(-right * right)
        h[n] = height * (exp_negative(-z * z) - side * lobes)


@inner_function
def list_near(x, reach, place, distance, used):  # type: ignore[no-untyped-def]
    """Append the neurons of a row that are near the threshold, and x there, from `used` on; returns where they end."""
    end = append_within(x, reach, place, used)
    for q in range(used, end):
        distance[q] = x[place[q]]
    return end


@inner_function
def differentiate(layer, place, listed, first, last, row):  # type: ignore[no-untyped-def]
    """Replace the distances that `list_near` listed from `first` to `last` by the derivatives there, 0 where cut.

    Many steps at once, so that the loops are long. `row` is work space. Returns how many are not cut.
    """
    left = 0
    for begin in range(first, last, len(row)):
        end = min(begin + len(row), last)
        row[: end - begin] = listed[begin:end]
        h = listed[begin:end]
        derivative_row(row[: end - begin], h, layer.curve, layer.slope, layer.height, layer.side)
        left += cut_listed(h, place[begin:end], layer.threshold, layer.neurons)
    return left


@row_function
def cut_listed(h, place, threshold, neurons):  # type: ignore[no-untyped-def]
    """Set h[q] to 0 where |h[q]| < threshold or place[q] is in the padding; returns how many are left."""
    zero, left = threshold - threshold, 0
    for q in range(len(h)):
        kept = (abs(h[q]) >= threshold) & (place[q] < neurons)
        h[q] = h[q] if kept else zero
        left += kept
    return left


@row_function
def cut_row(h, threshold, neurons):  # type: ignore[no-untyped-def]
    """Set h[n] to 0 where |h[n]| < threshold, and in the padding; returns how many are left."""
    zero, left = threshold - threshold, 0
    h[neurons:] = zero
    for n in range(len(h)):
        if abs(h[n]) >= threshold:
            left += 1
        else:
            h[n] = zero
    return left


@cache
def reach_of(surrogate: Surrogate) -> float:
    """A distance from the threshold from which on the derivative is cut, at most half a percent too large."""
    x = np.exp(np.arange(-14, 18, 0.005)) / surrogate.beta
    kept = np.flatnonzero(surrogate.derivative(torch.from_numpy(x)).numpy())
    return float(x[kept[-1] + 1]) if len(kept) and kept[-1] + 1 < len(x) else math.inf
