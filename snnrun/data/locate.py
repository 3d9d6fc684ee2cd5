"""Finds the files of a data set on this machine, and says what to do where they are not."""

import os
from collections.abc import Callable
from pathlib import Path

from snnrun.data.cache import folder
from snnrun.data.downloads import DOWNLOADS, Download
from snnrun.errors import UserError

TONIC = {"nmnist": "NMNIST", "dvs_gesture": "DVSGesture"}  # folders of the package `tonic` in its `save_to`
PACKINGS = ("", ".gz", ".xz", ".zip")


def root_of(name: str, root: str | None) -> Path:
    """The folder of data set `name`: `root`, or the one that `snnrun data fetch` fills."""
    return folder() / "downloads" / name if root is None else Path(root).expanduser()


def find(name: str, root: str | None, file: str) -> Path:
    """A file of data set `name`, plain or packed; raises UserError that tells which to bring from where."""
    where = root_of(name, root)
    path = packed(where / file)
    if path is None:
        raise UserError(_missing(name, where, where / file, lambda download: download.name.startswith(file)))
    return path


def packed(path: Path) -> Path | None:
    """The file `path`, or the one that holds it packed; None where there is neither."""
    named = (path.with_name(path.name + packing) for packing in PACKINGS)
    return next((file for file in named if file.exists()), None)


def find_folder(name: str, root: str | None, inner: str) -> Path:
    """A folder of data set `name`, which an archive unpacks into, `tonic` too; raises UserError as `find`."""
    where = root_of(name, root)
    path = where if where.name == inner else where / inner
    if name in TONIC and not path.exists() and (where / TONIC[name] / inner).is_dir():
        path = where / TONIC[name] / inner
    if not path.is_dir():
        raise UserError(_missing(name, where, path, lambda download: download.folder == inner))
    check_folder(path)
    return path


def check_folder(path: Path) -> None:
    """Raise UserError unless `path` is a folder whose content may be listed."""
    if not path.is_dir():
        raise UserError(f"{path}: {'is no folder' if path.exists() else 'no such folder'}")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{path}: may not be read (permission denied)")


def check_file(path: Path, expected: str) -> None:
    """Raise UserError unless `path` is a file with content that may be read."""
    if not path.exists():
        raise UserError(f"{path}: no such file; expected {expected}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; expected {expected}")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: may not be read (permission denied)")
    if not path.stat().st_size:
        raise UserError(f"{path}: is empty; expected {expected}")


def _missing(name: str, where: Path, path: Path, wanted: Callable[[Download], bool]) -> str:
    download = next(filter(wanted, DOWNLOADS[name]))
    state = f"{where} may not be read" if where.exists() and not os.access(where, os.R_OK | os.X_OK) else ""
    return (
        f"{state or f'{path} is missing'}; run `snnrun data fetch {name}`, or bring {download.urls[0]} and put it into "
        f"{where}{' unpacked' if download.folder else ''}, or set dataset.root to the folder that has it"
    )
