"""Where a run computes."""

import resource
import sys

import torch

from snnrun.errors import UserError


def pick_device(name: str) -> torch.device:
    """The device for `device=name`; "auto" is the first GPU where there is one.

    Raises:
        UserError: a GPU was asked for and there is none.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError(f"device={name}: there is no CUDA device here; allowed are auto and cpu")
    return torch.device("cuda", torch.cuda.current_device())


def reset_peak_memory(device: torch.device) -> None:
    """Start a new high-water mark, where the device can; that of the process itself only ever rises."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_mb(device: torch.device) -> float:
    """High-water mark in MB (2^20 bytes): of the GPU's memory, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
