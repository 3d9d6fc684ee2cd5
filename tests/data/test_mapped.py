"""Large arrays lie in files, are what they would be in memory, and do not take memory of the process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snnrun.data import mapped
from snnrun.data.mapped import Growing, largest, let_go, pieces

CHUNKS = [np.array([1, 2], np.uint16), np.empty(0, np.uint16), np.array([3], np.uint16), np.array([4, 5], np.uint16)]


def grown(chunks, folder):
    made = Growing(np.uint16, folder)
    for chunk in chunks:
        made.add(chunk)
    return made.array()


@pytest.fixture(params=[0, 5, 1 << 20], ids=["in a file", "in memory first", "in memory"])
def room(request, monkeypatch):
    monkeypatch.setattr(mapped, "IN_MEMORY", request.param)


@pytest.mark.usefixtures("room")
def test_an_array_grows(tmp_path):
    array = grown(CHUNKS, tmp_path / "new" / "folder")
    assert array.dtype == np.uint16
    assert array.tolist() == [1, 2, 3, 4, 5]
    assert grown([], tmp_path).tolist() == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("room")
def test_wider_numbers_widen_all(tmp_path):
    array = grown([*CHUNKS, np.array([70_000], np.uint32), *CHUNKS], tmp_path)
    assert array.dtype == np.uint32
    assert array.tolist() == [1, 2, 3, 4, 5, 70_000, 1, 2, 3, 4, 5]


@pytest.mark.usefixtures("room")
def test_where_no_file_can_be_it_grows_in_memory(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert grown(CHUNKS, tmp_path / "file").tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_disk_that_gets_full_loses_nothing(tmp_path, monkeypatch, written):
    monkeypatch.setattr(mapped, "IN_MEMORY", 0)
    write, calls = mapped.write_whole, []

    def full(descriptor, data):
        calls.append(data)
        if len(calls) > written:
            raise OSError(28, "No space left on device")
        write(descriptor, data)

    monkeypatch.setattr(mapped, "write_whole", full)
    assert grown(CHUNKS, tmp_path).tolist() == [1, 2, 3, 4, 5]


def test_what_was_let_go_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "IN_MEMORY", 0)
    array = grown([np.arange(50_000, dtype=np.uint16)], tmp_path)
    part = array[10:]
    let_go(part, array, np.arange(3))
    assert part[-1] == 49_999
    monkeypatch.setattr(mapped, "_PIECE", 1001)
    assert np.concatenate(list(pieces(array))).tolist() == list(range(50_000))
    assert largest(array) == 49_999
    assert largest(array[:0]) == 0


SCRIPT = """
import json, sys
from types import SimpleNamespace
import numpy as np
from snnrun.config.compose import compose
from snnrun.data import load
from snnrun.data.batches import batches
from snnrun.data.digest import digests

def memory(what):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines[what].split()[0]) * 1024

marks = []
for path in sys.argv[1:]:
    config = compose(["dataset=hdf5", f"dataset.train={path}", "dataset.validation=none", "dataset.dt=1"])
    before = memory("VmRSS")
    data = load(config.dataset, 0)
    digests(data)
    for _ in batches(data.train, np.arange(len(data.train)), 16, config.dataset):
        pass
    marks.append(memory("VmHWM") - before)
print(json.dumps([*marks, data.train.nbytes]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the memory of a process")
def test_a_loaded_set_takes_less_memory_than_its_events(tmp_path, write_spikes, cache_folder):
    random = np.random.default_rng(0)
    files = []
    for name, samples in (("small.h5", 20), ("large.h5", 1200)):
        times, units = np.sort(random.random((samples, 8000))), random.integers(0, 700, (samples, 8000))
        files.append(str(write_spikes(tmp_path / name, times, units, np.arange(samples) % 2, channels=700)))
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    for _ in range(2):  # the first fills the cache
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *files], capture_output=True, text=True, check=True, env=environment
        )
    _, rise, size = json.loads(done.stdout)
    assert size == 6 * 1200 * 8000
    assert rise < size / 2
