"""Mappings of large arrays: used again, never while somebody holds them, and few that nobody uses."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep

import numpy as np
import pytest
import torch

from snnrun import memory
from snnrun.memory import OWN_MAPPING, blank, zeros

FLOAT = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def _nothing_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory._Lease, "_idle", [])


def test_a_mapping_is_used_again_when_the_last_view_has_gone() -> None:
    first = blank((1000, 300), FLOAT)
    first.fill(7)
    held = torch.from_numpy(first[10:20, ::2])
    del first
    assert not blank((1000, 300), FLOAT).any()  # a new mapping is full of zeros
    memory._Lease._idle.clear()
    del held
    second, third = blank((1000, 300), FLOAT), blank((1000, 300), FLOAT)
    assert (second == 7).all()
    assert not third.any()


def test_a_length_that_changes_a_little_finds_its_mapping_again() -> None:
    blank(1_000_000, FLOAT).fill(7)
    second = blank(990_000, FLOAT)
    assert (second == 7).all()
    assert (second.shape, second.dtype) == ((990_000,), FLOAT)


def test_zeros_are_zeros_though_mappings_are_dirty() -> None:
    blank(OWN_MAPPING, FLOAT).fill(7)
    assert not zeros(OWN_MAPPING, FLOAT).any()


def test_what_waits_is_bounded_and_the_longest_idle_goes_first() -> None:
    several = [blank(memory.IDLE_BYTES // 16, FLOAT) for _ in range(6)]
    for number, array in enumerate(several):
        array.fill(number)
    array = several.pop()
    while several:
        several.pop(0)
    del array
    assert memory.IDLE_BYTES // 2 < sum(map(len, memory._Lease._idle)) <= memory.IDLE_BYTES
    assert blank(memory.IDLE_BYTES // 16, FLOAT)[0] == 5  # the last that went


def test_what_is_too_long_to_wait_drives_out_nothing() -> None:
    blank(OWN_MAPPING, FLOAT).fill(7)
    blank(memory.IDLE_BYTES, FLOAT)
    assert (blank(OWN_MAPPING, FLOAT) == 7).all()


def test_threads_never_share_a_mapping() -> None:
    def work(number: int) -> bool:
        for _ in range(200):
            array = blank(OWN_MAPPING // 4, FLOAT)
            array[::1024] = number
            sleep(0)  # let another thread go on
            if not (array[::1024] == number).all():
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_a_lease_that_ends_while_another_is_made_does_not_wait() -> None:
    array = blank(OWN_MAPPING, FLOAT)
    with memory._Lease._lock:  # as where the collector runs within `_take`
        del array
        assert blank(OWN_MAPPING, FLOAT).size == OWN_MAPPING
    assert memory._Lease._idle == []
