"""Time constants after training: fits, figure, and the reference sample that the user brings."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snnrun.config.compose import compose
from snnrun.errors import UserError
from snnrun.heterogeneity import describe, fits, read_reference
from snnrun.run_folder import RunFolder

SHORT = ("training.batch_size=36", "dataset.dt=5")


def reference(tau: str, column: str = "tau") -> np.ndarray | None:
    return read_reference(compose([f"report.tau_reference={tau}", f"report.tau_column={column}"]))


def table(path, values, header="specimen_id,tau"):
    path.write_text("\n".join([header, *(f"{row},{value}" for row, value in enumerate(values))]) + "\n")
    return path


@pytest.mark.parametrize("seed", range(3))
def test_the_distribution_that_made_a_sample_is_found(seed):
    random = np.random.default_rng(seed)
    gamma, lognormal = fits(random.gamma(3, 20 / 3, 2000)), fits(random.lognormal(3, 0.5, 2000))
    assert gamma["gamma"]["shape"] == pytest.approx(3, rel=0.1)
    assert gamma["gamma"]["scale_ms"] == pytest.approx(20 / 3, rel=0.1)
    assert lognormal["lognormal"]["sigma"] == pytest.approx(0.5, rel=0.1)
    assert lognormal["lognormal"]["median_ms"] == pytest.approx(np.exp(3), rel=0.05)
    assert (gamma["best"], lognormal["best"]) == ("gamma", "lognormal")
    assert gamma["gamma"]["ks"] < 0.03 < gamma["lognormal"]["ks"]
    assert gamma["gamma"]["p"] > 0.01 > gamma["lognormal"]["p"]


def test_akaikes_criterion_is_that_of_its_definition():
    values = np.random.default_rng(0).lognormal(3, 0.5, 500)
    found = fits(values)["lognormal"]
    logs = np.log(values)
    likelihood = -logs - np.log(logs.std() * np.sqrt(2 * np.pi)) - (logs - logs.mean()) ** 2 / (2 * logs.var())
    assert found["aic"] == pytest.approx(4 - 2 * likelihood.sum(), rel=1e-4)


@given(tau=st.floats(0.1, 1e4), neurons=st.integers(1, 50))
def test_neurons_that_are_alike_get_no_fit(tau, neurons):
    found = fits(np.full(neurons, tau))
    assert set(found) == {"values", "mean", "std"}
    assert found["mean"] == pytest.approx(tau)


def test_a_sample_is_compared_with_the_reference():
    random = np.random.default_rng(0)
    same, other = random.gamma(3, 7, 400), random.gamma(3, 14, 400)
    found = describe({"hidden1": {"tau_mem": same, "tau_syn": other}}, random.gamma(3, 7, 400))
    assert found["hidden1"]["tau_mem_ms"]["p_reference"] > 0.01
    assert "ks_reference" not in found["hidden1"]["tau_syn_ms"]
    assert describe({"hidden1": {"tau_mem": other}}, same)["hidden1"]["tau_mem_ms"]["p_reference"] < 1e-6


def test_a_run_writes_and_draws_what_it_learned(run, tmp_path, capsys):
    csv = table(tmp_path / "allen.csv", np.random.default_rng(0).lognormal(3, 0.4, 50))
    taus = ("neuron=cuba_lif_heterogeneous", "network.hidden=[24,16]", f"report.tau_reference={csv}")
    folder = run(*taus, "training.epochs=3", *SHORT)
    results = json.loads((folder / "results.json").read_text())["tau_fits"]
    assert set(results) == {"hidden1", "hidden2", "reference"}
    assert set(results["hidden2"]) == {"tau_mem_ms", "tau_syn_ms"}
    assert results["reference"]["values"] == 50
    found = results["hidden1"]["tau_mem_ms"]
    assert {"gamma", "lognormal", "best", "ks_reference", "p_reference"} <= set(found)
    best = RunFolder(folder).load_checkpoint("best")["network"]["hidden.0.neuron.tau_mem.value"]
    assert found["mean"] == pytest.approx(float((-5.0 / best.log()).mean()), rel=1e-5)
    images = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    assert images.Images("tau_fits")[0].encoded_image_string == (folder / "figures" / "tau_fits.png").read_bytes()
    told = capsys.readouterr().out
    assert "time constants: hidden1 tau_mem, " in told
    assert "time constants: reference, " in told


def test_the_best_checkpoint_is_told_of_without_test_data_too(run):
    stopping = ("training.epochs=50", "training.early_stopping=1", "optimizer.lr=0.3")
    folder = run("neuron.tau_train=per_neuron", "dataset.test=null", *stopping, *SHORT)
    results = json.loads((folder / "results.json").read_text())
    assert results["best_epoch"] < results["epochs"]
    state = RunFolder(folder).load_checkpoint("best")["network"]["hidden.0.neuron.tau_mem.value"]
    tau = torch.exp(torch.sigmoid(state) * np.log(1000.0))
    assert results["tau_fits"]["hidden1"]["tau_mem_ms"]["mean"] == pytest.approx(float(tau.mean()), rel=1e-4)


def test_networks_of_one_time_constant_are_not_told_of(run):
    folder = run("training.epochs=1", *SHORT)
    assert "tau_fits" not in json.loads((folder / "results.json").read_text())
    assert not (folder / "figures" / "tau_fits.png").exists()


def test_one_shared_value_is_drawn_as_a_line(run):
    folder = run("training.epochs=1", "neuron.tau_train=shared", *SHORT)
    found = json.loads((folder / "results.json").read_text())["tau_fits"]["hidden1"]["tau_mem_ms"]
    assert found["std"] == 0
    assert (folder / "figures" / "tau_fits.png").exists()


def test_a_table_as_the_allen_institute_exports_it(tmp_path):
    path = table(tmp_path / "a.csv", [*range(5, 25), "", "NaN"], "\ufeffspecimen_id, tau ")
    assert list(reference(path)) == list(range(5, 25))
    seconds = tmp_path / "b.csv"
    seconds.write_text("taum\n" + "\n".join(f"{k}.5" for k in range(12)))
    assert len(reference(seconds, "taum")) == 12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory; a CSV file is needed"),
        (b"\xff\xfe\x00", "no text in UTF-8; a CSV file is needed"),
        (b"", "no column 'tau'; columns are none; see report.tau_column"),
        (b"id,taus\n1,2\n", "no column 'tau' (did you mean taus?); columns are id, taus; see report.tau_column"),
        (b"tau\n5\n7\nfast\n", "line 4: tau must be a time above 0 in ms, not fast"),
        (b"tau\n5\n-7\n", "line 3: tau must be a time above 0 in ms, not -7"),
        (b"tau\n5\ninf\n", "line 3: tau must be a time above 0 in ms, not inf"),
        (b"tau\n5\n7\n", "2 values in 'tau'; at least 10 are needed"),
        (b"id,tau\n1\n", "0 values in 'tau'; at least 10 are needed"),
    ],
    ids=str,
)
def test_a_bad_reference_is_refused(tmp_path, content, message):
    path = tmp_path / "tau.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        reference(path)
    assert str(caught.value) == f"report.tau_reference={path}: {message}"


def test_a_bad_reference_stops_the_command_before_anything_is_written(tmp_path):
    command = [str(Path(sys.executable).parent / "snnrun"), "train", "report.tau_reference=tau.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = "error: report.tau_reference=tau.csv: No such file or directory; a CSV file is needed\n"
    assert (done.returncode, done.stderr) == (2, expected)
    assert not list(tmp_path.glob("outputs/train/*"))


def test_a_folder_is_no_reference(tmp_path):
    with pytest.raises(UserError, match="a CSV file is needed"):
        reference(tmp_path)


def test_a_reference_needs_a_membrane_time_constant():
    with pytest.raises(UserError, match=r"^report.tau_reference=a.csv: needs neurons with a membrane time constant"):
        compose(["neuron=if", "report.tau_reference=a.csv"])
