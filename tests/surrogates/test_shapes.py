"""Each shape against its primitive, its peak, its area, and against overflow."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from snnrun.errors import UserError
from snnrun.surrogates import SHAPES, Surrogate, register_derivative, smooth_spike, spike

LEARNING = [name for name in SHAPES if name != "none"]
KINKED = {"boxcar", "triangle"}


def usual(name: str, beta: float | None = None, **more) -> Surrogate:
    shape = SHAPES[name]
    gamma = 1.0 if shape.gamma is None else shape.gamma
    return Surrogate(name, shape.beta if beta is None else beta, gamma, **more)


@pytest.mark.parametrize("scale", ["none", "peak", "area"])
@pytest.mark.parametrize("name", LEARNING)
@given(beta=st.floats(0.1, 50), z=st.floats(-4, 4))
def test_derivative_is_that_of_the_primitive(name: str, scale: str, beta: float, z: float) -> None:
    if name in KINKED:  # autograd is one-sided at a kink
        z += 1e-3 if min(abs(abs(z) - k) for k in (0, 0.5, 1)) < 1e-6 else 0.0
    surrogate = usual(name, beta, scale=scale)
    x = torch.tensor([z / beta], dtype=torch.float64, requires_grad=True)
    smooth_spike(x, surrogate).backward()
    torch.testing.assert_close(x.grad, surrogate.derivative(x.detach()), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "beta", "gamma", "scale", "text"),
    [
        ("exponential", 2.0, 5e-324, "none", "beta=2, surrogate.gamma=4.94066e-324: the height of"),
        ("triangle", 1.0, 1e-31, "peak", "the height of triangle would be 1.0e-31; allowed are 1e-30 to 1e+30"),
        ("boxcar", 1e31, 1.0, "none", "the height of boxcar would be 1.0e+31"),
        ("superspike", 1e31, 1.0, "area", "the scale of superspike would be 5.0e+30"),
    ],
)
def test_what_32_bits_do_not_hold_is_refused(name: str, beta: float, gamma: float, scale: str, text: str) -> None:
    with pytest.raises(UserError, match=re.escape(text)):
        Surrogate(name, beta, gamma, scale)
    assert Surrogate(name, 1.0, 0.0, "peak").derivative(torch.zeros(1)).isfinite().all()


@pytest.mark.parametrize("beta", [0.5, 3.0])
@pytest.mark.parametrize("name", LEARNING)
def test_peak_and_area_are_what_scale_divides_by(name: str, beta: float) -> None:
    def value(x: float, scale: str) -> float:
        return usual(name, beta, scale=scale).derivative(torch.tensor(x, dtype=torch.float64)).item()

    assert value(0.0, "peak") == pytest.approx(1)
    assert value(0.0, "none") == pytest.approx(usual(name, beta).peak)
    half = [quad(value, a / beta, b / beta, args=("area",))[0] for a, b in ((0, 0.5), (0.5, 1), (1, 40))]
    tail = quad(lambda y: value(1 / y, "area") / y**2, 0, beta / 40)[0]
    assert 2 * (sum(half) + tail) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", SHAPES)
def test_safe_far_from_the_threshold(name: str, dtype: torch.dtype) -> None:
    surrogate = usual(name, 1.0)
    x = torch.tensor([-1e6, -1e3, -88.8, -1.0, 0.0, 1.0, 88.8, 1e3, 1e6], dtype=dtype)
    h, primitive = surrogate.derivative(x), surrogate.primitive(x)
    assert h.isfinite().all()
    assert primitive.isfinite().all()
    assert h.dtype == dtype
    assert h[0].abs() < 1e-4
    assert h[-1].abs() < 1e-4


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("sigmoid", 0.0, 1.25),  # the lecture: beta / 4
        ("superspike", 0.01, 0.25),  # 1 / (100 * 0.01 + 1)^2
        ("triangle", 0.25, 0.75),
        ("boxcar", 0.49, 1.0),
        ("boxcar", 0.51, 0.0),
        ("atan", 0.0, 1.0),
        ("exponential", 0.0, 2.5),
        ("none", 0.0, 0.0),
    ],
)
def test_published_values(name: str, x: float, expected: float) -> None:
    value = usual(name).derivative(torch.tensor(x, dtype=torch.float64))
    assert value.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", SHAPES)
def test_spike_is_a_step_forward_and_the_curve_backward(name: str) -> None:
    x = torch.tensor([-0.2, 0.0, 1e-30, 0.3], dtype=torch.float64, requires_grad=True)
    surrogate = usual(name)
    s = spike(x, surrogate)
    assert s.tolist() == [0, 0, 1, 1]  # H(0) = 0
    s.backward(torch.full_like(s, 2.0))
    torch.testing.assert_close(x.grad, 2 * surrogate.derivative(x.detach()))


def test_cutoff_drops_only_what_is_below_that_share_of_the_peak() -> None:
    whole, cut = usual("superspike"), usual("superspike", cutoff=1e-3)
    x = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    kept = whole.derivative(x) >= 1e-3
    assert 0 < kept.sum() < len(x)
    torch.testing.assert_close(cut.derivative(x), torch.where(kept, whole.derivative(x), 0.0))


@pytest.mark.parametrize("scale", ["none", "peak", "area"])
def test_of_a_derivative_alone_all_else_is_found_numerically(scale: str) -> None:
    register_derivative("copied", beta=3.0)(SHAPES["sigmoid"].derivative)
    try:
        found, expected = (Surrogate(name, 3.0, scale=scale) for name in ("copied", "sigmoid"))
        x = torch.linspace(-3, 3, 101)
        assert (found.peak, found.factor) == pytest.approx((expected.peak, expected.factor), rel=1e-6)
        torch.testing.assert_close(found.derivative(x), expected.derivative(x))
        torch.testing.assert_close(found.primitive(x), expected.primitive(x), atol=1e-4, rtol=0)
    finally:
        SHAPES.remove("copied")
