"""Where a rule is the gradient of backpropagation through time, it is so to rounding."""

import pytest
import torch

from snnrun.learning import eprop
from snnrun.regularizers import ActivityBounds

DETACHED = "neuron.detach_recurrent=true"
BOUNDS = ActivityBounds(lower=0.3, lower_rate_hz=40.0, upper=0.2, upper_rate_hz=10.0)


def assert_same(found, expected):
    outcome, gradients = found
    reference, truth = expected
    assert outcome.loss == pytest.approx(reference.loss, rel=1e-12)
    assert torch.allclose(outcome.output.logits, reference.output.logits, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(outcome.output.counts, reference.output.counts, strict=True):
        assert torch.equal(ours, theirs)
        assert 0 < ours.mean() < 100  # there are spikes, and not in every step
    assert set(gradients) == set(truth)
    for name, gradient in gradients.items():
        assert truth[name].abs().max() > 1e-5, name
        assert torch.allclose(gradient, truth[name], rtol=1e-10, atol=1e-12 * truth[name].abs().max()), name


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("neuron", ["lif", "cuba_lif", "alif"])
def test_eprop_is_bptt_where_recurrence_and_reset_are_detached(both, neuron, reset):
    scale = ["init.scale=9"] if neuron == "cuba_lif" else []
    assert_same(*both("learning=eprop", f"neuron={neuron}", f"neuron.reset={reset}", DETACHED, *scale))


@pytest.mark.parametrize("readout", ["mean", "last"])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_eprop_is_bptt_for_every_readout(both, reset, readout):
    assert_same(*both("learning=eprop", f"neuron.reset={reset}", f"network.readout={readout}", DETACHED))


@pytest.mark.parametrize(
    "keys",
    [
        ("neuron.detach_reset=false",),
        ("neuron=alif", "neuron.detach_reset=false", "neuron.reset=subtract"),
        ("neuron.tau_init=gamma",),
        ("network.readout_tau_syn=5",),
        ("network.readout_tau_syn=5", "neuron.reset=subtract"),
        ("network=feedforward",),
    ],
    ids=str,
)
def test_eprop_is_exact_in_whatever_a_neuron_does_to_itself(both, keys):
    assert_same(*both("learning=eprop", DETACHED, *keys))


def test_the_cutoff_of_the_surrogate_reaches_a_rule(both):
    (outcome, found), (_, whole) = both("learning=eprop", DETACHED, "learning.cutoff=0.3")
    assert 0 < float(outcome.output.active[0]) < 1
    assert not torch.allclose(found["hidden.0.weight"], whole["hidden.0.weight"])


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_eprop_learns_from_activity_bounds_too(both, reset):
    assert_same(*both("learning=eprop", DETACHED, f"neuron.reset={reset}", bounds=BOUNDS))


def test_samples_that_wait_change_nothing(both, monkeypatch):
    monkeypatch.setattr(eprop, "BUDGET", 1)
    assert_same(*both("learning=eprop", DETACHED, bounds=BOUNDS))


@pytest.mark.parametrize("neuron", ["lif", "alif", "adlif", "cuba_lif"])
def test_truncated_bptt_is_bptt_where_a_block_holds_the_sample(both, neuron):
    scale = ["init.scale=9"] if neuron in ("cuba_lif", "adlif") else []
    keys = [f"neuron={neuron}", "network.hidden=[9,7]", "neuron.tau_train=per_neuron", *scale]
    assert_same(*both("learning=truncated_bptt", "learning.steps=120", *keys, bounds=BOUNDS))


def test_truncated_bptt_cuts_where_a_block_ends(both):
    (_, cut), (_, whole) = both("learning=truncated_bptt", "learning.steps=7")
    assert not torch.allclose(cut["readout.weight"], whole["readout.weight"])
    for name in ("hidden.0.weight", "hidden.0.recurrent"):
        cosine = torch.cosine_similarity(cut[name].flatten(), whole[name].flatten(), 0)
        assert 0.3 < cosine < 0.999
