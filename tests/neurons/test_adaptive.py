"""Adaptive models against the published recursions, written down in the order of the papers."""

import itertools
import math

import pytest
import torch

from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.types import Layer
from snnrun.neurons import NEURONS
from snnrun.surrogates import Surrogate

DT, TAU_MEM, TAU_ADAPT, Q = 4.0, 40.0, 400.0, 120.0
STEPS = 300


def run(neuron, current: torch.Tensor) -> list[int]:
    constants = tuple(c.detach().double() for c in neuron.constants())
    layer = Layer(neuron, constants, Surrogate("sigmoid", 5.0), None)
    result = ReferenceEngine().scan(current.view(1, -1, 1), [layer], None, record=True)
    assert result.spikes is not None
    return result.spikes[0].dense()[0, :, 0].nonzero().flatten().tolist()


@pytest.fixture
def current() -> torch.Tensor:
    return torch.rand(STEPS, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 9


@pytest.mark.parametrize("symplectic", [False, True], ids=["adlif", "se_adlif"])
def test_adlif_is_the_published_recursion(symplectic: bool, current: torch.Tensor) -> None:
    model = NEURONS["se_adlif" if symplectic else "adlif"]
    neuron = model(
        neurons=1, dt=DT, tau_mem=TAU_MEM, tau_adapt=TAU_ADAPT, a=[0.1, 0.1], b=[0.2, 0.2], q=Q,
        reset="zero", detach_reset=True,
    )  # fmt: skip
    alpha, beta = (float(c.detach()) for c in neuron.constants()[:2])  # as the float32 module has them
    a, b = (float(c.detach()) / Q for c in neuron.constants()[2:])
    u = w = 0.0
    spikes = []
    for t, drive in enumerate(current.tolist()):
        u_hat = alpha * u + (1 - alpha) * (-w + drive)
        s = float(u_hat > 1)
        u_new = u_hat * (1 - s)
        w = beta * w + (1 - beta) * (a * (u_new if symplectic else u) + b * s) * Q
        u = u_new
        if s:
            spikes.append(t)
    assert len(spikes) > 10
    assert run(neuron, current) == spikes


def test_alif_is_the_published_recursion(current: torch.Tensor) -> None:
    neuron = NEURONS["alif"](
        neurons=1, dt=DT, tau_mem=TAU_MEM, tau_adapt=TAU_ADAPT, adaptation=0.3, reset="subtract", detach_reset=True
    )
    alpha, rho, jump = (float(c.detach()) for c in neuron.constants())
    v = b = s = 0.0
    spikes = []
    for t, drive in enumerate((current / 10).tolist()):
        b = rho * b + s
        v = alpha * (v - s) + drive
        s = float(v > 1 + jump * b)
        if s:
            spikes.append(t)
    assert len(spikes) > 10
    assert run(neuron, current / 10) == spikes


def test_adaptation_spreads_the_spikes_out() -> None:
    neuron = NEURONS["alif"](
        neurons=1, dt=DT, tau_mem=TAU_MEM, tau_adapt=TAU_ADAPT, adaptation=0.2, reset="zero", detach_reset=True
    )
    spikes = run(neuron, torch.full((STEPS,), 0.6, dtype=torch.float64))
    intervals = [b - a for a, b in itertools.pairwise(spikes)]
    assert intervals[-1] > 2 * intervals[0]


def test_if_forgets_nothing() -> None:
    neuron = NEURONS["if"](neurons=1, dt=DT, reset="subtract", detach_reset=True)
    spikes = run(neuron, torch.full((100,), 0.26, dtype=torch.float64))
    assert len(spikes) == math.floor(100 * 0.26)


@pytest.mark.parametrize("name", ["adlif", "se_adlif"])
def test_the_strengths_of_adaptation_stay_in_their_ranges(name: str) -> None:
    neuron = NEURONS[name](
        neurons=50, dt=DT, tau_mem=TAU_MEM, tau_adapt=TAU_ADAPT, a=[0, 1], b=[0, 2], q=Q, reset="zero",
        detach_reset=True, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert 0.4 < float(neuron.a.detach().mean()) < 0.6
    assert 0.8 < float(neuron.b.detach().mean()) < 1.2
    with torch.no_grad():
        neuron.a.add_(5)
        neuron.b.sub_(5)
    neuron.constrain()
    assert neuron.a.tolist() == [1.0] * 50
    assert neuron.b.tolist() == [0.0] * 50
