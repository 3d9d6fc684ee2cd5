"""Runs `interpreted_triton.py` in a process of its own: TRITON_INTERPRET has to be set before triton is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")


def interpret(*options: str) -> None:
    tests = Path(__file__).parent / "interpreted_triton.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests), *options]
    run = subprocess.run(
        command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_values_in_the_interpreter():
    interpret()


@pytest.mark.slow
def test_slow_values_in_the_interpreter():
    interpret("-m", "slow")
