"""Recipes run unchanged where the files of the Spiking Heidelberg Digits are: small ones of their layout and names."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnrun import train
from snnrun.config.compose import compose

# Samples of the speaker held out: none where the recipe trains on all of them, as published or for fixed epochs.
HELD_OUT = {"lecture": 20, "heterogeneity": 20, "delays": 20, "spytorch4": 0, "best": 0}
SMALL = ("network.hidden=[10]", "training.epochs=1", "training.batch_size=16", "engine=reference", "dataset.dt=20")


def write_shd(path: Path, speakers: int, seed: int) -> None:
    """20 classes by some speakers, one sample of each, 400 spikes in 700 channels; times in s as float16."""
    random = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            file.create_dataset(f"spikes/{name}", (20 * speakers,), h5py.vlen_dtype(kind))
        for sample in range(20 * speakers):
            file["spikes/times"][sample] = np.sort(random.uniform(0, 1.2, 400)).astype(np.float16)
            file["spikes/units"][sample] = random.integers(0, 700, 400).astype(np.uint16)
        file["labels"] = (np.arange(20 * speakers) % 20).astype(np.uint16)
        file["extra/speaker"] = (np.arange(20 * speakers) // 20).astype(np.uint16)
        file["extra/keys"] = np.array([f"word{k}" for k in range(20)], "S")
        file["extra/meta_info/gender"] = np.array(["female"] * speakers, "S")


@pytest.mark.parametrize("name", HELD_OUT)
def test_a_recipe_on_files_of_shd(tmp_path, monkeypatch, name):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_shd(tmp_path / "shd_train.h5", speakers=3, seed=0)
    write_shd(tmp_path / "shd_test.h5", speakers=4, seed=1)
    words = [f"experiment={name}", "dataset=shd", f"dataset.root={tmp_path}", *SMALL]
    train.run(compose(words), tmp_path / "run", words)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["status"] == "done"
    assert {"test", "test_known_speakers", "test_unseen_speakers"} <= set(results["accuracy"])
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert len(split.get("valid", [])) == HELD_OUT[name]
