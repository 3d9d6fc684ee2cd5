"""Folders of sounds through the model of the cochlea: `wav_folder`, and people's digits, `human_digits`.

A folder has one sub-folder a class (yes/jane_3.wav: the speaker is what stands before the first _), or names that start
with the class and the speaker (7_jackson_32.wav, as in the Free Spoken Digit Dataset). Each set is encoded once, into a
file in the layout of the Spiking Heidelberg Digits; stopped and started again, it goes on where it was.
"""

import os
import shutil
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from snnrun.data import splits
from snnrun.data.cache import files_key, folder
from snnrun.data.cochlea import Cochlea, Spikes, encode
from snnrun.data.dataset import Parts
from snnrun.data.encoding import encode_all
from snnrun.data.hdf5_writer import SpikeRecord, write
from snnrun.data.locate import check_folder
from snnrun.data.sound_sources import SoundOptions
from snnrun.data.spike_files import read_cached
from snnrun.errors import RunError, UserError
from snnrun.registry import did_you_mean

SETTINGS = Cochlea()
# What scipy raises for a damaged file, depending on where the damage is.
_NO_WAV = (
    OSError,
    ValueError,
    EOFError,
    ArithmeticError,
    MemoryError,
    TypeError,
    LookupError,
    UnboundLocalError,
    struct.error,
)
_LEAST_HZ, _MOST_HZ = 4_000, 384_000


@dataclass(frozen=True)
class Sound:
    """One file, and what its name says."""

    path: Path
    label: str
    speaker: str


@dataclass(frozen=True)
class FileEncoder:
    """Makes the spikes of the files by their numbers, in any process and order."""

    paths: tuple[Path, ...]
    settings: Cochlea

    def __call__(self, number: int) -> Spikes:
        """Read the file and encode it; raises UserError that names it."""
        path = self.paths[number]
        sound, rate = read_wav(path)
        seed = int(np.random.SeedSequence(0, spawn_key=(number,)).generate_state(1, np.uint64)[0])
        try:
            return encode(sound, rate, seed, self.settings)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None


def load_sounds(root: Path, options: SoundOptions, seed: int) -> Parts:
    """The sounds below `root`; those of some speakers, or a part of each class, are the test data."""
    sounds = list_sounds(root)
    target = folder() / "sounds" / f"{files_key([sound.path for sound in sounds], SETTINGS)}.h5"
    if not target.exists():
        try:
            encode_folder(root, target, options.jobs or os.cpu_count() or 1)
        except RunError:
            if not target.exists():  # else another run has just made it
                raise
    spikes = read_cached(target)
    whole = spikes.events(str(root), SETTINGS.places, spikes.classes_seen)
    assert whole.speakers is not None
    split_seed = seed if options.split_seed is None else options.split_seed
    names = spikes.speaker_names or ()
    if options.test_speakers is not None:
        held = splits.by_speakers(whole.speakers, [_number(name, names) for name in options.test_speakers])
    elif len(names) > 2:
        drawn = splits.draw_speakers(whole.speakers, options.test_fraction, split_seed)
        held = splits.by_speakers(whole.speakers, drawn)
    else:
        held = splits.by_fraction(whole.labels, options.test_fraction, split_seed)
    kept = np.setdiff1d(np.arange(len(whole)), held)
    who = ", ".join(names[number] for number in np.unique(whole.speakers[held]))
    note = f"test: {len(held)} samples of the speakers {who}"
    return Parts(whole.select(kept), test=whole.select(held), notes=(note,), train_indices=kept, test_indices=held)


def _number(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        known = f"there are {', '.join(names)}{did_you_mean(name, names)}"
        raise UserError(f"dataset.test_speakers: {name!r} speaks in no file; {known}")
    return names.index(name)


def make_wav_folder(root: str, path: str = ".", jobs: int = 1) -> list[Path]:
    """Encode the sounds below `root` into a file in folder `path`, named after `root`; returns it."""
    source = Path(root).expanduser()
    target = Path(path) / f"{source.resolve().name}.h5"
    encode_folder(source, target, jobs)
    return [target]


def encode_folder(root: Path, target: Path, jobs: int) -> None:
    """Encode all sounds below `root` into the file `target`, in `jobs` processes.

    Raises:
        UserError: a file is no sound of one channel, or its name does not tell the class; before anything is encoded,
            but for a silent file.
        RunError: the file cannot be written.
    """
    sounds = list_sounds(root)
    for sound in sounds:
        read_wav(sound.path)
    classes, speakers = (sorted({getattr(sound, what) for sound in sounds}) for what in ("label", "speaker"))
    parts = target.with_name(f".{target.stem}-{files_key([sound.path for sound in sounds], SETTINGS)}")
    encoder = FileEncoder(tuple(sound.path for sound in sounds), SETTINGS)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        record = SpikeRecord(
            spikes=list(encode_all(len(sounds), encoder, parts, jobs)),
            labels=np.array([classes.index(sound.label) for sound in sounds]),
            speakers=np.array([speakers.index(sound.speaker) for sound in sounds]),
            classes=classes,
            channels=SETTINGS.places,
            meta={"name": speakers},
        )
        write(target, record)
    except OSError as error:
        raise RunError(f"{target}: cannot be written ({error.strerror or error})") from None
    shutil.rmtree(parts, ignore_errors=True)


def list_sounds(root: Path) -> list[Sound]:
    """The WAV files below `root` in the order of their names; raises UserError where there are none."""
    check_folder(root)
    found = sorted(path for path in root.glob("*/*") if path.suffix.lower() == ".wav")
    if found:
        return [Sound(path, path.parent.name, path.stem.partition("_")[0]) for path in found]
    flat = sorted(path for path in root.iterdir() if path.suffix.lower() == ".wav")
    if not flat:
        raise UserError(f"{root}: holds no .wav files; expected one sub-folder a class, or names like 7_jackson_32.wav")
    return [_by_name(path) for path in flat]


def _by_name(path: Path) -> Sound:
    label, *rest = path.stem.split("_")
    if not label or not rest:
        raise UserError(f"{path}: its name does not tell class and speaker; expected one like 7_jackson_32.wav")
    return Sound(path, label, rest[0])


def read_wav(path: Path) -> tuple[NDArray[np.float64], int]:
    """Amplitudes (samples,) and sample rate [Hz]; raises UserError unless it is a sound of one channel."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of metadata that nobody needs here
            rate, sound = wavfile.read(path)
    except _NO_WAV as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UserError(f"{path}: is no WAV file that can be read ({reason})") from None
    if sound.ndim != 1:
        raise UserError(f"{path}: has {sound.shape[1]} channels; expected one, so mix it down first")
    if not _LEAST_HZ <= rate <= _MOST_HZ:
        raise UserError(f"{path}: has a sample rate of {rate} Hz; expected {_LEAST_HZ} to {_MOST_HZ}")
    if not len(sound) or not np.isfinite(sound).all():
        raise UserError(f"{path}: is empty or has amplitudes that are not finite")
    middle = 128.0 if sound.dtype == np.uint8 else 0.0  # 8-bit WAV is unsigned
    return sound.astype(np.float64) - middle, rate
