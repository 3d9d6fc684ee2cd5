"""The choice between the engines."""

import importlib
from collections.abc import Sequence

import torch

from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.types import Engine, Layer
from snnrun.errors import UserError
from snnrun.registry import did_you_mean

# Imported when chosen, since each brings a compiler along. Name of the engine -> (module, class, device it runs on).
FUSED = {
    "cpu": ("snnrun.engine.cpu", "CpuEngine", "cpu"),
    "triton": ("snnrun.engine.triton", "TritonEngine", "cuda"),
}
NAMES = ("auto", "reference", *FUSED)


def choose(name: str, device: torch.device, layers: Sequence[Layer]) -> tuple[Engine, str]:
    """Return the engine for such layers on `device`, and the reason in a few words, for the log.

    Args:
        name: "auto", "reference", "cpu" or "triton".
        device: where the tensors are.
        layers: what will be run; "auto" falls back to the reference where the fused engine cannot run them. Without
            any there is nothing to scan, whatever the name.

    Raises:
        UserError: an engine that is unknown, or that was asked for by name and cannot run the layers there.
    """
    if not layers:
        return ReferenceEngine(), "nothing spikes"
    if name == "reference":
        return ReferenceEngine(), "engine=reference"
    if name == "auto":
        return _automatic(device, layers)
    if name not in FUSED:
        raise UserError(f"engine={name}: no such engine{did_you_mean(name, NAMES)}; engines are {', '.join(NAMES)}")
    engine, obstacle = _fused(name, device, layers)
    if engine is None:
        raise UserError(f"engine={name} cannot run this: {obstacle}; engine=reference can")
    return engine, f"engine={name}"


def _automatic(device: torch.device, layers: Sequence[Layer]) -> tuple[Engine, str]:
    name = next((name for name, (_, _, runs_on) in FUSED.items() if runs_on == device.type), None)
    if name is None:
        return ReferenceEngine(), f"no fused engine runs on {device.type}"
    engine, obstacle = _fused(name, device, layers)
    if engine is None:
        return ReferenceEngine(), f"not {name}: {obstacle}"
    return engine, f"the fastest on {device.type}"


def _fused(name: str, device: torch.device, layers: Sequence[Layer]) -> tuple[Engine | None, str]:
    """Return the engine and "", or None and why it cannot run the layers."""
    module, factory, runs_on = FUSED[name]
    if device.type != runs_on:
        return None, f"it runs on {runs_on}, the tensors are on {device.type}"
    try:
        engine: Engine = getattr(importlib.import_module(module), factory)()
    except ImportError as error:
        return None, f"{error.name or module} cannot be imported"
    obstacle = engine.unsupported(layers)
    return (engine, "") if obstacle is None else (None, obstacle)
