"""Neurons and surrogates in the configuration: usual values, and what cannot go together."""

import pytest

from snnrun.config.compose import compose
from snnrun.config.schema import OPTIONS
from snnrun.errors import UserError
from snnrun.neurons import NEURONS
from snnrun.surrogates import SHAPES


def test_every_model_can_be_chosen():
    assert set(OPTIONS["neuron"]) == set(NEURONS)
    assert set(OPTIONS["surrogate"]) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_usual_parameters_are_those_of_the_table(name):
    found = compose([f"surrogate={name}"]).surrogate
    assert found.beta == SHAPES[name].beta
    assert found.gamma == (1.0 if SHAPES[name].gamma is None else SHAPES[name].gamma)


@pytest.mark.parametrize("name", SHAPES)
def test_a_sweep_over_shapes_can_set_every_parameter(name):
    found = compose([f"surrogate={name}", "surrogate.gamma=0.5", "surrogate.scale=peak", "beta=3"]).surrogate
    assert (found.gamma, found.scale, found.beta) == (0.5, "peak", 3.0)


def test_the_published_heterogeneous_start():
    neuron = compose(["neuron=cuba_lif_heterogeneous"]).neuron
    assert (neuron.name, neuron.tau_init, neuron.tau_shape) == ("cuba_lif", "gamma", 3.0)
    assert (neuron.tau_train, neuron.tau_constraint) == ("per_neuron", "clamp")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["neuron.tau_train=shared", "neuron.tau_init=gamma"], "neuron.tau_train=shared: needs neuron.tau_init=const"),
        (["neuron.tau_min=5", "neuron.tau_max=5"], "neuron.tau_min=5: must be below neuron.tau_max=5.0"),
        (["neuron.tau_train=per_neuron", "neuron.tau_mem=2000"], "neuron.tau_mem=2000: must be from neuron.tau_min=1"),
        (["neuron=alif", "neuron.tau_init=gamma", "neuron.tau_max=100"], "neuron=alif: neuron.tau_adapt: must be from"),
        (["neuron=adlif", "neuron.a=[1,0]"], "neuron.a=[1,0]: must be a range"),
        (["neuron=if", "neuron.tau_mem=3"], "neuron.tau_mem=3: no such key with neuron=if"),
        (["neuron.tau_shape=0"], "neuron.tau_shape=0: must be a number above 0"),
        (["surrogate.gamma=-1"], "surrogate.gamma=-1: must be a number at least 0"),
        (["surrogate.scale=pek"], "surrogate.scale=pek: must be one of none, peak, area (did you mean peak?)"),
        (["surrogate=multi_gaussian", "surrogate.scale=area", "surrogate.gamma=1"], "surrogate.gamma=1: must be below"),
    ],
    ids=str,
)
def test_combinations_that_are_refused(overrides, message):
    with pytest.raises(UserError) as caught:
        compose(overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_constant_that_is_not_trained_may_be_anything():
    assert compose(["neuron.tau_mem=2000"]).neuron.tau_mem == 2000.0
