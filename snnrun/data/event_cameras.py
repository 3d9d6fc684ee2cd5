"""Recordings of event cameras: `nmnist` and `dvs_gesture`, in the files that `tonic` and others download.

N-MNIST (Orchard et al. 2015): Train/<digit>/<number>.bin and Test/..., 5 bytes an event: x, y, then one bit of polarity
and 23 bits of microseconds, big-endian. DVS Gesture (Amir et al. 2017), as published for tonic: folders of a user and
a lighting that hold <gesture>.npy, an array (events, 4) of x, y, polarity, milliseconds.

A unit is (polarity, y, x) in that order, after the pixels are summed in squares of `downsample`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snnrun.data.cache import cached, files_key, scratch
from snnrun.data.dataset import Parts
from snnrun.data.events import EventSet, unit_type
from snnrun.data.locate import find_folder
from snnrun.data.mapped import Growing
from snnrun.data.sources import SOURCES
from snnrun.data.spike_file import SpikeFile
from snnrun.errors import UserError

GESTURES = (
    "hand clapping", "right hand wave", "left hand wave", "right arm clockwise", "right arm counter clockwise",
    "left arm clockwise", "left arm counter clockwise", "arm roll", "air drums", "air guitar", "other gestures",
)  # fmt: skip
_LATEST = np.iinfo(np.int32).max
Recording = NDArray[np.int64]  # (events, 4): x, y, polarity, us
Reader = Callable[[Path], Recording]


class CameraOptions(Protocol):
    """Keys of `dataset=nmnist` and `dataset=dvs_gesture`."""

    root: str | None
    downsample: int
    polarity: str


@SOURCES.register("nmnist")
def _nmnist(options: CameraOptions, seed: int) -> Parts:
    digits = tuple(map(str, range(10)))

    def part(inner: str) -> EventSet:
        folder = find_folder("nmnist", options.root, inner)
        files = [(path, digits.index(path.parent.name), 0) for path in sorted(folder.glob("[0-9]/*.bin"))]
        return _part(folder, files, read_bin, 34, options, digits, speakers=False)

    return Parts(part("Train"), test=part("Test"))


@SOURCES.register("dvs_gesture")
def _dvs_gesture(options: CameraOptions, seed: int) -> Parts:
    def part(inner: str) -> EventSet:
        folder = find_folder("dvs_gesture", options.root, inner)
        files = [
            (path, int(path.stem), int(path.parent.name[4:].partition("_")[0]))
            for path in sorted(folder.glob("user[0-9]*_*/*.npy"))
            if path.stem.isdecimal()
        ]
        return _part(folder, files, read_npy, 128, options, GESTURES, speakers=True)

    return Parts(part("ibmGestureTrain"), test=part("ibmGestureTest"))


def _part(
    folder: Path,
    files: list[tuple[Path, int, int]],
    read: Reader,
    side: int,
    options: CameraOptions,
    classes: tuple[str, ...],
    *,
    speakers: bool,
) -> EventSet:
    """The recordings `files` (path, label, who) of a square camera, parsed once and then cached."""
    if not files:
        raise UserError(
            f"{folder}: holds no recordings; expected {'.npy' if speakers else '.bin'} files in sub-folders"
        )
    key = files_key([path for path, _, _ in files], options.downsample, options.polarity)
    spikes = cached(key, lambda: _parse(files, read, side, options, speakers))
    return spikes.events(str(folder), channels(side, options.downsample, options.polarity), classes)


def channels(side: int, downsample: int, polarity: str) -> int:
    """Number of units of a square camera with `side` pixels a side."""
    return (2 if polarity == "both" else 1) * (-(-side // downsample)) ** 2


def _parse(
    files: list[tuple[Path, int, int]], read: Reader, side: int, options: CameraOptions, speakers: bool
) -> SpikeFile:
    kind = unit_type(channels(side, options.downsample, options.polarity))
    times, units = Growing(np.int32, scratch()), Growing(kind, scratch())
    counts = []
    for path, _, _ in files:
        x, y, polarity, time = _checked(read(path), side, path).T
        unit, kept = to_units(x, y, polarity, side, options.downsample, options.polarity)
        times.add(time[kept].astype(np.int32))
        units.add(unit[kept].astype(kind))
        counts.append(int(np.count_nonzero(kept)))
    return SpikeFile(
        unit=units.array(),
        time=times.array(),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        labels=np.array([label for _, label, _ in files]),
        speakers=np.array([who for _, _, who in files]) if speakers else None,
    )


def to_units(
    x: NDArray[np.int64], y: NDArray[np.int64], polarity: NDArray[np.int64], side: int, downsample: int, which: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The unit of each event, and which events the polarities `which` (both, merged, on, off) keep."""
    width = -(-side // downsample)
    unit = (y // downsample) * width + x // downsample
    if which == "both":
        unit = unit + polarity * width * width
    kept = np.ones(len(x), bool) if which in ("both", "merged") else polarity == (which == "on")
    return unit, kept


def read_bin(path: Path) -> Recording:
    """One recording of N-MNIST; raises UserError unless it is a whole number of events."""
    content = _bytes(path)
    if len(content) % 5:
        raise UserError(f"{path}: has {len(content)} bytes; expected 5 an event")
    raw = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, high, middle, low = raw.T
    return np.stack([x, y, high >> 7, (high & 0x7F) << 16 | middle << 8 | low], axis=1)


def read_npy(path: Path) -> Recording:
    """One recording of DVS Gesture; raises UserError unless it is an array of numbers (events, 4)."""
    try:
        raw = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise UserError(f"{path}: is no .npy file ({next(iter(str(error).splitlines()), '')})") from None
    if not isinstance(raw, np.ndarray) or raw.ndim != 2 or raw.shape[1] != 4 or raw.dtype.kind not in "iuf":
        raise UserError(f"{path}: expected an array (events, 4) of x, y, polarity and milliseconds")
    if not (np.abs(raw) < _LATEST / 1000).all():
        raise UserError(f"{path}: holds numbers that are no coordinates and no times in milliseconds")
    values = raw.astype(np.float64)
    values[:, 3] *= 1000
    return values.astype(np.int64)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _checked(recording: Recording, side: int, path: Path) -> Recording:
    """The recording sorted by time, which a camera's read-out does not always keep; raises UserError for bad events."""
    place, polarity, time = recording[:, :2], recording[:, 2], recording[:, 3]
    if len(recording) and not (place.min() >= 0 and place.max() < side):
        raise UserError(f"{path}: has a pixel outside {side} x {side}")
    if len(recording) and not (np.isin(polarity, (0, 1)).all() and time.min() >= 0 and time.max() <= _LATEST):
        raise UserError(f"{path}: has a polarity that is not 0 or 1, or a time out of range")
    return recording[np.argsort(time, kind="stable")]
