"""What a file of spike trains holds once it is parsed, and its fast binary form for the cache."""

import json
import os
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from snnrun.data.events import EventSet, Units
from snnrun.data.mapped import largest, mapped, pieces

VERSION = 2  # of the binary form and of everything that parses into it; a new one makes old cached files unused
_ARRAYS = ("offsets", "labels", "speakers", "time", "unit")  # wide numbers first, so that each lies where it should
_EVENTS = ("time", "unit")
_ALIGNED = 64  # bytes


class DamagedError(Exception):
    """A binary file that is not what `save` wrote."""


@dataclass(frozen=True, eq=False)
class SpikeFile:
    """Spike trains as a file holds them: what it does not say is None.

    Attributes:
        unit: (events,) uint16 or uint32.
        time: (events,) int32, microseconds.
        offsets: (samples + 1,) int64; sample s holds the events ``offsets[s]:offsets[s + 1]``.
        labels: (samples,) int64.
        speakers: (samples,) int64.
        channels: number of channels that the file declares.
        classes: names of the classes.
        speaker_names: names by speaker number.
    """

    unit: Units
    time: NDArray[np.int32]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    speakers: NDArray[np.int64] | None = None
    channels: int | None = None
    classes: tuple[str, ...] | None = None
    speaker_names: tuple[str, ...] | None = None

    @property
    def channels_seen(self) -> int:
        """The declared number of channels, or as many as the largest unit needs."""
        return self.channels or largest(self.unit) + 1

    @property
    def classes_seen(self) -> tuple[str, ...]:
        """The declared names of the classes, or numbers up to the largest label."""
        return self.classes or tuple(map(str, range(int(self.labels.max(initial=0)) + 1)))

    def events(self, where: str, channels: int, classes: tuple[str, ...]) -> EventSet:
        """The checked set of events; raises UserError, in which `where` names the file."""
        events = EventSet.from_offsets(
            unit=self.unit,
            time=self.time,
            offsets=self.offsets,
            labels=self.labels,
            speakers=self.speakers,
            channels=channels,
            classes=classes,
        )
        events.check(where)
        return events


def save(spikes: SpikeFile, file: BinaryIO) -> None:
    """Write the binary form: a line of magic and checksum, a line of JSON, the arrays one after another.

    Spaces fill the second line, so that the arrays can be mapped.
    """
    arrays = {name: value for name in _ARRAYS if (value := getattr(spikes, name)) is not None}
    header = {
        "arrays": [[name, value.dtype.str, len(value), _checksum(value)] for name, value in arrays.items()],
        "channels": spikes.channels,
        "classes": spikes.classes,
        "speaker_names": spikes.speaker_names,
    }
    text = json.dumps(header).encode()
    text += b" " * (-(len(_first_line(text)) + len(text) + 1) % _ALIGNED) + b"\n"
    file.write(_first_line(text) + text)
    for value in arrays.values():
        for piece in pieces(value):
            file.write(np.ascontiguousarray(piece).data)


def restore(file: BinaryIO) -> SpikeFile:
    """Read what `save` wrote, the events as arrays in the file; raises DamagedError where a byte of it changed."""
    first, text = file.readline(), file.readline()
    if first != _first_line(text):
        raise DamagedError("not a file of cached spikes")
    header = json.loads(text)
    arrays: dict[str, Any] = {name: _array(file, name, *form) for name, *form in header["arrays"]}
    names: dict[str, Any] = {key: header[key] and tuple(header[key]) for key in ("classes", "speaker_names")}
    return SpikeFile(**arrays, channels=header["channels"], **names)


def _first_line(text: bytes) -> bytes:
    return b"snnrun spikes %08x\n" % zlib.crc32(text)


def _checksum(array: NDArray[Any]) -> int:
    crc = 0
    for piece in pieces(array):
        crc = zlib.crc32(piece.data, crc)
    return crc


def _array(file: BinaryIO, name: str, dtype: str, size: int, crc: int) -> NDArray[Any]:
    kind = np.dtype(dtype)
    if os.fstat(file.fileno()).st_size < file.tell() + size * kind.itemsize:
        raise DamagedError("an array is cut short")
    array = mapped(file, kind, size) if name in _EVENTS else np.fromfile(file, kind, size)
    if _checksum(array) != crc:
        raise DamagedError("an array is changed")
    return array
