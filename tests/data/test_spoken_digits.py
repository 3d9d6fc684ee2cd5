"""The data set of spoken digits: the plan of its samples, the files, and that the shipped ones can be made again."""

import io
import lzma
import multiprocessing
import os
import time
from collections import Counter
from importlib import resources
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnrun.data import spoken_digits
from snnrun.data.cochlea import Spikes
from snnrun.data.hdf5_writer import SpikeRecord, write
from snnrun.data.spoken_digits import SAMPLES, SEED, SPEAKERS, UtteranceEncoder, make_spoken_digits, pack, plan
from snnrun.errors import UserError

SMALL = {"samples": 40, "speakers": 4, "seed": 3}


def shipped(split: str) -> h5py.File:
    file = resources.files("snnrun.data") / "files" / f"spoken_digits_{split}.h5.xz"
    with file.open("rb") as packed, lzma.open(packed) as plain:
        return h5py.File(io.BytesIO(plain.read()), "r")


@pytest.mark.parametrize(("samples", "speakers"), [(40, 4), (101, 7), (2600, 100), (10_000, 33)])
def test_a_plan_is_balanced_and_keeps_speakers_for_the_test(samples: int, speakers: int) -> None:
    utterances = plan(samples, speakers, 1)
    train = [utterance for utterance in utterances if utterance.split == "train"]
    test = [utterance for utterance in utterances if utterance.split == "test"]
    assert len(train) + len(test) == samples == len(utterances)
    assert len(test) == round(samples / 5)
    heard = {utterance.speaker for utterance in train}
    unheard = {utterance.speaker for utterance in test} - heard
    assert len(unheard) == max(2, round(speakers / 10)) or samples < 10 * speakers
    assert len({(utterance.speaker, utterance.take) for utterance in utterances}) == samples
    for part in (train, [u for u in test if u.speaker in unheard], [u for u in test if u.speaker not in unheard]):
        for count in (Counter(u.label for u in part), Counter(u.speaker for u in part)):
            assert max(count.values()) - min(count.values()) <= 1
    words = Counter((utterance.speaker, utterance.label) for utterance in train)
    assert max(words.values()) - 1 <= len(train) / len(heard) / 20 + 1


def test_a_plan_is_in_random_order() -> None:
    first, again, other = plan(400, 10, 1), plan(400, 10, 1), plan(400, 10, 2)
    assert first == again != other
    assert len({utterance.speaker for utterance in first[:30]}) > 5


@pytest.mark.parametrize(
    ("key", "value"), [("samples", -1), ("samples", 39), ("speakers", 3), ("seed", -1), ("jobs", 0), ("jobs", True)]
)
def test_values_out_of_range_are_refused_by_name(tmp_path: Path, key: str, value: int) -> None:
    with pytest.raises(UserError, match=f"^{key}={value}: must be a whole number from"):
        make_spoken_digits(tmp_path / "new", **{key: value})
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"path={tmp_path}/file/sub: cannot be written"):
        make_spoken_digits(tmp_path / "file" / "sub", samples=40, speakers=4)


def test_written_files_have_the_layout_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    spikes = [
        Spikes(np.array([0.3, 0.30001, 0.5]), np.array([9, 4, 1], np.uint16)),
        Spikes(np.array([0.1]), np.array([699], np.uint16)),
    ]
    record = SpikeRecord(spikes, np.array([3, 1]), np.array([0, 5]), ("a", "ü"), 700, {"name": ["x", "yz"]})
    for name in ("one.h5", "two.h5"):
        write(tmp_path / name, record)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["one.h5", "two.h5"]
    with h5py.File(tmp_path / "one.h5") as file:
        assert file["spikes/times"][0].dtype == np.float16
        assert file["spikes/units"][0].tolist() == [4, 9, 1]
        assert file["spikes/units"][1].tolist() == [699]
        assert file["labels"][:].tolist() == [3, 1]
        assert file["extra/speaker"][:].tolist() == [0, 5]
        assert [key.decode() for key in file["extra/keys"]] == ["a", "ü"]
        assert file["extra/meta_info/name"][1] == b"yz"
        assert file.attrs["channels"] == 700


def test_packing_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    file.write_bytes(bytes(range(256)) * 50)
    assert lzma.decompress(pack(file).read_bytes()) == file.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of a small set, made by one process."""
    pytest.importorskip("espeakng_loader")
    return make_spoken_digits(tmp_path_factory.mktemp("whole"), **SMALL)


def test_the_files_do_not_depend_on_the_number_of_processes(whole: list[Path], tmp_path: Path) -> None:
    two = make_spoken_digits(tmp_path, **SMALL, jobs=2)
    assert [file.name for file in two] == ["spoken_digits_train.h5", "spoken_digits_test.h5"]
    assert [file.read_bytes() for file in two] == [file.read_bytes() for file in whole]
    assert len(os.listdir(tmp_path)) == 2


def test_killed_it_goes_on_and_makes_the_same_files(
    whole: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=make_spoken_digits, args=(tmp_path,), kwargs=SMALL)
    process.start()
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".spoken_digits-*/*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    finished = {int(part.stem) for part in tmp_path.glob(".spoken_digits-*/*.npz")}
    assert finished
    assert not list(tmp_path.glob("*.h5"))
    encoded: list[int] = []
    original = UtteranceEncoder.__call__

    def noting(self: UtteranceEncoder, number: int) -> Spikes:
        encoded.append(number)
        return original(self, number)

    monkeypatch.setattr(UtteranceEncoder, "__call__", noting)
    resumed = make_spoken_digits(tmp_path, **SMALL)
    assert 0 < len(encoded) < 40
    assert not finished & set(encoded)
    assert [file.read_bytes() for file in resumed] == [file.read_bytes() for file in whole]


def test_the_shipped_files_are_what_is_promised() -> None:
    folder = resources.files("snnrun.data") / "files"
    sizes = [len((folder / f"spoken_digits_{split}.h5.xz").read_bytes()) for split in ("train", "test")]
    assert sum(sizes) <= 20_000_000
    with shipped("train") as train, shipped("test") as test:
        assert len(train["labels"]) >= 1000
        assert len(test["labels"]) >= 400
        assert len(train["labels"]) + len(test["labels"]) == SAMPLES
        speakers = set(train["extra/speaker"][:]), set(test["extra/speaker"][:])
        assert len(speakers[0] | speakers[1]) == SPEAKERS >= 14
        assert len(speakers[1] - speakers[0]) >= 2
        assert speakers[1] & speakers[0]
        assert [key.decode() for key in train["extra/keys"]] == list(spoken_digits.WORDS)
        for file in (train, test):
            counts = np.bincount(file["labels"][:], minlength=20)
            assert counts.max() - counts.min() <= 2
            for times, units in zip(file["spikes/times"][:50], file["spikes/units"][:50], strict=True):
                assert times.dtype == np.float16
                assert np.all(np.diff(times) >= 0)
                assert units.max() < 700


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_shipped_spikes_can_be_made_again(split: str) -> None:
    """99.9 % of the spikes: another machine's arithmetic may round a few of them away."""
    pytest.importorskip("espeakng_loader")
    utterances = plan(SAMPLES, SPEAKERS, SEED)
    encoder = UtteranceEncoder(tuple(utterances), SEED)
    first = next(number for number, utterance in enumerate(utterances) if utterance.split == split)
    with shipped(split) as file:
        for sample in range(4):
            made = encoder(first + sample)
            assert utterances[first + sample].label == file["labels"][sample]
            assert utterances[first + sample].speaker == file["extra/speaker"][sample]
            ours = Counter(zip(made.times.astype(np.float16).tolist(), made.units.tolist(), strict=True))
            theirs = Counter(
                zip(file["spikes/times"][sample].tolist(), file["spikes/units"][sample].tolist(), strict=True)
            )
            assert (ours & theirs).total() >= 0.999 * max(ours.total(), theirs.total())
