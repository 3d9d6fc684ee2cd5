"""Readouts, dropout, normalisation, smoothing and the refractory period, from the configuration through training."""

import json

import pytest
import torch

from snnrun.data.batch import EventBatch
from snnrun.engine.cpu import CpuEngine
from snnrun.engine.reference import ReferenceEngine
from snnrun.errors import UserError
from snnrun.network import build_network
from snnrun.run_folder import RunFolder

SHORT = ("training.epochs=1", "training.batch_size=36", "dataset.dt=5")
OPTIONS = {
    "softmax": ["network.readout=softmax"],
    "spike_count": ["network.readout=spike_count", "network.readout_population=2"],
    "first_spike": ["network.readout=first_spike", "init.readout_scale=6"],
    "normalised": ["network.batch_norm=true", "network.hidden=[12,10]", "network.readout=spike_count"],
    "everything": [
        *("network.batch_norm=true", "network.dropout=0.2", "neuron.refractory=7", "network.readout=first_spike"),
        *("training.label_smoothing=0.1", "regularizer.lower=1", "regularizer.upper_per=neuron", "regularizer.upper=1"),
    ],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_train(run, name):
    folder = RunFolder(run(*OPTIONS[name], *SHORT))
    row = folder.metrics()[0]
    assert row["grad_norm/hidden1"] > 0
    assert row["grad_norm/readout"] > 0
    assert json.loads((folder.path / "results.json").read_text())["status"] == "done"


@pytest.mark.parametrize("readout", ["max", "spike_count"])
@pytest.mark.filterwarnings("ignore::Warning")  # numba warns of its own compilation
def test_a_normalised_network_is_the_same_on_both_engines(configure, readout):
    words = ("network.batch_norm=true", "network.hidden=[12,10]", f"network.readout={readout}", "init.scale=1")
    inputs = EventBatch.from_dense((torch.rand(5, 40, 30) < 0.2).float())
    found = []
    for engine in (ReferenceEngine(), CpuEngine()):
        network = build_network(configure(*words), 30, 3, torch.Generator().manual_seed(0)).double()
        output = network(inputs, engine, record=True)
        (output.logits.square().sum() + output.counts[0].sum()).backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert len(gradients) == len(list(network.parameters()))
        assert (len(output.counts), len(output.spikes), len(output.active)) == (2, 2, 2)
        found.append([output.logits.detach(), *gradients])
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-8, atol=1e-10)


def test_a_normalised_current_has_mean_0_and_variance_1(configure):
    network = build_network(configure("network.batch_norm=true"), 30, 3, torch.Generator().manual_seed(0)).train()
    layer = network.hidden[0]
    current = layer.current(EventBatch.from_dense((torch.rand(5, 40, 30) < 0.2).float()), layer.weight)
    assert current.shape == (5, 40, 24)
    torch.testing.assert_close(current.mean((0, 1)), torch.zeros(24), atol=1e-5, rtol=0)
    torch.testing.assert_close(current.var((0, 1), correction=0), torch.ones(24), atol=1e-2, rtol=0)


def test_label_smoothing_is_of_the_training_loss(run):
    rows = [RunFolder(run(*SHORT, f"training.label_smoothing={share}", "optimizer.lr=1e-30")).metrics()[0]
            for share in (0, 0.5)]  # fmt: skip
    assert rows[0]["loss/valid"] == rows[1]["loss/valid"]
    assert rows[0]["loss/train"] != rows[1]["loss/train"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["network.readout_population=2"], "needs a readout that spikes; choose network.readout=spike_count"),
        (["network.batch_norm=true", "init=calibrated"], "network.batch_norm=true: cannot go with init=calibrated"),
        (["network.dropout=1"], "network.dropout=1: must be a number at least 0 and below 1"),
        (["network.readout=first"], "network.readout=first: must be one of max, mean, last, softmax, spike_count"),
        (["training.label_smoothing=1"], "must be a number at least 0 and below 1"),
        (["neuron.refractory=-1"], "neuron.refractory=-1: must be a number at least 0"),
        (
            ["network.batch_norm=true", "network.delays=axonal", "network.max_delay=50"],
            "cannot go with delays from below; set network.delays",
        ),
        (["learning=eprop", "network.dropout=0.1"], "network.dropout=0.1: goes with learning=bptt only; allowed"),
        (["learning=ottt", "network.readout=softmax"], "allowed with learning=ottt is max, mean, last"),
        (["regularizer.lower_per=layer"], "must be one of neuron, population"),
    ],
    ids=str,
)
def test_what_is_refused(configure, words, message):
    with pytest.raises(UserError) as caught:
        configure(*words)
    assert message in str(caught.value)
