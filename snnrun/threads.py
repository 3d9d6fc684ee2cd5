"""What has to be settled before torch is imported, for it cannot be changed later, and how to import it quickly."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing_torch(engine: str, learning: str) -> Iterator[None]:
    """Import the training in the block, for the engine and the learning rule of the configuration.

    Idle threads of torch sleep where the fused CPU engine computes, unless the user has chosen. By default they spin,
    on cores that the engine's own threads need then; plain torch, which hands work to them all the time, is faster when
    they spin.
    """
    if engine != "reference" and learning == "bptt":
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    gc.disable()  # nothing of what an import makes is garbage, and looking for some takes 0.7 s
    try:
        yield
    finally:
        gc.enable()
