"""Delayed connections: every spike is scheduled into the bins in which it arrives, and the adjoint of that.

The current that is on its way to the neurons of one sample lies in rows of time, pending[neuron, step], so that the
bins of one arrival are neighbours. Its cost is that of the spikes times the neurons they reach times the bins of an
arrival; how long the delays are does not matter.

In the backward pass the gradients of the currents that are still ahead are kept as ahead[neuron, step, sample], for the
steps of a chunk and as many later ones as a delay is long. A spike's gradient is a sum over them at the places where
the spike arrived, for all samples of the block in one vector; weights take theirs from one sample's rows of time.
"""

from typing import Any

import numpy as np

from snnrun.engine.cpu.compile import inner_function
from snnrun.engine.cpu.simd import PANEL_BYTES
from snnrun.engine.cpu.simd_late import add_arrivals_of, gather_of, scatter_of

ROWS_AT_ONCE = 48  # rows of time that stay in the first-level cache
NEURONS_AT_ONCE = 8  # whose rows `ahead` are in the first-level cache while all senders are gone through


def padded_taps(bins: int) -> int:
    """Bins of an arrival as the loops take them: two, four or a multiple of eight."""
    return 2 if bins <= 2 else 4 if bins <= 4 else -(-bins // 8) * 8


def _send(taps: int | None, spikes: int) -> Any:
    """`send` for `spikes` spikes of one sender, and as many taps (None: any multiple of 8)."""
    lanes = 8 if taps is None else taps
    scatter = scatter_of(lanes, spikes)

    @inner_function
    def few(pending, at, flat, weight, offsets, place, neurons, taps):  # type: ignore[no-untyped-def]
        for n in range(neurons):
            scatter(pending, moved(at, offsets[place + n]), flat, weight + lanes * n)

    @inner_function
    def many(pending, at, flat, weight, offsets, place, neurons, taps):  # type: ignore[no-untyped-def]
        for n in range(neurons):
            for r in range(0, taps, lanes):
                scatter(pending, moved(at, offsets[place + n] + r), flat, weight + taps * n + r)

    moved = _moved[spikes]
    return many if taps is None else few


def _collect(taps: int | None, spikes: int) -> Any:
    """The adjoint of `_send` for the weights."""
    lanes = 8 if taps is None else taps
    gather = gather_of(lanes, spikes)

    @inner_function
    def few(rows, at, grads, weight, offsets, place, neurons, taps):  # type: ignore[no-untyped-def]
        for n in range(neurons):
            gather(grads, weight + lanes * n, rows, moved(at, offsets[place + n]))

    @inner_function
    def many(rows, at, grads, weight, offsets, place, neurons, taps):  # type: ignore[no-untyped-def]
        for n in range(neurons):
            for r in range(0, taps, lanes):
                gather(grads, weight + taps * n + r, rows, moved(at, offsets[place + n] + r))

    moved = _moved[spikes]
    return many if taps is None else few


@inner_function
def _moved_one(at, by):  # type: ignore[no-untyped-def]
    return (at[0] + by,)


@inner_function
def _moved_four(at, by):  # type: ignore[no-untyped-def]
    return at[0] + by, at[1] + by, at[2] + by, at[3] + by


_moved = {1: _moved_one, 4: _moved_four}
_send2, _send4, _send8 = (_send(taps, 1) for taps in (2, 4, None))
_send2_four, _send4_four, _send8_four = (_send(taps, 4) for taps in (2, 4, None))
_collect2, _collect4, _collect8 = (_collect(taps, 1) for taps in (2, 4, None))
_collect2_four, _collect4_four, _collect8_four = (_collect(taps, 4) for taps in (2, 4, None))


@inner_function
def send(pending, at, flat, weight, offsets, place, neurons, taps):  # type: ignore[no-untyped-def]
    """Schedule a spike: its weights, from `weight` on in `flat`, into the bins of `pending` at `at[0]` + offsets."""
    if taps == 2:
        _send2(pending, at, flat, weight, offsets, place, neurons, taps)
    elif taps == 4:
        _send4(pending, at, flat, weight, offsets, place, neurons, taps)
    else:
        _send8(pending, at, flat, weight, offsets, place, neurons, taps)


@inner_function
def send_four(pending, at, flat, weight, offsets, place, neurons, taps):  # type: ignore[no-untyped-def]
    """`send` for four spikes of one sender, which loads its weights once."""
    if taps == 2:
        _send2_four(pending, at, flat, weight, offsets, place, neurons, taps)
    elif taps == 4:
        _send4_four(pending, at, flat, weight, offsets, place, neurons, taps)
    else:
        _send8_four(pending, at, flat, weight, offsets, place, neurons, taps)


@inner_function
def collect(rows, at, grads, weight, offsets, place, neurons, taps):  # type: ignore[no-untyped-def]
    """The adjoint of `send` for the weights: add to their gradients those of the bins in which the spike arrived."""
    if taps == 2:
        _collect2(rows, at, grads, weight, offsets, place, neurons, taps)
    elif taps == 4:
        _collect4(rows, at, grads, weight, offsets, place, neurons, taps)
    else:
        _collect8(rows, at, grads, weight, offsets, place, neurons, taps)


@inner_function
def collect_four(rows, at, grads, weight, offsets, place, neurons, taps):  # type: ignore[no-untyped-def]
    """`collect` for four spikes of one sender, which loads and stores the gradients once."""
    if taps == 2:
        _collect2_four(rows, at, grads, weight, offsets, place, neurons, taps)
    elif taps == 4:
        _collect4_four(rows, at, grads, weight, offsets, place, neurons, taps)
    else:
        _collect8_four(rows, at, grads, weight, offsets, place, neurons, taps)


@inner_function
def by_sender(pointer, unit, begin, first, last, senders):  # type: ignore[no-untyped-def]
    """Spikes of the steps first <= t < last, whose pointers begin at `begin`, by sender.

    Returns:
        The steps of the spikes of sender i, step[bounds[i]:bounds[i + 1]], as two arrays (bounds, step).
    """
    bounds = np.zeros(senders + 2, np.int64)
    for e in range(pointer[begin + first], pointer[begin + last]):
        bounds[unit[e] + 2] += 1
    for i in range(2, senders + 2):
        bounds[i] += bounds[i - 1]
    step = np.empty(bounds[senders + 1], np.int64)
    for t in range(first, last):
        for e in range(pointer[begin + t], pointer[begin + t + 1]):
            place = bounds[unit[e] + 1]
            step[place] = t
            bounds[unit[e] + 1] = place + 1
    return bounds, step


@inner_function
def send_all(  # type: ignore[no-untyped-def]
    pending, at, flat, weight, offsets, place, senders, neurons, width, taps, pointer, unit, begin, first, last
):
    """Schedule the spikes of the steps first <= t < last, whose pointers begin at `begin`; step 0 is at `at`.

    Sender after sender, so that its weights are read once, and few neurons at a time, so that what is on its way to
    them stays in the first-level cache.
    """
    bounds, step = by_sender(pointer, unit, begin, first, last, senders)
    for n in range(0, neurons, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, neurons - n)
        for i in range(senders):
            own, quarter = i * width + n, (bounds[i + 1] - bounds[i]) // 4
            # Spikes far apart together: a bin that was just written would be waited for.
            for e in range(bounds[i], bounds[i] + quarter):
                four = at + step[e], at + step[e + quarter], at + step[e + 2 * quarter], at + step[e + 3 * quarter]
                send_four(pending, four, flat, weight + own * taps, offsets, place + own, count, taps)
            for e in range(bounds[i] + 4 * quarter, bounds[i + 1]):
                send(pending, (at + step[e],), flat, weight + own * taps, offsets, place + own, count, taps)


@inner_function
def collect_all(  # type: ignore[no-untyped-def]
    rows, at, grads, weight, offsets, place, senders, neurons, width, taps, pointer, unit, begin, first, last
):
    """The adjoint of `send_all` for the weights."""
    bounds, step = by_sender(pointer, unit, begin, first, last, senders)
    for n in range(0, neurons, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, neurons - n)
        for i in range(senders):
            own, last_four = i * width + n, bounds[i + 1] - (bounds[i + 1] - bounds[i]) % 4
            for e in range(bounds[i], last_four, 4):
                four = at + step[e], at + step[e + 1], at + step[e + 2], at + step[e + 3]
                collect_four(rows, four, grads, weight + own * taps, offsets, place + own, count, taps)
            for e in range(last_four, bounds[i + 1]):
                collect(rows, (at + step[e],), grads, weight + own * taps, offsets, place + own, count, taps)


@inner_function
def take_step(drive, pending, pitch, neurons, step):  # type: ignore[no-untyped-def]
    """drive += what arrives at `step`."""
    for n in range(neurons):
        drive[n] += pending[n * pitch + step]


@inner_function
def turn(pending, pitch, neurons, steps):  # type: ignore[no-untyped-def]
    """Let `steps` steps pass: what lies behind them comes to the front of every row, and zeros after it."""
    zero = pending.dtype.type(0)
    for n in range(neurons):
        row = pending[n * pitch : (n + 1) * pitch]
        row[: pitch - steps] = row[steps:]
        row[pitch - steps :] = zero


@inner_function
def turn_back(ahead, pitch, lanes, neurons, steps, span):  # type: ignore[no-untyped-def]
    """Go `steps` steps back: the first `span` steps of every row are now those behind `steps` steps."""
    for n in range(neurons):
        for k in range(span - 1, -1, -1):
            here, there = (n * pitch + k) * lanes, (n * pitch + k + steps) * lanes
            ahead[there : there + lanes] = ahead[here : here + lanes]


@inner_function
def put_step(ahead, pitch, lanes, step, grads, samples, neurons):  # type: ignore[no-untyped-def]
    """Write the gradients (samples, neurons) of the currents of one step into `ahead`."""
    for n in range(neurons):
        for m in range(samples):
            ahead[(n * pitch + step) * lanes + m] = grads[m, n]


@inner_function
def rows_of_sample(rows, ahead, pitch, lanes, neurons, m, steps):  # type: ignore[no-untyped-def]
    """The rows of time (neurons, steps) of sample m in `ahead`."""
    for n in range(neurons):
        for k in range(steps):
            rows[n * pitch + k] = ahead[(n * pitch + k) * lanes + m]


_add_pairs, _add_spans = add_arrivals_of(unrolled=True), add_arrivals_of(unrolled=False)


@inner_function
def add_spike_gradients(  # type: ignore[no-untyped-def]
    grad_s, ahead, step, lanes, offsets, place, flat, weight, senders, neurons, width, taps, total
):
    """The adjoint of `send` for the spikes: grad_s (samples, senders) += their gradients through what they arrived at.

    `step` is that of the spikes in `ahead`; `total` is work space (senders * lanes,).
    """
    panel = PANEL_BYTES // total.itemsize
    total[: senders * lanes] = total.dtype.type(0)
    for n in range(0, neurons, NEURONS_AT_ONCE):
        count = min(NEURONS_AT_ONCE, neurons - n)
        for i in range(senders):
            begin = i * width + n
            for m in range(0, lanes, panel):
                if taps == 2:
                    _add_pairs(
                        total, i * lanes + m, ahead, step, lanes, m, offsets, place + begin, flat,
                        weight + begin * taps, count, 2,
                    )  # fmt: skip
                else:
                    _add_spans(
                        total, i * lanes + m, ahead, step, lanes, m, offsets, place + begin, flat,
                        weight + begin * taps, count, taps,
                    )  # fmt: skip
    for m in range(len(grad_s)):
        for i in range(senders):
            grad_s[m, i] += total[i * lanes + m]
