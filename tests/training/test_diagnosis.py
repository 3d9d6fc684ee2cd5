"""The diagnosis of an untrained network: what it says is what the engine did, and it leaves files to look at."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.nn import functional

from snnrun.config.compose import compose
from snnrun.data import load
from snnrun.data.batches import batches
from snnrun.diagnosis import LayerDiagnosis
from snnrun.engine.probe import Probe, last_input_step
from snnrun.engine.reference import ReferenceEngine
from snnrun.network import build_network
from snnrun.run_folder import RunFolder
from snnrun.seeding import stream
from tests.runner.same_run import rows

EXTRAS = (
    *(
        "network.readout=spike_count",
        "network.batch_norm=true",
        "network.dropout=0.3",
        "network.delays=axonal network.max_delay=20",
    ),
    "neuron.refractory=4",
)
POISSON = ("dataset=poisson", "dataset.samples=64", "training.epochs=0", "neuron=cuba_lif", "init=fluctuation")


def diagnosed(folder: Path) -> dict:
    return json.loads((folder / "diagnosis.json").read_text())


@pytest.fixture
def probed(configure):
    """A network, a batch, and what a probe saw of it: forward, and backward from the cross-entropy."""

    def make(*overrides: str):
        config = configure(*overrides)
        network = build_network(config, 30, 3, stream(0, "weights"))
        train = load(config.dataset, 0).train
        inputs, labels = next(batches(train, torch.arange(12).numpy(), 12, config.dataset))
        probe = Probe()
        output = network(inputs, probe)
        functional.cross_entropy(output.logits, labels).backward(retain_graph=True)
        return network, inputs, output, probe

    return make


def test_it_takes_the_place_of_training(run, capsys):
    folder = run("training.epochs=0", "network.hidden=[24,16]")
    found, results = diagnosed(folder), json.loads((folder / "results.json").read_text())
    assert set(found["layers"]) == {"hidden1", "hidden2"}
    for layer in found["layers"].values():
        assert layer["rate_hz"] > 0
        assert 0 <= layer["silent"] <= 1 >= layer["saturated"] >= 0
        assert layer["membrane"]["std"] > 0 < layer["membrane_without_spikes"]["std"]
        assert "membrane_predicted" not in layer  # init=normal aims at none
        assert len(layer["grad_norm_by_step"]) == len(layer["grad_norm_by_steps_back"]) == found["steps"] == 50
        assert layer["grad_norm"] > 0
        assert layer["grad_over_time"] in ("steady", "vanishes", "explodes")
    assert results["status"] == "done"
    assert results["epochs"] == 0
    assert results["accuracy"] == {}  # the test set was not touched
    assert results["rate_hz"]["hidden2"] == pytest.approx(found["layers"]["hidden2"]["rate_hz"])
    assert not (folder / "metrics.csv").exists()
    told = capsys.readouterr().out
    assert "mean rate [Hz]" in told
    assert "a gradient's gain per step back in time" in told
    assert told.splitlines()[-1].startswith("nothing was trained")


def test_a_diagnosis_before_training_changes_nothing_of_it(run):
    words = ("network.batch_norm=true", "network.dropout=0.2", "training.epochs=2", "dataset.deletion=0.2")
    alone, diagnosed_too = run(*words), run(*words, "training.diagnose=true")
    assert rows(alone) == rows(diagnosed_too)
    assert torch.equal(*(RunFolder(folder).load_checkpoint("last", "cpu")["network"]["hidden.0.norm.running_mean"]
                         for folder in (alone, diagnosed_too)))  # fmt: skip
    assert diagnosed(diagnosed_too)["layers"]["hidden1"]["grad_norm"] > 0
    assert not (alone / "diagnosis.json").exists()
    assert diagnosed(diagnosed_too)["layers"] == diagnosed(run(*words[:2], words[3], "training.epochs=0"))["layers"]


def test_tensorboard_and_the_folder_show_it(run):
    folder = run("training.epochs=0")
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
    found = diagnosed(folder)["layers"]["hidden1"]
    expected = {
        "rate_hz": found["rate_hz"],
        "silent": found["silent"],
        "saturated": found["saturated"],
        "membrane_mean": found["membrane"]["mean"],
        "membrane_std": found["membrane"]["std"],
        "grad_norm": found["grad_norm"],
        "grad_gain": found["grad_gain_per_step"],
    }
    for tag, value in expected.items():
        (event,) = events.Scalars(f"{tag}/hidden1")
        assert (event.step, event.value) == (0, pytest.approx(value, rel=1e-5, abs=1e-9))
    assert {"diagnosis", "raster/hidden1"} <= set(events.Tags()["images"])
    assert events.Images("diagnosis")[0].encoded_image_string == (folder / "figures" / "diagnosis.png").read_bytes()


def test_poisson_input_makes_the_potential_that_the_scheme_predicts(tmp_path):
    """From the command line, on the engine that trains; without recurrence, whose rate a scheme can only guess."""
    command = [str(Path(sys.executable).parent / "snnrun"), "train", *POISSON, "network=feedforward", "init.xi=2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    layer = diagnosed(tmp_path / done.stdout.splitlines()[-1])["layers"]["hidden1"]
    assert layer["membrane_predicted"] == {"mean": 0.0, "std": 0.5}
    assert layer["membrane_without_spikes"]["std"] == pytest.approx(0.5, rel=0.2)
    assert "so predicted by the scheme" in done.stdout


def test_the_probe_sees_what_the_engine_does(probed):
    network, inputs, output, probe = probed("network.hidden=[24,16]")
    plain = network(inputs, ReferenceEngine(), record=True)
    assert torch.equal(plain.logits, output.logits)
    for record, spikes in zip(probe.records, plain.spikes, strict=True):
        assert torch.equal(record.potential() > 1, spikes.dense() > 0)


def test_gradients_by_step_make_up_that_of_the_weights(probed):
    network, inputs, _, probe = probed("network=feedforward")
    currents = probe.records[0].currents
    by_step = torch.stack([current.grad for current in currents], 1)
    gradient = torch.einsum("bti,btn->in", inputs.dense(), by_step)
    torch.testing.assert_close(gradient, network.hidden[0].weight.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(probe.records[0].step_norms(), by_step.double().flatten(2).norm(dim=(0, 2)))


def test_a_membrane_without_reset_and_recurrence_hands_back_its_decay(probed):
    _, inputs, _, probe = probed("network=feedforward", "neuron.reset=none", "neuron.tau_mem=10")
    ends = last_input_step(inputs)
    back = probe.records[0].back_norms(ends)
    lags = torch.arange(int(ends.min()) + 1)
    torch.testing.assert_close(back[lags], torch.exp(-lags.double() * 2 / 10), rtol=1e-4, atol=0)
    assert not back[int(ends.max()) + 1 :].any()


def test_the_last_input_step_is_that_of_each_sample(probed):
    inputs = probed()[1]
    filled = inputs.dense().sum(2) > 0
    assert last_input_step(inputs).tolist() == [int(row.nonzero().max()) for row in filled]


@pytest.mark.parametrize(
    ("per_step", "says"), [(1.0, "steady"), (0.97, "steady"), (0.9, "vanishes"), (1.1, "explodes"), (0.0, "none")]
)
def test_what_is_said_of_a_gradient(per_step, says):
    back = per_step ** torch.arange(100, dtype=torch.float64)
    nothing = torch.zeros(1, 1, 1)
    layer = LayerDiagnosis("hidden1", torch.zeros(1), 0.0, 0.0, nothing, nothing, None, 0.0, back, back)
    assert layer.over_time == says
    assert layer.gain_per_step == pytest.approx(per_step) if per_step else math.isnan(layer.gain_per_step)


@pytest.mark.parametrize(("scale", "says"), [("0.1", "vanishes"), ("30", "explodes")])
def test_weak_recurrence_forgets_and_strong_recurrence_explodes(run, scale, says):
    overrides = (f"init.recurrent_scale={scale}", "surrogate=superspike", "beta=1", "neuron.tau_mem=4")
    folder = run("training.epochs=0", *overrides)
    assert diagnosed(folder)["layers"]["hidden1"]["grad_over_time"] == says


def test_the_warnings_of_the_first_batch_are_there(run, capsys):
    folder = run("init.scale=0.001", "training.epochs=0")
    assert "100% of the neurons are silent" in diagnosed(folder)["warnings"][0]
    assert "warning: hidden1: 100% of the neurons are silent" in capsys.readouterr().out


@pytest.mark.parametrize("override", ["surrogate=none", "neuron=if", "neuron=se_adlif", "init.scale=0", *EXTRAS])
def test_any_network_can_be_diagnosed(run, override):
    assert diagnosed(run("training.epochs=0", *override.split()))["layers"]["hidden1"]["rate_hz"] >= 0


def test_the_predictions_are_of_known_schemes():
    from snnrun.init import EXPECTATIONS, SCHEMES

    assert set(EXPECTATIONS) == {"fluctuation", "fluctuation_dale", "variance"} <= set(SCHEMES)
    assert compose(["training.epochs=0"]).training.epochs == 0
