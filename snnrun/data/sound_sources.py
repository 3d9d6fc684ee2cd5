"""The data sets `wav_folder` and `human_digits`: where their sounds are. `sounds` turns them into spikes.

`human_digits` can also be two files that hold its spikes already, with a split of their own.
"""

from pathlib import Path
from typing import Protocol

from snnrun.data.dataset import Parts
from snnrun.data.locate import find_folder, packed, root_of
from snnrun.data.sources import SOURCES
from snnrun.data.spike_files import SHD_CHANNELS, load_files
from snnrun.errors import UserError

ENCODED = ("human_digits_train.h5", "human_digits_test.h5")


class SoundOptions(Protocol):
    """Keys of `dataset=wav_folder` and `dataset=human_digits`."""

    root: str | None
    jobs: int | None
    test_speakers: tuple[str, ...] | None
    test_fraction: float
    split_seed: int | None


@SOURCES.register("wav_folder")
def _wav_folder(options: SoundOptions, seed: int) -> Parts:
    return _encoded(root_of("wav_folder", options.root), options, seed)


@SOURCES.register("human_digits")
def _human_digits(options: SoundOptions, seed: int) -> Parts:
    root = root_of("human_digits", options.root)
    train, test = (packed(root / name) for name in ENCODED)
    if train is None and test is None:
        return _encoded(find_folder("human_digits", options.root, "recordings"), options, seed)
    if train is None or test is None:
        missing = ENCODED[0] if train is None else ENCODED[1]
        raise UserError(f"{root / missing} is missing; expected both {' and '.join(ENCODED)}, or recordings/")
    if options.test_speakers is not None:
        raise UserError(f"dataset.test_speakers: goes with recordings/; whom to test on is fixed by {test}")
    return load_files(train, None, test, SHD_CHANNELS)


def _encoded(root: Path, options: SoundOptions, seed: int) -> Parts:
    from snnrun.data.sounds import load_sounds  # scipy's signal processing: 60 MB that other data sets do without

    return load_sounds(root, options, seed)
