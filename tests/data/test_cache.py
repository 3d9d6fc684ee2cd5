"""The cache of parsed files: same result, never a stale or a broken one, whatever happens around it."""

import io
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnrun.data import cache
from snnrun.data.spike_file import DamagedError, SpikeFile, restore, save
from snnrun.data.spike_files import read_cached
from snnrun.errors import UserError

SPIKES = SpikeFile(
    unit=np.array([5, 6, 7], np.uint16),
    time=np.array([1, 2, 3], np.int32),
    offsets=np.array([0, 1, 3]),
    labels=np.array([0, 1]),
    speakers=np.array([8, 9]),
    channels=10,
    classes=("oui", "née"),
)


def assert_same(first: SpikeFile, second: SpikeFile) -> None:
    for field in fields(SpikeFile):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other


def saved(spikes: SpikeFile) -> bytes:
    buffer = io.BytesIO()
    save(spikes, buffer)
    return buffer.getvalue()


def test_restore_returns_what_was_saved(tmp_path):
    for spikes in (SPIKES, SpikeFile(SPIKES.unit, SPIKES.time, SPIKES.offsets, SPIKES.labels)):
        (tmp_path / "a.bin").write_bytes(saved(spikes))
        with open(tmp_path / "a.bin", "rb") as file:
            assert_same(restore(file), spikes)


@given(place=st.integers(0, len(saved(SPIKES)) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_any_changed_byte_is_noticed(tmp_path_factory, place, value, cut):
    content = bytearray(saved(SPIKES))
    if cut:
        del content[place:]
    elif content[place] == value:
        return
    else:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "changed.bin"
    path.write_bytes(bytes(content))
    with open(path, "rb") as file, pytest.raises(DamagedError):
        restore(file)


def test_the_second_read_does_not_parse(digits, cache_folder, monkeypatch):
    path = digits("a.h5", [1, 2])
    first = read_cached(path)
    monkeypatch.setattr("snnrun.data.hdf5.read", None)
    assert_same(read_cached(path), first)


def test_a_changed_file_is_parsed_again(digits):
    first = read_cached(digits("a.h5", [1, 2], seed=0))
    second = read_cached(digits("a.h5", [1, 2], seed=1))
    assert first.time.tolist() != second.time.tolist()


def test_a_broken_cache_is_rebuilt(digits, cache_folder):
    path = digits("a.h5", [1, 2])
    first = read_cached(path)
    (kept,) = (cache_folder / "spikes").iterdir()
    whole = kept.read_bytes()
    for damage in (b"", b"\0" * 100, whole[:-1], whole.replace(b"uint16", b"uint32")[:-2] + b"!!"):
        kept.unlink()  # what is in use stays as it is; only a file that is cut short under a run would end it
        kept.write_bytes(damage)
        assert_same(read_cached(path), first)
        assert kept.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(digits, tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert len(read_cached(digits("a.h5", [1, 2])).labels) == 8


def test_a_write_that_fails_leaves_nothing(digits, cache_folder, monkeypatch):
    def full(spikes, file):
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "save", full)
    assert len(read_cached(digits("a.h5", [1, 2])).labels) == 8
    assert list((cache_folder / "spikes").iterdir()) == []


def test_a_bad_file_leaves_nothing(tmp_path, cache_folder):
    (tmp_path / "bad.h5").write_bytes(b"nothing")
    with pytest.raises(UserError):
        read_cached(tmp_path / "bad.h5")
    assert not cache_folder.exists()


def test_the_key_depends_on_content_and_settings(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"1")
    (tmp_path / "c").write_bytes(b"2")
    a, b, c = (cache.content_key(tmp_path / name) for name in "abc")
    assert a == b != c
    assert cache.content_key(tmp_path / "a", "down", 2) not in (a, cache.content_key(tmp_path / "a", "down", 4))


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_the_folder_falls_back_on_the_home_folder(monkeypatch, tmp_path, value):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "snnrun"


READER = """
import sys, time
from pathlib import Path
from snnrun.data import cache, spike_files
total = 0
while time.time() < float(sys.argv[2]):
    for kept in (cache.folder() / "spikes").glob("*.bin"):
        kept.unlink(missing_ok=True)
    total += int(spike_files.read_cached(Path(sys.argv[1])).time.sum())
    total -= int(spike_files.read_cached(Path(sys.argv[1])).time.sum())
print(total)
"""


def test_two_processes_that_write_and_delete_never_see_a_broken_file(digits, cache_folder):
    import time

    path = digits("a.h5", range(30), per_speaker=20)
    until = str(time.time() + 4)
    command = [sys.executable, "-c", READER, str(path), until]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for reader in readers:
        output, errors = reader.communicate(timeout=60)
        assert (reader.returncode, output.strip(), errors) == (0, b"0", b"")
    assert not list((cache_folder / "spikes").glob("*.part"))
