"""Loading by the keys of the configuration: parts, splits, masks, what is reported."""

import gzip

import numpy as np
import pytest

from snnrun.data import SOURCES, load
from snnrun.data.dataset import Parts
from snnrun.errors import UserError


@pytest.fixture
def files(digits):
    """Training speakers 1 to 8; the test file adds speaker 20 and other recordings of 1 to 3."""
    train = digits("train.h5", range(1, 9), seed=1)
    return {"train": str(train), "test": str(digits("test.h5", [1, 2, 3, 20], seed=2))}


def test_speakers_are_held_out(files, options):
    data = load(options(**files), 0)
    assert len(data.train) + len(data.valid) == 32
    assert not set(data.train.speakers) & set(data.valid.speakers)
    assert len(np.unique(data.valid.speakers)) == 2
    together = np.concatenate([data.train_indices, data.valid_indices])
    assert sorted(together) == list(range(32))
    assert data.split() == {"train": data.train_indices.tolist(), "valid": data.valid_indices.tolist()}


def test_the_split_is_a_function_of_the_split_seed(files, options):
    def held(seed, **more):
        return tuple(np.unique(load(options(**files, **more), seed).valid.speakers))

    assert held(1) == held(1)
    assert len({held(seed) for seed in range(6)}) > 2
    assert held(1, split_seed=5) == held(2, split_seed=5) == held(5)


def test_named_speakers_are_held_out_and_masks_tell_known_from_unseen(files, options):
    data = load(options(**files, validation_speakers=(3, 5)), 0)
    assert set(data.valid.speakers) == {3, 5}
    assert set(data.test.speakers[data.known_speakers]) == {1, 2}
    assert set(data.test.speakers[data.unseen_speakers]) == {20}
    assert any("3, 5" in line for line in data.log)


def test_folds_hold_out_every_speaker_once(files, options):
    held = [np.unique(load(options(**files, fold=fold, folds=4), 3).valid.speakers).tolist() for fold in range(4)]
    assert sorted(speaker for part in held for speaker in part) == list(range(1, 9))
    with pytest.raises(UserError, match=r"dataset.folds=9: must be 2 to 8, the number of speakers"):
        load(options(**files, fold=0, folds=9), 3)


def test_fraction_none_and_validation_data_of_its_own(files, options, digits):
    assert len(load(options(**files, validation="fraction"), 0).valid) == 8
    data = load(options(**files, validation="none"), 0)
    assert data.valid is None
    assert len(data.train) == 32
    assert list(data.parts()) == ["train", "test"]
    data = load(options(**files | {"valid": str(digits("valid.h5", [9], seed=5))}), 0)
    assert len(data.train) == 32
    assert set(data.valid.speakers) == {9}
    assert data.valid_indices is None


def test_without_speakers_a_fraction_is_held_out_and_it_is_said(digits, options):
    data = load(options(train=digits("a.h5", None, 40), test=digits("b.h5", None, 4, seed=3)), 0)
    assert len(data.valid) == 10
    assert data.known_speakers is None
    assert any("names no speakers" in line for line in data.log)
    with pytest.raises(UserError, match="names no speakers"):
        load(options(train=digits("a.h5", None), test=digits("b.h5", None, 4, 3), validation_speakers=(1,)), 0)


def test_what_is_dropped_and_what_is_silent_is_counted_and_said(tmp_path, write_spikes, options):
    train = write_spikes(tmp_path / "a.h5", [[0.25, 0.75], [], [0.125], [0.5]], [[0, 1], [], [0], [0]], [0, 1, 0, 1])
    test = write_spikes(tmp_path / "b.h5", [[0.75]], [[1]], [0])
    data = load(options(train=train, test=test, validation="none", duration=500.0), 0)
    assert data.dropped == {"train": 2, "test": 1}
    assert data.silent == {"train": 1, "test": 0}
    assert "train: 2 of 4 spikes dropped, outside 0 to 500 ms" in data.log
    assert "train: 1 samples without spikes" in data.log
    assert any("test: no spike between 0 and" in line for line in data.warnings)
    assert any("train: 50 % of the spikes are past" in line for line in data.warnings)


def test_a_class_that_only_held_out_speakers_say_is_named(tmp_path, write_spikes, options):
    labels, speakers = [0, 1, 2, 0, 1, 0], [1, 1, 2, 2, 3, 3]
    times, units = [[0.25]] * 6, [[0]] * 6
    train = write_spikes(tmp_path / "a.h5", times, units, labels, speakers=speakers, keys=["x", "y", "z"])
    test = write_spikes(tmp_path / "b.h5", [[0.5]], [[0]], [0], speakers=[1], keys=["x", "y", "z"])
    data = load(options(train=train, test=test, validation_speakers=(2,)), 0)
    assert any("classes z: they cannot be learned" in line for line in data.warnings)


def test_one_class_is_refused(tmp_path, write_spikes, options):
    train = write_spikes(tmp_path / "a.h5", [[0.25], [0.5]], [[0], [1]], [0, 0])
    test = write_spikes(tmp_path / "b.h5", [[0.25]], [[0]], [0])
    with pytest.raises(UserError, match="has one class only"):
        load(options(train=train, test=test), 0)


def test_an_unknown_data_set(options):
    with pytest.raises(UserError, match=r"shdd.*did you mean shd"):
        load(options(name="shdd"), 0)


def test_shd_reads_plain_or_packed_files_and_tells_what_is_missing(tmp_path, write_spikes, options):
    def make(name):
        return write_spikes(tmp_path / name, [[0.25], [0.5]], [[1], [2]], [0, 1], speakers=[1, 2])

    with pytest.raises(UserError, match=r"shd_train.h5 is missing.*zenkelab.org/datasets/shd_train.h5.gz"):
        load(options(name="shd", root=str(tmp_path)), 0)
    make("shd_train.h5")
    with pytest.raises(UserError, match=r"shd_test.h5 is missing"):
        load(options(name="shd", root=str(tmp_path)), 0)
    plain = write_spikes(tmp_path / "x.h5", [[0.5]], [[1]], [0], speakers=[2])
    (tmp_path / "shd_test.h5.gz").write_bytes(gzip.compress(plain.read_bytes()))
    data = load(options(name="shd", root=str(tmp_path)), 0)
    assert data.channels == 700
    assert len(data.test) == 1


def test_a_source_may_be_added(options, monkeypatch):
    parts = Parts(load_small(), notes=("made up",))
    monkeypatch.setitem(SOURCES._items, "mine", lambda section, seed: parts)
    data = load(options(name="mine", validation="none"), 0)
    assert data.log[0] == "made up"


def load_small():
    from snnrun.data.events import EventSet

    return EventSet.from_offsets(
        unit=[0, 1], time=[1, 2], offsets=[0, 1, 2], labels=[0, 1], channels=2, classes=["a", "b"]
    )


def human_digits(options, root, **changed):
    keys = {"name": "human_digits", "root": str(root), "jobs": 1, "test_speakers": None, "test_fraction": 0.2}
    return options(**(keys | changed))


def test_human_digits_by_speaker(real_data, options):
    data = load(human_digits(options, real_data, validation_fraction=0.1), 0)
    assert len(data.train) == 1350
    assert len(data.valid) == 450
    assert len(np.unique(data.valid.speakers)) == 1
    assert data.unseen_speakers.sum() == 500
    assert data.known_speakers.sum() == 150


def test_human_digits_that_are_encoded_already(digits, options, tmp_path):
    digits("human_digits_train.h5", [0, 1, 2, 3])
    section = human_digits(options, tmp_path)
    with pytest.raises(UserError, match=r"human_digits_test.h5 is missing; expected both .*, or recordings/"):
        load(section, 0)
    digits("human_digits_test.h5", [3, 4], seed=1)
    data = load(section, 0)
    assert (len(data.train), len(data.valid), len(data.test), data.channels) == (12, 4, 8, 700)
    assert set(data.test.speakers[data.unseen_speakers]) == {4}
    with pytest.raises(UserError, match=r"dataset.test_speakers: goes with recordings/; .*human_digits_test.h5"):
        load(human_digits(options, tmp_path, test_speakers=("ann",)), 0)
