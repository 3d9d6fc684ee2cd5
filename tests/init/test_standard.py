"""Spread of the drawn weights, and that the generator alone decides them."""

import math

import pytest
import torch

from snnrun.config.compose import compose
from snnrun.init import SCHEMES, readout_weights
from snnrun.network import initial_weights

NEED_A_RATE = {"fluctuation", "fluctuation_dale", "variance"}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def configured(name: str):
    return compose([f"init={name}", *(["init.rate_hz=10"] if name in NEED_A_RATE else [])]).init


@pytest.mark.parametrize(
    ("scheme", "input_std", "recurrent_std"),
    [
        ("normal", 1 / math.sqrt(700), 1 / math.sqrt(300)),
        ("calibrated", 1 / math.sqrt(700), 1 / math.sqrt(300)),
        ("spytorch", 1 / math.sqrt(700), 1 / math.sqrt(300)),  # lif has gain 1
        ("uniform", 1 / math.sqrt(3 * 700), 1 / math.sqrt(3 * 300)),
        ("kaiming_uniform", math.sqrt(2 / 700), math.sqrt(2 / 300)),
        ("kaiming_normal", math.sqrt(2 / 700), math.sqrt(2 / 300)),
        ("xavier_uniform", math.sqrt(2 / 1000), math.sqrt(2 / 600)),
        ("orthogonal", 1 / math.sqrt(700), 1 / math.sqrt(300)),
    ],
)
def test_spread(facts, scheme, input_std, recurrent_std):
    own = {"target_rate_hz": 15.0} if scheme == "calibrated" else {}
    weight, recurrent = SCHEMES[scheme](facts(), seeded(1), **own)
    assert weight.shape == (700, 300)
    assert recurrent.shape == (300, 300)
    assert weight.std().item() == pytest.approx(input_std, rel=0.02)
    assert recurrent.std().item() == pytest.approx(recurrent_std, rel=0.02)
    assert abs(weight.mean().item()) < 0.02 * input_std


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_a_seed_decides(facts, scheme):
    drawn = [initial_weights(configured(scheme), facts(neurons=20, inputs=30), seeded(s)) for s in (3, 3, 4)]
    for first, second, other in zip(*drawn, strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(first, other)
        assert first.dtype == torch.float32
        assert first.isfinite().all()


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "fluctuation_dale"])
def test_feed_forward_layers_have_no_recurrent_weights(facts, scheme):
    assert initial_weights(configured(scheme), facts(recurrent=False), seeded(0))[1] is None


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_scales_multiply_what_is_drawn(facts, scheme):
    layer = facts(neurons=20)
    rate = ["init.rate_hz=10"] if scheme in NEED_A_RATE else []
    once, twice = (
        initial_weights(
            compose([f"init={scheme}", f"init.scale={a}", f"init.recurrent_scale={b}", *rate]).init, layer, seeded(0)
        )
        for a, b in ((1, 1), (2, 0.5))
    )
    torch.testing.assert_close(twice[0], 2 * once[0])
    torch.testing.assert_close(twice[1], 0.5 * once[1])


def test_orthogonal_recurrence_keeps_lengths(facts):
    _, recurrent = SCHEMES["orthogonal"](facts(neurons=40), seeded(0))
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(40), atol=1e-5, rtol=0)


def test_spytorch_undoes_the_gain_of_the_membrane(facts):
    weight, _ = SCHEMES["spytorch"](facts("neuron=cuba_lif"), seeded(1))
    assert weight.std().item() == pytest.approx(1 / (1 - math.exp(-2 / 20)) / math.sqrt(700), rel=0.02)


def test_readout_scale():
    weight = readout_weights(400, 100, 3.0, seeded(0))
    assert weight.std().item() == pytest.approx(3.0 / 20, rel=0.02)
