"""A task that a small network learns in seconds, in real files, and a way to train on it."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnrun import train
from snnrun.config import Config
from snnrun.config.compose import compose

CHANNELS, CLASSES, SPEAKERS = 30, 3, 4
Train = Callable[..., Path]


def write_task(path: Path, samples: int, seed: int) -> Path:
    """Three classes that differ in when which third of the channels is active."""
    random = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            file.create_dataset(f"spikes/{name}", (samples,), h5py.vlen_dtype(kind))
        labels = np.arange(samples) % CLASSES
        for sample, label in enumerate(labels):
            group = np.repeat((label + np.arange(3)) % 3, 40)  # which third fires first, second, last
            times = np.repeat([0.01, 0.04, 0.07], 40) + random.uniform(0, 0.02, 120)
            order = np.argsort(times)
            file["spikes/times"][sample] = times[order]
            file["spikes/units"][sample] = (group * 10 + random.integers(0, 10, 120))[order]
        file["labels"] = labels.astype(np.uint16)
        file["extra/speaker"] = (np.arange(samples) // CLASSES % SPEAKERS).astype(np.uint16)
        file["extra/keys"] = np.array(["a", "b", "c"], "S")
        file.attrs["channels"] = CHANNELS
    return path


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The overrides that choose the task and a small network."""
    folder = tmp_path_factory.mktemp("task")
    train_file = write_task(folder / "train.h5", 96, 0)
    test_file = write_task(folder / "test.h5", 24, 1)
    return [
        "dataset=hdf5",
        f"dataset.train={train_file}",
        f"dataset.test={test_file}",
        "dataset.duration=100",
        "dataset.dt=2",
        "dataset.validation_fraction=0.25",
        "network.hidden=[24]",
        "training.batch_size=24",
        "training.epochs=3",
        "optimizer.lr=0.01",
        "optimizer.schedule=none",
        "init.scale=2",
        "init.readout_scale=3",
        "neuron=lif",
        "engine=reference",
    ]


@pytest.fixture
def configure(task: list[str]) -> Callable[..., Config]:
    """The configuration of the task, with more overrides."""
    return lambda *overrides: compose([*task, *overrides])


@pytest.fixture
def run(tmp_path: Path, configure: Callable[..., Config]) -> Train:
    """Trains on the task in a new folder, which it returns."""

    def act(*overrides: str) -> Path:
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        train.run(configure(*overrides), folder, list(overrides))
        return folder

    return act
