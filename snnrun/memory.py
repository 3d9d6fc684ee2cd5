"""Large arrays in mappings of their own."""

import mmap
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

OWN_MAPPING = 2**18  # bytes
LARGE_PAGE = 2**21
Number = TypeVar("Number", bound=np.generic)


def zeros(shape: int | tuple[int, ...], kind: np.dtype[Number]) -> NDArray[Number]:
    """Zeros; where they are many, in a mapping of their own, of which only pages that are written take memory.

    It goes back to the system at once, while in the heap, what is kept comes to lie between what is not, and it grows.
    """
    count = int(np.prod(shape)) * kind.itemsize
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


def _mapping(count: int) -> mmap.mmap:
    return mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
