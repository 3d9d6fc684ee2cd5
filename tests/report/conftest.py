"""Folders as runs leave them, without the training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run folder: `make_run("name", valid=0.5, test=0.4, seed=1, typed=["beta=5"], surrogate={"beta": 5})`."""

    def make(
        name: str,
        valid: float | None = 0.5,
        test: float | None = 0.4,
        seed: int = 0,
        typed: tuple[str, ...] = (),
        status: str = "done",
        epochs: int = 3,
        **sections: dict[str, Any],
    ) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        config: dict[str, Any] = {"seed": seed, "surrogate": {"name": "sigmoid", "beta": 5.0}}
        config |= {"dataset": {"name": "spoken_digits", "split_seed": seed}}
        for key, changes in sections.items():
            config[key] = config.get(key, {}) | changes
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / "overrides.yaml").write_text(yaml.safe_dump(list(typed)))
        results = {"status": status, "rate_hz": {"hidden1": 20.0 + seed}, "seconds": 10.0}
        if valid is not None:
            results["accuracy"] = {"valid_best": valid, "test": test}
        (folder / "results.json").write_text(json.dumps(results))
        lines = ["epoch,loss/train,loss/valid,accuracy/train,accuracy/valid,time/epoch_s,memory/peak_mb"]
        lines += [f"{k},{3 / k},{3.1 / k},{0.1 * k},{0.09 * k},1.5,700" for k in range(1, epochs + 1)]
        (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
        return folder

    return make
