"""Where a run happens: versions, machine, device, code and command line, to tell later what made its numbers."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    *("snnrun", "torch", "numpy", "numba", "triton", "scipy", "h5py"),
    *("hydra-core", "omegaconf", "tensorboard", "matplotlib"),
)
GIT_SECONDS = 5.0
LARGEST_DIFF = 10_000_000


def environment(device: str, engine: str) -> dict[str, Any]:
    """Return what environment.json holds. `device` is a torch device such as "cpu" or "cuda:0"."""
    import torch

    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "folder": os.getcwd(),
        "engine": engine,
        "device": device,
        "device_name": torch.cuda.get_device_name(device) if device.startswith("cuda") else cpu_model(),
        "threads": torch.get_num_threads(),
        "cores": available_cores(),
        "cpu": cpu_model(),
        "host": platform.node(),
        "system": platform.platform(),
        "cuda": torch.version.cuda,
        "versions": versions(),
        "git": git_states(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that the numbers can depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """Name of the processor as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def git_states() -> dict[str, dict[str, Any]]:
    """Commit and cleanness of the repository of the package's own source, and of the one that is worked in."""
    states = {name: git_state(folder) for name, folder in _repositories().items()}
    return {name: state for name, state in states.items() if state is not None}


def git_diff() -> str:
    """Changes in the repositories of `git_states` that are not committed, as `git apply` takes them; "" without any.

    Files that git does not track are not in it. A diff above 10 MB is left out, and a line says so.
    """
    parts = []
    roots = {_git(folder, "rev-parse", "--show-toplevel") for folder in _repositories().values()} - {None}
    for root in sorted(map(str, roots)):
        diff = _git(Path(root), "diff", "--no-color", "--no-ext-diff", "HEAD")
        if diff and len(diff) > LARGEST_DIFF:
            diff = f"left out: {len(diff)} characters"
        if diff:
            parts.append(f"# {root}\n{diff}\n")
    return "".join(parts)


def _repositories() -> dict[str, Path]:
    """Folders that may be in repositories: of the package, if its source is in one, and the one that is worked in."""
    package = Path(__file__).resolve().parent
    # A virtual environment inside a repository is not the repository's code: ask whether git tracks this very file.
    tracked = _git(package, "ls-files", "--error-unmatch", Path(__file__).name) is not None
    return {**({"snnrun": package} if tracked else {}), "working_folder": Path.cwd()}


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return {"commit", "dirty"} of the repository that `folder` is in, or None if there is none, or no git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    # Without --no-optional-locks, `git status` of many jobs would get in the way of the person at the keyboard.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.rstrip("\n")
