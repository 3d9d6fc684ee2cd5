"""One layer over a chunk of steps in the backward scan of the CPU engine: forward again, and back.

Rows of a chunk stand at [step in the chunk, sample]; samples are padded to whole tiles with rows that stay 0.
"""

from typing import Any

from snnrun.engine.cpu.compile import inner_function, row_function
from snnrun.engine.cpu.derivatives import cut_row, derivative_row, differentiate, list_near
from snnrun.engine.cpu.forward import copy_row, set_at
from snnrun.engine.cpu.late import add_spike_gradients, put_step, send_all, take_step
from snnrun.engine.cpu.layout import matrix, rules_of
from snnrun.engine.cpu.products import add_rows_of_steps, multiply, multiply_at
from snnrun.engine.cpu.rows import RowLoops

# Places are listed in two bytes.
MOST_LISTED = 2**16
# A product at single places costs this many times a place of the dense product, measured at 200 neurons.
SINGLE_COST = 3


@row_function
def add_row(target, source):  # type: ignore[no-untyped-def]
    """target += source, over the length of source."""
    for n in range(len(source)):
        target[n] += source[n]


@row_function
def multiply_row(target, a, b):  # type: ignore[no-untyped-def]
    """target = a * b, elementwise."""
    for n in range(len(target)):
        target[n] = a[n] * b[n]


def layer_chunk(loops: RowLoops, late: bool) -> tuple[Any, Any]:
    """Make (recompute, chunk) for a neuron model, `late` with delays."""
    advance, rows, constant_rows = loops.advance, loops.rows, loops.constant_rows
    retreat, retreat_constants = loops.retreat, loops.retreat_constants

    @inner_function
    def recompute(  # type: ignore[no-untyped-def]
        layer, flat, pointer, unit, start, current, fired_pointer, fired, steps, first, last, checkpoint, keep,
        path, s, drive, x, offsets, pitch, span, pending, kept,
    ):  # fmt: skip
        """Run the steps first <= t < last again: x (steps, samples, width), and the states `path` if `keep` is 1.

        path[k] (states, samples, width) is the state before step first + k; if not kept, all are path[0]. With delays
        the currents are `kept` (samples, steps, width), or, where that is empty, the spikes of the `span` steps before
        are sent again, as some of them arrive in these.
        """
        width, samples = layer.width, checkpoint.shape[1]
        constants = constant_rows(matrix(flat, layer.constants, layer.constant_rows, width))
        rules = rules_of(layer)
        zero = layer.one - layer.one
        if kept.size == 0:
            # The currents of all steps at once, without those of delayed spikes; they lie in x until each step has
            # taken its own and puts the distance from the threshold there.
            for m in range(samples):
                for k in range(last - first):
                    x[k, m] = zero
                    if layer.inputs == 0 and current.size > 0:
                        copy_row(x[k, m], current[m, first + k])
            if layer.inputs > 0 and layer.taps == 0:
                now, begin = x[: last - first], start + first
                add_rows_of_steps(now, flat, layer.weight, layer.inputs, unit, pointer, begin, steps, samples)
            if layer.senders > 0 and layer.recurrent_taps == 0:
                skipped = 1 if first == 0 else 0
                now, begin = x[skipped : last - first], first + skipped - 1
                add_rows_of_steps(
                    now, flat, layer.recurrent, layer.senders, fired, fired_pointer, begin, steps, samples
                )  # fmt: skip
        for m in range(samples):
            path[0, :, m] = checkpoint[:, m]
            s[:] = zero
            if late and layer.late and kept.size == 0:
                # Step `first` is at the place `span` of every row.
                pending[: layer.neurons * pitch] = zero
                back = min(span, first)
                if layer.taps > 0:
                    send_all(
                        pending, span, flat, layer.weight, offsets, layer.offsets, layer.inputs, layer.neurons, width,
                        layer.taps, pointer, unit, start + m * steps + first, -back, last - first,
                    )  # fmt: skip
                if layer.recurrent_taps > 0:
                    send_all(
                        pending, span + 1, flat, layer.recurrent, offsets, layer.recurrent_offsets, layer.senders,
                        layer.neurons, width, layer.recurrent_taps, fired_pointer, fired, m * steps + first, -back,
                        last - first,
                    )  # fmt: skip
            for k in range(last - first):
                at = m * steps + first + k
                before = after = fired_pointer[at]
                if first + k > 0:
                    before = fired_pointer[at - 1]
                if late and kept.size > 0:
                    copy_row(drive, kept[m, first + k])
                else:
                    copy_row(drive, x[k, m])
                    if late and layer.late:
                        take_step(drive, pending, pitch, layer.neurons, span + k)
                set_at(s, fired, before, after, layer.one)
                advance(constants, rules, rows(path[k * keep], m), rows(path[(k + 1) * keep], m), s, drive, x[k, m])
                set_at(s, fired, before, after, zero)

    @inner_function
    def spike_gradients(layer, panels, flat, above, above_start, depth, own, place, bounds, sparse, grad_s):  # type: ignore[no-untyped-def]
        """Gradients (samples, width) of the spikes of one step, through the layer above and through the recurrence.

        `above` are the gradients of the currents of the layer above at this step, `own` of this layer's one step
        later. If `sparse`, only for the neurons at `place` and `bounds`, as in `products.multiply_at`, and 0 elsewhere.
        """
        if sparse:
            grad_s[:] = layer.one - layer.one
            if depth > 0:
                multiply_at(above, flat, above_start, grad_s, place, bounds)
            if layer.send_back:
                multiply_at(own, flat, layer.recurrent, grad_s, place, bounds)
            return
        if depth > 0:
            multiply(above, depth, panels, layer.above_panels, grad_s, False)
        else:
            grad_s[:] = layer.one - layer.one
        if layer.send_back:
            multiply(own, layer.neurons, panels, layer.recurrent_panels, grad_s, True)

    @inner_function
    def chunk(  # type: ignore[no-untyped-def]
        layer, flat, panels, fired_pointer, fired, steps, first, last, path, keep, x, above, above_start, depth,
        grad_counts, grad_state, grad_s_later, grad_current, h, grad_s, s, bounds, grads, upper, ahead_above,
        ahead, offsets, pitch, lanes, total, active_pointer, place, derivative,
    ):  # fmt: skip
        """Go back through the steps of a chunk: grad_current[k] for k < steps of the chunk; returns the active places.

        grad_current[last - first] is that of the next chunk's first step; `grad_state` and `grad_s_later` (the
        gradient of the spikes through the next step of their own neuron) carry from chunk to chunk. With delays in
        the layer above, `upper` is its record and `depth` 0; `ahead_above` and `ahead` are as in `late`. Where the
        forward scan has listed the active neurons, `place` and `derivative` are its lists and `x` is not read; else
        they are work space for those of one step. `bounds` is (samples, 2).
        """
        width, samples = layer.width, grad_s_later.shape[0]
        constants = constant_rows(matrix(flat, layer.constants, layer.constant_rows, width))
        targets = constant_rows(matrix(grads, layer.constants, layer.constant_rows, width))
        rules = rules_of(layer)
        zero = layer.one - layer.one
        cut, listed = layer.threshold > zero, active_pointer[0] >= 0
        few = cut and layer.neurons <= MOST_LISTED
        total_left = 0
        h[:] = zero
        if listed:
            for m in range(samples):
                for q in range(active_pointer[m * steps + first], active_pointer[m * steps + last]):
                    total_left += derivative[q] != zero
        for k in range(last - first - 1, -1, -1):
            left = 0
            for m in range(samples):
                if not few:
                    derivative_row(x[k, m], h[m], layer.curve, layer.slope, layer.height, layer.side)
                    if cut:
                        left += cut_row(h[m], layer.threshold, layer.neurons)
                elif listed:
                    at = m * steps + first + k
                    bounds[m, 0], bounds[m, 1] = active_pointer[at], active_pointer[at + 1]
                    left += bounds[m, 1] - bounds[m, 0]
                else:
                    bounds[m, 0] = left
                    left = list_near(x[k, m], layer.reach, place, derivative, left)
                    bounds[m, 1] = left
            if not few:
                total_left += left
            elif not listed:
                total_left += differentiate(layer, place, derivative, 0, left, x[k, 0])
            sparse = few and left * SINGLE_COST <= samples * layer.neurons
            # Then the gradients of spikes are 0 but for the listed ones.
            alone = sparse and not (layer.carries or grad_counts.size > 0 or upper.taps > 0 or layer.send_late)
            spike_gradients(
                layer, panels, flat, above[k], above_start, depth, grad_current[k + 1], place, bounds, sparse, grad_s
            )
            if late and upper.taps > 0:
                add_spike_gradients(
                    grad_s[:samples], ahead_above, k, lanes, offsets, upper.offsets, flat, upper.weight, layer.neurons,
                    upper.neurons, upper.width, upper.taps, total,
                )  # fmt: skip
            if late and layer.send_late:
                add_spike_gradients(
                    grad_s[:samples], ahead, k + 1, lanes, offsets, layer.recurrent_offsets, flat, layer.recurrent,
                    layer.neurons, layer.neurons, width, layer.recurrent_taps, total,
                )  # fmt: skip
            for m in range(samples):
                if grad_counts.size > 0:
                    add_row(grad_s[m], grad_counts[m, layer.below : layer.below + width])
                if layer.carries:
                    add_row(grad_s[m], grad_s_later[m])
                if alone:
                    for q in range(bounds[m, 0], bounds[m, 1]):
                        grad_s[m, place[q]] *= derivative[q]
                else:
                    if few:
                        for q in range(bounds[m, 0], bounds[m, 1]):
                            h[m, place[q]] = derivative[q]
                    multiply_row(grad_s[m], grad_s[m], h[m])
                    if few:
                        set_at(h[m], place, bounds[m, 0], bounds[m, 1], zero)
                at = m * steps + first + k
                before = after = fired_pointer[at]
                if first + k > 0:
                    before = fired_pointer[at - 1]
                set_at(s, fired, before, after, layer.one)
                old, new = rows(path[k * keep], m), rows(path[(k + 1) * keep], m)
                carried = rows(grad_state, m)
                if layer.trained:
                    retreat_constants(
                        constants, rules, old, new, s, grad_s[m], carried, grad_s_later[m], grad_current[k, m], targets
                    )
                else:
                    retreat(constants, rules, old, new, s, grad_s[m], carried, grad_s_later[m], grad_current[k, m])
                set_at(s, fired, before, after, zero)
            if late and layer.late:
                put_step(ahead, pitch, lanes, k, grad_current[k], samples, layer.neurons)
        return total_left

    return recompute, chunk
