"""Runs that are killed at random moments, again and again, and resumed: they end as a run that was left alone."""

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.runner.conftest import TINY
from tests.runner.processes import Start, forked, installed
from tests.runner.same_run import assert_same


def killed_and_resumed(start: Start, place: Path, kills: int, seed: int) -> int:
    """Kill `kills` commands, compare every run that gets to its end with one left alone; returns how many did."""
    whole, folder, moments, ends = place / "whole", place / "run", random.Random(seed), 0
    begun = time.perf_counter()
    assert start("train", *TINY, f"hydra.run.dir={whole}").wait() == 0, (place / "output.txt").read_text()
    duration = time.perf_counter() - begun
    while kills or folder.exists():
        if (folder / "config.yaml").exists():
            process = start("train", f"resume={folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)  # nothing was begun
            process = start("train", *TINY, f"hydra.run.dir={folder}")
        if kills:
            kills -= 1
            time.sleep(moments.uniform(0, duration))
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.kill(process.pid, signal.SIGKILL)
        code = process.wait()
        assert code in (0, -signal.SIGKILL), (place / "output.txt").read_text()
        if code == 0:
            assert_same(whole, folder)
            shutil.rmtree(folder)
            ends += 1
    return ends


def test_a_run_killed_again_and_again_ends_as_one_left_alone(tmp_path):
    with forked(tmp_path) as start:
        assert killed_and_resumed(start, tmp_path, kills=3, seed=1) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_ten_kills_of_the_installed_command(tmp_path, seed):
    with installed(tmp_path) as start:
        assert killed_and_resumed(start, tmp_path, kills=10, seed=seed) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_twenty_kills_without_the_time_to_start(tmp_path, seed):
    """Most of the moments are in the epochs and the writing, since everything is imported already."""
    with forked(tmp_path) as start:
        assert killed_and_resumed(start, tmp_path, kills=20, seed=seed) >= 1
