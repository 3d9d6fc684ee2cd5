"""The data sets `wav_folder` and `human_digits`: where their sounds are. `sounds` turns them into spikes."""

from pathlib import Path
from typing import Protocol

from snnrun.data.dataset import Parts
from snnrun.data.locate import find_folder, root_of
from snnrun.data.sources import SOURCES


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
    return _encoded(find_folder("human_digits", options.root, "recordings"), options, seed)


def _encoded(root: Path, options: SoundOptions, seed: int) -> Parts:
    from snnrun.data.sounds import load_sounds  # scipy's signal processing: 60 MB that other data sets do without

    return load_sounds(root, options, seed)
