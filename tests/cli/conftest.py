"""Driving the installed command as a user does: in a process of its own, from a folder of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

# Stands for snnrun.train, so that the command line is tested without training: it writes what a run writes last.
STAND_IN = """
import json, logging, sys, types

def run(config, folder, overrides):
    print(f"training {config.surrogate.name} beta={config.beta} seed={config.seed}")
    logging.getLogger("stand_in").info("a line for the log, called as %s", sys.argv)
    if config.seed == 13:
        raise ValueError("thirteen")
    if config.seed == 14:
        from snnrun.errors import UserError
        raise UserError("digits.h5: no such file")
    if config.seed == 15:
        raise KeyboardInterrupt
    (folder / "results.json").write_text(json.dumps({"status": "done", "overrides": overrides}))
    return 0.5

module = types.ModuleType("snnrun.train")
module.run = run
sys.modules["snnrun.train"] = module
"""


@pytest.fixture
def snnrun(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Runs `snnrun` with the given words in `tmp_path`; training is only pretended."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(STAND_IN)
    environment = os.environ | {"PYTHONPATH": str(site)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "snnrun"), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port: int = listener.getsockname()[1]
        return port
