"""Sound to spikes: the model of the inner ear behind the Spiking Heidelberg Digits.

A travelling wave on the basilar membrane (snnrun.data.basilar_membrane) moves inner hair cells, whose transmitter
drives 40 nerve fibres a place; a bushy cell collects them (snnrun.data.auditory_nerve) and its spikes are the output.

Sources: Cramer, Stradmann, Schemmel & Zenke 2020 (IEEE TNNLS, appendix) for the chain and the bushy cell;
Sieroka, Dosch & Rupp 2006 (JASA 120, 297) for the membrane; Meddis 1986 (JASA 79, 702) and 1988
(JASA 83, 1056) for the hair cell.
"""

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from snnrun.data.auditory_nerve import STEP, bushy_spikes
from snnrun.data.basilar_membrane import SAMPLE_RATE, BasilarMembrane, velocity_blocks
from snnrun.errors import UserError


@dataclass(frozen=True)
class Cochlea:
    """Settings of the model; the defaults are those of the published model, but for the ramp.

    Attributes:
        places: places along the membrane, one output unit each; unit 0 has the highest frequency.
        c0: stiffness of the membrane at its base in g/(s^2 cm^2), C0 in the papers. Files made in 2020, the
            Spiking Heidelberg Digits among them, used 1e8; the corrected model uses 1e9.
        ramp: length of the Hann ramps at both ends of the sound in s. The published software ramps over half
            the sound at each end (None here), which takes away most of a word's beginning and end.
        level: root mean square to which a sound is scaled.
    """

    places: int = 700
    c0: float = 1e9
    ramp: float | None = 0.03
    level: float = 0.3

    def __post_init__(self) -> None:
        """Refuse settings the equations have no meaning for, by the name of the key."""
        if not 2 <= self.places <= 65536:
            raise UserError(f"cochlea.places={self.places}: must be a whole number from 2 to 65536")
        for key, value in (("c0", self.c0), ("level", self.level)):
            if not (np.isfinite(value) and value > 0):
                raise UserError(f"cochlea.{key}={value}: must be a number above 0")
        if self.ramp is not None and not 0 <= self.ramp <= 1:
            raise UserError(f"cochlea.ramp={self.ramp}: must be from 0 to 1 s, or null for half the sound")


@dataclass(frozen=True)
class Spikes:
    """Spikes of one sound, sorted by time and then unit: times (E,) in s, units (E,) uint16."""

    times: NDArray[np.floating]
    units: NDArray[np.uint16]


def encode(sound: NDArray[np.floating], sample_rate: int, seed: int, settings: Cochlea | None = None) -> Spikes:
    """The bushy cells' spikes for one sound.

    Args:
        sound: amplitudes (samples,), one channel.
        sample_rate: in Hz; the sound is resampled to 48 kHz, below which the model is not stable.
        seed: of the fibres' draws, 64 bits; the same seed gives the same spikes in any process and order.
        settings: of the model.

    Raises:
        UserError: for a sound that is empty, silent, not finite or not of one channel.
    """
    settings = settings or Cochlea()
    prepared = prepare(sound, sample_rate, settings)
    blocks = velocity_blocks(prepared, BasilarMembrane(settings.places, settings.c0))
    spikes = [bushy_spikes(np.ascontiguousarray(velocity.T), np.uint64(seed), first) for first, velocity in blocks]
    steps = np.concatenate([block[0] for block in spikes])
    units = np.concatenate([block[1] for block in spikes])
    order = np.lexsort((units, steps))
    return Spikes(steps[order] * STEP, units[order].astype(np.uint16))


def prepare(sound: NDArray[np.floating], sample_rate: int, settings: Cochlea) -> NDArray[np.float64]:
    """The sound at 48 kHz with its level set and its ends ramped, (samples at 48 kHz,)."""
    amplitudes = np.asarray(sound, dtype=np.float64)
    if amplitudes.ndim != 1:
        raise UserError(f"a sound needs one channel, this one has the shape {amplitudes.shape}")
    if sample_rate < 1000:
        raise UserError(f"a sample rate of {sample_rate} Hz is too low for sound, 1000 Hz is the least")
    if amplitudes.size < 2 or not np.all(np.isfinite(amplitudes)):
        raise UserError("a sound needs at least two samples, all of them finite")
    if sample_rate != SAMPLE_RATE:
        divisor = gcd(SAMPLE_RATE, sample_rate)
        amplitudes = signal.resample_poly(amplitudes, SAMPLE_RATE // divisor, sample_rate // divisor)
    root_mean_square = np.sqrt(np.mean(amplitudes**2))
    if root_mean_square < 1e-9:
        raise UserError("the sound is silent: nothing to scale to the level the model needs")
    window = _ramps(amplitudes.size, settings.ramp)
    return np.asarray(amplitudes * (settings.level / root_mean_square) * window)


def _ramps(samples: int, ramp: float | None) -> NDArray[np.float64]:
    """A window (samples,) that rises from 0 to 1 and falls again as a Hann window does, over `ramp` s each."""
    rise = samples // 2 if ramp is None else min(round(ramp * SAMPLE_RATE), samples // 2)
    window = np.ones(samples)
    flank = 0.5 * (1 - np.cos(np.pi * np.arange(rise) / max(rise, 1)))
    window[:rise] = flank
    window[samples - rise :] = flank[::-1]
    return window
