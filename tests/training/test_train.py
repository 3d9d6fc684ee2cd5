"""What a training run does and leaves behind."""

import json
import math

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snnrun.errors import RunError, UserError
from snnrun.run_folder import RunFolder

# Training and validation loss of the first three epochs of the task, seed 0, reference engine, torch 2.13. A change
# that is not meant to change training must leave them as they are.
GOLDEN = [(1.17090, 1.17308), (1.09159, 1.08220), (1.04265, 1.04134)]


@pytest.fixture(scope="module")
def done(task, tmp_path_factory):
    from snnrun import train
    from snnrun.config.compose import compose

    folder = tmp_path_factory.mktemp("done") / "run"
    overrides = [*task, "training.epochs=16", "surrogate=superspike", "beta=10", "training.batch_size=12"]
    train.run(compose(overrides), folder, overrides)
    return folder


def test_it_learns(done):
    results = json.loads((done / "results.json").read_text())
    assert results["status"] == "done"
    assert results["accuracy"]["valid_best"] > 0.8  # chance: 1/3
    assert results["accuracy"]["test"] > 0.8


def test_the_folder_holds_what_is_promised(done):
    files = {str(path.relative_to(done)) for path in done.rglob("*") if path.is_file()}
    pictures = {
        f"figures/{name}.png" for name in ["curves", "confusion", "surrogate", "raster_input", "raster_hidden1"]
    }
    expected = {"config.yaml", "overrides.yaml", "environment.json", "metrics.csv", "results.json", "split.json"}
    assert files >= expected | pictures | {"checkpoints/last.pt", "checkpoints/best.pt"}
    assert len([name for name in files if "tfevents" in name]) == 1


def test_results_have_every_key(done):
    results = json.loads((done / "results.json").read_text())
    assert set(results) >= {
        "status", "accuracy", "loss", "epochs", "best_epoch", "seconds", "engine", "device", "parameters", "rate_hz",
        "overrides",
    }  # fmt: skip
    assert set(results["accuracy"]) >= {"valid", "valid_best", "test", "test_last", "test_known_speakers"}
    assert results["parameters"] == 30 * 24 + 24 * 24 + 24 * 3
    assert results["epochs"] == 16
    assert set(results["rate_hz"]) == {"hidden1"}


def test_the_config_is_the_resolved_one(done):
    config = yaml.safe_load((done / "config.yaml").read_text())
    assert config["beta"] == config["surrogate"]["beta"] == 10.0
    assert config["neuron"]["dt"] == 2.0


def test_tensorboard_shows_what_the_table_says(done):
    events = EventAccumulator(str(done), size_guidance={"scalars": 0, "images": 0, "histograms": 0}).Reload()
    rows = RunFolder(done).metrics()
    for tag in ("loss/train", "loss/valid", "accuracy/train", "accuracy/valid", "rate_hz/hidden1", "grad_norm/readout"):
        assert [s.step for s in events.Scalars(tag)] == list(range(1, 17))
        assert [s.value for s in events.Scalars(tag)] == pytest.approx([row[tag] for row in rows], rel=1e-6)
    tags = events.Tags()
    assert {"raster/input", "raster/hidden1", "surrogate", "confusion"} <= set(tags["images"])
    assert [image.step for image in events.Images("raster/input")] == [1]
    assert len(events.Images("raster/hidden1")) > 1
    assert {"weights/hidden1", "tau_mem_ms/hidden1"} <= set(tags["histograms"])
    assert {"config", "environment"} <= set(tags["tensors"])


def test_the_test_set_is_judged_with_the_best_checkpoint(done, configure):
    results = json.loads((done / "results.json").read_text())
    best = RunFolder(done).load_checkpoint("best")
    last = RunFolder(done).load_checkpoint("last")
    assert (best["epoch"], last["epoch"]) == (results["best_epoch"], 16)
    rows = RunFolder(done).metrics()
    figures = [(row["accuracy/valid"], -row["loss/valid"]) for row in rows]
    assert figures.index(max(figures)) + 1 == results["best_epoch"]


def test_golden_loss_curve(run):
    rows = RunFolder(run()).metrics()
    found = [(row["loss/train"], row["loss/valid"]) for row in rows]
    assert [value for pair in found for value in pair] == pytest.approx([v for pair in GOLDEN for v in pair], rel=1e-4)


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(run):
    tables = [RunFolder(run(f"seed={seed}", "training.epochs=2")).metrics() for seed in (1, 1, 2)]
    losses = [[row["loss/train"] for row in table] for table in tables]
    assert losses[0] == losses[1] != losses[2]


def test_a_loss_that_is_not_finite_ends_the_run(run, tmp_path):
    with pytest.raises(RunError, match="is not finite"):
        run("optimizer=sgd", "optimizer.lr=1e30", "training.clip_grad_norm=0")
    (folder,) = [path for path in tmp_path.iterdir() if path.name.startswith("run")]
    assert json.loads((folder / "results.json").read_text())["status"] == "failed"


def test_early_stopping(run):
    results = json.loads(
        (run("training.epochs=50", "training.early_stopping=2", "beta=20") / "results.json").read_text()
    )
    assert results["epochs"] == results["best_epoch"] + 2 < 50


def test_without_validation_the_last_epoch_is_the_best(run):
    results = json.loads((run("dataset.validation=none") / "results.json").read_text())
    assert results["best_epoch"] == results["epochs"] == 3
    assert "valid" not in results["accuracy"]
    assert results["accuracy"]["test"] == results["accuracy"]["test_last"]


def test_no_epochs_leave_the_initial_network_untrained(run):
    results = json.loads((run("training.epochs=0") / "results.json").read_text())
    assert results["epochs"] == 0
    assert results["status"] == "done"


@pytest.mark.parametrize("schedule", ["step", "exponential", "cosine", "onecycle", "plateau"])
def test_schedules_lower_the_rate(run, schedule):
    rows = RunFolder(
        run(f"optimizer.schedule={schedule}", "optimizer.schedule_step=1", "optimizer.schedule_gamma=0.1")
    ).metrics()
    assert rows[-1]["lr"] <= 0.01
    if schedule != "plateau":
        assert rows[-1]["lr"] < 0.01


@pytest.mark.parametrize("optimizer", ["adam", "adamax", "adamw", "sgd"])
def test_optimizers_take_a_step(run, optimizer):
    folder = run(f"optimizer={optimizer}", "training.epochs=1")
    assert math.isfinite(RunFolder(folder).metrics()[0]["loss/valid"])


def test_the_true_derivative_teaches_the_readout_only(configure):
    from snnrun.data import load
    from snnrun.data.binning import batch
    from snnrun.engine.reference import ReferenceEngine
    from snnrun.network import build_network
    from snnrun.seeding import stream

    for name, learns in (("none", False), ("sigmoid", True)):
        config = configure(f"surrogate={name}")
        data = load(config.dataset, 0)
        network = build_network(config, 30, 3, stream(0, "weights"))
        inputs, labels = batch(data.train, range(24), dt=2, duration=100)
        logits = network(inputs, ReferenceEngine()).logits
        torch.nn.functional.cross_entropy(logits, labels).backward()
        gradients = {key: float(p.grad.abs().max()) for key, p in network.named_parameters()}
        assert gradients["readout.weight"] > 0
        assert (gradients["hidden.0.weight"] > 0) == learns
        assert (gradients["hidden.0.recurrent"] > 0) == learns


def test_the_configuration_is_printed_when_asked_for(run, capsys):
    for asked in (False, True):
        run("training.epochs=0", f"print_config={str(asked).lower()}")
        assert ("network:\n  name: recurrent\n  hidden:\n  - 24\n" in capsys.readouterr().out) == asked


def test_a_silent_network_is_warned_of(run, capsys):
    run("init.scale=0.001", "training.epochs=1")
    assert "hidden1: 100% of the neurons are silent" in capsys.readouterr().out


def test_a_saturated_network_is_warned_of(run, capsys):
    run("init.recurrent_scale=500", "dataset.dt=10", "training.epochs=1")
    assert "spike in more than half of the steps" in capsys.readouterr().out


def test_several_layers_each_recurrent_or_not(run):
    folder = run("network.hidden=[16,12]", "network.recurrent=[true,false]", "training.epochs=1")
    assert set(json.loads((folder / "results.json").read_text())["rate_hz"]) == {"hidden1", "hidden2"}
    state = RunFolder(folder).load_checkpoint("last")["network"]
    assert "hidden.0.recurrent" in state
    assert "hidden.1.recurrent" not in state


def test_a_folder_with_a_run_is_refused(run, configure, done):
    from snnrun import train

    before = {path: path.read_bytes() for path in done.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="holds a run already"):
        train.run(configure(), done, [])
    assert before == {path: path.read_bytes() for path in done.rglob("*") if path.is_file()}
