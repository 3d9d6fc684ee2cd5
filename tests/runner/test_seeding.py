"""What a seed sets."""

import os

import torch

from snnrun.seeding import seed_everything


def test_a_deterministic_run_lets_cublas_multiply(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    try:
        seed_everything(0, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        seed_everything(0, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()
