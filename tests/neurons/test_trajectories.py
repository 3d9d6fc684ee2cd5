"""Neuron models against closed forms, through the reference engine."""

import math

import pytest
import torch

from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.types import Layer
from snnrun.neurons import NEURONS
from snnrun.surrogates import Surrogate

DT, TAU_MEM, TAU_SYN = 1.0, 20.0, 5.0


def run(name: str, current: torch.Tensor, reset: str = "zero", **taus: float) -> list[int]:
    """Spike times (steps) of one neuron driven by `current` (steps,)."""
    neuron = NEURONS[name](neurons=1, dt=DT, tau_mem=TAU_MEM, reset=reset, detach_reset=True, **taus)
    layer = Layer(neuron, tuple(c.double() for c in neuron.constants()), Surrogate("sigmoid", 5.0), None)
    result = ReferenceEngine().scan(current.double().view(1, -1, 1), [layer], None, record=True)
    assert result.spikes is not None
    return result.spikes[0].dense()[0, :, 0].nonzero().flatten().tolist()


@pytest.mark.parametrize("drive", [0.06, 0.1, 0.3])
def test_lif_fires_periodically_when_the_closed_form_says(drive: float) -> None:
    # Constant drive I from rest: v[t] = I (1 - a^(t+1)) / (1 - a), which exceeds 1 when a^(t+1) < 1 - (1 - a) / I.
    a = math.exp(-DT / TAU_MEM)
    period = math.floor(math.log(1 - (1 - a) / drive) / math.log(a)) + 1
    spikes = run("lif", torch.full((200,), drive))
    assert spikes == list(range(period - 1, 200, period))


def test_lif_stays_silent_below_rheobase() -> None:
    rheobase = 1 - math.exp(-DT / TAU_MEM)
    assert run("lif", torch.full((2000,), 0.999 * rheobase)) == []
    assert run("lif", torch.full((2000,), 1.001 * rheobase)) != []


def test_cuba_lif_peaks_at_the_difference_of_exponentials() -> None:
    # After one input w at t = 0: v[t] = w (1 - a) (a_syn^(t+1) - a^(t+1)) / (a_syn - a).
    a, b = math.exp(-DT / TAU_MEM), math.exp(-DT / TAU_SYN)
    v = [(1 - a) * (b ** (t + 1) - a ** (t + 1)) / (b - a) for t in range(100)]
    pulse = torch.zeros(100)
    pulse[0] = 1
    assert run("cuba_lif", pulse * 0.999 / max(v), tau_syn=TAU_SYN) == []
    assert run("cuba_lif", pulse * 1.0001 / max(v), tau_syn=TAU_SYN)[0] == v.index(max(v))


@pytest.mark.parametrize(("reset", "expected"), [("zero", [0, 2]), ("subtract", [0, 1, 2]), ("none", [0, 1, 2, 3, 4])])
def test_resets(reset: str, expected: list[int]) -> None:
    # a = 0.951; pulses of 2.2, 0.1, 1.0, 0, 0
    spikes = run("lif", torch.tensor([2.2, 0.1, 1.0, 0.0, 0.0]), reset=reset)
    assert spikes[: len(expected)] == expected
