"""Fluctuation-driven weights: published figures, and the potential that they give on Poisson input."""

import math

import pytest
import torch

from snnrun.errors import UserError
from snnrun.init import EXPECTATIONS, SCHEMES
from snnrun.init.kernel import kernel, potential
from snnrun.init.variance import backward_deviation, forward_deviation, gain_of_gradient

RATE_HZ, DT, STEPS = 15.8, 2.0, 350
LEAKY = ["lif", "cuba_lif", "alif", "adlif", "se_adlif"]


def draw(scheme, layer, **keys):
    keys = {"alpha": 0.9, "rate_hz": RATE_HZ, **keys}
    return SCHEMES[scheme](layer, torch.Generator().manual_seed(1), **keys)


def predicted(scheme, layer, scale=1.0, recurrent_scale=1.0, **keys):
    keys = {"alpha": 0.9, "rate_hz": RATE_HZ, **keys}
    return EXPECTATIONS[scheme](layer, **keys).scaled(scale, recurrent_scale)


def measured(layer, weight, recurrent=None, samples=12, settled=100):
    """Mean and standard deviation over time of the potential on Poisson input, without a threshold.

    Recurrent input is Poisson of the same rate, as the scheme takes it to be.
    """
    generator = torch.Generator().manual_seed(2)

    def poisson(units):
        rates = torch.full((samples, STEPS, units), RATE_HZ * DT / 1000, dtype=torch.float64)
        return torch.poisson(rates, generator=generator)

    current = poisson(len(weight)) @ weight.double()
    if recurrent is not None:
        current = current + poisson(len(recurrent)) @ recurrent.double()
    trace = potential(layer.neuron, current)[:, settled:]
    return trace.mean().item(), math.sqrt(trace.var(1).mean().item())


@pytest.mark.parametrize(("inputs", "std"), [(700, 0.2108), (128, 0.4929)])
def test_published_setting(facts, inputs, std):
    layer = facts("neuron=cuba_lif", inputs=inputs, recurrent=False)
    weight, _ = draw("fluctuation", layer, mu_u=0.0, xi=1.0)
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    response = kernel(layer.neuron, DT, STEPS)
    assert response.mean[0].item() == pytest.approx(0.011032, rel=1e-3)
    assert response.square[0].item() == pytest.approx(0.0020356, rel=1e-3)


@pytest.mark.parametrize("recurrent", [False, True], ids=["feedforward", "recurrent"])
@pytest.mark.parametrize("name", LEAKY)
def test_the_potential_fluctuates_as_aimed_at(facts, name, recurrent):
    layer = facts(f"neuron={name}", inputs=200, neurons=60, recurrent=recurrent)
    _, deviation = measured(layer, *draw("fluctuation", layer, mu_u=0.0, xi=2.0))
    assert deviation == pytest.approx(1 / 2.0, rel=0.2)


def test_heterogeneous_time_constants_each_get_their_weights(facts):
    layer = facts("neuron=cuba_lif", "neuron.tau_init=gamma", inputs=400, neurons=80, recurrent=False)
    weight, _ = draw("fluctuation", layer, mu_u=0.0, xi=1.0)
    assert measured(layer, weight)[1] == pytest.approx(1.0, rel=0.2)
    assert weight.std(0).max() > 1.5 * weight.std(0).min()


def test_the_mean_is_the_one_asked_for(facts):
    layer = facts("neuron=cuba_lif", inputs=700, neurons=200)
    mean, deviation = measured(layer, *draw("fluctuation", layer, mu_u=0.5, xi=1.0))
    assert mean == pytest.approx(0.5, abs=0.05)
    assert deviation == pytest.approx(0.5, rel=0.2)


def test_recurrence_makes_its_share_of_the_variance(facts):
    layer = facts("neuron=cuba_lif", inputs=400, neurons=100)
    weight, recurrent = draw("fluctuation", layer, mu_u=0.0, xi=1.0, alpha=0.7)
    from_below = measured(layer, weight)[1] ** 2
    whole = measured(layer, weight, recurrent)[1] ** 2
    assert from_below / whole == pytest.approx(0.7, abs=0.05)


def test_a_negative_variance_is_refused(facts):
    with pytest.raises(UserError, match=r"^init.mu_u=0.9 with init.xi=3: needs weights of negative variance") as caught:
        draw("fluctuation", facts("neuron=cuba_lif", inputs=20, recurrent=False), mu_u=0.9, xi=3.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "keys"),
    [
        ("fluctuation", {"mu_u": 0.4, "xi": 1.5, "alpha": 0.6}),
        ("fluctuation_dale", {"xi": 2.0, "inhibitory": 0.2, "excitatory_recurrence": True}),
        ("fluctuation_dale", {"xi": 2.0, "inhibitory": 0.3, "excitatory_recurrence": False}),
        ("variance", {"direction": "forward"}),
        ("variance", {"direction": "backward"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("scales", [(1.0, 1.0), (1.0, 2.0), (0.5, 1.0)], ids=str)
def test_the_prediction_is_what_happens(facts, scheme, keys, scales):
    layer = facts("neuron=cuba_lif", inputs=300, neurons=100)
    weight, recurrent = draw(scheme, layer, **keys)
    mean, deviation = measured(layer, scales[0] * weight, scales[1] * recurrent)
    expected_mean, expected_deviation = predicted(scheme, layer, *scales, **keys)
    assert deviation == pytest.approx(expected_deviation, rel=0.1)
    assert mean == pytest.approx(expected_mean, abs=0.2 * expected_deviation + 0.05 * abs(expected_mean))


def test_a_layer_without_recurrence_gets_all_from_below(facts):
    layer = facts("neuron=cuba_lif", recurrent=False)
    assert predicted("fluctuation", layer, mu_u=0.2, xi=2.0) == pytest.approx((0.2, 0.4))
    assert predicted("fluctuation", layer, recurrent_scale=7.0, mu_u=0.2, xi=2.0) == pytest.approx((0.2, 0.4))


def test_an_unknown_rate_is_refused(facts):
    with pytest.raises(UserError, match=r"^init.rate_hz=null: "):
        draw("fluctuation", facts(), mu_u=0.0, xi=1.0, rate_hz=None)


@pytest.mark.parametrize("excitatory_recurrence", [True, False])
def test_dale(facts, excitatory_recurrence):
    layer = facts("neuron=cuba_lif", inputs=300, neurons=100)
    keys = {"inhibitory": 0.2, "excitatory_recurrence": excitatory_recurrence}
    weight, recurrent = draw("fluctuation_dale", layer, xi=2.0, **keys)
    assert (weight > 0).all()
    assert (recurrent[80:] < 0).all()
    assert ((recurrent[:80] > 0) if excitatory_recurrence else (recurrent[:80] == 0)).all()
    mean, deviation = measured(layer, weight, recurrent)
    assert mean == pytest.approx(0, abs=0.1)
    assert deviation == pytest.approx(0.5, rel=0.2)


def test_forward_keeps_the_time_above_threshold():
    deviation = forward_deviation(0.02)
    assert 0.5 * math.erfc(1 / deviation / math.sqrt(2)) == pytest.approx(0.02, rel=1e-6)
    with pytest.raises(UserError, match=r"must be below 0\.5"):
        forward_deviation(0.5)


@pytest.mark.parametrize("surrogate", ["sigmoid", "superspike", "boxcar"])
def test_backward_keeps_the_variance_of_the_gradient(facts, surrogate):
    layer = facts(f"surrogate={surrogate}")
    deviation = backward_deviation(layer, 0.03)
    assert gain_of_gradient(layer, deviation) == pytest.approx(0.03 * 700 / 300, rel=1e-3)
    v = deviation * torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sampled = deviation**2 * layer.surrogate.derivative(v - 1).square().mean().item()
    assert gain_of_gradient(layer, deviation) == pytest.approx(sampled, rel=0.05)


def test_no_weights_pass_gradients_through_the_true_derivative(facts):
    with pytest.raises(UserError, match="surrogate=none passes on too little"):
        backward_deviation(facts("surrogate=none"), 0.03)
