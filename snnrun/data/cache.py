"""Parsed spike trains kept between runs, under the user's cache folder.

A file of the cache is named after the content it was made from and the version of the form, so it never goes stale;
it appears under its name whole or not at all, so that any number of runs may read and write at once. A cache that
cannot be used is no error: the file is parsed again.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from snnrun.data.spike_file import VERSION, DamagedError, SpikeFile, restore, save
from snnrun.errors import UserError


def folder() -> Path:
    """Where parsed and fetched data goes: $XDG_CACHE_HOME/snnrun, or ~/.cache/snnrun."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is to be ignored: XDG Base Directory Specification.
    return (Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~/.cache"))) / "snnrun"


def content_key(path: Path, *settings: object) -> str:
    """Name of what is made from the content of `path` with `settings`; raises UserError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return _digest(digest.hexdigest(), *settings)


def files_key(paths: Sequence[Path], *settings: object) -> str:
    """As `content_key` for many files, their order and names included."""
    names = [(path.parent.name, path.name) for path in paths]
    return _digest(*(content_key(path) for path in paths), names, *settings)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def scratch() -> Path:
    """Where files without a name may lie while something is parsed; it need not be there."""
    return folder() / "spikes"


def cached(key: str, parse: Callable[[], SpikeFile]) -> SpikeFile:
    """What `parse` returns, from the cache where `key` is there unharmed; a fresh result is kept.

    The events lie in the file of the cache, if one can be written, and not in the memory of this process alone.
    """
    path = folder() / "spikes" / f"{key}-v{VERSION}.bin"
    with contextlib.suppress(OSError, DamagedError), open(path, "rb") as file:
        return restore(file)
    spikes = parse()
    with contextlib.suppress(OSError, DamagedError):
        write_shared(path, lambda file: save(spikes, file))
        with open(path, "rb") as file:
            return restore(file)
    return spikes


def write_shared(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let a file appear with what `write` puts into it, whole or not at all, whoever else writes it at the same time.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            write(file)
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)  # already renamed unless something went wrong
