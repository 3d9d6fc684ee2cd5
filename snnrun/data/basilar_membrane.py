"""The basilar membrane as a bank of filters: the travelling wave of Sieroka, Dosch & Rupp 2006 (JASA 120, 297).

Symbols as in the paper, in cm, g and s: place x from 0 (base, high frequencies) to 3.5, stiffness
S(x) = C0 exp(-alpha x) - a, resistance R(x) = R0 exp(-alpha x / 2), mass m, fluid density 1, height h.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

SAMPLE_RATE = 48_000
"""Sample rate in Hz that the model is defined at; velocities come out at half of it."""

_LENGTH, _ALPHA, _A, _HEIGHT, _MASS, _DAMPING = 3.5, 3.0, 3500.0, 0.1, 0.05, 0.15
_BLOCK = 50
_NEGLIGIBLE = 1e-7
_PADDING = 6_000


@dataclass(frozen=True)
class BasilarMembrane:
    """A membrane read at `places` places, with stiffness `c0` in g/(s^2 cm^2) at its base."""

    places: int = 700
    c0: float = 1e9

    @property
    def positions(self) -> NDArray[np.float64]:
        """Distance from the base in cm, (places,)."""
        return np.linspace(0.0, _LENGTH, self.places)


def padded_bins(samples: int) -> int:
    """Frequency bins a sound of `samples` samples is filtered with: few different numbers, so that banks are shared.

    The least multiple of a quarter second that leaves 20 ms for the last wave to run out.
    """
    return _PADDING * -(-(samples // 2 + SAMPLE_RATE // 100) // _PADDING)


def velocity_blocks(
    sound: NDArray[np.float64], membrane: BasilarMembrane, bins: int | None = None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Velocity of the membrane for a sound, some places at a time.

    As in the published software the sound's first n/2 + 1 frequency bins are filtered and transformed back as a
    complex signal of that length, whose real part is kept: the velocity at 24 kHz.

    Args:
        sound: (samples,) at 48 kHz.
        membrane: where it is read.
        bins: frequency bins to filter with, even; as many as `padded_bins` says unless given.

    Yields:
        the first place and the velocities (places of the block, samples / 2).
    """
    bins = bins or padded_bins(sound.size)
    spectrum = fft.rfft(sound, 2 * bins - 2).astype(np.complex64)
    for first, response in filter_bank(membrane, bins):
        filtered = spectrum[: response.shape[1]] * response
        velocity = fft.irfft(_hermitian(filtered, bins), bins, axis=1, overwrite_x=True)
        yield first, velocity[:, : sound.size // 2]


def _hermitian(spectrum: NDArray[np.complex64], bins: int) -> NDArray[np.complex64]:
    """The half spectrum (places, bins/2 + 1) of the real part of the signal that `spectrum` stands for.

    spectrum is (places, at most bins); what is missing at its end is zero.
    """
    half = bins // 2
    symmetric = np.zeros((spectrum.shape[0], half + 1), np.complex64)
    kept = min(spectrum.shape[1], half + 1)
    symmetric[:, :kept] = spectrum[:, :kept]
    upper = spectrum[:, half:]
    if upper.shape[1]:
        mirrored = bins - np.arange(half, spectrum.shape[1])
        symmetric[:, mirrored] += upper.conj()
    symmetric[:, 1:] *= 0.5
    return symmetric


@lru_cache(maxsize=4)
def filter_bank(membrane: BasilarMembrane, bins: int) -> list[tuple[int, NDArray[np.complex64]]]:
    """The membrane's transfer function by blocks of places: the first place and (places, bins kept).

    Bins above the frequency where a block answers with less than 1e-7 of its strongest answer are left out.
    """
    frequencies = np.linspace(1.0, SAMPLE_RATE / 2, bins)
    coarse = np.linspace(1.0, SAMPLE_RATE / 2, 400)
    bank = []
    for first in range(0, membrane.places, _BLOCK):
        positions = membrane.positions[first : first + _BLOCK]
        strongest = np.abs(transfer(membrane, coarse, positions)).max(axis=0)
        last = np.flatnonzero(strongest > _NEGLIGIBLE * strongest.max())[-1]
        limit = coarse[min(last + 1, coarse.size - 1)]
        kept = frequencies[: np.searchsorted(frequencies, limit, side="right")]
        bank.append((first, transfer(membrane, kept, positions).astype(np.complex64)))
    return bank


def transfer(
    membrane: BasilarMembrane, frequencies: NDArray[np.float64], positions: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Velocity of the membrane for a unit pressure at the stapes, (positions, frequencies).

    V(w, x) = (2 w / xi) z(w) p(w, x) / p(w, 0) with the pressure p = sqrt(G / g) H0(G), H0 the Hankel
    function of the first kind, and the input impedance z.

    Args:
        membrane: its stiffness is used.
        frequencies: in Hz, above 0.
        positions: in cm from the base.
    """
    w = 2 * np.pi * frequencies
    x = positions[:, None]
    impedance = _impedance(membrane, w, x)
    wave_number = _wave_number(impedance, w)
    base_number = _wave_number(_impedance(membrane, w, np.zeros(1)), w)
    base_phase = 2 * base_number / _ALPHA
    phase = base_phase + _travelled_phase(membrane, w, x)
    # The scaled Hankel function, H0(G) exp(-iG), neither over- nor underflows where the wave has died out.
    pressure = np.sqrt(phase / wave_number) * special.hankel1e(0, phase)
    base_pressure = np.sqrt(base_phase / base_number) * special.hankel1e(0, base_phase)
    ratio = pressure / base_pressure * np.exp(1j * (phase - base_phase))
    return np.asarray(2 * w / impedance * _input_impedance(membrane, w) * ratio)


def _impedance(membrane: BasilarMembrane, w: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.complex128]:
    """xi(w, x) = S - m w^2 - i w R, (positions, frequencies)."""
    stiffness = membrane.c0 * np.exp(-_ALPHA * x) - _A
    resistance = _DAMPING * np.sqrt(membrane.c0 * _MASS) * np.exp(-_ALPHA * x / 2)
    return np.asarray(stiffness - _MASS * w**2 - 1j * w * resistance)


def _wave_number(impedance: NDArray[np.complex128], w: NDArray[np.float64]) -> NDArray[np.complex128]:
    """g(w, x) = w sqrt(rho / (h xi)), rho = 1."""
    return np.asarray(w * np.sqrt(1 / (_HEIGHT * impedance)))


def _travelled_phase(
    membrane: BasilarMembrane, w: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """The integral of g from the base to x in closed form, (positions, frequencies).

    With u = exp(-alpha s / 2), xi is a quadratic A u^2 + B u + C, and g ds becomes du / (u sqrt(xi)). The root of
    C is the one with the sign of xi's imaginary part, so that the logarithm stays away from its branch cut.
    """
    linear = -1j * w * _DAMPING * np.sqrt(membrane.c0 * _MASS)
    constant = -(_A + _MASS * w**2)
    constant_root = -1j * np.sqrt(-constant)

    def antiderivative(u: NDArray[np.float64]) -> NDArray[np.complex128]:
        root = np.sqrt(membrane.c0 * u**2 + linear * u + constant)
        return np.asarray(np.log(2 * constant + linear * u + 2 * constant_root * root) - np.log(u))

    change = antiderivative(np.exp(-_ALPHA * x / 2)) - antiderivative(np.ones(1))
    return np.asarray(2 * w / (_ALPHA * np.sqrt(_HEIGHT)) * change / constant_root)


def _input_impedance(membrane: BasilarMembrane, w: NDArray[np.float64]) -> NDArray[np.complex128]:
    """z(w) = sqrt(2 C0 / h) (i J0(k) + Y0(k)) / (J1(k) - i Y1(k)), k = (2 w / alpha) sqrt(2 / (h C0))."""
    k = 2 * w / _ALPHA * np.sqrt(2 / (_HEIGHT * membrane.c0))
    quotient = (1j * special.j0(k) + special.y0(k)) / (special.j1(k) - 1j * special.y1(k))
    return np.asarray(np.sqrt(2 * membrane.c0 / _HEIGHT) * quotient)
