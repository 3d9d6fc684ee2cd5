"""A trained network out of its run folder."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import torch

from snnrun.baselines import build
from snnrun.config import Config, DatasetConfig
from snnrun.config.stored import with_defaults
from snnrun.data import Dataset, load
from snnrun.errors import UserError
from snnrun.evaluation.changes import UNCHANGED, Case, Change, case
from snnrun.network import Network
from snnrun.run_folder import RunFolder
from snnrun.seeding import stream


class Trained:
    """A run that has a checkpoint: its configuration, its results and its networks."""

    def __init__(self, path: Path) -> None:
        """Open the run folder at `path`. Raises UserError if there is none or it cannot be read."""
        self.path = path
        self.folder = RunFolder.open(path)
        self.container = with_defaults(self.folder.config())
        self.results = self.folder.results()

    def case(self, changes: tuple[Change, ...]) -> Case:
        """The configuration with changes; raises UserError that names the folder where they do not fit it."""
        try:
            return case(self.container, changes)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from None

    def network(self, chosen: Case, data: Dataset, device: torch.device) -> tuple[Network, int]:
        """The network of a checkpoint for `data`, and the epoch of the checkpoint.

        Raises:
            UserError: there is no such checkpoint, or it does not fit the channels and classes of the data.
            RunError: the checkpoint is damaged.
        """
        config = chosen.config
        state = self._checkpoint(chosen.checkpoint, device)
        inputs = -(-data.channels // config.dataset.pool)
        network = build(config, inputs, len(data.classes), stream(config.seed, "weights")).to(device)
        try:
            network.load_state_dict(state["network"])
        except (RuntimeError, KeyError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise UserError(
                f"{self.path}: the {chosen.checkpoint} checkpoint does not fit {inputs} channels, "
                f"{len(data.classes)} classes and its config.yaml ({chosen.label}): {reason}"
            ) from None
        return network, int(state["epoch"])

    def stored_accuracy(self, chosen: Case) -> float | None:
        """What the run itself found under the same conditions; None where it did not look, or something changed."""
        names = {("test", "best"): "test", ("test", "last"): "test_last", ("valid", "best"): "valid_best"}
        name = names.get((chosen.part, chosen.checkpoint))
        changed = any(key not in ("part", "checkpoint", "seed") for key, _ in chosen.changes)
        found = None if changed or name is None else self.results.get("accuracy", {}).get(name)
        return None if found is None else float(found)

    def same_split(self, data: Dataset) -> bool:
        """Whether the data is split as it was when the run was trained, as far as its folder tells."""
        stored = self.folder.split()
        return stored is None or stored == data.split()

    def _checkpoint(self, name: str, device: torch.device) -> dict[str, Any]:
        return self.folder.load_checkpoint(cast(Literal["last", "best"], name), device)


def load_data(config: Config) -> Dataset:
    """The data set of a configuration; what differs in changes that are made afterwards is loaded once."""
    unchanged = {key: value for key, value in UNCHANGED.items() if hasattr(config.dataset, key)}
    return _load(replace(config.dataset, **unchanged), config.seed)


@lru_cache(maxsize=1)
def _load(options: DatasetConfig, seed: int) -> Dataset:
    return load(options, seed)
