"""Work on the samples of a batch, side by side in threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")
_pools: dict[int, ThreadPoolExecutor] = {}
# Threads do not survive a fork; the child makes its own.
os.register_at_fork(after_in_child=_pools.clear)


def in_parts(work: Callable[[slice], Result], samples: int) -> list[tuple[slice, Result]]:
    """Call `work` for slices that together are all of so many samples, with as many threads as torch uses.

    `work` gains by it where it lets the interpreter go (`nogil`). No sample may depend on which others are in its part.

    Returns:
        the slices, in order, each with what `work` returned.
    """
    threads = max(1, min(torch.get_num_threads(), samples))
    bounds = [number * samples // threads for number in range(threads + 1)]
    first, *others = (slice(*bounds[number : number + 2]) for number in range(threads))
    if not others:
        return [(first, work(first))]
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(len(others), "snnrun-data")
    waiting = [(part, _pools[threads].submit(work, part)) for part in others]
    return [(first, work(first)), *((part, result.result()) for part, result in waiting)]
