"""`snnrun ls` and `snnrun show`: what they tell of real run folders, whole and broken."""

import json
import os
import shutil
from pathlib import Path

import pytest

from snnrun.cli import main
from snnrun.commands.ls import age
from snnrun.config.compose import compose, to_container
from snnrun.config.differences import differences
from snnrun.run_folder import RunFolder
from snnrun.run_list import config_value, read_run
from snnrun.text_plot import plot

CONTAINER = to_container(compose(["surrogate=superspike", "name=mine", "tags=[paper,draft]", "dataset.dt=5"]))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """outputs/ with a finished run, one of a sweep that failed, one that was killed, and one that cannot be read."""
    monkeypatch.chdir(tmp_path)
    words = ["experiment=lecture", "name=mine", "tags=[paper,draft]"]
    for number, name in enumerate(("train/done", "sweeps/s/t/beta=1,seed=2", "train/killed")):
        with RunFolder.create(tmp_path / "outputs" / name) as folder:
            config = {**CONTAINER, "seed": number, "name": "mine" if number == 0 else None, "tags": CONTAINER["tags"]}
            started = {"started": f"2026-01-0{number + 1}T00:00:00+00:00", "versions": {"torch": "2.0"}}
            folder.start(config, words if number == 0 else ["seed=2"], started)
            for epoch in (1, 2, 3):
                folder.append_metrics({"epoch": epoch, "accuracy/train": 0.2 * epoch, "accuracy/valid": 0.1 * epoch})
            if number == 0:
                folder.update_results(status="done", accuracy={"valid_best": 0.3, "test": 0.25}, epochs=3, best_epoch=3)
            if number == 1:
                folder.update_results(status="failed")
    broken = tmp_path / "outputs" / "train" / "broken"
    broken.mkdir()
    (broken / "results.json").write_bytes(b'{"status": \xff')
    os.utime(broken, (0, 0))
    return tmp_path / "outputs"


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["ls", *words, "--paths"]) == 0
    return capsys.readouterr().out.splitlines()


def test_all_runs_are_listed_the_newest_last(runs, capsys):
    assert main(["ls"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["status", "valid", "test", "epochs", "age", "name", "run", "overrides"]
    assert [line.split()[0] for line in lines] == ["unreadable", "done", "failed", "killed"]
    assert "outputs/train/broken" in lines[0]
    assert lines[1].split()[1:4] == ["30.0%", "25.0%", "3"]
    assert "mine" in lines[1]
    assert lines[1].split()[-3:] == ["outputs/train/done", "experiment=lecture", "tags=[paper,draft]"]
    assert lines[3].split()[3] == "3"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["status=done"], ["train/done"]),
        (["status=killed,failed"], ["sweeps/s/t/beta=1,seed=2", "train/killed"]),
        (["status=unreadable"], ["train/broken"]),
        (["seed=1,2"], ["sweeps/s/t/beta=1,seed=2", "train/killed"]),
        (["beta=100", "name=mi*"], ["train/done"]),
        (["surrogate=superspike", "seed=0"], ["train/done"]),
        (["surrogate.name=sigmoid"], []),
        (["experiment=lecture"], ["train/done"]),
        (["tags=paper", "seed=2"], ["train/killed"]),
        (["tags=[paper,draft]", "seed=2"], ["train/killed"]),
        (["network.hidden=[200]", "network.recurrent=true", "seed=0"], ["train/done"]),
        (["outputs/sweeps"], ["sweeps/s/t/beta=1,seed=2"]),
        (["outputs/sweeps/s/t/beta=1,seed=2"], ["sweeps/s/t/beta=1,seed=2"]),
    ],
    ids=str,
)
def test_filters(runs, capsys, words, expected):
    assert listed(capsys, *words) == [f"outputs/{name}" for name in expected]


def test_a_run_that_goes_on_is_running(runs, capsys):
    with RunFolder(runs / "train" / "killed").lock():
        assert listed(capsys, "status=running") == ["outputs/train/killed"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ls", "nam=x"], "nam=x: no run has such a key (did you mean name?)"),
        (["ls", "nowhere"], "nowhere: there is no such folder"),
        (["ls", "--path"], "--path: no such flag (did you mean --paths?)"),
        (["show", "outputs"], "outputs: holds no run"),
    ],
)
def test_mistakes_are_one_line(runs, capsys, words, message):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert (shown.out, len(shown.err.splitlines())) == ("", 1)
    assert message in shown.err


def test_nothing_to_list(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["ls"]) == 0
    assert capsys.readouterr() == ("", "no run in outputs\n")


def test_every_key_is_found_in_the_text_of_the_configuration(runs):
    text = (runs / "train" / "done" / "config.yaml").read_text()
    for section, keys in CONTAINER.items():
        if isinstance(keys, dict):
            for key, value in keys.items():
                assert config_value(text, f"{section}.{key}") == value, key
    with pytest.raises(KeyError):
        config_value(text, "neuron.seed")


def test_show_tells_what_is_not_the_default(runs, capsys):
    assert main(["show", "outputs/train/done"]) == 0
    shown = capsys.readouterr().out
    assert "outputs/train/done: done" in shown
    assert "valid best 30.0%, test 25.0%" in shown
    assert "surrogate=superspike  (default sigmoid)" in shown
    assert "dataset.dt=5.0  (default 10.0)" in shown
    assert "torch 2.0" in shown
    assert ". train  o valid" in shown
    assert main(["show", "outputs/train/broken"]) == 0
    assert "unreadable" in capsys.readouterr().out


def test_keys_that_follow_others_are_no_differences():
    changed = {key for key, _, _ in differences(CONTAINER)}
    assert changed == {"surrogate", "name", "tags", "dataset.dt"}  # not neuron.dt, nor superspike's beta
    assert list(differences(to_container(compose()))) == []


def test_a_copy_without_its_parts_is_read(runs, tmp_path):
    copy = shutil.copytree(runs / "train" / "done", tmp_path / "copy")
    for name in ("environment.json", "metrics.csv", "config.yaml"):
        (copy / name).unlink()
    run = read_run(copy)
    assert (run.status, run.problem, run.accuracy("test")) == ("done", "", 0.25)
    (copy / "results.json").write_text(json.dumps([1]))
    assert read_run(copy).problem == "results.json holds no keys"


@pytest.mark.parametrize(("seconds", "text"), [(-5, "0 s"), (59, "59 s"), (90, "2 min"), (7300, "2 h"), (1e6, "12 d")])
def test_age(seconds, text):
    assert age(seconds) == text


def test_a_plot_has_its_points_in_place():
    lines = plot({"a": [(1, 0.0), (3, 100.0)], "b": []}, 30, 5, "epoch", "accuracy [%]").splitlines()
    assert lines[0] == "accuracy [%]   . a"
    assert lines[1] == "   100 |" + " " * 21 + "."
    assert lines[5] == "     0 |."
    assert plot({"a": [(1, 50.0)]}, 30, 5, "epoch", "y")
