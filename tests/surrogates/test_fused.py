"""The curves of the CPU engine against the table, near the threshold and far away."""

import numpy as np
import pytest
import torch

from snnrun.engine.cpu.derivatives import curve_of, derivative_row
from snnrun.surrogates import SHAPES, Surrogate


@pytest.mark.filterwarnings("ignore::Warning:numba")  # it warns of its own compilation
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
