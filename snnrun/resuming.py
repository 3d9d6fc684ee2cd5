"""What a run must find again when it goes on: its version, its data and, for the last digits, its machine."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnrun import __version__
from snnrun.config import Config
from snnrun.errors import UserError

FORMAT = 1  # of the state in a checkpoint; a change that older code cannot read, or of what is in it, raises it
VERSIONS = ("python", "torch", "numpy", "numba", "triton")


@dataclass(frozen=True)
class Standing:
    """How far a run is: its epochs so far, and which was the best of them."""

    epoch: int
    best_epoch: int

    def stopped_early(self, config: Config) -> bool:
        """Whether no epoch has been better for as long as the configuration allows."""
        return 0 < config.training.early_stopping <= self.epoch - self.best_epoch

    def finished(self, config: Config) -> bool:
        """Whether there is nothing more to train."""
        return self.epoch >= config.training.epochs or self.stopped_early(config)


def check_state(state: Mapping[str, Any], folder: Path) -> None:
    """Raise UserError if another version of snnrun wrote the checkpoint in a way that this one cannot read."""
    if state.get("format") != FORMAT:
        raise UserError(
            f"{folder}: its checkpoints are of snnrun {state.get('version', 'before 0.1.0')} and cannot be resumed "
            f"with {__version__}; use that version, or start a new run"
        )


def check_data(found: Mapping[str, str], expected: Mapping[str, str], config: Config) -> None:
    """Raise UserError if a part of the data set is not what the run began with; both are fingerprints by part."""
    changed = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    if changed:
        raise UserError(
            f"dataset={config.dataset.name}: {' and '.join(changed)} data are not those that the run began with; "
            "put the old files back (dataset.root and the like may name another place), or start a new run"
        )


def check_epochs(config: Config, standing: Standing) -> None:
    """Raise UserError if fewer epochs are asked for than are trained."""
    asked = config.training.epochs
    if asked < standing.epoch:
        raise UserError(f"training.epochs={asked}: {standing.epoch} are trained already; ask for more")


def already_done(folder: Path, config: Config, standing: Standing) -> str:
    """Return a line that says of a run that it is done, and how it could go on."""
    if standing.stopped_early(config):
        patience = config.training.early_stopping
        reason = f"it stopped early, {patience} epochs after its best; training.early_stopping=0 would go on"
    else:
        reason = f"training.epochs=N above {standing.epoch} would go on"
    return f"{folder} is done, with {standing.epoch} epochs: {reason}"


def value_of(results: Mapping[str, Any]) -> float:
    """The value of a run that is done: best validation accuracy, or test accuracy where nothing was held out."""
    accuracy = results.get("accuracy", {})
    return float(accuracy.get("valid_best", accuracy.get("test", math.nan)))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What of the environment has changed that can change the last digits of the numbers, a line each or none."""
    if _version(before, "snnrun") != _version(now, "snnrun"):
        yield f"the run began with snnrun {_version(before, 'snnrun')} and goes on with {_version(now, 'snnrun')}"
    changed = [
        f"{name} {_version(before, name)} is now {_version(now, name)}"
        for name in VERSIONS
        if _version(before, name) != _version(now, name)
    ]
    changed += [
        f"{name.replace('_', ' ')} {before.get(name)} is now {now.get(name)}"
        for name in ("engine", "device_name", "threads")
        if before.get(name) != now.get(name)
    ]
    if changed:
        yield f"the numbers can differ in their last digits from those of a run left alone: {', '.join(changed)}"


def _version(environment: Mapping[str, Any], package: str) -> Any:
    return environment.get("versions", {}).get(package)
