"""Recordings of event cameras: bytes to units, and what is refused."""

import numpy as np
import pytest

from snnrun.data import load
from snnrun.data.event_cameras import channels, read_bin, read_npy, to_units
from snnrun.errors import UserError


def packed(events):
    """`events`: (x, y, polarity, us)."""
    return b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, p, t in events)


EVENTS = [(0, 0, 0, 5), (33, 1, 1, 70_000), (2, 33, 1, 70_000), (3, 3, 0, 300_000)]


@pytest.fixture
def nmnist(tmp_path, options):
    for part in ("Train", "Test"):
        for digit in (3, 7):
            (tmp_path / part / str(digit)).mkdir(parents=True)
            (tmp_path / part / str(digit) / "1.bin").write_bytes(packed(EVENTS))
    keys = {"root": str(tmp_path), "downsample": 1, "polarity": "both", "validation": "none"}
    return lambda **changed: options(name="nmnist", **(keys | changed))


@pytest.fixture
def gestures(tmp_path, options):
    for part, user in (("ibmGestureTrain", 4), ("ibmGestureTrain", 5), ("ibmGestureTest", 6)):
        folder = tmp_path / part / f"user{user:02}_fluorescent_led"
        folder.mkdir(parents=True)
        for label in (0, 10):
            np.save(folder / f"{label}.npy", np.array([[127, 5, 1, 30], [0, 0, 0, 20]], np.int64))
    keys = {"root": str(tmp_path), "downsample": 4, "polarity": "both", "validation": "none"}
    return lambda **changed: options(name="dvs_gesture", **(keys | changed))


def test_a_recording_is_read_as_it_was_packed(tmp_path):
    events = [*EVENTS, (1, 2, 0, 70_000), (1, 2, 1, (1 << 23) - 1)]
    (tmp_path / "1.bin").write_bytes(packed(events))
    assert [tuple(event) for event in read_bin(tmp_path / "1.bin").tolist()] == events


def test_units_tell_polarity_row_and_column():
    x, y, p = (np.array(values) for values in ([0, 33, 5], [0, 1, 33], [0, 1, 1]))
    unit, kept = to_units(x, y, p, 34, 1, "both")
    assert unit.tolist() == [0, 1156 + 34 + 33, 1156 + 33 * 34 + 5]
    assert kept.all()
    assert to_units(x, y, p, 34, 4, "merged")[0].tolist() == [0, 8, 8 * 9 + 1]
    assert to_units(x, y, p, 34, 1, "on")[1].tolist() == [False, True, True]
    assert to_units(x, y, p, 34, 1, "off")[1].tolist() == [True, False, False]
    assert channels(34, 1, "both") == 2312
    assert channels(34, 4, "merged") == 81


def test_nmnist(nmnist):
    data = load(nmnist(), 0)
    assert data.channels == 2312
    assert data.train.labels.tolist() == [3, 7]
    assert data.train.sample(0)[0].tolist() == [5, 70_000, 70_000, 300_000]
    assert load(nmnist(downsample=2, polarity="on"), 0).channels == 289


def test_a_changed_recording_is_read_again(nmnist, tmp_path):
    load(nmnist(), 0)
    (tmp_path / "Train" / "3" / "1.bin").write_bytes(packed(EVENTS[:1]))
    assert load(nmnist(), 0).train.counts.tolist() == [1, 4]


def test_gestures_are_sorted_and_name_their_users(gestures):
    data = load(gestures(), 0)
    assert data.channels == 2048
    assert data.train.speakers.tolist() == [4, 4, 5, 5]
    assert data.train.sample(0)[0].tolist() == [20_000, 30_000]
    assert data.train.sample(0)[1].tolist() == [0, 1024 + 32 + 31]
    assert data.unseen_speakers.all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed(EVENTS)[:-1], "has 19 bytes; expected 5 an event"),
        (packed([(34, 0, 0, 1)]), "has a pixel outside 34 x 34"),
    ],
)
def test_a_bad_recording(nmnist, tmp_path, content, message):
    (tmp_path / "Test" / "7" / "1.bin").write_bytes(content)
    with pytest.raises(UserError, match=f"1.bin: {message}"):
        load(nmnist(), 0)


@pytest.mark.parametrize(
    "content",
    [np.zeros(4), np.zeros((3, 5)), np.array([["a"] * 4]), np.full((1, 4), np.nan), np.full((1, 4), 1e9)],
)
def test_a_bad_array(tmp_path, content):
    np.save(tmp_path / "1.npy", content)
    with pytest.raises(UserError, match=r"1.npy: (expected an array|holds numbers)"):
        read_npy(tmp_path / "1.npy")


def test_files_that_are_no_arrays(tmp_path):
    np.save(tmp_path / "object.npy", np.array([{}, {}]), allow_pickle=True)
    (tmp_path / "text.npy").write_bytes(b"hello")
    (tmp_path / "empty.npy").write_bytes(b"")
    for name in ("object", "text", "empty"):
        with pytest.raises(UserError, match=f"{name}.npy: is no .npy file"):
            read_npy(tmp_path / f"{name}.npy")


def test_folders_that_are_missing_or_empty(nmnist, tmp_path):
    for path in (tmp_path / "Test").glob("*/*"):
        path.unlink()
    with pytest.raises(UserError, match=r"Test: holds no recordings; expected .bin"):
        load(nmnist(), 0)
    with pytest.raises(UserError, match=r"nowhere/Train is missing; run `snnrun data fetch nmnist`"):
        load(nmnist(root=str(tmp_path / "nowhere")), 0)


@pytest.mark.parametrize("name", ["nmnist", "dvs_gesture"])
def test_the_folder_that_tonic_fills(request, tmp_path, name):
    make = request.getfixturevalue({"nmnist": "nmnist", "dvs_gesture": "gestures"}[name])
    expected = load(make(), 0)
    folder = tmp_path / {"nmnist": "NMNIST", "dvs_gesture": "DVSGesture"}[name]
    folder.mkdir()
    for part in (path for path in list(tmp_path.iterdir()) if path != folder):
        part.rename(folder / part.name)
    found = load(make(), 0)
    assert found.train.time.tolist() == expected.train.time.tolist()
    assert len(found.test) == len(expected.test)


def test_real_recordings_are_read_as_tonic_reads_them(real_data):
    pytest.importorskip("tonic")
    from tonic.datasets import NMNIST
    from tonic.io import read_mnist_file

    for path in sorted((real_data / "N-MNIST" / "Test").glob("*/*.bin")):
        events = read_mnist_file(str(path), dtype=NMNIST.dtype)
        assert np.array_equal(read_bin(path), np.stack([events[key] for key in ("x", "y", "p", "t")], axis=1))


def test_real_recordings(real_data, nmnist):
    data = load(nmnist(root=str(real_data / "N-MNIST"), downsample=2), 0)
    assert len(data.train) == 1000
    assert len(data.test) == 100
    assert data.channels == 578
    assert 250_000 < data.train.time.max() < 400_000
