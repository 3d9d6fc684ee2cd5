"""Sums of weight rows over events, matrix products in panels, products at single places, and the search for places."""

from typing import Any

import numpy as np

from snnrun.engine.cpu.compile import inner_function
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

# Larger tables do not stay in the caches between one step and the next.
CACHED_BYTES = 2**23
_gather, _gather_two, _gather_four = gather_of(1), gather_of(2), gather_of(4)
_tile, _tile_one, _tile_two = tile_of(TILE_BYTES // REGISTER_BYTES), tile_of(1), tile_of(2)


@inner_function
def add_rows(total, at, table, start, stride, width, row, first, last):  # type: ignore[no-untyped-def]
    """total[at + n] += table[start + row[e] * stride + n] summed over first <= e < last, for n < width.

    total and table are flat. A part of the row at a time, whose sums stay in registers.
    """
    if first == last:
        return
    panel, n = PANEL_BYTES // total.itemsize, 0
    while n + 4 * panel <= width:
        _gather_four(total, at + n, table, start + n, stride, row, first, last)
        n += 4 * panel
    while n < width:
        _gather(total, at + n, table, start + n, stride, row, first, last)
        n += panel


@inner_function
def add_rows_of_steps(total, table, start, rows, row, pointer, begin, stride, samples):  # type: ignore[no-untyped-def]
    """total[k, m] += the rows of the events of sample m < samples at step k.

    The table of so many rows begins at `start`, flat; the events are at pointer[begin + m * stride + k] and the next.
    Of a table too large for the caches a part of the columns at a time, whose rows are read for all steps and samples.
    """
    steps, places, width = total.shape
    flat, panel, n = total.reshape(-1), PANEL_BYTES // total.itemsize, 0
    part = width if rows * width * table.itemsize <= CACHED_BYTES else 4 * panel
    while n < width:
        wide = min(part, width - n)
        for m in range(samples):
            for k in range(steps):
                at, goal = begin + m * stride + k, (k * places + m) * width + n
                add_rows(flat, goal, table, start + n, width, wide, row, pointer[at], pointer[at + 1])
        n += part


@inner_function
def add_outer(target, pointer, unit, start, samples, sample_stride, source_stride, grads, steps, order, begin):  # type: ignore[no-untyped-def]
    """target[unit[e]] += grads[k * source_stride + m] over the events e of all samples m at all steps k.

    Events are sorted by unit first, so that a row of `target` is loaded and stored once: with many events a unit
    that halves the traffic. Two panels at a time, since that much of `grads` fits in the first-level cache. The
    events of (m, k) are at pointer[start + m * sample_stride + k] and the next.

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
    flat_target, flat_grads, n = target.reshape(-1), grads.reshape(-1), 0
    while n < width:
        two = n + 2 * panel <= width
        first = 0
        for c in range(units):
            last = begin[c]
            if last > first:
                if two:
                    _gather_two(flat_target, c * width + n, flat_grads, n, width, order, first, last)
                else:
                    _gather(flat_target, c * width + n, flat_grads, n, width, order, first, last)
            first = last
        n += 2 * panel if two else panel
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


def append_of(comparison: str, absolute: bool) -> Any:
    """Make the search for the numbers of a row that compare so with a bound."""
    bits = bits_of(comparison, absolute)

    @inner_function
    def append(x, bound, place, used):  # type: ignore[no-untyped-def]
        """Append to `place`, from `used` on, every n whose x[n] is found; returns where they end."""
        lanes = PANEL_BYTES // x.itemsize
        for start in range(0, len(x), 64):
            word = np.uint64(0)
            for n in range(start, min(start + 64, len(x)), lanes):
                word |= bits(x, n, bound) << np.uint64(n - start)
            while word != 0:
                place[used] = start + trailing_zeros(word)
                used += 1
                word &= word - np.uint64(1)
        return used

    return append


append_above, append_within = append_of(">", False), append_of("<=", True)
