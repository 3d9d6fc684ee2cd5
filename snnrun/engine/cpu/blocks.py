"""How a batch is cut up for the threads: by the shapes alone, so that results do not depend on threads."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

from snnrun.engine.cpu.simd import TILE_ROWS

Task = TypeVar("Task")
Result = TypeVar("Result")

CHUNK_BYTES = 300_000  # one array over a chunk: a few of them fit in the second-level cache of a core
GRADIENT_BYTES = 64_000_000  # all copies of the gradients together, as long as that leaves MIN_GROUPS
MIN_GROUPS, MAX_GROUPS = 4, 16


@dataclass(frozen=True)
class Block:
    """Samples first <= b < last of the batch, which one thread works on together."""

    first: int
    last: int

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.last - self.first

    @property
    def padded_samples(self) -> int:
        """That number rounded up to whole tiles."""
        return -(-self.samples // TILE_ROWS) * TILE_ROWS


def blocks_of(batch: int, widest: int) -> list[Block]:
    """Cut a batch; with wide layers a block is larger, since their weights are read once a block and step."""
    size = 16 if widest <= 384 else 32
    return [Block(first, min(first + size, batch)) for first in range(0, batch, size)]


def groups_of(blocks: Sequence[Block], gradient_bytes: int) -> list[list[Block]]:
    """Blocks whose weight gradients are added up in one copy, one after the other."""
    count = max(MIN_GROUPS, min(MAX_GROUPS, GRADIENT_BYTES // max(gradient_bytes, 1)))
    size = -(-len(blocks) // count)
    return [list(blocks[k : k + size]) for k in range(0, len(blocks), size)]


def checkpoint_interval(steps: int, row_bytes: int) -> int:
    """Steps between checkpoints, for rows of a block of so many bytes a step: a chunk is to stay in the cache."""
    return max(1, min(steps, max(8, min(64, CHUNK_BYTES // row_bytes), int(steps**0.5 / 2))))


_pools: dict[int, ThreadPoolExecutor] = {}
# Threads do not survive a fork; the child makes its own.
os.register_at_fork(after_in_child=_pools.clear)


def _start_thread() -> None:
    # Numbers that decay towards 0 would make every operation a hundred times slower once they are denormal.
    torch.set_flush_denormal(True)


def run_all(work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    """Results of `work` for every task in turn, on as many threads as torch uses.

    All tasks begin at once; `work` must release Python's lock. A result is held until it is taken.
    """
    threads = torch.get_num_threads()
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, "snnrun-engine", initializer=_start_thread)
    return _pools[threads].map(work, tasks)
