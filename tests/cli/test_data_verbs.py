"""`snnrun data show` and `fetch` as a person types them."""

import h5py
import numpy as np
import pytest

from snnrun.commands.data import FETCHED, data_words, main
from snnrun.data.downloads import DOWNLOADS
from snnrun.errors import RunError, UserError


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def write(path):
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            item = file.create_dataset(f"spikes/{name}", (4,), h5py.vlen_dtype(kind))
            for sample in range(4):
                item[sample] = np.array([0.1, 0.3, 1.2] if name == "times" else [0, 1, 2], kind)
        file["labels"] = np.array([0, 1, 0, 1])
        file["extra/speaker"] = np.array([0, 0, 1, 1])


def test_show_prints_the_numbers_and_draws(tmp_path, capsys):
    write(tmp_path / "a.h5")
    assert main(["show", "hdf5", "dataset.train=a.h5", "dataset.duration=1000"]) == 0
    shown = capsys.readouterr()
    assert "3 channels; 2 classes: 0, 1" in shown.out
    assert "2 of 6 spikes dropped, outside 0 to 1000 ms" in shown.out
    assert "WARNING: train: 33 % of the spikes are past" in shown.err
    assert shown.out.splitlines()[-1] == "hdf5.png"
    assert (tmp_path / "hdf5.png").read_bytes().startswith(b"\x89PNG")
    main(["show", "poisson", "path=p.png", "dataset.samples=4"])
    assert (tmp_path / "p.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show"], "data show : the data set must be one of"),
        (["show", "shdd"], r"\(did you mean shd\?\)"),
        (["show", "shd"], "shd_train.h5 is missing; run `snnrun data fetch shd`"),
        (["show", "shd", "dataset.rot=a"], "no such key"),
        (["fetch", "hdf5"], "data fetch hdf5: the data set must be one of dvs_gesture"),
        (["fetch", "shd", "rot=a"], "rot=a: no such key; allowed is root=FOLDER"),
        (["make", "wav_folder"], "root=FOLDER must be given"),
    ],
)
def test_mistakes_are_told(words, message):
    with pytest.raises(UserError, match=message):
        main(words)


def test_fetch_without_a_network_tells_what_to_bring(tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(RunError, match=r"bring https://zenkelab.org/datasets/shd_train.h5.gz and put it into \S+/x"):
        main(["fetch", "shd", f"root={tmp_path / 'x'}"])


def test_all_that_can_be_fetched_is_offered():
    assert set(FETCHED) == set(DOWNLOADS)
    assert data_words(["fetch"]) == list(FETCHED)
    assert "randman" in data_words(["show"])
    assert "dataset.alpha=" in data_words(["show", "randman"])
    assert data_words(["fetch", "shd"]) == ["root="]
