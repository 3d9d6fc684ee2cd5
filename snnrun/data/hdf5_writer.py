"""Writes spike trains in the layout of the Spiking Heidelberg Digits (Cramer et al. 2020)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from snnrun.data.cochlea import Spikes


@dataclass
class SpikeRecord:
    """What one file holds: spikes, labels and speakers of the samples, and what is known of classes and speakers.

    Attributes:
        spikes: of the samples; they are stored as `rounded` makes them, which may be done before, to save memory.
        labels: (samples,).
        speakers: (samples,).
        classes: names by label.
        channels: number of units.
        meta: lists by speaker number, such as {"name": [...], "gender": [...]}.
    """

    spikes: list[Spikes]
    labels: NDArray[np.int64]
    speakers: NDArray[np.int64]
    classes: Sequence[str]
    channels: int
    meta: dict[str, Sequence[str]] = field(default_factory=dict)


def write(path: Path, record: SpikeRecord) -> None:
    """Write one HDF5 file, which appears whole or not at all."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with h5py.File(unfinished, "w") as file:
            _fill(file, record)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _fill(file: h5py.File, record: SpikeRecord) -> None:
    stored = [rounded(spikes) for spikes in record.spikes]
    file.attrs["channels"] = record.channels
    for name, kind in (("times", np.float16), ("units", np.uint16)):
        lists = file.create_dataset(f"spikes/{name}", (len(record.spikes),), h5py.vlen_dtype(kind))
        for sample, spikes in enumerate(stored):
            lists[sample] = getattr(spikes, name)
    file["labels"] = record.labels.astype(np.uint16)
    file["extra/speaker"] = record.speakers.astype(np.uint16)
    file["extra/keys"] = _text(record.classes)
    for name, values in record.meta.items():
        file[f"extra/meta_info/{name}"] = _text(values)


def rounded(spikes: Spikes) -> Spikes:
    """Spikes as a file stores them: times in s as float16, sorted; rounding makes many equal, and those go by unit."""
    times = spikes.times.astype(np.float16)
    order = np.lexsort((spikes.units, times))
    return Spikes(times[order], spikes.units[order])


def _text(values: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array([value.encode() for value in values])
