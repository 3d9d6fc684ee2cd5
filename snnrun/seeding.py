"""One seed, and independent random streams made of it."""

import os
import random
import zlib
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, deterministic: bool) -> None:
    """Seed the global generators, which libraries may use, and choose torch's deterministic algorithms or not.

    Every call sets all of it, so that in a sweep nothing is left over from the job before.
    """
    random.seed(seed)
    np.random.seed(seed)  # the legacy generator is what third-party code reads
    torch.manual_seed(seed)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without, torch refuses matrix products on a GPU
    if deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(deterministic)  # imports torch's compiler, which takes a second
    torch.backends.cudnn.benchmark = False


def stream(seed: int, name: str) -> torch.Generator:
    """A generator of its own for one purpose ("weights", "shuffle"): using more of one never changes another."""
    return torch.Generator().manual_seed(int(_sequence(seed, name).generate_state(1, np.uint64)[0] >> 1))


def numpy_stream(seed: int, name: str) -> np.random.Generator:
    """The same for numpy."""
    return np.random.default_rng(_sequence(seed, name))


def global_states() -> dict[str, Any]:
    """The states of the global generators as plain data, for a checkpoint."""
    legacy: Any = np.random.get_state()
    name, keys, *rest = legacy
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_global_states(states: dict[str, Any]) -> None:
    """Bring the global generators back into `states`; those of GPUs only where there are as many."""
    random.setstate(states["python"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])


def _sequence(seed: int, name: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(name.encode())])
