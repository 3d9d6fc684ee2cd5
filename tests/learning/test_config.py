"""Rules in the configuration: each can be chosen, and what it cannot do is refused."""

import pytest

from snnrun.config.compose import compose
from snnrun.config.schema import OPTIONS
from snnrun.errors import UserError
from snnrun.learning import RULES
from snnrun.learning.answers import ANSWERS
from snnrun.readouts import READOUTS

ROWS = [
    (["learning=eprop", "neuron=adlif"], "learning=eprop: is not derived for neuron=adlif; allowed with it are lif,"),
    (["learning=ottt", "neuron=alif"], "learning=ottt: is not derived for neuron=alif; allowed with it are lif, if,"),
    (["learning=decolle", "neuron=se_adlif"], "is not derived for neuron=se_adlif"),
    (["learning=eprop", "neuron.tau_train=per_neuron"], "learning=eprop: needs neuron.tau_train=none"),
    (["learning=ottt", "neuron.tau_init=gamma"], "learning=ottt: needs neuron.tau_init=constant, not gamma"),
    (["learning=eprop", "network.hidden=[9,9]"], "learning.feedback: symmetric reaches one hidden layer"),
    (["learning=ottt", "regularizer.upper=1"], "regularizer.upper=1: needs the rates of a sample"),
    (["learning=eprop", "learning.loss=every_step", "regularizer.lower=1"], "regularizer.lower=1: needs the rates"),
    (["learning=decolle", "engine=cpu"], "engine=cpu: computes learning=bptt only; allowed with learning=decolle are"),
    (["learning=truncated_bptt", "learning.steps=0"], "learning.steps=0: must be a whole number at least 1"),
    (["learning=eprop", "learning.feedback=symetric"], "(did you mean symmetric?)"),
    (["learning=ottt", "network.delays=synaptic"], "has no gradient for delays with learning=ottt"),
    (["learning.compare_to_bptt=true"], "no such key with learning=bptt"),
    (["learning=eprob"], "eprop"),
]


def test_every_rule_can_be_chosen():
    assert set(OPTIONS["learning"]) == set(RULES)
    assert all(compose([f"learning={name}"]).learning.name == name for name in RULES)


@pytest.mark.parametrize("readout", READOUTS)
def test_a_readout_has_its_errors_or_is_refused(readout):
    if readout in ANSWERS:
        assert compose(["learning=eprop", f"network.readout={readout}"])
    else:
        with pytest.raises(UserError, match=rf"network.readout={readout}: .* allowed with learning=eprop is max, mean"):
            compose(["learning=eprop", f"network.readout={readout}"])


@pytest.mark.parametrize(("overrides", "message"), ROWS, ids=str)
def test_what_a_rule_cannot_do_is_refused(overrides, message):
    with pytest.raises(UserError) as caught:
        compose(overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_rule_can_do():
    assert compose(["learning=eprop", "learning.feedback=random", "network.hidden=[9,9]", "regularizer.upper=1"])
    assert compose(["learning=truncated_bptt", "neuron=adlif", "neuron.tau_train=shared"])
