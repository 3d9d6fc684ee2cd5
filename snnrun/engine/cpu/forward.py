"""The forward scan of the CPU engine: one layer, or the readout, over the samples of a block."""

from typing import Any

from snnrun.engine.cpu.compile import inner_function, kernel, row_function
from snnrun.engine.cpu.derivatives import differentiate, list_near
from snnrun.engine.cpu.late import send, send_all, take_step, turn
from snnrun.engine.cpu.layout import matrix, rules_of
from snnrun.engine.cpu.products import add_rows, add_rows_of_steps, append_above
from snnrun.engine.cpu.rows import RowLoops


@inner_function
def set_at(row, place, first, last, value):  # type: ignore[no-untyped-def]
    """row[place[q]] = value for first <= q < last."""
    for q in range(first, last):
        row[place[q]] = value


@row_function
def copy_row(target, source):  # type: ignore[no-untyped-def]
    """target = source, over the length of source."""
    for n in range(len(source)):
        target[n] = source[n]


def layer_scan(name: str, loops: RowLoops, late: bool) -> Any:
    """Make the forward scan for a neuron model, `late` with delays."""
    advance, rows, constant_rows = loops.advance, loops.rows, loops.constant_rows

    @kernel(f"forward-{name}-late" if late else f"forward-{name}")
    def scan(  # type: ignore[no-untyped-def]
        layer, flat, pointer, unit, start, current, initial, interval, checkpoints, work, drives,
        fired_pointer, fired, counts, sample, offsets, pitch, pending, kept, active_pointer, active, derivative,
    ):  # fmt: skip
        """Scan the samples from `sample` on.

        Args:
            layer: a record of the layer table.
            flat: all weights and constants.
            pointer, unit: the events that enter; those of (m, t) are at pointer[start + m * steps + t] and the next.
            current: (samples, steps, neurons) if the layer has no weight, else empty.
            initial: (states, samples, width), or empty for zero.
            interval: steps between checkpoints.
            checkpoints: (chunks, states, samples, width), or empty: the state before every `interval`-th step.
            work: (states + 2, width).
            drives: (steps, 1, width), currents of so many steps at once.
            fired_pointer, fired: the spikes, laid out as the events are.
            counts: (samples, neurons), spikes of every neuron.
            offsets: for every delayed connection the place in `pending` of the first bin of a spike at step 0.
            pitch, pending: see `snnrun.engine.cpu.late`; (neurons, pitch), flat.
            kept: (samples, steps, width), or empty: gets the currents of a layer with delays.
            active_pointer, active, derivative: the neurons near the threshold, laid out as the events are, and their
                surrogate derivatives, 0 where cut; not listed if `active` is empty. Where it is too short,
                active_pointer[0] becomes -1 and they are listed no more.

        Returns:
            The sample for which `fired` may be too short (to be called again with a longer one), or all samples.
        """
        samples, neurons = counts.shape
        steps = (len(fired_pointer) - 1) // samples
        width, states = layer.width, len(work) - 2
        constants = constant_rows(matrix(flat, layer.constants, layer.constant_rows, width))
        rules = rules_of(layer)
        flat_drives = drives.reshape(-1)
        state = work[:states].reshape(states, 1, width)
        old, s, x = rows(state, 0), work[states], work[states + 1]
        summed = layer.inputs > 0 and layer.taps == 0
        listed = len(active) > 0 and active_pointer[0] == 0
        zero = layer.one - layer.one
        for m in range(sample, samples):
            used = fired_pointer[m * steps]
            if len(fired) - used < steps * neurons:
                return m
            state[:] = zero
            s[:] = zero
            if initial.size > 0:
                state[:, 0] = initial[:, m]
            last_used = used
            if late:
                pending[:] = zero
            for t in range(steps):
                k = t % interval
                if late and layer.late and k == 0:
                    if t > 0:
                        turn(pending, pitch, neurons, interval)
                    if layer.taps > 0:
                        send_all(
                            pending, 0, flat, layer.weight, offsets, layer.offsets, layer.inputs, neurons, width,
                            layer.taps, pointer, unit, start + m * steps + t, 0, min(interval, steps - t),
                        )  # fmt: skip
                if checkpoints.size > 0 and k == 0:
                    checkpoints[t // interval, :, m] = state[:, 0]
                ahead = t % len(drives) if summed else 0
                drive = drives[ahead, 0]
                if summed:
                    if ahead == 0:
                        now = drives[: min(len(drives), steps - t)]
                        now[:] = zero
                        first = start + m * steps + t
                        add_rows_of_steps(now, flat, layer.weight, layer.inputs, unit, pointer, first, steps, 1)
                else:
                    drive[:] = zero
                    if layer.inputs == 0 and current.size > 0:
                        copy_row(drive, current[m, t])
                if layer.senders > 0 and layer.recurrent_taps == 0:
                    add_rows(flat_drives, ahead * width, flat, layer.recurrent, width, width, fired, last_used, used)
                if late and layer.late:
                    take_step(drive, pending, pitch, neurons, k)
                if late and kept.size > 0:
                    copy_row(kept[m, t], drive)
                advance(constants, rules, old, old, s, drive, x)
                set_at(s, fired, last_used, used, zero)
                last_used = used
                used = append_above(x, zero, fired, used)
                set_at(s, fired, last_used, used, layer.one)
                for q in range(last_used, used):
                    counts[m, fired[q]] += layer.one
                fired_pointer[m * steps + t + 1] = used
                if listed:
                    begin = active_pointer[m * steps + t]
                    if len(active) - begin < width:
                        listed = False
                        active_pointer[0] = -1
                    else:
                        active_pointer[m * steps + t + 1] = list_near(x, layer.reach, active, derivative, begin)
                if late and layer.recurrent_taps > 0:
                    for q in range(last_used, used):
                        own, taps = fired[q] * width, layer.recurrent_taps
                        send(
                            pending, (k + 1,), flat, layer.recurrent + own * taps, offsets,
                            layer.recurrent_offsets + own, neurons, taps,
                        )  # fmt: skip
            if listed:
                differentiate(layer, active, derivative, active_pointer[m * steps], active_pointer[(m + 1) * steps], x)
        return samples

    return scan
