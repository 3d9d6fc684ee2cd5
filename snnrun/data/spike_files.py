"""Data sets that are files in the layout of the Spiking Heidelberg Digits: shipped, official, or the user's own."""

import filecmp
import itertools
from importlib import resources
from pathlib import Path
from typing import Protocol

from snnrun.data import hdf5
from snnrun.data.cache import cached, content_key
from snnrun.data.dataset import Parts
from snnrun.data.events import EventSet
from snnrun.data.locate import check_file, find
from snnrun.data.sources import SOURCES
from snnrun.data.spike_file import SpikeFile
from snnrun.errors import UserError

SHD_CHANNELS = 700


class Hdf5Options(Protocol):
    """Keys of `dataset=hdf5`: the files; only `train` must be there."""

    train: str
    test: str | None
    valid: str | None


class RootOptions(Protocol):
    """Keys of a data set that is looked for in a folder; None is where `snnrun data fetch` puts it."""

    root: str | None


def load_files(train: Path, valid: Path | None, test: Path | None, channels: int | None = None) -> Parts:
    """The parts that some files hold.

    Where no file declares the number of channels, it is `channels`, or what the largest unit of all files needs. Names
    of classes must be the same in all files that declare them.

    Raises:
        UserError: one of the files is not what it should be, or does not fit the others.
    """
    paths = [path for path in (train, valid, test) if path is not None]
    _check_different(paths)
    files = {path: read_cached(path) for path in paths}
    width, classes = channels or _channels(files), _classes(files)

    def part(path: Path) -> EventSet:
        return files[path].events(str(path), width, classes)

    return Parts(part(train), None if valid is None else part(valid), None if test is None else part(test))


def _check_different(paths: list[Path]) -> None:
    for path in paths:
        check_file(path, hdf5.LAYOUT)
    for first, second in itertools.combinations(paths, 2):
        if filecmp.cmp(first, second, shallow=False):
            raise UserError(f"{first} and {second} hold the same; no sample may be in two parts of a data set")


def read_cached(path: Path) -> SpikeFile:
    """One parsed file, from the cache where it was read before."""
    return cached(content_key(path), lambda: hdf5.read(path))


def _channels(files: dict[Path, SpikeFile]) -> int:
    declared = {spikes.channels: path for path, spikes in files.items() if spikes.channels}
    if len(declared) > 1:
        said = ", ".join(f"{count} in {path}" for count, path in declared.items())
        raise UserError(f"the files of the data set have different numbers of channels: {said}")
    return next(iter(declared), None) or max(spikes.channels_seen for spikes in files.values())


def _classes(files: dict[Path, SpikeFile]) -> tuple[str, ...]:
    declared = {spikes.classes: path for path, spikes in files.items() if spikes.classes}
    if len(declared) > 1:
        first, second, *_ = declared.values()
        raise UserError(f"{first} and {second} have different classes (extra/keys); expected the same in each")
    return next(iter(declared), None) or max((spikes.classes_seen for spikes in files.values()), key=len)


@SOURCES.register("spoken_digits")
def _spoken_digits(options: object, seed: int) -> Parts:
    with resources.as_file(resources.files("snnrun.data") / "files") as folder:
        train, test = (_shipped(folder, part) for part in ("train", "test"))
        return load_files(train, None, test, SHD_CHANNELS)


def _shipped(folder: Path, part: str) -> Path:
    found = sorted(folder.glob(f"spoken_digits_{part}.h5*"))
    if not found:
        raise UserError(f"{folder}: spoken_digits_{part}.h5 is missing from the package; install snnrun again")
    return found[0]


@SOURCES.register("hdf5")
def _hdf5(options: Hdf5Options, seed: int) -> Parts:
    valid, test = (Path(path).expanduser() if path else None for path in (options.valid, options.test))
    return load_files(Path(options.train).expanduser(), valid, test)


@SOURCES.register("shd")
def _shd(options: RootOptions, seed: int) -> Parts:
    train, test = (find("shd", options.root, f"shd_{part}.h5") for part in ("train", "test"))
    return load_files(train, None, test, SHD_CHANNELS)


@SOURCES.register("ssc")
def _ssc(options: RootOptions, seed: int) -> Parts:
    train, valid, test = (find("ssc", options.root, f"ssc_{part}.h5") for part in ("train", "valid", "test"))
    return load_files(train, valid, test, SHD_CHANNELS)
