"""Small files of spike trains, and a cache folder of their own for all tests here."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

WriteSpikes = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "snnrun"


def write_spikes(
    path: Path,
    times: Sequence[Sequence[float]],
    units: Sequence[Sequence[int]],
    labels: Sequence[int],
    *,
    speakers: Sequence[int] | None = None,
    keys: Sequence[str] | None = None,
    channels: int | None = None,
    time_type: type = np.float16,
    unit_type: type = np.uint16,
) -> Path:
    with h5py.File(path, "w") as file:
        for name, lists, kind in (("times", times, time_type), ("units", units, unit_type)):
            item = file.create_dataset(f"spikes/{name}", (len(lists),), h5py.vlen_dtype(kind))
            for index, values in enumerate(lists):
                item[index] = np.asarray(values, kind)
        file["labels"] = np.asarray(labels, np.uint16)
        if speakers is not None:
            file["extra/speaker"] = np.asarray(speakers, np.uint16)
        if keys is not None:
            file["extra/keys"] = np.asarray(keys, "S")
        if channels is not None:
            file.attrs["channels"] = channels
    return path


@pytest.fixture(name="write_spikes")
def _write_spikes() -> WriteSpikes:
    return write_spikes


@pytest.fixture
def digits(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of two classes: `per_speaker` samples of each speaker."""

    def write(name: str, speakers: Sequence[int] | None, per_speaker: int = 4, seed: int = 0) -> Path:
        random = np.random.default_rng(seed)
        total = per_speaker * len(speakers or [0])
        sizes = random.integers(1, 30, total)
        return write_spikes(
            tmp_path / name,
            [np.sort(random.uniform(0, 1, size)) for size in sizes],
            [random.integers(0, 20, size) for size in sizes],
            np.arange(total) % 2,
            speakers=None if speakers is None else np.repeat(speakers, per_speaker),
            keys=["no", "yes"],
            channels=20,
        )

    return write


@pytest.fixture
def options() -> Callable[..., SimpleNamespace]:
    """The section `dataset` of a configuration, with its usual values."""

    def make(**changed: object) -> SimpleNamespace:
        usual = {
            "name": "hdf5",
            "valid": None,
            "duration": 1000.0,
            "dt": 10.0,
            "binary": False,
            "pool": 1,
            "validation": "speakers",
            "validation_fraction": 0.25,
            "validation_speakers": None,
            "split_seed": None,
            "fold": None,
            "folds": 10,
            "binning": "fixed",
            "speed": 1.0,
            "time_jitter": 0.0,
            "channel_jitter": 0.0,
            "channel_shift": 0,
            "deletion": 0.0,
            "insertion": 0.0,
        }
        return SimpleNamespace(**(usual | changed))

    return make


def shared_data() -> Path:
    given = os.environ.get("SNNRUN_TEST_DATA")
    return Path(given) if given else Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def real_data() -> Path:
    """Folder of real recordings; the test is skipped where it is not there."""
    folder = shared_data()
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set SNNRUN_TEST_DATA")
    return folder
