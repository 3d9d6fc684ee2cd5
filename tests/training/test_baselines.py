"""Networks that do not spike: what they compute, and that a run of theirs is a run like any other."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from snnrun import train
from snnrun.baselines import build
from snnrun.cli import main
from snnrun.config.compose import compose
from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.errors import UserError
from snnrun.run_folder import RunFolder


@pytest.fixture
def baseline(task):
    """The configuration of the task for a baseline."""
    common = [word for word in task if not word.startswith("network.")]
    return lambda name, *words: compose([*common, f"network={name}", "optimizer.lr=0.03", *words])


def batch() -> EventBatch:
    return EventBatch.from_dense(torch.randint(0, 3, (5, 40, 30), generator=torch.Generator().manual_seed(1)))


def test_the_sizes_that_the_comment_tells():
    network = build(compose(["network=gru"]), 700, 20, torch.Generator())
    assert sum(p.numel() for p in network.parameters()) == 184_100
    assert "184,100 parameters" in network.summary()
    spiking = build(compose([]), 700, 20, torch.Generator())
    assert sum(p.numel() for p in spiking.parameters()) == 184_000


@pytest.mark.parametrize(("readout", "reduce"), [("mean", lambda x: x.mean(1)), ("last", lambda x: x[:, -1])])
def test_a_gru_is_that_of_its_equations(baseline, readout, reduce):
    config = baseline("gru", "network.hidden=[7]", f"network.readout={readout}")
    network = build(config, 30, 3, torch.Generator().manual_seed(0)).double()
    weights = {name: p.detach() for name, p in network.gru.named_parameters()}
    state, states = torch.zeros(5, 7, dtype=torch.float64), []
    for x in batch().dense(torch.float64).unbind(1):
        of_x = (x @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]).chunk(3, 1)
        of_h = (state @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]).chunk(3, 1)
        reset, update = torch.sigmoid(of_x[0] + of_h[0]), torch.sigmoid(of_x[1] + of_h[1])
        state = (1 - update) * torch.tanh(of_x[2] + reset * of_h[2]) + update * state
        states.append(state)
    expected = reduce(torch.stack(states, 1)) @ network.readout.weight + network.readout.bias
    torch.testing.assert_close(network.eval()(batch(), ReferenceEngine()).logits, expected)


def test_its_weights_are_those_of_the_seed(baseline):
    first, again, other = (
        build(baseline("gru"), 30, 3, torch.Generator().manual_seed(seed)).gru.weight_ih_l0 for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_dropout_silences_units_for_a_whole_sample(baseline):
    network = build(baseline("gru", "network.dropout=0.5", "network.readout=last"), 30, 3, torch.Generator())
    torch.manual_seed(0)
    trained = [network.train()(batch(), ReferenceEngine()).logits for _ in range(2)]
    assert not torch.equal(*trained)
    judged = [network.eval()(batch(), ReferenceEngine()).logits for _ in range(2)]
    assert torch.equal(*judged)


@pytest.mark.parametrize("normalise", ["log1p", "mean"])
def test_spike_counts_are_what_the_classes_are_told_by(baseline, normalise):
    network = build(baseline("spike_counts", f"network.normalise={normalise}"), 30, 3, torch.Generator())
    counts = batch().dense().sum(1)
    values = counts.log1p() if normalise == "log1p" else counts / counts.mean(1, keepdim=True)
    assert torch.equal(network(batch(), ReferenceEngine()).logits, torch.zeros(5, 3))
    torch.nn.init.normal_(network.readout.weight)
    torch.testing.assert_close(network(batch(), ReferenceEngine()).logits, values @ network.readout.weight)
    silent = EventBatch.from_dense(torch.zeros(1, 40, 30))
    assert torch.equal(network(silent, ReferenceEngine()).logits, torch.zeros(1, 3))


@pytest.mark.parametrize(("name", "least"), [("gru", 0.6), ("spike_counts", 0.0)])
def test_a_run_is_resumed_judged_and_reported(baseline, tmp_path, monkeypatch, capsys, name, least):
    """The classes of the task differ only in when channels fire, which counts do not tell."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "run"
    train.run(
        baseline(name, "training.epochs=6", "neuron=cuba_lif", "neuron.tau_init=gamma"), folder, [f"network={name}"]
    )
    train.resume(folder, ["training.epochs=8"])
    said = capsys.readouterr().out
    assert "nothing in it spikes: neuron, surrogate, init" in said
    assert " Hz" not in said
    results, rows = RunFolder(folder).results(), RunFolder(folder).metrics()
    assert (results["status"], results["engine"], results["rate_hz"], len(rows)) == ("done", "reference", {}, 8)
    assert results["accuracy"]["test"] >= least
    assert not any(tag.startswith(("rate_hz/", "silent/")) for tag in rows[0])
    assert {"grad_norm/readout", *(["grad_norm/gru"] if name == "gru" else [])} <= set(rows[0])
    assert main(["eval", str(folder)]) == 0
    made = Path(capsys.readouterr().out.splitlines()[-1])
    with open(made / "table.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert np.float64(row["accuracy"]) == results["accuracy"]["test"]
    assert "energy_nj" not in row
    for words in (["ls", "outputs"], ["show", str(folder)], ["report", "outputs"]):
        assert main(words) == 0
    assert f"network={name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["network=gru", "network.delays=axonal"],
            "network.delays=axonal: no such key with network=gru (with network=",
        ),
        (["network=gru", "network.hidden=[9,9]"], "network.hidden=[9,9]: must be a list of 1, each a whole number"),
        (["network=gru", "learning=eprop"], "learning=eprop: needs spiking neurons; allowed with network=gru is bptt"),
        (["network=gru", "engine=cpu"], "engine=cpu: needs spiking neurons; allowed with network=gru is auto or"),
        (["network=spike_counts", "training.epochs=0"], "diagnoses spiking neurons, and network=spike_counts has none"),
        (["network=gru", "training.diagnose=true"], "training.diagnose=true: diagnoses spiking neurons"),
        (["network=spike_counts", "report.tau_reference=a.csv"], "allowed with network=spike_counts is null"),
    ],
    ids=str,
)
def test_what_is_refused(words, message):
    with pytest.raises(UserError) as caught:
        compose(words)
    assert message in str(caught.value)
