"""`snnrun eval`: a run's own figures again, changed data, several runs, and what it leaves."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from snnrun import train
from snnrun.cli import main
from snnrun.config.compose import compose
from snnrun.data import load
from snnrun.data.augmentation import Augmentation
from snnrun.data.batches import batches
from snnrun.errors import UserError
from snnrun.evaluation.activity import Activity
from snnrun.evaluation.changes import UNCHANGED, read_changes
from snnrun.evaluation.judge import judge
from snnrun.evaluation.trained import Trained
from snnrun.run_folder import RunFolder, to_yaml

CHANGED = ("dataset.speed=[0.9,1.1]", "dataset.deletion=0.3")  # of the training data


@pytest.fixture(scope="module")
def done(task, tmp_path_factory):
    """Two runs that differ in the seed, trained on changed data."""
    folders = []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp("runs") / f"seed{seed}"
        overrides = [*task, "training.batch_size=12", "training.epochs=4", f"seed={seed}", *CHANGED]
        train.run(compose(overrides), folder, overrides)
        folders.append(folder)
    return folders


def judged(folder: Path, *words: str):
    """The judgement of a run for words that ask for one case."""
    cases, _ = read_changes(words)
    assert len(cases) == 1
    run = Trained(folder)
    return judge(run, run.case(cases[0]))


def test_keys_that_are_newer_than_a_run_have_their_defaults(done, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    config = RunFolder(folder).config()
    del config["tags"], config["report"], config["training"]["label_smoothing"], config["neuron"]["refractory"]
    (folder / "config.yaml").write_text(to_yaml(config))
    assert judged(folder).found.accuracy == judged(done[0]).found.accuracy
    config["tag"] = []
    (folder / "config.yaml").write_text(to_yaml(config))
    with pytest.raises(UserError, match="tag"):
        judged(folder)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "test"),
        (["checkpoint=last"], "test_last"),
        (["part=valid"], "valid_best"),
        (["dataset.speed=1.0"], "test"),
        (["seed=7"], "test"),
    ],
    ids=str,
)
def test_a_run_judged_as_it_was_finds_its_own_figures_again(done, words, name):
    for folder in done:
        stored = json.loads((folder / "results.json").read_text())
        found = judged(folder, *words)
        assert found.found.accuracy == stored["accuracy"][name]
        assert found.found.loss == stored["loss"][name]
        if name == "test":
            assert found.figures()["known_speakers"] == stored["accuracy"]["test_known_speakers"]


def test_the_changes_that_are_off_change_nothing():
    config = compose([f"dataset.{key}={value}" for key, value in UNCHANGED.items()])
    assert Augmentation.of(config.dataset) is None


def test_random_changes_depend_on_the_seed_alone(done):
    first, again, other = (
        judged(done[0], "dataset.deletion=0.6", *seed).operations for seed in ([], ["seed=0"], ["seed=1"])
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_slower_spikes_leave_the_duration(done):
    spikes = [float(judged(done[0], f"dataset.speed={speed}").spikes["input"].mean()) for speed in (1, 2)]
    assert spikes[1] < 0.75 * spikes[0]


def test_spikes_and_operations_are_those_of_a_dense_count(done):
    run = Trained(done[0])
    chosen = run.case(())
    data = load(chosen.config.dataset, 0)
    network, _ = run.network(chosen, data, torch.device("cpu"))
    with torch.no_grad():
        network.hidden[0].weight[:, 3] = 0  # no synapses
        network.hidden[0].recurrent[5] = 0
    activity = Activity(network)
    from snnrun.engine.reference import ReferenceEngine

    (inputs, _) = next(batches(data.test, np.arange(7), 7, chosen.config.dataset))
    output = network(inputs, ReferenceEngine(), record=True)
    activity(inputs, output)
    came, fired = inputs.dense(torch.float64).sum(1), output.spikes[0].dense(torch.float64).sum(1)
    expected = came.sum(1) * 23 + fired.sum(1) * (24 + 3) - fired[:, 5] * 24
    assert torch.equal(activity.operations[0], expected)
    assert torch.equal(activity.spikes["input"][0], came.sum(1))
    assert torch.equal(activity.spikes["hidden1"][0], fired.sum(1))
    assert activity.macs == inputs.steps * (30 * 24 + 24 * 24 + 24 * 3)


def test_the_bins_take_the_neurons_along(done):
    config = Trained(done[0]).case((("dataset.dt", 4.0),)).config
    assert (config.dataset.dt, config.neuron.dt) == (4.0, 4.0)
    assert judged(done[0], "dataset.dt=4").found.accuracy >= 0


def test_a_sweep_leaves_its_files_and_touches_nothing_else(done, capsys):
    folder = done[0]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["eval", str(folder), "dataset.speed=0.5,1", "network.readout=max,mean"]) == 0
    shown = capsys.readouterr()
    made = Path(shown.out.splitlines()[-1])
    assert made.parent == folder / "eval"
    assert {path: path.read_bytes() for path in before} == before
    table = rows(made / "table.csv")
    assert [(row["dataset.speed"], row["network.readout"]) for row in table] == [
        ("0.5", "max"), ("0.5", "mean"), ("1", "max"), ("1", "mean"),
    ]  # fmt: skip
    stored = json.loads((folder / "results.json").read_text())["accuracy"]["test"]
    assert float(table[2]["accuracy"]) == stored
    assert f"{stored:.1%}" in shown.out
    assert "0.9 pJ a synaptic operation" in shown.out
    assert (made / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    case = made / "dataset.speed=1,network.readout=max"
    assert {path.name for path in case.iterdir()} == {
        "confusion.png", "confusion.csv", "rasters.png", "predictions.csv", "speakers.csv", "evaluation.json",
    }  # fmt: skip
    assert json.loads((case / "evaluation.json").read_text())["accuracy"] == stored
    predictions = rows(case / "predictions.csv")
    assert np.mean([row["label"] == row["prediction"] for row in predictions]) == stored
    by_speaker = rows(case / "speakers.csv")
    assert [row["speaker"] for row in by_speaker] == ["0", "1", "2", "3"]
    assert {row["trained_on"] for row in by_speaker} == {"true", "false"}
    confusion = rows(case / "confusion.csv")
    assert sum(int(row[row["true class"]]) for row in confusion) == stored * len(predictions)


def test_runs_that_differ_in_the_seed_are_a_mean_with_a_spread(done, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["eval", *map(str, done), "dataset.speed=1,2"]) == 0
    made = tmp_path / capsys.readouterr().out.splitlines()[-1]
    assert made.parent == tmp_path / "outputs" / "eval"
    table = rows(made / "table.csv")
    stored = [json.loads((folder / "results.json").read_text())["accuracy"]["test"] for folder in done]
    assert [row["runs"] for row in table] == ["2", "2"]
    assert float(table[0]["accuracy"]) == pytest.approx(np.mean(stored))
    assert float(table[0]["accuracy_std"]) == pytest.approx(np.std(stored, ddof=1))


def test_results_go_where_they_are_told(done, tmp_path, capsys):
    assert main(["eval", *map(str, done), f"output_dir={tmp_path}"]) == 0
    made = Path(capsys.readouterr().out.splitlines()[-1])
    assert made.parent == tmp_path / "eval"
    assert {path.name for path in made.iterdir()} == {"seed0", "seed1", "table.csv"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["beta=3"], "beta=3: cannot change for a network that is trained; allowed are keys of dataset"),
        (["engin=cpu"], r"engin=cpu: cannot change for a network that is trained \(did you mean engine\?\)"),
        (["dataset=shd"], "dataset=shd: cannot change"),
        (["~dataset.speed"], "~dataset.speed: cannot change"),
        (["dataset.fold=1"], "dataset.fold=1: which samples are held out was settled by the training"),
        (["dataset.speed=1,1"], "two of the evaluations would be the same"),
        (["part"], "'part' is not understood: key=value is expected"),
    ],
    ids=str,
)
def test_keys_that_stay(words, message):
    with pytest.raises(UserError, match=message):
        read_changes(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dataset.sped=2"], "dataset.sped=2: no such key (did you mean dataset.speed?)"),
        (["dataset.speed=0"], "dataset.speed=0: must be a number above 0"),
        (["dataset.pool=2"], "the best checkpoint does not fit 15 channels, 3 classes"),
        (["part=tset"], "part=tset: must be one of test, valid, train (did you mean test?)"),
        (["seed=x"], "seed=x: must be a whole number at least 0"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_and_nothing_is_written(done, words, message, capsys):
    before = set(done[0].rglob("*"))
    assert main(["eval", str(done[0]), *words]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.out == ""
    assert set(done[0].rglob("*")) == before


def test_folders_that_cannot_be_judged(done, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    assert main(["eval", str(tmp_path)]) == 2
    assert main(["eval", str(tmp_path / "nothing")]) == 2
    (run / "config.yaml").write_text((done[0] / "config.yaml").read_text())
    assert main(["eval", str(run)]) == 2
    (run / "config.yaml").write_text("a: [")
    assert main(["eval", str(run)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("error: ").replace(str(tmp_path), "T") for line in told[:3]] == [
        "T: holds no run", "T/nothing: there is no such folder", "T/run has no checkpoint 'best'",
    ]  # fmt: skip
    assert f"cannot read {run / 'config.yaml'}" in told[3]
    assert len(told) == 4


def test_data_that_is_split_otherwise_is_warned_of(done, tmp_path, capsys):
    copy = shutil.copytree(done[0], tmp_path / "copy")
    split = json.loads((copy / "split.json").read_text())
    split["valid"].append(split["train"].pop())
    (copy / "split.json").write_text(json.dumps(split))
    assert main(["eval", str(copy)]) == 0
    assert "the data is not what it was trained on: split.json differs" in capsys.readouterr().err
