"""Large arrays in mappings of their own."""

import math
import mmap
from threading import Lock
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

OWN_MAPPING = 2**18  # bytes
LARGE_PAGE = 2**21
IDLE_BYTES = 3 * 2**23  # of all mappings together that wait for another use; fewer cost time, more memory
Number = TypeVar("Number", bound=np.generic)


def blank(shape: int | tuple[int, ...], kind: np.dtype[Number]) -> NDArray[Number]:
    """Memory to be written before it is read."""
    count = _length(shape) * kind.itemsize
    if count < OWN_MAPPING or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.empty(shape, kind)
    return np.asarray(_Lease(count))[:count].view(kind).reshape(shape)


def zeros(shape: int | tuple[int, ...], kind: np.dtype[Number]) -> NDArray[Number]:
    """Zeros; where they are many, in a mapping of their own, of which only pages that are written take memory.

    It goes back to the system at once, while in the heap, what is kept comes to lie between what is not, and it grows.
    """
    count = _length(shape) * kind.itemsize
    if count < OWN_MAPPING or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.zeros(shape, kind)
    return np.frombuffer(_mapping(count), kind).reshape(shape)


def zeros_in_large_pages(size: int, kind: np.dtype[Number]) -> NDArray[Number]:
    """Zeros in pages of 2 MB, where the system has them on request.

    Weights are read all over the place; how many small pages of them share places in the second-level cache is chance,
    and makes the same sums of rows take up to 40 % longer.
    """
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(size, kind)
    count = size * kind.itemsize
    memory = _mapping(count + 2 * LARGE_PAGE)
    memory.madvise(mmap.MADV_HUGEPAGE)
    raw = np.frombuffer(memory, np.uint8)
    return raw[-raw.ctypes.data % LARGE_PAGE :][:count].view(kind)


def _length(shape: int | tuple[int, ...]) -> int:
    return math.prod(shape) if isinstance(shape, tuple) else shape  # numpy's own takes longer than all the rest


def _mapping(count: int) -> mmap.mmap:
    return mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


class _Lease:
    """A mapping in use; when the last array in it has gone, it waits for another use.

    The system takes longer to give a page than a scan takes to fill it. Nobody waits for the lock: the collector may
    end a lease anywhere, in a thread that holds it too, and a mapping that is not kept or found costs little.
    """

    _idle: ClassVar[list[mmap.mmap]] = []  # the longest idle first
    _lock: ClassVar[Lock] = Lock()

    def __init__(self, count: int) -> None:
        # In steps of an eighth, so that lists whose length changes a little find their mapping again.
        grain = max(mmap.PAGESIZE, 2 ** (count.bit_length() - 4))
        self._memory = self._take(-(-count // grain) * grain)
        address = np.frombuffer(self._memory, np.uint8).ctypes.data
        self.__array_interface__ = {
            "shape": (len(self._memory),), "typestr": "|u1", "data": (address, False), "version": 3,
        }  # fmt: skip

    def _take(self, count: int) -> mmap.mmap:
        if self._lock.acquire(blocking=False):
            try:
                for k in range(len(self._idle) - 1, -1, -1):
                    if len(self._idle[k]) == count:
                        return self._idle.pop(k)
            finally:
                self._lock.release()
        return _mapping(count)

    def __del__(self) -> None:
        if len(self._memory) <= IDLE_BYTES and self._lock.acquire(blocking=False):
            try:
                self._idle.append(self._memory)
                while sum(map(len, self._idle)) > IDLE_BYTES:
                    self._idle.pop(0)
            finally:
                self._lock.release()
