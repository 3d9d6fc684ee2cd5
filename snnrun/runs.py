"""Finding run folders."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from snnrun.errors import UserError

EARLIER = "earlier"  # in a sweep's folder: attempts that failed and were repeated
MARKS = ("config.yaml", "results.json")  # a job that failed before it began has the second only


def is_run(path: Path) -> bool:
    """Whether a folder holds a run."""
    return any((path / mark).is_file() for mark in MARKS)


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """All run folders that `folders` are or hold, at any depth, each once, in the order of their paths.

    Attempts of a sweep that failed and were repeated are left out.

    Raises UserError for a folder that does not exist.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: there is no such folder")
        found |= dict.fromkeys(_inside(folder))
    return list(found)


def _inside(folder: Path) -> Iterator[Path]:
    """Yield the runs; nothing inside a run is one. Folders that cannot be read hold none."""
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    if any(entry.name in MARKS for entry in listed):
        yield folder
        return
    for entry in listed:
        if entry.is_dir(follow_symlinks=False) and entry.name != EARLIER and not entry.name.startswith("."):
            yield from _inside(folder / entry.name)
