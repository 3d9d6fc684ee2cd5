"""Every neuron model and every surrogate trains from the configuration; time constants move and keep their range."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snnrun.config.schema import OPTIONS
from snnrun.run_folder import RunFolder

LEAKY = [name for name in OPTIONS["neuron"] if name != "if"]
CONSTANTS = {"cuba_lif": {"tau_mem", "tau_syn"}, "lif": {"tau_mem"}}
SHORT = ("training.epochs=1", "training.batch_size=36", "dataset.dt=5")


@pytest.mark.parametrize("name", OPTIONS["neuron"])
def test_neurons_train(run, name):
    row = RunFolder(run(f"neuron={name}", *SHORT)).metrics()[0]
    assert row["grad_norm/hidden1"] > 0
    assert row["rate_hz/hidden1"] > 0


@pytest.mark.parametrize("name", OPTIONS["surrogate"])
def test_surrogates_train(run, name):
    row = RunFolder(run(f"surrogate={name}", "surrogate.scale=peak", *SHORT)).metrics()[0]
    assert (row["grad_norm/hidden1"] > 0) == (name != "none")


@pytest.mark.parametrize(("name", "train"), [("lif", "shared"), *((name, "per_neuron") for name in LEAKY)])
def test_time_constants_are_trained_and_shown(run, name, train):
    folder = run(f"neuron={name}", f"neuron.tau_train={train}", *SHORT)
    expected = CONSTANTS.get(name, {"tau_mem", "tau_adapt"})
    events = EventAccumulator(str(folder), size_guidance={"histograms": 0}).Reload()
    tags = events.Tags()["histograms"]
    assert {tag.removesuffix("_ms/hidden1") for tag in tags if tag.startswith("tau") and "hidden1" in tag} == expected
    assert [event.step for event in events.Histograms("tau_mem_ms/hidden1")] == [0, 1]
    state = RunFolder(folder).load_checkpoint("last")["network"]
    for key in expected:
        value = state[f"hidden.0.neuron.{key}.value"]
        assert len(value) == (1 if train == "shared" else 24)
        assert value.std().item() > 0 if train == "per_neuron" else True


def test_the_clamp_holds_while_training(run):
    taus = ("neuron.tau_train=per_neuron", "neuron.tau_constraint=clamp", "neuron.tau_min=15", "neuron.tau_max=25")
    folder = run("neuron=lif", *taus, "optimizer=sgd", "optimizer.lr=100", *SHORT)
    tau = -5.0 / RunFolder(folder).load_checkpoint("last")["network"]["hidden.0.neuron.tau_mem.value"].log()
    assert tau.min().item() == pytest.approx(15, rel=1e-4)
    assert tau.max().item() == pytest.approx(25, rel=1e-4)


def test_heterogeneous_networks_start_with_the_weights_of_homogeneous_ones(run):
    weights = [
        RunFolder(run("neuron=lif", f"neuron.tau_init={init}", "optimizer.lr=1e-30", *SHORT)).load_checkpoint("last")[
            "network"
        ]["hidden.0.weight"]
        for init in ("constant", "gamma")
    ]
    assert (weights[0] == weights[1]).all()


def test_the_preset_and_the_shapes_reach_the_results(run):
    results = json.loads((run("neuron=cuba_lif_heterogeneous", *SHORT) / "results.json").read_text())
    assert results["parameters"] == 30 * 24 + 24 * 24 + 24 * 3 + 2 * 24
