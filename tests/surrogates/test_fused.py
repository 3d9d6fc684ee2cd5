"""The curves of the CPU engine against the table, near the threshold and far away."""

import numpy as np
import pytest
import torch

from snnrun.engine.cpu.compile import inner_function
from snnrun.engine.cpu.derivatives import curve_of, derivative_row, differentiate, list_near, reach_of
from snnrun.engine.cpu.layout import layer_type
from snnrun.surrogates import SHAPES, Surrogate

pytestmark = pytest.mark.filterwarnings("ignore::Warning:numba")  # it warns of its own compilation


@pytest.mark.parametrize("scale", ["none", "peak", "area"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_fused_curve_is_that_of_the_table(name: str, scale: str) -> None:
    surrogate = Surrogate(name, 2.0, 0.3, scale)
    near, far = np.linspace(-3, 3, 101), np.geomspace(3, 5e5, 50)  # |beta x| up to 1e6
    x = np.concatenate([near, far, -far]).astype(np.float32)
    curve = curve_of(surrogate)
    assert curve is not None
    h = np.full_like(x, np.nan)
    derivative_row(x, h, curve[0], *(np.float32(number) for number in curve[1:]))
    expected = surrogate.derivative(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(h, expected, rtol=1e-4, atol=1e-6)


@inner_function
def listed(x, table, place, derivative):
    """Those of a row near the threshold, after one place that is taken; where they end, and how many are kept."""
    end = list_near(x, table[0].reach, place, derivative, 1)
    return end, differentiate(table[0], place, derivative, 1, end, np.empty(100))


@pytest.mark.parametrize("cutoff", [1e-6, 1e-3, 0.3])
@pytest.mark.parametrize("name", [name for name in SHAPES if name != "none"])
def test_the_active_neurons_are_those_whose_derivative_is_not_cut(name: str, cutoff: float) -> None:
    surrogate = Surrogate(name, 20.0, 0.3, cutoff=cutoff)
    random, neurons = np.random.default_rng(0), 997
    x = random.choice([0.01, 0.1, 1, 100], 1008) * random.normal(size=1008)
    table = np.zeros(1, layer_type(np.dtype(np.float64)))
    table["neurons"], table["threshold"] = neurons, cutoff * surrogate.peak
    table["curve"], table["slope"], table["height"], table["side"] = curve_of(surrogate)
    table["reach"] = reach_of(surrogate)
    expected = surrogate.derivative(torch.from_numpy(x[:neurons])).numpy()
    place, derivative = np.zeros(1009, np.uint16), np.zeros(1009)
    end, kept = listed(x, table, place, derivative)
    found = np.zeros(len(x))
    found[place[1:end]] = derivative[1:end]
    np.testing.assert_array_equal(np.flatnonzero(found), np.flatnonzero(expected))
    np.testing.assert_allclose(found[:neurons], expected, rtol=1e-9)
    assert kept == np.count_nonzero(expected)
