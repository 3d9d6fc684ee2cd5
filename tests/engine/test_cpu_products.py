"""Sums of rows and matrix products of the CPU engine against numpy, where they take different ways."""

import numpy as np
import pytest

from snnrun.engine.cpu.layout import Layout, Place
from snnrun.engine.cpu.products import add_outer, add_rows_of_steps, multiply

pytestmark = pytest.mark.filterwarnings("ignore::Warning:numba")
SAMPLES, STEPS = 3, 5


def events(units: int, mean: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pointer and unit of random events, and how often each counts, (samples, steps, units)."""
    counts = random.poisson(mean / units, (SAMPLES, STEPS, units))
    lists = [np.repeat(np.arange(units), row).astype(np.int32) for row in counts.reshape(-1, units)]
    pointer = np.concatenate([[0], np.cumsum([len(row) for row in lists])])
    return pointer, np.concatenate(lists), counts


@pytest.mark.parametrize("width", [16, 64, 112])  # numbers of a row: parts of four panels, and what is left
@pytest.mark.parametrize("mean", [0.3, 60])  # events of a step
@pytest.mark.parametrize("rows", [20, 10_000])  # a table of more than CACHED_BYTES is summed in parts
def test_rows_of_all_steps(rows, width, mean):
    random = np.random.default_rng(width)
    pointer, unit, counts = events(20, mean, random)
    flat, total = random.normal(size=5 + rows * width), random.normal(size=(STEPS - 1, 4, width))
    expected = total.copy()
    expected[:, :SAMPLES] += (counts @ flat[5 : 5 + 20 * width].reshape(20, width))[:, 1:].transpose(1, 0, 2)
    add_rows_of_steps(total, flat, 5, rows, unit, pointer, 1, STEPS, SAMPLES)
    np.testing.assert_allclose(total, expected, atol=1e-12)


@pytest.mark.parametrize("width", [16, 64, 112])
@pytest.mark.parametrize("mean", [3, 400])  # events of a step: each unit has few of them, or many
def test_outer_products(width, mean):
    random = np.random.default_rng(width + mean)
    pointer, unit, counts = events(20, mean, random)
    grads, target = random.normal(size=(STEPS, 4, width)), random.normal(size=(20, width))
    expected = target + np.einsum("mku,kmn->un", counts, grads[:, :SAMPLES])
    order, begin = np.empty(1, np.int32), np.empty(21, np.int64)
    flat = grads.reshape(-1, width)
    add_outer(target, pointer, unit, 0, SAMPLES, STEPS, 4, flat, STEPS, order, begin)
    np.testing.assert_allclose(target, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("width", [16, 32, 48, 64, 80])  # whole tiles, and what is left of one
@pytest.mark.parametrize("accumulate", [False, True])
def test_products_with_packed_weights(kind, width, accumulate):
    random = np.random.default_rng(width)
    neurons, depth = width - 3, 7
    weight = np.zeros((neurons, 16), kind)
    weight[:, :depth] = random.normal(size=(neurons, depth))
    packed = np.empty(depth * width, kind)
    layout = Layout(np.zeros(1, [("one", kind)]), np.void(b""), [], 0, 0, [], 0)
    layout.pack_one(Place(0, neurons, depth, 16), weight.reshape(-1), packed, 0, width)
    a, c = random.normal(size=(16, 16)).astype(kind), random.normal(size=(16, width)).astype(kind)
    expected = accumulate * c
    expected[:, :neurons] += a[:, :depth] @ weight[:, :depth].T
    multiply(a, depth, packed, 0, c, accumulate)
    np.testing.assert_allclose(c, expected, atol=1e-5 if kind == "float32" else 1e-12)
