"""Large arrays that lie in a file: the system keeps in memory what is used of them, once for all runs that use it.

The files of the cache are replaced and never changed, so an array stays what it is even where its file is removed.
"""

import contextlib
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from snnrun.atomic import write_whole

IN_MEMORY = 1 << 25  # bytes up to which an array that grows stays in memory
_PIECE = 1 << 22  # bytes


def mapped(file: BinaryIO, dtype: DTypeLike, size: int) -> NDArray[Any]:
    """The `size` numbers from the place where `file` stands; read into memory where the system cannot map them."""
    kind = np.dtype(dtype)
    if not size:
        return np.empty(0, kind)
    place = file.tell()
    try:
        # Changes would stay in this process. The type of a read-only array would have numba compile all kernels twice.
        array: NDArray[Any] = np.memmap(file, kind, "c", place, (size,))
    except (OSError, ValueError):
        file.seek(place)
        return np.fromfile(file, kind, size)
    file.seek(place + array.nbytes)
    return np.asarray(array)


def let_go(*arrays: NDArray[Any]) -> None:
    """Take what was read of mapped arrays out of this process; reading on brings it back. Others stay as they are."""
    for array in arrays:
        owner: object = array
        while isinstance(owner, np.ndarray) and owner.base is not None:
            owner = owner.base
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.madvise(mmap.MADV_DONTNEED)


def pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Successive parts of an array of one dimension, so that reading it all does not hold it all."""
    step = max(1, _PIECE // array.dtype.itemsize)
    for first in range(0, len(array), step):
        yield array[first : first + step]
        let_go(array)


def largest(array: NDArray[np.integer]) -> int:
    """The largest number of an array of numbers from 0 on; 0 where it is empty."""
    return max((int(piece.max()) for piece in pieces(array)), default=0)


class Growing:
    """An array that grows at its end; a large one in a file without a name, so that memory never holds it."""

    def __init__(self, dtype: DTypeLike, folder: Path) -> None:
        """An empty one; `folder` is where the file would be, if one can be made there."""
        self._held: NDArray[Any] = np.empty(0, dtype)
        self._folder = folder
        self._file: BinaryIO | None = None
        self._full = False  # whether a file could not be made or written

    def add(self, more: NDArray[Any]) -> None:
        """Put `more` at the end; where its numbers are wider, all become so."""
        if not len(more):
            return
        if more.dtype.itemsize > self._held.dtype.itemsize:
            self._widen(more.dtype)
        more = more.astype(self._held.dtype, copy=False)
        if self._file is None and not self._full and self._held.nbytes + more.nbytes > IN_MEMORY:
            self._move_to_file()
        if self._file is None or not self._written(more):
            size = len(self._held)
            self._held.resize(size + len(more), refcheck=False)  # in place, so that there are never two of it
            self._held[size:] = more

    def array(self) -> NDArray[Any]:
        """All that was added."""
        if self._file is None:
            return self._held
        size = self._file.seek(0, os.SEEK_END) // self._held.dtype.itemsize
        self._file.seek(0)
        return mapped(self._file, self._held.dtype, size)

    def _widen(self, dtype: np.dtype[Any]) -> None:
        narrow = self.array()
        self._held, self._file = np.empty(0, dtype), None
        for piece in pieces(narrow):
            self.add(piece.astype(dtype))

    def _move_to_file(self) -> None:
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            weakref.finalize(self, self._file.close)  # what was mapped of it stays
            if self._written(self._held):
                self._held = np.empty(0, self._held.dtype)
        self._full = self._file is None

    def _written(self, more: NDArray[Any]) -> bool:
        """Add to the file; where that fails, what is in it comes back into memory."""
        assert self._file is not None
        try:
            write_whole(self._file.fileno(), np.ascontiguousarray(more).data.cast("B"))
        except OSError:
            self._file.seek(0)
            self._held = np.fromfile(self._file, self._held.dtype) if not len(self._held) else self._held
            self._file, self._full = None, True
            return False
        return True
