"""The readout of the CPU engine, over the samples of a block: leaky integrators, their adjoint, and their decays."""

from snnrun.engine.cpu.compile import inner_function, kernel, row_function
from snnrun.engine.cpu.forward import copy_row
from snnrun.engine.cpu.layout import matrix
from snnrun.engine.cpu.products import add_rows


@row_function
def integrate(f, o, decay_mem):  # type: ignore[no-untyped-def]
    """One step of the readout's filters after the input was added to f: o is a decayed sum of f."""
    for k in range(len(f)):
        o[k] = decay_mem[k] * (o[k] - f[k]) + f[k]


@row_function
def scale_row(row, factor):  # type: ignore[no-untyped-def]
    """row *= factor, elementwise."""
    for k in range(len(row)):
        row[k] *= factor[k]


@kernel("forward-readout")
def scan_readout(readout, flat, fired_pointer, fired, interval, checkpoints, work, output):  # type: ignore[no-untyped-def]
    """Readout of the last layer's spikes: output (samples, steps, outputs).

    `checkpoints` (chunks, samples, width), or empty, gets f before every `interval`-th step; `work` is (2, width).
    """
    samples, steps, outputs = output.shape
    width = readout.width
    decays = matrix(flat, readout.decays, 2, width)
    f, o = work[0], work[1]
    zero = f.dtype.type(0)
    for m in range(samples):
        f[:] = zero
        o[:] = zero
        for t in range(steps):
            if checkpoints.size > 0 and t % interval == 0:
                checkpoints[t // interval, m] = f
            scale_row(f, decays[1])
            at = m * steps + t
            add_rows(f, 0, flat, readout.weight, width, width, fired, fired_pointer[at], fired_pointer[at + 1])
            integrate(f, o, decays[0])
            copy_row(output[m, t], o[:outputs])


@row_function
def readout_adjoint(grad_o, grad_f, given, decay_syn, decay_mem, grad_drive):  # type: ignore[no-untyped-def]
    """One step back through the readout's filters; grad_o and grad_f carry, grad_drive is the gradient of S W."""
    for k in range(len(given)):
        grad_o[k] = given[k] + decay_mem[k] * grad_o[k]
        grad_f[k] = grad_o[k] - decay_mem[k] * grad_o[k] + decay_syn[k] * grad_f[k]
        grad_drive[k] = grad_f[k]


@inner_function
def readout_chunk(decays, grad_output, first, last, carry, grad_drive):  # type: ignore[no-untyped-def]
    """The readout's adjoint over the steps first <= t < last: grad_drive (steps, samples, width)."""
    for m in range(len(grad_output)):
        for t in range(last - 1, first - 1, -1):
            given = grad_output[m, t]
            readout_adjoint(carry[0, m], carry[1, m], given, decays[1], decays[0], grad_drive[t - first, m])


@inner_function
def decay_gradients(  # type: ignore[no-untyped-def]
    readout, flat, fired_pointer, fired, first, last, checkpoint, output, carry, grad_output, grads, f
):
    """Add the gradients of the readout's decays over a chunk; `carry` is the adjoint's before the chunk."""
    flat_f = f.reshape(-1)
    decays = matrix(flat, readout.decays, 2, readout.width)
    target = matrix(grads, readout.decays, 2, readout.width)
    samples, steps, outputs = output.shape
    one = f.dtype.type(1)
    zero = f.dtype.type(0)
    for m in range(samples):
        f[0] = checkpoint[m]
        for k in range(last - first):
            copy_row(f[k + 1], f[k])
            scale_row(f[k + 1], decays[1])
            at = m * steps + first + k
            first_event, last_event = fired_pointer[at], fired_pointer[at + 1]
            width = readout.width
            add_rows(flat_f, (k + 1) * width, flat, readout.weight, width, width, fired, first_event, last_event)
        for n in range(outputs):
            grad_o, grad_f = carry[0, m, n], carry[1, m, n]
            for t in range(last - 1, first - 1, -1):
                grad_o = grad_output[m, t, n] + decays[0, n] * grad_o
                grad_f = (one - decays[0, n]) * grad_o + decays[1, n] * grad_f
                before = output[m, t - 1, n] if t > 0 else zero
                target[0, n] += grad_o * (before - f[t - first + 1, n])
                target[1, n] += grad_f * f[t - first, n]
