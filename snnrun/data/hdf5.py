"""Reads spike trains in the layout of the Spiking Heidelberg Digits (Cramer et al. 2020, zenkelab.org/datasets).

    spikes/times  (samples,) lists of floats, seconds      labels         (samples,) whole numbers
    spikes/units  (samples,) lists of whole numbers        extra/speaker  (samples,) whole numbers; may be missing
    extra/keys    (classes,) names of the classes; may be missing
    extra/meta_info/name  (speakers,) names by speaker number; may be missing

An attribute `channels` of the file declares the number of channels.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from snnrun.data.cache import scratch
from snnrun.data.events import unit_type
from snnrun.data.locate import check_file
from snnrun.data.mapped import Growing
from snnrun.data.spike_file import SpikeFile
from snnrun.data.unpack import unpacked
from snnrun.errors import UserError

LAYOUT = "an HDF5 file with spikes/times, spikes/units and labels, laid out as the Spiking Heidelberg Digits"
_SAMPLES_AT_ONCE = 256  # about 2 million events: keeps the memory of a read near that of its result
_LATEST_S = 2147.0  # int32 microseconds
_MOST_CHANNELS = 1 << 31  # an engine counts units in int32
# What h5py raises for a damaged file, depending on where the damage is.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, MemoryError, UnicodeError)


def read(path: Path) -> SpikeFile:
    """Parse one file, plain or packed as .gz, .xz or .zip.

    Raises:
        UserError: names the file, what is wrong with it and what is expected.
        RunError: there is no room to unpack it.
    """
    check_file(path, LAYOUT)
    with unpacked(path) as plain:
        try:
            with h5py.File(plain, "r") as file:
                return _spikes(file, str(path))
        except _DAMAGE as error:
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise UserError(f"{path}: damaged, cut short or not HDF5 ({reason}); expected {LAYOUT}") from None


def _spikes(file: h5py.File, where: str) -> SpikeFile:
    times, units = _lists(file, "spikes/times", "f", where), _lists(file, "spikes/units", "iu", where)
    labels = _numbers(file, "labels", where)
    if not len(times) == len(units) == len(labels):
        sizes = f"{len(times)} times, {len(units)} units, {len(labels)} labels"
        raise UserError(f"{where}: {sizes}; expected as many samples in each")
    speakers = _numbers(file, "extra/speaker", where) if "extra/speaker" in file else None
    offsets, time, unit = _events(times, units, where)
    return SpikeFile(
        unit=unit,
        time=time,
        offsets=offsets,
        labels=labels,
        speakers=speakers,
        channels=_channels(file, where),
        classes=_names(file, "extra/keys"),
        speaker_names=_names(file, "extra/meta_info/name"),
    )


def _dataset(file: h5py.File, name: str, where: str) -> h5py.Dataset:
    item = file.get(name)
    if not isinstance(item, h5py.Dataset) or item.ndim != 1:
        raise UserError(f"{where}: has no one-dimensional {name} (it holds {', '.join(file)}); expected {LAYOUT}")
    return item


def _lists(file: h5py.File, name: str, kinds: str, where: str) -> h5py.Dataset:
    item = _dataset(file, name, where)
    inner = h5py.check_vlen_dtype(item.dtype)
    if not isinstance(inner, np.dtype) or inner.kind not in kinds:
        wanted = "floats, in seconds" if kinds == "f" else "whole numbers"
        raise UserError(f"{where}: {name} holds {inner or item.dtype}; expected a list of {wanted} for each sample")
    return item


def _numbers(file: h5py.File, name: str, where: str) -> NDArray[np.int64]:
    item = _dataset(file, name, where)
    if item.dtype.kind not in "iu":
        raise UserError(f"{where}: {name} holds {item.dtype}; expected whole numbers")
    return np.asarray(item[:]).astype(np.int64)


def _names(file: h5py.File, name: str) -> tuple[str, ...] | None:
    item = file.get(name)
    if not isinstance(item, h5py.Dataset) or item.ndim != 1 or not len(item):
        return None
    return tuple(_text(value) for value in item[:])


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _channels(file: h5py.File, where: str) -> int | None:
    declared = file.attrs.get("channels")
    if declared is None:
        return None
    if np.ndim(declared) or np.asarray(declared).dtype.kind not in "iu" or not 0 < int(declared) < _MOST_CHANNELS:
        raise UserError(f"{where}: its attribute channels is {declared!r}; expected a whole number above 0")
    return int(declared)


def _events(
    times: h5py.Dataset, units: h5py.Dataset, where: str
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.unsignedinteger]]:
    offsets = np.zeros(len(times) + 1, np.int64)
    time, unit = Growing(np.int32, scratch()), Growing(np.uint16, scratch())
    for first in range(0, len(times), _SAMPLES_AT_ONCE):
        last = min(first + _SAMPLES_AT_ONCE, len(times))
        chunk_times, chunk_units = times[first:last], units[first:last]
        lengths = np.array([len(item) for item in chunk_times])
        unequal = np.flatnonzero(lengths != [len(item) for item in chunk_units])
        if len(unequal):
            bad = unequal[0]
            sizes = f"{lengths[bad]} times but {len(chunk_units[bad])} units"
            raise UserError(f"{where}: sample {first + bad} has {sizes}; expected as many of each")
        offsets[first + 1 : last + 1] = offsets[first] + np.cumsum(lengths)
        time.add(_microseconds(np.concatenate(chunk_times), lengths, first, where))
        unit.add(_checked_units(np.concatenate(chunk_units), where))
    return offsets, time.array(), unit.array()


def _microseconds(
    seconds: NDArray[np.floating], lengths: NDArray[np.int64], first: int, where: str
) -> NDArray[np.int32]:
    """Whole microseconds. A float16 is cast before it is scaled, since 0.066 s times 1e6 is infinite in float16.

    float16 times are coarse, and are rounded down: whatever edge of whole microseconds a bin has, each stays on its own
    side of it. Finer times are rounded to the nearest, since 0.01 s in float32 is a little less and means 10 ms.
    """
    scaled = seconds.astype(np.float64) * 1e6
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~(np.abs(scaled) < _LATEST_S * 1e6))
    if len(bad):
        sample = first + int(np.searchsorted(np.cumsum(lengths), bad[0], side="right"))
        value = seconds[bad[0]]
        raise UserError(
            f"{where}: sample {sample} has a spike at {value} s; expected finite times below {_LATEST_S:g} s"
        )
    rounded = np.floor(scaled) if seconds.dtype == np.float16 else np.rint(scaled)
    return rounded.astype(np.int32)


def _checked_units(units: NDArray[np.integer], where: str) -> NDArray[np.unsignedinteger]:
    if len(units) and not 0 <= int(units.min()) <= int(units.max()) < _MOST_CHANNELS:
        bad = int(units.min()) if int(units.min()) < 0 else int(units.max())
        raise UserError(f"{where}: unit {bad} is out of range; expected 0 to channels - 1")
    return units.astype(unit_type(int(units.max(initial=0)) + 1), copy=False)
