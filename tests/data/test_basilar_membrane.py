"""The membrane's filters against the equations evaluated another way."""

import numpy as np
import pytest
from scipy import special

from snnrun.data.basilar_membrane import BasilarMembrane, filter_bank, padded_bins, transfer, velocity_blocks


def equations(c0: float, frequency: float, position: float) -> complex:
    """V(w, x) of the papers, the integral of g by quadrature and the Hankel function as it stands."""
    w = 2 * np.pi * frequency

    def xi(x: np.ndarray) -> np.ndarray:
        damping = 0.15 * np.sqrt(c0 * 0.05) * np.exp(-1.5 * x)
        return c0 * np.exp(-3 * x) - 3500 - 0.05 * w**2 - 1j * w * damping

    def g(x: np.ndarray) -> np.ndarray:
        return w * np.sqrt(1 / (0.1 * xi(x)))

    nodes, weights = np.polynomial.legendre.leggauss(1000)
    here, base = np.array([position]), np.zeros(1)
    base_phase = 2 * g(base) / 3
    phase = base_phase + np.sum(weights * g(position / 2 * (nodes + 1))) * position / 2
    pressure = np.sqrt(phase / g(here)) * special.hankel1(0, phase)
    base_pressure = np.sqrt(base_phase / g(base)) * special.hankel1(0, base_phase)
    k = 2 * w / 3 * np.sqrt(2 / (0.1 * c0))
    impedance = (1j * special.j0(k) + special.y0(k)) / (special.j1(k) - 1j * special.y1(k))
    return complex((2 * w / xi(here) * np.sqrt(2 * c0 / 0.1) * impedance * pressure / base_pressure)[0])


@pytest.mark.parametrize("c0", [1e8, 1e9])
@pytest.mark.parametrize("frequency", [60.0, 700.0, 5000.0, 20000.0])
@pytest.mark.parametrize("position", [0.0, 0.7, 2.0, 3.5])
def test_transfer_is_the_papers_equation(c0: float, frequency: float, position: float) -> None:
    answer = transfer(BasilarMembrane(2, c0), np.array([frequency]), np.array([position]))[0, 0]
    expected = equations(c0, frequency, position)
    assert abs(answer - expected) <= 1e-7 * abs(expected) + 1e-12


def test_high_frequencies_move_the_base_and_low_ones_the_far_end() -> None:
    membrane = BasilarMembrane(700)
    strongest = np.abs(transfer(membrane, np.array([118.0, 1000.0, 8000.0]), membrane.positions)).argmax(axis=0)
    assert strongest[0] > 640
    assert 300 < strongest[1] < 450
    assert strongest[2] < 150


@pytest.mark.parametrize("bins", [300, 302])
def test_velocity_is_the_real_part_of_the_filtered_half_spectrum(bins: int) -> None:
    membrane = BasilarMembrane(60)
    sound = np.random.default_rng(0).normal(size=598)
    response = transfer(membrane, np.linspace(1, 24_000, bins), membrane.positions)
    expected = np.fft.ifft(np.fft.rfft(sound, 2 * bins - 2) * response, axis=1).real[:, :299]
    velocity = np.concatenate([block for _, block in velocity_blocks(sound, membrane, bins)])
    assert np.abs(velocity - expected).max() < 2e-6 * np.abs(expected).max()


def test_blocks_cover_every_place_once() -> None:
    bank = filter_bank(BasilarMembrane(120), 600)
    assert [first for first, _ in bank] == [0, 50, 100]
    assert sum(response.shape[0] for _, response in bank) == 120


def test_banks_are_kept_and_shared_by_sounds_of_similar_length() -> None:
    assert padded_bins(20_000) == padded_bins(22_000)
    assert 2 * padded_bins(48_000) - 2 >= 48_000
    assert filter_bank(BasilarMembrane(20), 600) is filter_bank(BasilarMembrane(20), 600)
