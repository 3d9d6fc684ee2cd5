"""The data set `spoken_digits`: digits in English and German from synthetic speakers, through the model of the cochlea.

The files shipped in snnrun/data/files are what `make_spoken_digits` makes without arguments, packed by `pack`.
"""

import hashlib
import lzma
import shutil
from dataclasses import dataclass
from functools import lru_cache
from math import lcm
from pathlib import Path

import numpy as np

from snnrun.data import hdf5_writer
from snnrun.data.cochlea import Cochlea, Spikes, encode
from snnrun.data.encoding import encode_all
from snnrun.data.speech import SAMPLE_RATE, WORDS, Speaker, Synthesizer, draw_speaker, draw_utterance
from snnrun.errors import UserError

SAMPLES, SPEAKERS, SEED = 2_660, 120, 1
"""What the shipped files were made with."""

SETTINGS = Cochlea()
"""The model of the cochlea the files are made with."""

_VERSION = 2  # of everything that the spikes depend on: parts of another version are not gone on with
_SPLITS = ("train", "test")


@dataclass(frozen=True)
class Utterance:
    """One sample to make: which file it is for, who says what, and for the how-many-eth time (from 0)."""

    split: str
    speaker: int
    label: int
    take: int


def plan(samples: int, speakers: int, seed: int) -> list[Utterance]:
    """All samples of the two files, each file in random order, with balanced labels and speakers.

    A tenth of the speakers, two at least, are in the test file only; they have the last numbers. A fifth of the
    samples is for the test file: half new utterances of speakers of the training file, half of the others.
    """
    unseen = max(2, round(speakers / 10))
    known = speakers - unseen
    test = round(samples / 5)
    takes = [0] * speakers
    utterances = _balanced("train", range(known), samples - test, takes)
    utterances += _balanced("test", range(known), test // 2, takes)
    utterances += _balanced("test", range(known, speakers), test - test // 2, takes)
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,))).permutation(samples)
    return sorted((utterances[place] for place in order), key=lambda utterance: utterance.split != "train")


def _balanced(split: str, speakers: range, count: int, takes: list[int]) -> list[Utterance]:
    """`count` utterances by these speakers in turn, as many of each word but for one.

    The words follow each other too. Where speakers and words have come round together, the words skip one, so that
    everyone gets to say every word.
    """
    round_of_both = lcm(len(speakers), len(WORDS))
    utterances = []
    for turn in range(count):
        speaker = speakers[turn % len(speakers)]
        label = (turn + turn // round_of_both) % len(WORDS)
        utterances.append(Utterance(split, speaker, label, takes[speaker]))
        takes[speaker] += 1
    return utterances


@dataclass(frozen=True)
class UtteranceEncoder:
    """Makes the spikes of the utterances of a plan by their numbers, in any process and order."""

    utterances: tuple[Utterance, ...]
    seed: int

    def __call__(self, number: int) -> Spikes:
        """Say the utterance and encode it."""
        utterance = self.utterances[number]
        sequence = np.random.SeedSequence(self.seed, spawn_key=(2, utterance.speaker, utterance.take))
        said, heard = sequence.spawn(2)
        speaker = draw_speaker(self.seed, utterance.speaker)
        sound = draw_utterance(_synthesizer(), speaker, utterance.label, np.random.default_rng(said))
        return encode(sound, SAMPLE_RATE, int(heard.generate_state(1, np.uint64)[0]), SETTINGS)


@lru_cache(maxsize=1)
def _synthesizer() -> Synthesizer:
    """The process's own synthesizer; its folder goes when the process ends."""
    return Synthesizer()


def make_spoken_digits(
    path: str | Path = ".", samples: int = SAMPLES, speakers: int = SPEAKERS, seed: int = SEED, jobs: int = 1
) -> list[Path]:
    """Make spoken_digits_train.h5 and spoken_digits_test.h5 in the layout of the Spiking Heidelberg Digits.

    Killed and called again with the same arguments, it goes on where it was. The files depend on samples, speakers
    and seed only.

    Args:
        path: folder for the files; it is made where it is missing.
        samples: of both files together.
        speakers: of both files together; a tenth of them, two at least, are in the test file only.
        seed: of everything random.
        jobs: number of processes.

    Returns:
        the two files.

    Raises:
        UserError: for a value out of range, a folder that cannot be written, or the missing extra `speech`.
    """
    _check(samples=samples, speakers=speakers, seed=seed, jobs=jobs)
    _synthesizer()
    folder = Path(path)
    utterances = plan(samples, speakers, seed)
    parts = folder / f".spoken_digits-{_fingerprint(samples, speakers, seed)}"
    try:
        encoded = encode_all(samples, UtteranceEncoder(tuple(utterances), seed), parts, jobs)
        spikes = [hdf5_writer.rounded(sound) for sound in encoded]
        people = [draw_speaker(seed, number) for number in range(speakers)]
        files = [_write(folder, split, utterances, spikes, people) for split in _SPLITS]
    except OSError as error:
        raise UserError(f"path={path}: cannot be written: {error.strerror or error}") from None
    shutil.rmtree(parts)
    return files


def pack(file: Path) -> Path:
    """Pack a file with xz beside itself, as it is shipped; returns the packed file."""
    packed = file.with_name(file.name + ".xz")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 1, "pb": 1}]
    packed.write_bytes(lzma.compress(file.read_bytes(), filters=filters))
    return packed


def _check(**values: int) -> None:
    """Refuse values out of range, by their keys."""
    least = {"samples": 40, "speakers": 4, "seed": 0, "jobs": 1}
    most = {"samples": 10**6, "speakers": 10_000, "seed": 2**63 - 1, "jobs": 1024}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or not least[key] <= value <= most[key]:
            raise UserError(f"{key}={value}: must be a whole number from {least[key]} to {most[key]}")


def _fingerprint(samples: int, speakers: int, seed: int) -> str:
    """Names the set, for the folder of finished parts."""
    text = repr((_VERSION, SETTINGS, samples, speakers, seed))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _write(folder: Path, split: str, utterances: list[Utterance], spikes: list[Spikes], people: list[Speaker]) -> Path:
    """Write the file of one split; returns its path."""
    chosen = [number for number, utterance in enumerate(utterances) if utterance.split == split]
    file = folder / f"spoken_digits_{split}.h5"
    record = hdf5_writer.SpikeRecord(
        spikes=[spikes[number] for number in chosen],
        labels=np.array([utterances[number].label for number in chosen]),
        speakers=np.array([utterances[number].speaker for number in chosen]),
        classes=WORDS,
        channels=SETTINGS.places,
        meta={
            "name": [person.name for person in people],
            "gender": [person.gender for person in people],
            "accent": [person.accent for person in people],
        },
    )
    hdf5_writer.write(file, record)
    return file
