"""Sums of weight rows over events, matrix products in panels, products at single places, and the search for places."""

from typing import Any

import numpy as np

from snnrun.engine.cpu.compile import inner_function, row_function
from snnrun.engine.cpu.simd import (
    PANEL_BYTES,
    TILE_ROWS,
    add_four_dots,
    bits_of,
    dot,
    gather_of,
    multiply_tile,
    trailing_zeros,
)

# So many rows are added in registers, a part of the row after the other; fewer whole, as every part would end with a
# branch that the processor cannot foresee.
MANY = 16
_gather, _gather_four = gather_of(1), gather_of(4)


@row_function
def _add_four(total, a, b, c, d):  # type: ignore[no-untyped-def]
    for n in range(len(total)):
        total[n] += (a[n] + b[n]) + (c[n] + d[n])


@row_function
def _add_one(total, a):  # type: ignore[no-untyped-def]
    for n in range(len(total)):
        total[n] += a[n]


@inner_function
def add_rows(total, table, row, first, last):  # type: ignore[no-untyped-def]
    """total += table[row[e]] summed over first <= e < last."""
    if last - first >= MANY:
        _add_many(total, table, row, first, last)
        return
    e = first
    while e + 4 <= last:
        _add_four(total, table[row[e]], table[row[e + 1]], table[row[e + 2]], table[row[e + 3]])
        e += 4
    while e < last:
        _add_one(total, table[row[e]])
        e += 1


@inner_function
def _add_many(total, table, row, first, last):  # type: ignore[no-untyped-def]
    width, panel = table.shape[1], PANEL_BYTES // total.itemsize
    flat, n = table.reshape(-1), 0
    while n + 4 * panel <= width:
        _gather_four(total, n, flat, n, width, row, first, last)
        n += 4 * panel
    while n < width:
        _gather(total, n, flat, n, width, row, first, last)
        n += panel


@inner_function
def add_outer(target, pointer, unit, start, samples, sample_stride, source_stride, grads, steps, order, begin):  # type: ignore[no-untyped-def]
    """target[unit[e]] += grads[k * source_stride + m] over the events e of all samples m at all steps k.

    Events are sorted by unit first, so that a row of `target` is loaded and stored once: with many events a unit
    that halves the traffic. A panel at a time, since that much of `grads` fits in the first-level cache. The events of
    (m, k) are at pointer[start + m * sample_stride + k] and the next.

    Args:
        grads: (steps * source_stride, width).
        order: work space, grown and returned when it is too small for the events.
        begin: work space, at least len(target) + 1 whole numbers.
    """
    units = len(target)
    begin[: units + 1] = 0
    total = 0
    for m in range(samples):
        at = start + m * sample_stride
        for e in range(pointer[at], pointer[at + steps]):
            begin[unit[e] + 1] += 1
        total += pointer[at + steps] - pointer[at]
    if len(order) < total:
        order = np.empty(2 * total, np.int32)
    for c in range(units):
        begin[c + 1] += begin[c]
    for m in range(samples):
        at = start + m * sample_stride
        for k in range(steps):
            for e in range(pointer[at + k], pointer[at + k + 1]):
                place = begin[unit[e]]
                order[place] = k * source_stride + m
                begin[unit[e]] = place + 1
    width = target.shape[1]
    flat_target, flat_grads = target.reshape(-1), grads.reshape(-1)
    for panel in range(0, width, PANEL_BYTES // target.itemsize):
        first = 0
        for c in range(units):
            last = begin[c]
            if last > first:
                _gather(flat_target, c * width + panel, flat_grads, panel, width, order, first, last)
            first = last
    return order


@inner_function
def multiply(a, depth, panels, start, c, accumulate):  # type: ignore[no-untyped-def]
    """c = a b, or c += a b, for a (rows, >= depth), b (depth, columns) and c (rows, columns).

    b lies from `start` on in the flat array `panels`, as (columns / panel, depth, panel). The number of rows is a
    multiple of TILE_ROWS, that of columns one of the panel.
    """
    width = PANEL_BYTES // a.itemsize
    flat_a, flat_c = a.reshape(-1), c.reshape(-1)
    for p in range(c.shape[1] // width):
        for m in range(0, len(a), TILE_ROWS):
            multiply_tile(
                flat_a, m * a.shape[1], a.shape[1], panels, start + p * depth * width,
                flat_c, m * c.shape[1] + p * width, c.shape[1], depth, accumulate,
            )  # fmt: skip


@inner_function
def multiply_at(a, b, start, c, place, bounds):  # type: ignore[no-untyped-def]
    """c[m, n] += sum over k of a[m, k] b[n, k] for n = place[q], bounds[m, 0] <= q < bounds[m, 1].

    b lies from `start` on in a flat array, its rows as long as those of a.
    """
    depth, panels = a.shape[1], a.shape[1] * a.itemsize // PANEL_BYTES
    flat = a.reshape(-1)
    for m in range(len(bounds)):
        q, last = bounds[m, 0], bounds[m, 1]
        while q + 4 <= last:
            add_four_dots(c[m], 0, flat, m * depth, b, start, depth, place, q, panels)
            q += 4
        while q < last:
            n = np.int64(place[q])
            c[m, n] += dot(flat, m * depth, b, start + n * depth, panels)
            q += 1


def append_of(comparison: str) -> Any:
    """Make the search for the numbers of a row that compare so with 0."""
    bits = bits_of(comparison)

    @inner_function
    def append(x, place, used):  # type: ignore[no-untyped-def]
        """Append to `place`, from `used` on, every n whose x[n] is found; returns where they end."""
        lanes = PANEL_BYTES // x.itemsize
        for start in range(0, len(x), 64):
            word = np.uint64(0)
            for n in range(start, min(start + 64, len(x)), lanes):
                word |= bits(x, n) << np.uint64(n - start)
            while word != 0:
                place[used] = start + trailing_zeros(word)
                used += 1
                word &= word - np.uint64(1)
        return used

    return append


append_positive, append_nonzero = append_of(">"), append_of("!=")
