"""A task that takes a fraction of a second, and sweeps over it with the real command."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snnrun.cli import main
from tests.disk import disk  # noqa: F401 - a fixture

TINY = ("dataset=tiny", "network=tiny", "training.epochs=1", "engine=reference", "device=cpu")
OPTIONS = {
    "dataset/tiny.yaml": """# Few and short samples
defaults: [randman, _self_]
samples: 8
test_samples: 4
classes: 2
units: 6
duration: 20.0
dt: 2.0
validation: fraction
validation_fraction: 0.25
""",
    "network/tiny.yaml": "# A small network\ndefaults: [recurrent, _self_]\nhidden: [4]\n",
}
Sweep = Callable[..., tuple[int, Path]]


def write_options(folder: Path) -> None:
    """Write the options of the task into a --config-dir."""
    for name, text in OPTIONS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sweep:
    """Runs `snnrun train -m` on the task in this process; returns the exit code and the sweep's folder."""
    monkeypatch.chdir(tmp_path)
    write_options(tmp_path / "conf")

    def run(*words: str) -> tuple[int, Path]:
        resumed = any(word.startswith("sweep.resume=") for word in words)
        code = main(["train", *words] if resumed else ["train", "-m", "--config-dir", "conf", *TINY, *words])
        told = capsys.readouterr()
        print(told.out, told.err)
        return code, tmp_path / told.out.splitlines()[-1]

    return run


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts the installed `snnrun train` with the task and more words, or to go on with a sweep, in `tmp_path`."""
    write_options(tmp_path / "conf")

    def start(*words: str, **environment: str) -> "subprocess.Popen[str]":
        begin = () if any(word.startswith("sweep.resume=") for word in words) else ("-m", "-cd", "conf", *TINY)
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "snnrun"), "train", *begin, *words],
            cwd=tmp_path,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def results(folder: Path) -> dict[str, Any]:
    """The results.json of each job, by its folder's name."""
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/results.json")}


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait up to two minutes."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError
