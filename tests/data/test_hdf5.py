"""The reader of spike files: right numbers from good files, one clear line for every bad one."""

import gzip
import lzma
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnrun.data import hdf5
from snnrun.data.spike_files import load_files
from snnrun.errors import UserError

TIMES = [[0.001, 0.25, 1.3], [], [0.5]]
UNITS = [[0, 699, 3], [], [7]]
LABELS = [0, 1, 1]


@pytest.fixture
def good(tmp_path, write_spikes):
    return write_spikes(tmp_path / "good.h5", TIMES, UNITS, LABELS, speakers=[3, 3, 8], keys=["ja", "nein"])


def test_reads_what_was_written(good):
    spikes = hdf5.read(good)
    assert spikes.offsets.tolist() == [0, 3, 3, 4]
    assert spikes.unit.tolist() == [0, 699, 3, 7]
    expected = np.floor(np.array([0.001, 0.25, 1.3, 0.5], np.float16).astype(float) * 1e6)
    assert spikes.time.tolist() == expected.tolist()
    assert spikes.labels.tolist() == LABELS
    assert spikes.speakers.tolist() == [3, 3, 8]
    assert spikes.classes == ("ja", "nein")
    assert spikes.channels is None
    assert spikes.channels_seen == 700


def test_times_that_overflow_float16_when_scaled_are_right(good):
    assert hdf5.read(good).time.max() == pytest.approx(1.3e6, rel=1e-3)


def test_float32_times_are_rounded_to_the_nearest_microsecond(tmp_path, write_spikes):
    path = write_spikes(tmp_path / "a.h5", [[0.01, 0.03]], [[0, 1]], [0], time_type=np.float32)
    assert hdf5.read(path).time.tolist() == [10_000, 30_000]


def test_reads_more_samples_than_are_read_at_once(tmp_path, write_spikes, monkeypatch):
    monkeypatch.setattr(hdf5, "_SAMPLES_AT_ONCE", 2)
    times = [[0.25] * count for count in (1, 0, 3, 2, 4)]
    units = [[count] * count for count in (1, 0, 3, 2, 4)]
    spikes = hdf5.read(write_spikes(tmp_path / "a.h5", times, units, [0, 1, 0, 1, 0]))
    assert spikes.offsets.tolist() == [0, 1, 1, 4, 6, 10]
    assert spikes.unit.tolist() == [1, 3, 3, 3, 2, 2, 4, 4, 4, 4]


@pytest.mark.parametrize("packing", ["gz", "xz", "zip"])
def test_packed_files_read_alike(good, packing):
    packed = good.with_name(f"packed.h5.{packing}")
    if packing == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(good, "inner/good.h5")
    else:
        packed.write_bytes({"gz": gzip, "xz": lzma}[packing].compress(good.read_bytes()))
    assert hdf5.read(packed).time.tolist() == hdf5.read(good).time.tolist()
    cut = good.with_name(f"cut.h5.{packing}")
    cut.write_bytes(packed.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"^\S*cut.h5"):
        hdf5.read(cut)


def broken(path: Path, good: Path, change) -> Path:
    shutil.copy(good, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replace(name, values):
    def change(file):
        del file[name]
        if values is not None:
            file[name] = values

    return change


def set_sample(name, index, values):
    def change(file):
        file[name][index] = np.asarray(values, h5py.check_vlen_dtype(file[name].dtype))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace("labels", None), "has no one-dimensional labels"),
        (replace("spikes/times", None), "has no one-dimensional spikes/times"),
        (replace("spikes", None), "has no one-dimensional spikes/times"),
        (replace("spikes/times", np.zeros((3, 4))), "has no one-dimensional spikes/times"),
        (replace("spikes/times", np.zeros(3)), "expected a list of floats"),
        (replace("labels", np.zeros(3)), "labels holds float64; expected whole numbers"),
        (replace("labels", [0, 1]), "3 times, 3 units, 2 labels"),
        (replace("labels", [0, 1, 2]), "label 2 of sample 2 is out of range; there are 2 classes"),
        (replace("extra/speaker", [1, 2]), "3 samples but 2 speakers"),
        (replace("extra/speaker", [b"a", b"b", b"c"]), "extra/speaker holds .*expected whole numbers"),
        (set_sample("spikes/units", 2, [7, 8]), "sample 2 has 1 times but 2 units"),
        (set_sample("spikes/times", 0, [0.1, np.nan, 0.2]), "sample 0 has a spike at nan s"),
        (set_sample("spikes/times", 2, [np.inf]), "sample 2 has a spike at inf s"),
        (set_sample("spikes/times", 0, [0.2, 0.1, 0.3]), "times of sample 0 are not sorted"),
        (lambda file: file.attrs.update(channels=600), "unit 699 is out of range; there are 600 channels"),
        (lambda file: file.attrs.update(channels=-1), "attribute channels"),
        (lambda file: file.attrs.update(channels="many"), "attribute channels"),
    ],
)
def test_a_bad_file_gives_one_line_that_names_it(good, tmp_path, change, message):
    path = broken(tmp_path / "bad.h5", good, change)
    with pytest.raises(UserError, match=f"bad.h5.*{message}") as failure:
        load_files(path, None, None)
    assert "\n" not in str(failure.value)


def test_files_that_are_no_hdf5(good, tmp_path):
    cases = {
        "empty.h5": (b"", "is empty"),
        "text.h5": (b"times,units\n1,2\n" * 100, "not HDF5"),
        "cut.h5": (good.read_bytes()[: good.stat().st_size // 2], "cut short"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}: .*{message}"):
            hdf5.read(tmp_path / name)
    with pytest.raises(UserError, match="no such file"):
        hdf5.read(tmp_path / "missing.h5")
    with pytest.raises(UserError, match="is a folder"):
        hdf5.read(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission(good):
    good.chmod(stat.S_IWUSR)
    with pytest.raises(UserError, match="permission denied"):
        hdf5.read(good)


def test_units_of_signed_type_may_not_be_negative(tmp_path, write_spikes):
    path = write_spikes(tmp_path / "a.h5", [[0.1]], [[-4]], [0], unit_type=np.int32)
    with pytest.raises(UserError, match="unit -4 is out of range"):
        hdf5.read(path)


def test_files_of_a_set_must_fit_each_other(tmp_path, write_spikes):
    def make(name, **more):
        return write_spikes(tmp_path / name, [[0.25], [0.5]], [[1], [2]], [0, 1], **more)

    plain = make("plain.h5")
    with pytest.raises(UserError, match="different classes"):
        load_files(make("a.h5", keys=["a", "b"]), None, make("b.h5", keys=["b", "a"]))
    with pytest.raises(UserError, match=r"different numbers of channels: 9 in .*c.h5, 8 in .*d.h5"):
        load_files(make("c.h5", channels=9), None, make("d.h5", channels=8))
    with pytest.raises(UserError, match="hold the same"):
        load_files(plain, None, shutil.copy(plain, tmp_path / "copy.h5"))
    parts = load_files(plain, None, make("e.h5", channels=30, keys=["a", "b", "c"]))
    assert parts.train.channels == parts.test.channels == 30
    assert parts.train.classes == ("a", "b", "c")


def packed_sample() -> bytes:
    """A small good file, in the earliest layout of HDF5 as h5py writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        with h5py.File(path, "w") as file:
            for name, kind, values in (("times", np.float16, [0.1, 0.2]), ("units", np.uint16, [3, 4])):
                item = file.create_dataset(f"spikes/{name}", (4,), h5py.vlen_dtype(kind))
                for index in range(4):
                    item[index] = np.asarray(values, kind)
            file["labels"] = np.array([0, 1, 0, 1], np.uint16)
        return path.read_bytes()


SAMPLE = packed_sample()


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=6),
    length=st.none() | st.integers(1, len(SAMPLE)),
)
def test_any_damage_gives_a_good_set_or_one_line(tmp_path_factory, changes, length):
    content = bytearray(SAMPLE)
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.h5"
    path.write_bytes(bytes(content[:length]))
    train, message = None, "fuzzed.h5"
    try:
        train = load_files(path, None, None).train
    except UserError as failure:
        message = str(failure)
    assert "fuzzed.h5" in message
    assert "\n" not in message
    if train is not None:
        train.check("fuzzed.h5")


@settings(max_examples=100, deadline=None)
@given(content=st.binary(min_size=1, max_size=200))
def test_any_bytes_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.h5"
    for start in (b"", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08", b"\xfd7zXZ\x00", b"PK\x03\x04"):
        path.write_bytes(start + content)
        with pytest.raises(UserError, match=r"bytes.h5"):
            hdf5.read(path)


def test_human_digits(real_data):
    parts = load_files(real_data / "human_digits_train.h5", None, real_data / "human_digits_test.h5")
    assert len(parts.train) == 1800
    assert len(parts.test) == 700
    assert parts.train.channels == 700
    assert parts.train.classes[:3] == ("zero", "one", "two")
    assert parts.train.time.max() == 1_500_000
    assert np.bincount(parts.test.speakers).tolist() == [50, 50, 50, 50, 500]
