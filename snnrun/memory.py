"""Large arrays in mappings of their own."""

import mmap
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

OWN_MAPPING = 2**18  # bytes
Number = TypeVar("Number", bound=np.generic)


def zeros(shape: int | tuple[int, ...], kind: np.dtype[Number]) -> NDArray[Number]:
    """Zeros; where they are many, in a mapping of their own, of which only pages that are written take memory.

    It goes back to the system at once, while in the heap, what is kept comes to lie between what is not, and it grows.
    """
    count = int(np.prod(shape)) * kind.itemsize
    if count < OWN_MAPPING or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.zeros(shape, kind)
    memory = mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, kind).reshape(shape)
