"""Going on with a run: as if it had never stopped, and only where that is what it would be."""

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from snnrun import train
from snnrun.config.compose import compose
from snnrun.config.stored import resumed_config
from snnrun.errors import RunError, UserError
from snnrun.lock import Lock, is_locked
from snnrun.optimizers import Schedule, build_optimizer
from snnrun.run_folder import RunFolder
from tests.runner.conftest import TINY
from tests.runner.same_run import assert_same, board, rows


@pytest.fixture
def copy(left_alone: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, which is done."""
    return Path(shutil.copytree(left_alone, tmp_path / "copy"))


@pytest.mark.parametrize("epoch", [1, 4])
def test_a_stopped_run_goes_on_as_if_it_had_not(left_alone, stopped, tmp_path, capsys, epoch):
    folder = stopped(epoch)
    shutil.move(folder, tmp_path / "elsewhere")  # where it lies is no part of it
    train.resume(tmp_path / "elsewhere")
    assert ("no epoch was finished; it begins anew" in capsys.readouterr().out) == (epoch == 1)
    assert_same(left_alone, tmp_path / "elsewhere")


def test_a_run_that_broke_off_at_its_end_is_finished(left_alone, copy):
    RunFolder(copy).update_results(status="running")
    train.resume(copy)
    assert_same(left_alone, copy)


def test_early_stopping_and_a_schedule_that_waits_go_on(stopped, tmp_path):
    keys = [
        "optimizer.schedule=plateau",
        "optimizer.schedule_step=1",
        "training.early_stopping=2",
        "optimizer.lr=1e-30",
    ]
    train.run(compose([*TINY, *keys]), tmp_path / "whole", [])
    folder = stopped(3, *keys)
    train.resume(folder)
    assert_same(tmp_path / "whole", folder)
    assert RunFolder(folder).results()["epochs"] == 3
    with pytest.raises(UserError, match="it stopped early, 2 epochs after its best"):
        train.resume(folder, ["training.epochs=9"])


@pytest.mark.parametrize(
    "words",
    [
        "network.delays=synaptic network.max_delay=9 init=calibrated neuron=cuba_lif_heterogeneous",
        "learning=decolle optimizer=sgd optimizer.momentum=0.9 optimizer.schedule=onecycle dataset.validation=none",
        pytest.param("learning=eprop optimizer=adamax", marks=pytest.mark.slow),
        pytest.param("network.dropout=0.3 neuron=alif", marks=pytest.mark.slow),
    ],
)
def test_whatever_else_has_a_state_goes_on(stopped, tmp_path, words):
    keys = [*words.split(), "engine=auto", "training.epochs=3", "training.log_every=9"]
    train.run(compose([*TINY, *keys]), tmp_path / "whole", [])
    folder = stopped(3, *keys)
    train.resume(folder)
    assert_same(tmp_path / "whole", folder)


def test_delays_go_on_with_the_width_of_their_kernel(stopped, tmp_path):
    keys = ["network.delays=synaptic", "network.max_delay=30", "network.delay_interpolation=gaussian"]
    keys += ["network.delay_shrink=1"]
    train.run(compose([*TINY, *keys]), tmp_path / "whole", [])
    folder = stopped(2, *keys)
    train.resume(folder)
    assert_same(tmp_path / "whole", folder)


@pytest.mark.parametrize("name", ["none", "step", "exponential", "cosine", "onecycle", "plateau"])
@pytest.mark.parametrize("planned", [8, 5])
def test_every_schedule_goes_on(name, planned):
    """Where the run is longer than it was planned for, the schedule is that of the longer run."""
    whole, begun, rest = Rates(name, 8), Rates(name, planned), Rates(name, 8)
    expected = [whole.epoch() for _ in range(8)]
    for _ in range(4):
        begun.epoch()
    rest.schedule.load_state_dict(begun.schedule.state_dict(), 4)
    assert [rest.epoch() for _ in range(4)] == expected[4:]
    assert rest.schedule.stretched == (planned < 8 and name in ("cosine", "onecycle"))


class Rates:
    """A schedule over epochs of three batches, with a loss that no longer falls."""

    def __init__(self, name: str, epochs: int) -> None:
        config = compose([f"optimizer.schedule={name}", "optimizer.schedule_step=2", "optimizer.schedule_gamma=0.5"])
        self.optimizer = build_optimizer(config.optimizer, [torch.nn.Parameter(torch.zeros(2, 2))])
        self.schedule = Schedule(config.optimizer, self.optimizer, epochs, 3)

    def epoch(self) -> float:
        """The rate after one more epoch."""
        for _ in range(3):
            self.optimizer.step()
            self.schedule.after_batch()
        self.schedule.after_epoch(1.0)
        return self.schedule.lr


def test_global_generators_go_on(stopped, monkeypatch):
    """A neuron model or a plug-in may draw from them."""
    import random

    import numpy as np

    drawn: list[tuple[float, ...]] = []
    act = train.Training.training_batches

    def draw_too(self: Any) -> Any:
        drawn.append((random.random(), float(np.random.random()), float(torch.rand(()))))
        return act(self)

    monkeypatch.setattr(train.Training, "training_batches", draw_too)
    folder = stopped(3)
    train.resume(folder)
    assert len(drawn) == 5  # the third epoch of a stopped run draws before it stops
    assert drawn[2] == drawn[3]
    assert len(set(drawn)) == 4


def test_a_done_run_says_so_and_stays(copy, capsys):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != ".lock"}
    value = train.resume(copy)
    assert "is done, with 4 epochs: training.epochs=N above 4 would go on" in capsys.readouterr().out
    assert value == RunFolder(copy).results()["accuracy"]["valid_best"]
    assert before == {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != ".lock"}


def test_more_epochs_follow_on_those_that_there_are(left_alone, copy, capsys):
    train.resume(copy, ["training.epochs=6"])
    assert "the learning rate goes on as that of a run of 6 epochs" in capsys.readouterr().out
    folder = RunFolder(copy)
    assert rows(copy)[:4] == rows(left_alone)
    assert [row["epoch"] for row in folder.metrics()] == [1, 2, 3, 4, 5, 6]
    assert folder.config()["training"]["epochs"] == 6
    assert folder.results()["overrides"][-1] == "training.epochs=6"
    assert [step for step, _ in board(copy)["accuracy/test"]] == [6]
    assert folder.environment()["resumed"][0]["after_epoch"] == 4
    assert folder.metrics()[-1]["lr"] == pytest.approx(0, abs=1e-12)  # a cosine over six epochs ends at zero


REFUSED = {
    "seed=3": "seed=3: would make it another experiment",
    "neuron=alif beta=2": "neuron=alif beta=2: would make it another experiment",
    "~training.epochs": "~training.epochs: would make it another experiment",
    "training={epochs:9}": "training={epochs:9}: would make it another experiment",
    "training.epochs=-1": "training.epochs=-1: must be a whole number at least 0",
    "training.epoch=5": r"training.epoch=5: no such key \(did you mean training.epochs",
    "training.epochs=5,6": "training.epochs=5,6: several values are a sweep",
}


@pytest.mark.parametrize("words", REFUSED)
def test_an_override_that_cannot_be_is_told(left_alone, words):
    with pytest.raises(UserError, match=REFUSED[words]) as error:
        resumed_config(RunFolder(left_alone).config(), words.split())
    assert "\n" not in str(error.value)


def test_fewer_epochs_are_refused_and_nothing_changes(copy):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(UserError, match=r"training\.epochs=2: 4 are trained already"):
        train.resume(copy, ["training.epochs=2"])
    assert before == {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != ".lock"}


def test_an_override_that_repeats_the_run_is_taken(copy, capsys):
    train.resume(copy, ["seed=0", "dataset=randman", "network.hidden=[12]", "tags=[again]"])
    assert "is done" in capsys.readouterr().out


def test_a_run_of_an_older_version_gets_the_defaults_of_newer_keys(left_alone, stopped):
    folder = RunFolder(stopped(3))
    config = folder.config()
    del config["training"]["check"], config["tags"]
    folder.request(config, [])
    train.resume(folder.path)
    assert rows(folder.path) == rows(left_alone)
    assert folder.config()["training"]["check"] is True


def test_a_config_of_a_newer_version_is_told(copy):
    folder = RunFolder(copy)
    folder.request({**folder.config(), "telepathy": 3}, [])
    with pytest.raises(UserError, match="telepathy=3: no such key"):
        train.resume(copy)


def test_checkpoints_of_another_format_are_told(copy):
    folder = RunFolder(copy)
    folder.checkpoints.save_last({**folder.load_checkpoint("last"), "format": 99, "version": "9.0"})
    with pytest.raises(UserError, match=r"its checkpoints are of snnrun 9\.0 and cannot be resumed"):
        train.resume(copy)


def test_another_version_or_machine_is_told_and_goes_on(stopped, capsys):
    folder = RunFolder(stopped(3))
    path = folder.path / "environment.json"
    facts = folder.environment()
    facts["versions"] |= {"snnrun": "0.0.9", "torch": "1.0"}
    path.write_text(json.dumps({**facts, "threads": 77}))
    train.resume(folder.path)
    told = capsys.readouterr().out
    assert "warning: the run began with snnrun 0.0.9 and goes on with" in told
    assert "torch 1.0 is now" in told
    assert "threads 77 is now" in told


def test_changed_data_are_told(tmp_path, stopped):
    folder = RunFolder(stopped(3))
    config = folder.config()
    config["dataset"]["data_seed"] = 5
    folder.request(config, [])
    with pytest.raises(UserError, match="dataset=randman: train and valid and test data are not those"):
        train.resume(folder.path)
    assert len(folder.metrics()) == 2


@pytest.mark.parametrize("damage", ["flip", "pickle"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(left_alone, copy, tmp_path, capsys, damage):
    folder = RunFolder(copy)
    folder.update_results(status="running")
    path = folder.checkpoints.path("last")
    content = path.read_bytes()
    if damage == "pickle":
        from snnrun.checkpoints import pack

        damaged = pack({**folder.load_checkpoint("last"), "more": Malicious(tmp_path / "made_by_the_pickle")})
    else:
        middle = len(content) // 2
        damaged = content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    path.write_bytes(damaged)
    train.resume(copy)
    assert "last.pt" in capsys.readouterr().out
    assert (copy / "checkpoints" / "last.pt.damaged").read_bytes() == damaged
    assert not (tmp_path / "made_by_the_pickle").exists()
    assert_same(left_alone, copy)


class Malicious:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_without_a_whole_checkpoint_nothing_is_begun_anew(copy):
    for name in ("last", "previous"):
        RunFolder(copy).checkpoints.path(name).write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"last\.pt is damaged.*previous\.pt is damaged"):
        train.resume(copy)
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(UserError, match=r"has epochs in metrics\.csv, but no checkpoint"):
        train.resume(copy)
    assert len(RunFolder(copy).metrics()) == 4


@pytest.mark.parametrize("name", ["config.yaml", "results.json", "environment.json", "metrics.csv"])
def test_an_unreadable_file_is_named_and_left(copy, name):
    RunFolder(copy).update_results(status="running")
    (copy / name).write_bytes(b"\xff{[half")
    with pytest.raises(UserError, match=f"cannot read .*{name}") as error:
        train.resume(copy)
    assert "\n" not in str(error.value)
    assert (copy / name).read_bytes() == b"\xff{[half"


def test_a_damaged_best_checkpoint_is_written_again(left_alone, copy):
    RunFolder(copy).update_results(status="running")
    RunFolder(copy).checkpoints.path("best").write_bytes(b"")
    train.resume(copy)
    assert_same(left_alone, copy)


def test_only_one_process_writes(copy):
    with RunFolder.open(copy).lock():
        assert is_locked(copy)
        with pytest.raises(UserError, match=f"being written by process {os.getpid()} on {socket.gethostname()}"):
            train.resume(copy)
    assert not is_locked(copy)
    Lock(copy).release()


def test_a_run_without_a_living_process_is_interrupted(copy):
    folder = RunFolder(copy)
    folder.update_results(status="running")
    assert folder.status() == "interrupted"
    with folder.lock():
        assert folder.status() == "running"


def test_a_clock_that_goes_back_keeps_the_order_of_the_curves(left_alone, stopped):
    folder = stopped(4)
    (events,) = folder.glob("events.out.tfevents.*")
    events.rename(events.with_name("events.out.tfevents.9000000000.here.1.0"))
    train.resume(folder)
    assert_same(left_alone, folder)
