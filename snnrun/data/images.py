"""Images as spike times: `mnist` and `fashion_mnist`, read from IDX files (yann.lecun.com/exdb/mnist).

A pixel is a current into a leaky membrane, which fires once, the earlier the brighter: t = tau ln(x / (x - threshold))
for x above the threshold, x = value / 255; a darker pixel never fires. The code of the second and third tutorial of
SPyTorch (github.com/fzenke/spytorch).
"""

import struct
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snnrun.data.dataset import Parts
from snnrun.data.events import MICROSECONDS, EventSet
from snnrun.data.locate import check_file, find
from snnrun.data.sources import SOURCES
from snnrun.data.unpack import unpacked
from snnrun.errors import UserError

DIGITS = tuple(map(str, range(10)))
CLOTHES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip
IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UNSIGNED_BYTE = 8  # the type that an IDX header names


class ImageOptions(Protocol):
    """Keys of `dataset=mnist` and `dataset=fashion_mnist`."""

    name: str
    root: str | None
    latency_tau: float
    latency_threshold: float


@SOURCES.register("mnist")
def _mnist(options: ImageOptions, seed: int) -> Parts:
    return _images(options, DIGITS)


@SOURCES.register("fashion_mnist")
def _fashion_mnist(options: ImageOptions, seed: int) -> Parts:
    return _images(options, CLOTHES)


def _images(options: ImageOptions, classes: tuple[str, ...]) -> Parts:
    train, test = (_part(options, names, classes) for names in IDX_FILES.values())
    return Parts(train, test=test)


def _part(options: ImageOptions, names: tuple[str, str], classes: tuple[str, ...]) -> EventSet:
    image_path, label_path = (find(options.name, options.root, name) for name in names)
    images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
    if len(images) != len(labels):
        raise UserError(f"{image_path} has {len(images)} images but {label_path} has {len(labels)} labels")
    pixels = images.reshape(len(images), -1)
    events = latency_code(pixels, labels, classes, options.latency_tau, options.latency_threshold)
    events.check(str(label_path))
    return events


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """An IDX file of bytes, plain or packed; raises UserError unless it has so many dimensions and all its data."""
    expected = f"an IDX file of bytes in {dimensions} dimensions"
    check_file(path, expected)
    with unpacked(path) as plain:
        content = plain.read_bytes()
    header = 4 + 4 * dimensions
    magic = struct.pack(">HBB", 0, _UNSIGNED_BYTE, dimensions)
    if content[:4] != magic or len(content) < header:
        found = content[:4].hex(" ") or "nothing"
        raise UserError(f"{path}: starts with {found}; expected {expected}, which starts with {magic.hex(' ')}")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    size = int(np.prod([int(length) for length in shape], dtype=object))
    if not size:
        raise UserError(f"{path}: holds nothing, its dimensions are {shape}; expected {expected}")
    if len(content) - header != size:
        raise UserError(f"{path}: holds {len(content) - header} bytes of data; its header says {size}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def latency_code(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    classes: tuple[str, ...],
    tau: float,
    threshold: float,
) -> EventSet:
    """Spike times of pixels (samples, channels): t = tau ln(x / (x - threshold)), tau in ms, x = value / 255."""
    x = np.arange(256) / 255
    fires = x > threshold
    times = np.zeros(256)
    times[fires] = tau * MICROSECONDS * np.log(x[fires] / (x[fires] - threshold))
    # The brightest first is the earliest first; a sort of single bytes is a radix sort, the fast one.
    unit = np.argsort(255 - pixels, axis=1, kind="stable").astype(np.uint16)
    values = np.take_along_axis(pixels, unit.astype(np.intp), axis=1)
    kept = fires[values]
    return EventSet.from_offsets(
        unit=unit[kept],
        time=np.minimum(times, np.iinfo(np.int32).max).astype(np.int32)[values[kept]],
        offsets=np.concatenate([[0], np.cumsum(kept.sum(axis=1))]),
        labels=labels,
        channels=pixels.shape[1],
        classes=classes,
    )
