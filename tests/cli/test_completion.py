"""Tab completion: the candidates, and the scripts in a real bash and a real zsh on a pseudo-terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snnrun.commands.completion import candidates

PROMPT = "ready>"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x07")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], ["train"]),
        (["train", "surr"], ["surrogate="]),
        (["train", "surrogate=s"], ["surrogate=sigmoid", "surrogate=superspike"]),
        (["train", "-m", "surrogate=sigmoid,su"], ["surrogate=sigmoid,superspike"]),
        (["train", "training.e"], ["training.epochs=", "training.early_stopping="]),
        (["train", "neuron.tau_me"], ["neuron.tau_mem="]),
        (["train", "neuron=cuba_lif", "neuron.tau_sy"], ["neuron.tau_syn="]),
        (["train", "see"], ["seed="]),
        (["train", "experiment=deb"], ["experiment=debug"]),
        (["train", "experiment=debug", "dataset.man"], ["dataset.manifold_dim="]),
        (["train", "--mul"], ["--multirun"]),
        (["train", "--cfg", "j"], ["job"]),
        (["bench", "bench.st"], ["bench.steps="]),
        (["data", "m"], ["make"]),
        (["data", "make", ""], ["spoken_digits", "wav_folder"]),
        (["data", "make", "spoken_digits", "sp"], ["speakers="]),
        (["completion", "z"], ["zsh"]),
        (["eval", "dataset.time_j"], ["dataset.time_jitter="]),
        (["eval", "che"], ["checkpoint="]),
        (["ls", "surrogate=su"], ["surrogate=superspike"]),
        (["ls", "--p"], ["--paths"]),
        (["ls", "training.ep"], ["training.epochs="]),
        (["nothing", ""], []),
    ],
    ids=" ".join,
)
def test_candidates(words: list[str], expected: list[str]) -> None:
    assert candidates(words) == expected


def test_options_of_a_config_dir_are_completed(tmp_path: Path) -> None:
    (tmp_path / "neuron").mkdir()
    (tmp_path / "neuron" / "mine.yaml").write_text("# Mine\nname: lif\n")
    assert candidates(["train", "--config-dir", str(tmp_path), "neuron=m"]) == ["neuron=mine"]


def test_run_folders_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("outputs/train/a", "outputs/sweeps/s/t/beta=1,seed=2", "elsewhere/b", "elsewhere/none"):
        (tmp_path / name).mkdir(parents=True)
        if not name.endswith("none"):
            (tmp_path / name / "config.yaml").touch()
    assert candidates(["eval", "outputs/t"]) == ["outputs/train/a"]
    assert candidates(["eval", "outputs/sweeps/s/t/beta=1,"]) == ["outputs/sweeps/s/t/beta=1,seed=2"]
    assert candidates(["eval", "elsewhere/"]) == ["elsewhere/b"]
    assert set(candidates(["eval", ""])) > {"outputs/train/a", "part="}


class Shell:
    """An interactive shell on a pseudo-terminal."""

    def __init__(self, command: list[str], folder: Path) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": ""}
        parent, child = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=child, stdout=child, stderr=child, cwd=folder, env=environment, start_new_session=True
        )
        os.close(child)
        self.terminal = parent

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def read_until(self, text: str, seconds: float = 60.0) -> str:
        """Everything printed until `text` appears; fails after some time."""
        shown, end = "", time.monotonic() + seconds
        while text not in shown:
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} did not appear in {shown!r}"
            shown += ESCAPES.sub("", os.read(self.terminal, 4096).decode(errors="replace"))
        return shown

    def close(self) -> None:
        os.close(self.terminal)
        self.process.kill()
        self.process.wait()


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(snnrun completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'unsetopt zle_bracketed_paste; eval "$(snnrun completion zsh)"'),
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    command, setup = SHELLS[request.param]
    running = Shell(command, tmp_path)
    # The prompt is written in two parts so that the echo of this line is not taken for it.
    running.type(f"{setup}; PS1=rea''dy'>'\n")
    running.read_until(PROMPT)
    yield running
    running.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("snnrun tra", "snnrun train "),
        ("snnrun train surr", "snnrun train surrogate="),
        ("snnrun train surrogate=sup", "snnrun train surrogate=superspike"),
        ("snnrun train -m surrogate=sigmoid,sup", "snnrun train -m surrogate=sigmoid,superspike"),
        ("snnrun train training.ep", "snnrun train training.epochs="),
        ("snnrun train traini", "snnrun train training."),
    ],
)
def test_tab(shell: Shell, typed: str, completed: str) -> None:
    shell.type(typed + "\t")
    shell.read_until(completed)


def test_tab_tab_lists_the_options(shell: Shell) -> None:
    shell.type("snnrun train neuron=\t\t")
    shown = shell.read_until("cuba_lif")
    assert "lif" in shown
