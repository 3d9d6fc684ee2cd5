"""The resolvers that the YAML files use: `${usual_beta:5}`, `${run_id:}` and the like."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

LONGEST_FOLDER_NAME = 180  # bytes; most file systems stop at 255, and TensorBoard shows the name
UNNAMED = (  # say nothing about the experiment
    *("output_dir", "name", "tags", "print_config", "plugins", "device", "engine"),
    *("launcher", "sweeper", "sweep", "hydra"),
)


def register_resolvers() -> None:
    """Make the resolvers known to OmegaConf; calling it again does no harm."""
    OmegaConf.register_new_resolver("usual_beta", usual_beta, replace=True)
    OmegaConf.register_new_resolver("run_id", lambda: secrets.token_hex(3), replace=True, use_cache=True)
    OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
    OmegaConf.register_new_resolver("name_suffix", name_suffix, replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)


def usual_beta(usual: float, *, _root_: Any) -> Any:
    """Return the top-level beta where it is given, else the surrogate's usual one."""
    given = _root_.get("beta")
    return usual if given is None else given


def sweep_name(*, _root_: Any) -> str:
    """Return the folder of a sweep: the experiment's name, or "unnamed"."""
    name = _root_.get("name")
    return "unnamed" if name is None else str(name)


def name_suffix(*, _root_: Any) -> str:
    """Return what the folder of a run ends in: "_" and the experiment's name, or nothing."""
    name = _root_.get("name")
    return "" if name is None else f"_{name}"


def job_folder(overrides: Sequence[str]) -> str:
    """Return a job's folder name, made of its overrides: sorted, no separators, not too long.

    >>> job_folder(["dataset.test=/a/b.h5", "++beta=5", "name=slopes"])
    'beta=5,dataset.test=_a_b.h5'
    """
    lines = sorted(line.lstrip("+") for line in overrides)
    joined = ",".join(line for line in lines if line.partition("=")[0].split(".")[0] not in UNNAMED)
    name = "".join("_" if letter in "/\\:*?\"<>|' " else letter for letter in joined) or "defaults"
    if len(name.encode()) <= LONGEST_FOLDER_NAME:
        return name
    digest = hashlib.sha256(joined.encode()).hexdigest()[:8]
    return name.encode()[: LONGEST_FOLDER_NAME - 9].decode(errors="ignore") + "_" + digest
