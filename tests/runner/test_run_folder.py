"""The files of a run: complete, readable by others, and never those of another run."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnrun.errors import RunError, UserError
from snnrun.run_folder import RunFolder

CONFIG = {"beta": None, "seed": 0, "neuron": {"name": "lif", "tau_mem": 20.0}, "network": {"hidden": (200, 100)}}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path / "run")
    made.start(CONFIG, ["beta=5", "optimizer.lr=1e-5"], {"host": "here", "cuda": None})
    return made


def test_a_new_run_has_its_files(folder: RunFolder) -> None:
    names = {path.name for path in folder.path.iterdir()}
    assert names == {
        "config.yaml", "overrides.yaml", "environment.json", "results.json", "checkpoints", "figures", ".lock",
    }  # fmt: skip
    assert folder.config() == {**CONFIG, "network": {"hidden": [200, 100]}}
    assert json.loads((folder.path / "environment.json").read_text()) == {"host": "here"}
    assert (folder.path / "overrides.yaml").read_text() == "- beta=5\n- optimizer.lr=1e-5\n"
    assert folder.results() == {"status": "running", "overrides": ["beta=5", "optimizer.lr=1e-5"]}


def test_a_folder_with_a_run_is_refused_and_untouched(folder: RunFolder) -> None:
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="holds a run already"):
        RunFolder.create(folder.path)
    assert before == {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_a_folder_with_only_a_log_is_taken(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("started\n")
    RunFolder.create(tmp_path)
    assert (tmp_path / "train.log").read_text() == "started\n"


def test_one_of_many_gets_the_folder(tmp_path: Path) -> None:
    def claim(_: int) -> bool:
        try:
            RunFolder.create(tmp_path / "run")
        except UserError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        RunFolder.create(tmp_path / "outputs" / "run")


def test_a_folder_without_a_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run folder"):
        RunFolder.open(tmp_path)


def test_results_are_merged_and_leave_out_what_does_not_apply(folder: RunFolder) -> None:
    folder.update_results(accuracy={"valid": 0.5, "test": float("nan")}, best_epoch=None, parameters=torch.tensor(7))
    folder.update_results(status="done", accuracy={"valid_best": 0.75})
    results = folder.results()
    assert results["accuracy"] == {"valid": 0.5, "valid_best": 0.75}
    assert (results["status"], results["parameters"]) == ("done", 7)
    assert "best_epoch" not in results


@pytest.mark.parametrize("changes", [{"acuracy": {}}, {"status": "finished"}], ids=str)
def test_results_take_only_their_own_keys(folder: RunFolder, changes: dict[str, Any]) -> None:
    before = folder.results()
    with pytest.raises(ValueError, match=r"acuracy|finished"):
        folder.update_results(**changes)
    assert folder.results() == before


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_metrics_come_back_bit_for_bit(losses: list[float]) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(Path(path))
        rows = [{"epoch": epoch, "loss/train": loss} for epoch, loss in enumerate(losses, start=1)]
        for row in rows:
            folder.append_metrics(row)
        assert folder.metrics() == rows


def test_metrics_leave_out_what_is_absent_and_refuse_a_new_column(folder: RunFolder) -> None:
    folder.append_metrics({"epoch": 1, "loss/valid": None})
    folder.append_metrics({"epoch": 2})
    assert folder.metrics() == [{"epoch": 1}, {"epoch": 2}]
    with pytest.raises(ValueError, match="loss/test"):
        folder.append_metrics({"epoch": 3, "loss/test": 1.0})


def test_a_cut_off_row_is_not_read_and_goes_with_the_next_resume(folder: RunFolder) -> None:
    for epoch in (1, 2, 3):
        folder.append_metrics({"epoch": epoch, "loss/train": epoch / 3})
    with open(folder.path / "metrics.csv", "a") as file:
        file.write("4,0.12")
    assert len(folder.metrics()) == 3
    folder.keep_metrics(2)
    folder.append_metrics({"epoch": 3, "loss/train": 0.5})
    assert folder.metrics()[1:] == [{"epoch": 2, "loss/train": 2 / 3}, {"epoch": 3, "loss/train": 0.5}]


def test_a_checkpoint_comes_back_and_plain_torch_reads_it(folder: RunFolder) -> None:
    state = {"network": {"w": torch.arange(6.0)}, "epoch": 3, "best": 0.1, "name": "lif", "list": [1, None]}
    folder.checkpoints.save_last(state)
    for loaded in (
        folder.load_checkpoint("last"),
        torch.load(folder.path / "checkpoints" / "last.pt", weights_only=True),
    ):
        assert torch.equal(loaded.pop("network")["w"], torch.arange(6.0))
        assert loaded == {key: value for key, value in state.items() if key != "network"}


def test_every_flipped_bit_and_every_cut_is_noticed(folder: RunFolder) -> None:
    folder.checkpoints.save_best({"w": torch.arange(4)})
    path = folder.path / "checkpoints" / "best.pt"
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        for damaged in (bytes(flipped), content[:place]):
            path.write_bytes(damaged)
            with pytest.raises(RunError, match=r"best\.pt is damaged"):
                folder.load_checkpoint("best")


class Malicious:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_code_in_a_checkpoint_is_never_run(folder: RunFolder) -> None:
    target = folder.path / "made_by_the_pickle"
    folder.checkpoints.save_last({"w": Malicious(target)})
    with pytest.raises(RunError, match="cannot be loaded as plain data") as error:
        folder.load_checkpoint("last")
    assert "\n" not in str(error.value)
    assert not target.exists()


def test_a_missing_checkpoint_is_told(folder: RunFolder) -> None:
    with pytest.raises(UserError, match="no checkpoint 'best'"):
        folder.load_checkpoint("best")


def test_a_disk_that_fills_up_leaves_the_run_readable(small_disk: Path) -> None:
    folder = RunFolder.create(small_disk / "run")
    folder.start(CONFIG, [], {})
    folder.checkpoints.save_last({"epoch": 1})
    with pytest.raises(RunError, match=r"last\.pt: No space left on device"):
        folder.checkpoints.save_last({"epoch": 2, "w": torch.zeros(100_000)})
    folder.update_results(status="failed")
    assert folder.load_checkpoint("last") == {"epoch": 1}
    assert folder.results()["status"] == "failed"


SAVER = """
import sys
import torch
from snnrun.run_folder import RunFolder
folder = RunFolder.open(sys.argv[1])
for epoch in range(1, 1_000_000):
    folder.checkpoints.save_last({"epoch": epoch, "w": torch.full((100_000,), float(epoch))})
    folder.append_metrics({"epoch": epoch, "loss/train": epoch / 7})
    folder.update_results(epochs=epoch)
    if epoch == 1:
        print("started", flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.013, 0.071])
def test_a_killed_run_leaves_files_of_whole_epochs(folder: RunFolder, delay: float) -> None:
    with subprocess.Popen([sys.executable, "-c", SAVER, str(folder.path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
    state = folder.load_checkpoint("last")
    assert torch.equal(state["w"], torch.full((100_000,), float(state["epoch"])))
    rows, done = folder.metrics(), folder.results()["epochs"]
    assert [row["loss/train"] for row in rows] == [epoch / 7 for epoch in range(1, len(rows) + 1)]
    assert state["epoch"] >= len(rows) >= done >= state["epoch"] - 1
