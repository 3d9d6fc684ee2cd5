"""The backward scan of the CPU engine: all layers and the readout, over the samples of a block.

Time is cut into chunks. From the last chunk to the first, the readout's adjoint gives a gradient for the current of
each output; then each layer from the top down runs forward again through the chunk from its checkpoint and backward
through it, and leaves the gradients of its currents for the layer below. Nothing longer than a chunk is ever kept.

Rows of a chunk stand at [step in the chunk, sample]; samples are padded to whole tiles with rows that stay 0.
"""

from typing import Any

import numpy as np

from snnrun.engine.cpu.adjoint import layer_chunk
from snnrun.engine.cpu.compile import inner_function, kernel
from snnrun.engine.cpu.forward import copy_row
from snnrun.engine.cpu.late import collect_all, rows_of_sample, turn_back
from snnrun.engine.cpu.layout import matrix
from snnrun.engine.cpu.products import add_outer
from snnrun.engine.cpu.readout import decay_gradients, readout_chunk
from snnrun.engine.cpu.rows import RowLoops
from snnrun.engine.cpu.simd import PANEL_BYTES


@inner_function
def take(work, used, count):  # type: ignore[no-untyped-def]
    """The next `count` places of the work space, and where the rest begins."""
    return work[used : used + count], used + count


def layer_retreat(name: str, loops: RowLoops, states: int, late: bool) -> Any:
    """Make the backward scan for a neuron model with so many state variables, `late` with delays."""
    recompute, chunk = layer_chunk(loops, late)

    @kernel(f"backward-{name}-late" if late else f"backward-{name}")
    def scan(  # type: ignore[no-untyped-def]
        table, readout, flat, panels, pointer, unit, start, current, fired_pointer, fired, interval, checkpoints,
        readout_checkpoints, output, grad_output, grad_counts, samples, padded_samples, work, grads, grad_inputs,
        grad_initial, left, offsets, pitch, span, nothing, kept_all, active_pointer, active, derivative,
    ):  # fmt: skip
        """Go back through a block of samples.

        Args:
            table, readout, flat, panels: see `Layout`.
            pointer, unit, start, current: what enters the first layer, as in the forward scan.
            fired_pointer: (layers, samples * steps + 1), and fired: the spikes of every layer.
            interval: steps of a chunk.
            checkpoints: flat, (chunks, states, samples, width) of one layer after the other; empty if all are listed.
            readout_checkpoints: (chunks, samples, width), or empty if no decay of the readout is trained.
            output, grad_output: (samples, steps, outputs) of the readout.
            grad_counts: (samples, total width), gradients of the counts of spikes, or empty.
            samples, padded_samples: samples of the block, and that rounded up to whole tiles.
            work: see `work_size`.
            grads: flat like the weights; gradients are added to it.
            grad_inputs: (samples, steps, neurons) for the gradient of `current`, or empty.
            grad_initial: flat, (states, samples, width) of one layer after the other: the gradients of initial states.
            left: (layers,) gets the number of neuron-steps whose surrogate derivative is not cut.
            offsets, pitch: as in the forward scan.
            span: steps that a spike may take to its last bin.
            nothing: one record of a layer without delays, which stands above the last layer.
            kept_all: flat, (samples, steps, width) of one layer after the other: currents, kept or empty.
            active_pointer, active, derivative: as in the forward scan, for every layer like the spikes; a layer that
                is not listed has active_pointer[layer, 0] = -1.
        """
        layers = len(table)
        steps = (fired_pointer.shape[1] - 1) // samples
        total_width = table[layers - 1].below + table[layers - 1].width
        chunks = (steps + interval - 1) // interval
        widest = table[0].width
        for layer in table:
            widest = max(widest, layer.width)
        plane = padded_samples * widest
        x_work, used = take(work, 0, interval * plane)
        path_work, used = take(work, used, (interval + 1) * states * plane)
        h_work, used = take(work, used, plane)
        grad_s_work, used = take(work, used, plane)
        s_work, used = take(work, used, widest)
        drive_work, used = take(work, used, widest)
        own_work, used = take(work, used, (interval + 1) * plane)
        above_work, used = take(work, used, (interval + 1) * max(plane, padded_samples * readout.width))
        later, used = take(work, used, padded_samples * total_width)
        carried_s, used = take(work, used, samples * total_width)
        carry_work, used = take(work, used, 2 * samples * readout.width)
        f_work, used = take(work, used, (interval + 1) * readout.width)
        zero = table[0].one - table[0].one
        s_work[:] = zero
        own_work[:] = zero
        above_work[:] = zero
        later[:] = zero
        carried_s[:] = zero
        carry_work[:] = zero
        grad_initial[:] = zero
        carry = carry_work.reshape(2, samples, readout.width)
        found, found_derivative = np.empty(samples * widest, np.uint16), np.empty(samples * widest, work.dtype)
        bounds = np.empty((samples, 2), np.int64)
        order = np.empty(1024, np.int32)
        largest = widest
        for layer in table:
            largest = max(largest, layer.inputs)
        begin = np.empty(largest + 1, np.int64)
        panel = PANEL_BYTES // work.itemsize
        lanes = (samples + panel - 1) // panel * panel
        pending = np.empty(widest * pitch, work.dtype)  # no place without delays: pitch is 0
        ahead_all = np.zeros(total_width * pitch * lanes, work.dtype)
        total = np.empty(widest * lanes, work.dtype)
        for c in range(chunks - 1, -1, -1):
            first, last = c * interval, min(steps, (c + 1) * interval)
            length = last - first
            depth, stride, above_start = readout.outputs, readout.width, readout.weight
            above_flat = above_work
            if depth > 0:
                drive = matrix(above_flat, 0, interval * padded_samples, stride)
                if readout.trained:
                    decay_gradients(
                        readout, flat, fired_pointer[layers - 1], fired, first, last, readout_checkpoints[c], output,
                        carry, grad_output, grads, matrix(f_work, 0, interval + 1, stride),
                    )  # fmt: skip
                readout_chunk(
                    matrix(flat, readout.decays, 2, stride), grad_output, first, last, carry,
                    drive.reshape(interval, padded_samples, stride),
                )  # fmt: skip
                order = add_outer(
                    matrix(grads, readout.weight, readout.senders, stride), fired_pointer[layers - 1], fired,
                    first, samples, steps, padded_samples, drive, length, order, begin,
                )  # fmt: skip
            own_flat = own_work
            upper, ahead_above = nothing[0], ahead_all[:0]
            for number in range(layers - 1, -1, -1):
                layer = table[number]
                width, below = layer.width, layer.below
                keep = 1 if layer.trained or layer.remembers or layer.through > zero else 0
                saved = states * samples * chunks * below + c * states * samples * width
                x = x_work[: interval * padded_samples * width].reshape(interval, padded_samples, width)
                path = path_work[: (interval + 1) * states * padded_samples * width].reshape(
                    interval + 1, states, padded_samples, width
                )
                own = own_flat[: (interval + 1) * padded_samples * width].reshape(interval + 1, padded_samples, width)
                above = above_flat[: interval * padded_samples * stride].reshape(interval, padded_samples, stride)
                h = h_work[: padded_samples * width].reshape(padded_samples, width)
                grad_s = grad_s_work[: padded_samples * width].reshape(padded_samples, width)
                lowest = number == 0
                entering, entered = (pointer, unit) if lowest else (fired_pointer[number - 1], fired)
                begins = start if lowest else 0
                own_fired = fired_pointer[number]
                listed = active_pointer[number, 0] >= 0
                places, slopes = (active, derivative) if listed else (found, found_derivative)
                held = kept_all[samples * steps * below : samples * steps * (below + width)]
                kept = held.reshape(samples, len(held) // (samples * width), width)
                if not listed:
                    checkpoint = checkpoints[saved : saved + states * samples * width].reshape(states, samples, width)
                    recompute(
                    layer, flat, entering, entered, begins, current, own_fired, fired, steps, first, last, checkpoint,
                    keep, path, s_work[:width], drive_work[:width], x, offsets, pitch, span, pending, kept,
                )  # fmt: skip
                place = below * pitch * lanes
                ahead = ahead_all[place : place + width * pitch * lanes]
                if late and layer.late and c < chunks - 1:
                    turn_back(ahead, pitch, lanes, layer.neurons, interval, span + 1)
                own[length] = later[padded_samples * below : padded_samples * (below + width)].reshape(
                    padded_samples, width
                )
                initial = states * samples * below
                grad_state = grad_initial[initial : initial + states * samples * width].reshape(states, samples, width)
                left[number] += chunk(
                    layer, flat, panels, own_fired, fired, steps, first, last, path, keep, x, above, above_start, depth,
                    grad_counts, grad_state, carried_s[samples * below : samples * (below + width)].reshape(
                        samples, width
                    ), own, h, grad_s, s_work[:width], bounds, grads, upper, ahead_above, ahead, offsets, pitch, lanes,
                    total, active_pointer[number], places, slopes,
                )  # fmt: skip
                later[padded_samples * below : padded_samples * (below + width)] = own[0].reshape(-1)
                table_rows = own.reshape((interval + 1) * padded_samples, width)
                if late and layer.late:
                    begin_own = begins + first
                    for m in range(samples):
                        rows_of_sample(pending, ahead, pitch, lanes, layer.neurons, m, length + span + 1)
                        if layer.taps > 0:
                            collect_all(
                                pending, 0, grads, layer.weight, offsets, layer.offsets, layer.inputs, layer.neurons,
                                width, layer.taps, entering, entered, begin_own + m * steps, 0, length,
                            )  # fmt: skip
                        if layer.recurrent_taps > 0:
                            collect_all(
                                pending, 1, grads, layer.recurrent, offsets, layer.recurrent_offsets, layer.senders,
                                layer.neurons, width, layer.recurrent_taps, own_fired, fired, m * steps + first, 0,
                                length,
                            )  # fmt: skip
                if layer.inputs > 0 and layer.taps == 0:
                    order = add_outer(
                        matrix(grads, layer.weight, layer.inputs, width), entering, entered, begins + first,
                        samples, steps, padded_samples, table_rows, length, order, begin,
                    )  # fmt: skip
                elif layer.inputs == 0 and grad_inputs.size > 0:
                    for m in range(samples):
                        for k in range(length):
                            copy_row(grad_inputs[m, first + k], own[k, m, : layer.neurons])
                if layer.senders > 0 and layer.recurrent_taps == 0:
                    # The spikes of one step earlier entered; none came before the first step.
                    skipped = 1 if first == 0 else 0
                    order = add_outer(
                        matrix(grads, layer.recurrent, layer.senders, width), own_fired, fired, first + skipped - 1,
                        samples, steps, padded_samples, table_rows[skipped * padded_samples :], length - skipped,
                        order, begin,
                    )  # fmt: skip
                depth, stride, above_start = 0 if layer.taps > 0 else layer.neurons, width, layer.weight
                upper, ahead_above = layer, ahead
                own_flat, above_flat = above_flat, own_flat

    return scan


def work_size(table: Any, readout: Any, states: int, samples: int, padded_samples: int, interval: int) -> int:
    """Length of the work space of the backward scan."""
    widest, total = int(table["width"].max()), int(table["width"].sum())
    plane, output_width = padded_samples * widest, int(readout["width"])
    return (
        interval * plane + (interval + 1) * states * plane + 2 * plane + 2 * widest + (interval + 1) * plane
        + (interval + 1) * max(plane, padded_samples * output_width) + padded_samples * total + samples * total
        + 2 * samples * output_width + (interval + 1) * output_width
    )  # fmt: skip
