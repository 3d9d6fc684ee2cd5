"""IDX files and the latency code, against its formula; every bad file gives one line."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnrun.data import load
from snnrun.data.images import IDX_FILES, latency_code, read_idx
from snnrun.errors import UserError


def idx(array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for part, (images, labels) in IDX_FILES.items():
        count = {"train": 40, "test": 10}[part]
        (tmp_path / images).write_bytes(idx(random.integers(0, 256, (count, 5, 4))))
        (tmp_path / f"{labels}.gz").write_bytes(gzip.compress(idx(np.arange(count) % 10)))
    return tmp_path


@pytest.fixture
def image_options(options, folder):
    return options(
        name="fashion_mnist",
        root=str(folder),
        latency_tau=20.0,
        latency_threshold=0.2,
        validation="fraction",
        duration=100.0,
    )


def test_loads_plain_and_packed_files(image_options):
    data = load(image_options, 0)
    assert data.channels == 20
    assert data.classes[9] == "ankle boot"
    assert len(data.train) + len(data.valid) == 40
    assert len(data.test) == 10


@given(
    pixels=st.lists(st.integers(0, 255), min_size=1, max_size=30),
    tau=st.floats(0.5, 100),
    threshold=st.floats(0, 0.99),
)
def test_the_latency_code_is_its_formula(pixels, tau, threshold):
    events = latency_code(np.array([pixels], np.uint8), np.array([0]), ("a",), tau, threshold)
    events.check("test")
    expected = {}
    for unit, value in enumerate(pixels):
        x = value / 255
        if x > threshold:
            expected[unit] = int(min(tau * 1000 * np.log(x / (x - threshold)), 2**31 - 1))
    time, unit = events.sample(0)
    assert dict(zip(unit.tolist(), time.tolist(), strict=True)) == expected


def test_the_brightest_fires_first_and_the_dark_never():
    events = latency_code(np.array([[51, 255, 100, 0]], np.uint8), np.array([0]), ("a",), 20.0, 0.2)
    assert events.unit.tolist() == [1, 2]
    assert events.time[0] == int(20_000 * np.log(1 / 0.8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\0\0\x08\x01" + b"\0\0\0\x02ab", "starts with 00 00 08 01; expected an IDX file of bytes in 3"),
        (b"\0\0\x0d\x03" + bytes(12), "starts with 00 00 0d 03"),
        (idx(np.zeros((2, 3, 4)))[:-1], "holds 23 bytes of data; its header says 24"),
        (idx(np.zeros((2, 3, 4))) + b"x", "holds 25 bytes"),
        (idx(np.zeros((0, 3, 4))), "holds nothing"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "its header says"),
        (b"\0\0\x08\x03\0\0", "starts with"),
        (gzip.compress(b"x" * 500, mtime=0)[:-9], "damaged or cut short"),
    ],
)
def test_a_bad_idx_file(tmp_path, content, message):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(UserError, match=f"bad: .*{message}") as failure:
        read_idx(tmp_path / "bad", 3)
    assert "\n" not in str(failure.value)


GOOD = idx(np.arange(24).reshape(2, 3, 4))


@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4),
    length=st.none() | st.integers(1, len(GOOD)),
)
def test_any_damage_gives_an_array_of_its_header_or_one_line(tmp_path_factory, changes, length):
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    content = bytes(content[:length])
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content)
    whole = content[:4] == GOOD[:4] and len(content) >= 16
    if whole and np.prod([int(n) for n in struct.unpack(">3I", content[4:16])], dtype=object) == len(content) - 16 > 0:
        assert read_idx(path, 3).tobytes() == content[16:]
        return
    with pytest.raises(UserError, match="fuzzed: "):
        read_idx(path, 3)


def test_labels_that_do_not_fit(image_options, folder):
    labels = folder / IDX_FILES["train"][1]
    labels.write_bytes(idx(np.full(40, 11)))
    with pytest.raises(UserError, match="label 11 of sample 0 is out of range; there are 10 classes"):
        load(image_options, 0)
    labels.write_bytes(idx(np.zeros(39)))
    with pytest.raises(UserError, match=r"has 40 images but .* has 39 labels"):
        load(image_options, 0)


def test_a_missing_file_tells_what_to_bring(image_options, folder):
    (folder / IDX_FILES["test"][0]).unlink()
    with pytest.raises(
        UserError, match=r"t10k-images-idx3-ubyte is missing; run `snnrun data fetch fashion_mnist`, or"
    ):
        load(image_options, 0)
