"""Time constants: where they start, what is trained, and that they stay in range."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnrun.neurons.time_constants import TauSettings, TimeConstant

MEAN, DT, NEURONS = 20.0, 0.5, 20_000


def make(mean: float = MEAN, neurons: int = NEURONS, seed: int = 0, **settings: object) -> TimeConstant:
    return TimeConstant(mean, neurons, DT, TauSettings(**settings), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("init", "spread"), [("gamma", 1 / math.sqrt(3)), ("lognormal", 1 / math.sqrt(3)), ("uniform", 1 / math.sqrt(3))]
)
def test_distributions_have_the_mean_and_the_spread_that_they_say(init: str, spread: float) -> None:
    tau = make(init=init, minimum=1e-3, maximum=1e4).tau
    assert float(tau.mean()) == pytest.approx(MEAN, rel=0.03)
    assert float(tau.std()) == pytest.approx(spread * MEAN, rel=0.05)


def test_normal_is_clamped_from_below() -> None:
    tau = make(init="normal").tau
    assert float(tau.min()) == 1.0
    assert float(tau.median()) == pytest.approx(MEAN, rel=0.03)


@pytest.mark.parametrize("init", ["gamma", "lognormal", "uniform", "normal"])
def test_the_generator_alone_decides(init: str) -> None:
    torch.manual_seed(5)
    first = make(init=init, neurons=10, seed=3).tau
    torch.manual_seed(6)
    before = torch.random.get_rng_state()
    assert torch.equal(first, make(init=init, neurons=10, seed=3).tau)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.equal(first, make(init=init, neurons=10, seed=4).tau)


@pytest.mark.parametrize("constraint", ["sigmoid", "clamp"])
@pytest.mark.parametrize(("train", "trained"), [("none", 0), ("shared", 1), ("per_neuron", 7)])
def test_what_is_trained(train: str, trained: int, constraint: str) -> None:
    taus = make(neurons=7, train=train, constraint=constraint)
    assert sum(p.numel() for p in taus.parameters()) == trained
    assert taus().shape == taus.tau.shape == (7,)
    torch.testing.assert_close(taus.tau, torch.full((7,), MEAN), rtol=1e-4, atol=0)
    torch.testing.assert_close(taus(), torch.full((7,), math.exp(-DT / MEAN)))


@pytest.mark.parametrize("constraint", ["sigmoid", "clamp"])
@given(step=st.floats(-1e3, 1e3), mean=st.floats(2, 100))
def test_training_cannot_leave_the_range(constraint: str, step: float, mean: float) -> None:
    taus = make(mean, 4, train="per_neuron", constraint=constraint, minimum=2.0, maximum=100.0)
    with torch.no_grad():
        taus.value.add_(step)
    taus.constrain()
    assert float(taus.tau.min()) >= 2.0 * (1 - 1e-4)
    assert float(taus.tau.max()) <= 100.0 * (1 + 1e-3)
    assert taus().isfinite().all()


@pytest.mark.parametrize("constraint", ["sigmoid", "clamp"])
def test_the_gradient_reaches_what_is_trained(constraint: str) -> None:
    taus = make(neurons=3, train="per_neuron", constraint=constraint)
    taus().sum().backward()
    assert (taus.value.grad.abs() > 0).all()
