"""Sums of weight rows over events, matrix products in panels, products at single places, and the search for places."""

from typing import Any

import numpy as np

from snnrun.engine.cpu.compile import inner_function, row_function
from snnrun.engine.cpu.simd import (
    PANEL_BYTES,
    REGISTER_BYTES,
    TILE_BYTES,
    TILE_ROWS,
    add_four_dots,
    bits_of,
    dot,
    gather_of,
    tile_of,
    trailing_zeros,
)

# So many rows are added in registers, a part of the row after the other; fewer whole, as every part would end with a
# branch that the processor cannot foresee.
MANY = 16
# Rows of a larger table do not stay in the second-level cache next to what else is read and written.
CACHED_BYTES = 2**18
# A row of a gradient is added to for so few events on average that to find its place takes longer than to add.
FEW = 16
_gather, _gather_four = gather_of(1), gather_of(4)
_tile, _tile_one, _tile_two = tile_of(TILE_BYTES // REGISTER_BYTES), tile_of(1), tile_of(2)


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
def add_rows_of_steps(total, table, row, pointer, start, stride, samples):  # type: ignore[no-untyped-def]
    """total[k, m] += table[row[e]] summed over the events e of sample m < samples at step k.

    They are at pointer[start + m * stride + k] and the next. Of a large table a part of the columns at a time, which
    stays in the second-level cache where the events are many.
    """
    steps, width, panel, count = len(total), table.shape[1], PANEL_BYTES // total.itemsize, 0
    for m in range(samples):
        count += pointer[start + m * stride + steps] - pointer[start + m * stride]
    if count < MANY * steps * samples or table.size * table.itemsize <= CACHED_BYTES:
        for m in range(samples):
            for k in range(steps):
                at = start + m * stride + k
                add_rows(total[k, m], table, row, pointer[at], pointer[at + 1])
        return
    flat_total, flat, n = total.reshape(-1), table.reshape(-1), 0
    while n < width:
        four = n + 4 * panel <= width
        for m in range(samples):
            for k in range(steps):
                at, goal = start + m * stride + k, (k * total.shape[1] + m) * width + n
                if four:
                    _gather_four(flat_total, goal, flat, n, width, row, pointer[at], pointer[at + 1])
                else:
                    _gather(flat_total, goal, flat, n, width, row, pointer[at], pointer[at + 1])
        n += 4 * panel if four else panel


@inner_function
def add_outer(target, pointer, unit, start, samples, sample_stride, source_stride, grads, steps, order, begin):  # type: ignore[no-untyped-def]
    """target[unit[e]] += grads[k * source_stride + m] over the events e of all samples m at all steps k.

    Events are sorted by unit first, so that a row of `target` is loaded and stored once: with many events a unit
    that halves the traffic. A panel at a time, since that much of `grads` fits in the first-level cache, unless events
    are few. The events of (m, k) are at pointer[start + m * sample_stride + k] and the next.

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
    width, panel = target.shape[1], PANEL_BYTES // target.itemsize
    flat_target, flat_grads, few, n = target.reshape(-1), grads.reshape(-1), total < FEW * units, 0
    while n < width:
        four = few and n + 4 * panel <= width
        first = 0
        for c in range(units):
            last = begin[c]
            if last > first:
                if four:
                    _gather_four(flat_target, c * width + n, flat_grads, n, width, order, first, last)
                else:
                    _gather(flat_target, c * width + n, flat_grads, n, width, order, first, last)
            first = last
        n += 4 * panel if four else panel
    return order


@inner_function
def multiply(a, depth, panels, start, c, accumulate):  # type: ignore[no-untyped-def]
    """c = a b, or c += a b, for a (rows, >= depth), b (depth, columns) and c (rows, columns).

    b lies from `start` on in the flat array `panels`, as `Layout.pack_panels` packs it. The number of rows is a
    multiple of TILE_ROWS, that of columns one of the panel.
    """
    lanes, wide, columns = REGISTER_BYTES // a.itemsize, TILE_BYTES // a.itemsize, c.shape[1]
    flat_a, flat_c = a.reshape(-1), c.reshape(-1)
    for n in range(0, columns, wide):
        left = columns - n
        for m in range(0, len(a), TILE_ROWS):
            a_start, c_start, b_start = m * a.shape[1], m * columns + n, start + n * depth
            if left >= wide:
                _tile(flat_a, a_start, a.shape[1], panels, b_start, flat_c, c_start, columns, depth, accumulate)
            elif left == lanes:
                _tile_one(flat_a, a_start, a.shape[1], panels, b_start, flat_c, c_start, columns, depth, accumulate)
            else:
                _tile_two(flat_a, a_start, a.shape[1], panels, b_start, flat_c, c_start, columns, depth, accumulate)


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
