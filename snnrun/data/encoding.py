"""Encodes many sounds in several processes; killed and started again, it goes on where it was."""

import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TextIO

import numpy as np

from snnrun.data.cochlea import Spikes

_PART = 20  # sounds: what a kill can cost each process

Encoder = Callable[[int], Spikes]
"""Makes the spikes of the sound with a number; can be pickled; the result depends on the number only."""


def encode_all(count: int, encoder: Encoder, folder: Path, jobs: int) -> Iterator[Spikes]:
    """The spikes of sounds 0 to count - 1, in order; a line of progress goes to standard error.

    Args:
        count: number of sounds.
        encoder: makes the spikes of one sound.
        folder: keeps finished parts; it must belong to these sounds and this encoder only.
        jobs: number of processes; the result does not depend on it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = [(first, min(first + _PART, count)) for first in range(0, count, _PART)]
    missing = [part for part in parts if _load(folder, part) is None]
    progress = Progress(sum(last - first for first, last in missing), sys.stderr)
    if jobs == 1:
        for part in missing:
            progress.add(_encode_part(encoder, folder, part))
    elif missing:
        _encode_in_processes(encoder, folder, missing, min(jobs, len(missing)), progress)
    for part in parts:
        spikes = _load(folder, part)
        if spikes is None:
            raise OSError(f"{_path(folder, part)} vanished while it was needed")
        yield from spikes


def _encode_in_processes(
    encoder: Encoder, folder: Path, parts: list[tuple[int, int]], jobs: int, progress: "Progress"
) -> None:
    """Encode the parts; processes are spawned, for a fork of a process with threads may hang."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), _end_with_parent) as pool:
        futures: list[Future[int]] = [pool.submit(_encode_part, encoder, folder, part) for part in parts]
        try:
            for future in as_completed(futures):
                progress.add(future.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """Let this process end when its parent is killed; it would wait for work for ever."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def _encode_part(encoder: Encoder, folder: Path, part: tuple[int, int]) -> int:
    """Encode one part into its file, which appears whole or not at all; returns the number of sounds."""
    spikes = [encoder(number) for number in range(*part)]
    path = _path(folder, part)
    unfinished = path.with_suffix(f".{os.getpid()}")
    with open(unfinished, "wb") as file:
        np.savez(
            file,
            counts=np.array([sound.units.size for sound in spikes]),
            times=np.concatenate([sound.times for sound in spikes]),
            units=np.concatenate([sound.units for sound in spikes]),
        )
    os.replace(unfinished, path)
    return len(spikes)


def _path(folder: Path, part: tuple[int, int]) -> Path:
    return folder / f"{part[0]:07d}.npz"


def _load(folder: Path, part: tuple[int, int]) -> list[Spikes] | None:
    """The spikes of a part, or None where its file is missing or broken."""
    try:
        with np.load(_path(folder, part)) as stored:
            ends = np.cumsum(stored["counts"])
            times, units = np.split(stored["times"], ends[:-1]), np.split(stored["units"], ends[:-1])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if len(times) != part[1] - part[0]:
        return None
    return [Spikes(*pair) for pair in zip(times, units, strict=True)]


class Progress:
    """Tells how far the encoding is: one line kept up to date on a terminal, else a line every 30 s."""

    def __init__(self, total: int, stream: TextIO) -> None:
        """Start the clock for `total` sounds."""
        self._total, self._stream = total, stream
        self._done = 0
        self._start = self._told = time.monotonic()

    def add(self, count: int) -> None:
        """`count` more sounds are done."""
        self._done += count
        now = time.monotonic()
        terminal = self._stream.isatty()
        if not terminal and now - self._told < 30 and self._done < self._total:
            return
        self._told = now
        rate = self._done / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate
        line = f"{self._done} of {self._total} sounds, {rate:.1f} a second, {left:.0f} s left"
        end = "" if terminal and self._done < self._total else "\n"
        print(f"\r{line}   " if terminal else line, end=end, file=self._stream, flush=True)
