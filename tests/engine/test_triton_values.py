"""Runs `triton_values.py` in a process of its own: TRITON_INTERPRET has to be set before triton is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
WHERE = [
    pytest.param("1", id="interpreter"),
    pytest.param("0", id="gpu", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def run_values(interpreted: str, *options: str) -> None:
    tests = Path(__file__).parent / "triton_values.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests), *options]
    # Without the workspace torch would refuse cuBLAS where it is to fill new memory with NaN.
    variables = {"TRITON_INTERPRET": interpreted, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    run = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("interpreted", WHERE)
def test_values(interpreted):
    run_values(interpreted)


@pytest.mark.slow
@pytest.mark.parametrize("interpreted", WHERE)
def test_slow_values(interpreted):
    run_values(interpreted, "-m", "slow")
