"""environment.json tells where a run happened."""

import subprocess
from pathlib import Path

import pytest

from snnrun.environment import environment, git_diff, git_state


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def test_a_commit_and_later_changes_are_seen(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    state = git_state(tmp_path)
    assert state is not None
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "file").write_text("two")
    assert git_state(tmp_path) == {**state, "dirty": True}


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(Path(__file__).parent) is None


def test_the_environment_has_what_numbers_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/snnrun", "train", "tags=[a, b]"])
    found = environment("cpu", "reference")
    assert found["command"] == "snnrun train 'tags=[a, b]'"
    assert {"python", "torch", "numpy", "snnrun"} <= set(found["versions"])
    assert found["device_name"] == found["cpu"] != ""
    assert found["cores"] >= 1
    assert found["started"].endswith("+00:00")


def test_changes_are_kept_as_a_patch_that_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one\n \n")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    assert str(tmp_path) not in git_diff()
    (tmp_path / "file").write_text("two\n \n")
    (tmp_path / "patch").write_text(git_diff())
    git(tmp_path, "checkout", "file")
    git(tmp_path, "apply", "--include=file", str(tmp_path / "patch"))
    assert (tmp_path / "file").read_text() == "two\n \n"
