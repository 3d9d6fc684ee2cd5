"""Spoken digits without a network: English and German words said by any number of synthetic speakers.

The sound comes from espeak-ng's library, which the wheel `espeakng-loader` carries (extra `speech`). A speaker is a
voice file drawn from a seed: pitch, the scale of every formant, roughness, breath, the synthesis in use, and one of
eight accents of English; German is said with the same voice. Each utterance varies in tempo, pitch, sentence ending,
vocal tract, colouration and noise.

Neural voices in wheels (piper) are left out: they add one speaker for 58 MB, and their floating-point results depend
on the machine, so that their spike trains could not be made again elsewhere. espeak-ng's integer samples can.
"""

import ctypes
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from snnrun.errors import RunError, UserError

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
WORDS = ENGLISH + GERMAN
"""The classes, by label."""

SAMPLE_RATE = 48_000
"""Sample rate of the utterances in Hz."""

_ACCENTS = (
    *("en-US", "en", "en-GB-scotland", "en-GB-x-rp"),
    *("en-GB-x-gbclan", "en-GB-x-gbcwmd", "en-029", "en-US-nyc"),
)
_ENDINGS = ("", ".", "?", "!")
_DATA_FILES = ("phondata", "phonindex", "phontab", "intonations", "en_dict", "de_dict")
_SYNCHRONOUS, _CHARACTERS, _UTF8 = 2, 1, 1
_RATE, _PITCH, _RANGE = 1, 3, 4


@dataclass(frozen=True)
class Speaker:
    """One synthetic speaker: what stays the same over all that is said.

    Attributes:
        number: of the speaker in the data set.
        gender: "female" or "male", the range that pitch and formants are drawn from.
        accent: espeak-ng's file name of the accent of English.
        voice: the text of espeak-ng's voice file.
        tempo: usual tempo in words a minute.
        colour: gain in dB at nine frequencies from 60 Hz to 12 kHz, (9,): timbre and microphone.
    """

    number: int
    gender: str
    accent: str
    voice: str
    tempo: float
    colour: tuple[float, ...]

    @property
    def name(self) -> str:
        """Name of the voice file and of the speaker in the data set."""
        return f"speaker{self.number:04d}"


def draw_speaker(seed: int, number: int) -> Speaker:
    """The speaker with this number under this seed; further speakers do not change it."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, number)))
    gender = ("male", "female")[number % 2]
    tract = rng.uniform(1.08, 1.22) if gender == "female" else rng.uniform(0.92, 1.06)
    low = rng.uniform(150, 215) if gender == "female" else rng.uniform(72, 115)
    lines = [
        "language variant",
        f"name speaker{number:04d}",
        f"gender {gender}",
        f"pitch {low:.0f} {low * rng.uniform(1.25, 1.6):.0f}",
        f"roughness {rng.integers(0, 4)}",
        f"flutter {rng.integers(1, 6)}",
        f"voicing {rng.integers(75, 126)}",
        f"consonants {rng.integers(75, 121)} {rng.integers(75, 121)}",
    ]
    if rng.random() < 0.4:
        lines.append(f"klatt {rng.integers(1, 6)}")
    if rng.random() < 0.5:
        lines.append("breath " + " ".join(str(rng.integers(0, 20)) for _ in range(5)))
    for formant in range(7):
        scale = 100 * tract * rng.uniform(0.96, 1.04)
        lines.append(f"formant {formant} {scale:.0f} {rng.integers(80, 121)} {rng.integers(88, 121)}")
    accent = _ACCENTS[rng.integers(len(_ACCENTS))]
    colour = tuple(float(gain) for gain in rng.normal(0, 2.5, 9))
    return Speaker(number, gender, accent, "\n".join(lines) + "\n", rng.uniform(125, 185), colour)


def draw_utterance(
    synthesizer: "Synthesizer", speaker: Speaker, label: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """One word said by a speaker, as a recording would have it: (samples,) at 48 kHz, not scaled.

    Args:
        synthesizer: the open espeak-ng library.
        speaker: who says it.
        label: number of the word in WORDS.
        rng: draws everything that differs between two utterances.
    """
    sound, rate = synthesizer.say(
        speaker,
        language="de" if label >= len(ENGLISH) else speaker.accent,
        text=WORDS[label] + _ENDINGS[rng.integers(len(_ENDINGS))],
        tempo=speaker.tempo * rng.uniform(0.85, 1.18),
        pitch=rng.uniform(35, 65),
        pitch_range=rng.uniform(25, 75),
        seed=int(rng.integers(1, 2**31)),
    )
    trimmed = _trim(sound, rate, rng)
    resampled = _resample(trimmed, rate * rng.uniform(0.97, 1.03))
    coloured = _colour(resampled, speaker.colour + rng.normal(0, 2.0, 9), tilt=rng.uniform(-1.5, 1.5))
    return coloured + _noise(coloured, rng)


def _trim(sound: NDArray[np.float64], rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The word with 10 to 50 ms of silence at each end; its ends are 38 dB below its loudest 10 ms."""
    window = rate // 100
    power = np.convolve(sound**2, np.ones(window) / window, "same")
    loud = np.flatnonzero(power > power.max() * 10**-3.8)
    before, after = (rng.uniform(0.01, 0.05, 2) * rate).astype(int)
    padded = np.concatenate([np.zeros(before), sound, np.zeros(after)])
    return padded[loud[0] : loud[-1] + before + after]


def _resample(sound: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """The sound at 48 kHz, as if it had been recorded at `rate` Hz (to 50 Hz): a longer or shorter vocal tract."""
    source = round(rate / 50) * 50
    divisor = np.gcd(SAMPLE_RATE, source)
    return np.asarray(signal.resample_poly(sound, SAMPLE_RATE // divisor, source // divisor))


def _colour(sound: NDArray[np.float64], gains: NDArray[np.float64], tilt: float) -> NDArray[np.float64]:
    """The sound through a smooth filter: gains (9,) in dB from 60 Hz to 12 kHz, tilt in dB an octave."""
    frequencies = np.maximum(fft.rfftfreq(sound.size, 1 / SAMPLE_RATE), 60)
    smooth = np.interp(np.log(frequencies), np.log(np.geomspace(60, 12_000, 9)), gains)
    decibel = smooth + tilt * np.log2(frequencies / 1000)
    return np.asarray(fft.irfft(fft.rfft(sound) * 10 ** (decibel / 20), sound.size))


def _noise(sound: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise 20 to 45 dB below the sound, between white and pink, (samples,)."""
    frequencies = np.maximum(fft.rfftfreq(sound.size, 1 / SAMPLE_RATE), 100)
    spectrum = fft.rfft(rng.normal(size=sound.size)) / frequencies ** rng.uniform(0, 0.5)
    noise = fft.irfft(spectrum, sound.size)
    ratio = np.sqrt(np.mean(sound**2) / np.mean(noise**2))
    return np.asarray(noise * ratio * 10 ** (-rng.uniform(20, 45) / 20))


class Synthesizer:
    """espeak-ng's library with a folder of voices; close it, or use it in a `with` statement.

    The library keeps a hidden state from one utterance to the next (the phase of the flutter, random numbers). So
    that a sound depends on its arguments only, the library is unloaded after each utterance and loaded again.
    """

    def __init__(self) -> None:
        """Lay out the folder. Raises UserError where the extra `speech` is not installed."""
        loader = _loader()
        self._library_path = str(loader.get_library_path())
        self._folder = tempfile.TemporaryDirectory(prefix="snnrun-speech-")
        source, data = Path(loader.get_data_path()), Path(self._folder.name) / "espeak-ng-data"
        self._voices = data / "voices" / "!v"
        self._voices.mkdir(parents=True)
        for name in _DATA_FILES:
            shutil.copy(source / name, data)
        shutil.copytree(source / "lang" / "gmw", data / "lang" / "gmw")

    def __enter__(self) -> "Synthesizer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder of voices."""
        self._folder.cleanup()

    @cached_property
    def _runtime(self) -> ctypes.CDLL:
        """The C library: its random numbers are seeded, and it unloads espeak-ng."""
        runtime = ctypes.CDLL(None)
        runtime.dlclose.argtypes = [ctypes.c_void_p]
        return runtime

    def say(
        self,
        speaker: Speaker,
        *,
        language: str,
        text: str,
        tempo: float,
        pitch: float,
        pitch_range: float,
        seed: int,
    ) -> tuple[NDArray[np.float64], int]:
        """The sound (samples,) within -1 to 1 and its sample rate in Hz.

        Args:
            speaker: whose voice speaks.
            language: espeak-ng's file name, such as "de" or "en-GB-scotland".
            text: what is said.
            tempo: words a minute.
            pitch: 0 to 100, 50 is the speaker's own.
            pitch_range: 0 to 100, how lively.
            seed: of breath and roughness, 31 bits.

        Raises:
            RunError: where espeak-ng fails.
        """
        voice = self._voices / speaker.name
        if not voice.exists():
            voice.write_text(speaker.voice, encoding="utf-8")
        library = ctypes.CDLL(self._library_path)
        pieces: list[NDArray[np.int16]] = []
        receive = _callback(pieces)
        try:
            rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, self._folder.name.encode(), 0))
            library.espeak_SetSynthCallback(receive)
            failed = library.espeak_SetVoiceByName(f"{language}+{speaker.name}".encode())
            if rate <= 0 or failed:
                raise RunError(f"espeak-ng cannot speak {language} with the voice {speaker.name}")
            library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
            self._runtime.srand(ctypes.c_uint(seed))
            for parameter, value in ((_RATE, tempo), (_PITCH, pitch), (_RANGE, pitch_range)):
                library.espeak_SetParameter(parameter, round(value), 0)
            encoded = text.encode()
            library.espeak_Synth(encoded, len(encoded) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
            library.espeak_Synchronize()
        finally:
            library.espeak_Terminate()
            self._runtime.dlclose(library._handle)
        if not pieces:
            raise RunError(f"espeak-ng said nothing for {text!r}")
        return np.concatenate(pieces) / 32768.0, rate


def _loader() -> ModuleType:
    """The module that knows where espeak-ng's library and data are."""
    try:
        import espeakng_loader
    except ImportError:
        message = "making spoken digits needs the extra `speech`: pip install 'snnrun[speech]'"
        raise UserError(message) from None
    module: ModuleType = espeakng_loader
    return module


def _callback(pieces: list[NDArray[np.int16]]) -> object:
    """The function espeak-ng hands its samples to; each piece (samples,) is appended to `pieces`."""

    def receive(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int) -> int:
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    return kind(receive)
