"""The loops over time, the same for every neuron model.

Arrays over time are (steps, batch, neurons), contiguous; `emitted` has one more row in front: the spikes before the
first step. A program owns a tile of samples and of neurons. With a recurrent matrix it is one sample and every neuron,
so that no program ever waits for another, every multiprocessor has work, and forward only the rows of neurons that
fired are read. The matrix stays in the caches. What a step reads from memory is asked for a step ahead.
"""

# Device code: compile-time arguments in capitals as is usual in Triton, which infers all other types itself.
# ruff: noqa: N803, RUF005
# mypy: disable-error-code="assignment"

import triton
import triton.language as tl

from snnrun.engine.triton.kernels.surrogates import derivative


@triton.jit
def load_all(pointer, plane, offsets, mask, COUNT: tl.constexpr):
    """Return a tuple of COUNT tiles that lie `plane` elements apart."""
    tiles = ()
    for k in tl.static_range(COUNT):
        tiles = tiles + (tl.load(pointer + k * plane + offsets, mask=mask, other=0.0),)
    return tiles


@triton.jit
def store_all(pointer, plane, offsets, mask, tiles, COUNT: tl.constexpr):
    """Store a tuple of COUNT tiles `plane` elements apart."""
    for k in tl.static_range(COUNT):
        tl.store(pointer + k * plane + offsets, tiles[k], mask=mask)


@triton.jit
def add_sums(totals, tiles, mask, COUNT: tl.constexpr):
    """Add the sum over samples of each of COUNT tiles to its total."""
    sums = ()
    for k in tl.static_range(COUNT):
        sums = sums + (totals[k] + tl.sum(tl.where(mask, tiles[k], 0.0), 1),)
    return sums


@triton.jit
def zeros_all(like, COUNT: tl.constexpr):
    """Return a tuple of COUNT zero tiles."""
    tiles = ()
    for _ in tl.static_range(COUNT):
        tiles = tiles + (tl.zeros_like(like),)
    return tiles


@triton.jit
def tile(batch, neurons, BLOCK_BATCH: tl.constexpr, BLOCK_NEURONS: tl.constexpr):
    """Return neurons, offsets and mask of this program's tile (neurons, samples)."""
    samples = tl.program_id(0) * BLOCK_BATCH + tl.arange(0, BLOCK_BATCH)
    columns = tl.program_id(1) * BLOCK_NEURONS + tl.arange(0, BLOCK_NEURONS)
    mask = (samples < batch)[None, :] & (columns < neurons)[:, None]
    return columns, samples[None, :] * neurons + columns[:, None], mask


@triton.jit
def list_spikes(spikes, columns, place):
    """Write the numbers of the neurons of one sample that fire, in their order, from `place` on; return how many.

    `spikes` is (neurons, 1), 0 or 1. The barrier makes the list visible to all threads of the program.
    """
    fired = spikes.to(tl.int32)
    rank = tl.cumsum(fired, 0)
    tl.store(place + rank - 1, columns[:, None], mask=fired > 0)
    tl.debug_barrier()
    return tl.sum(fired)


@triton.jit
def sum_of_rows(matrix, place, count, columns, STRIDE: tl.constexpr, UNROLL: tl.constexpr):
    """Return the sum (neurons, 1) of the `count` rows of a matrix whose numbers begin at `place`, in their order."""
    total = tl.zeros_like(columns).to(tl.float32)
    for first in range(0, count, UNROLL):
        for k in tl.static_range(UNROLL):
            there = first + k < count
            row = tl.load(place + first + k, mask=there, other=0)
            mask = there & (columns < STRIDE)
            total += tl.load(matrix + row.to(tl.int64) * STRIDE + columns, mask=mask, other=0.0).to(tl.float32)
    return total[:, None]


@triton.jit
def weighted_rows(
    matrix,
    weights,
    columns,
    neurons,
    STRIDE: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
):
    """Return the sum (neurons, 1) of all rows of a matrix times their weights, `neurons` numbers in global memory.

    They were stored by other threads of this program: the barrier makes them visible. Rows beyond the last are zero.
    """
    tl.debug_barrier()
    total = tl.zeros([BLOCK_ROWS, BLOCK_NEURONS], tl.float32)
    for first in range(0, neurons, BLOCK_ROWS):
        rows = first + tl.arange(0, BLOCK_ROWS)
        weight = tl.load(weights + rows, mask=rows < neurons, other=0.0)
        place = matrix + rows[:, None] * STRIDE + columns[None, :]
        values = tl.load(place, mask=(columns < STRIDE)[None, :], other=0.0).to(tl.float32)
        total = tl.fma(values, tl.broadcast_to(weight[:, None], values.shape), total)
    return tl.sum(total, 0)[:, None]


@triton.jit
def forward_kernel(
    current,
    emitted,
    carry,
    checkpoints,
    constants,
    recurrent,
    senders,
    batch,
    neurons,
    steps,
    STEP: tl.constexpr,
    STATES: tl.constexpr,
    CONSTANTS: tl.constexpr,
    RESET: tl.constexpr,
    SPIKING: tl.constexpr,
    RECURRENT: tl.constexpr,
    EVERY: tl.constexpr,
    STRIDE: tl.constexpr,
    BLOCK_BATCH: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
):
    """Scan `steps` steps forward.

    Args:
        current: (steps, batch, neurons) float32, without the recurrent part where RECURRENT.
        emitted: (steps + 1, batch, neurons), row 0 read, the others written: spikes as uint8, or x as float32 where
            the model does not spike.
        carry: (STATES, batch, neurons), state before the first step, replaced by that after the last.
        checkpoints: (ceil(steps / EVERY), STATES, batch, neurons), written: the state before every EVERY-th step.
        constants: (CONSTANTS, neurons).
        recurrent: (neurons, STRIDE) in the type of the product, row = sender; unused where not RECURRENT.
        senders: (2, batch, neurons) int32, work space: who fired in a step and in the one before.
    """
    columns, offsets, mask = tile(batch, neurons, BLOCK_BATCH, BLOCK_NEURONS)
    plane = tl.cast(batch, tl.int64) * neurons
    of_neuron = load_all(constants, neurons, columns[:, None], (columns < neurons)[:, None], CONSTANTS)
    state = load_all(carry, plane, offsets, mask, STATES)
    spikes = tl.zeros([BLOCK_NEURONS, BLOCK_BATCH], tl.float32)
    if SPIKING:
        spikes = tl.load(emitted + offsets, mask=mask, other=0).to(tl.float32)
    if RECURRENT:
        own = senders + tl.program_id(0) * neurons
        count = list_spikes(spikes, columns, own)
    ahead = tl.load(current + offsets, mask=mask, other=0.0)
    for t in range(steps):
        at = tl.cast(t, tl.int64) * plane
        if t % EVERY == 0:
            kept = tl.cast(t // EVERY, tl.int64) * STATES * plane
            store_all(checkpoints + kept, plane, offsets, mask, state, STATES)
        drive = ahead
        ahead = tl.load(current + at + plane + offsets, mask=mask & (t + 1 < steps), other=0.0)
        if RECURRENT:
            drive += sum_of_rows(recurrent, own + (t % 2) * plane, count, columns, STRIDE, BLOCK_ROWS)
        state, x = STEP(of_neuron, state, spikes, drive, RESET)
        if SPIKING:
            spikes = tl.where(x > 0, 1.0, 0.0)
            tl.store(emitted + at + plane + offsets, spikes.to(tl.uint8), mask=mask)
            if RECURRENT:
                # In turn into two lists: a thread may still be reading the other.
                count = list_spikes(spikes, columns, own + ((t + 1) % 2) * plane)
        else:
            tl.store(emitted + at + plane + offsets, x, mask=mask)
    store_all(carry, plane, offsets, mask, state, STATES)


@triton.jit
def replay_kernel(
    current,
    emitted,
    states,
    checkpoints,
    active,
    constants,
    batch,
    neurons,
    steps,
    beta,
    gamma,
    factor,
    threshold,
    STEP: tl.constexpr,
    STATES: tl.constexpr,
    CONSTANTS: tl.constexpr,
    RESET: tl.constexpr,
    SPIKING: tl.constexpr,
    SHAPE: tl.constexpr,
    SPARSE: tl.constexpr,
    EVERY: tl.constexpr,
    BLOCK_BATCH: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
):
    """Recompute the states from the checkpoints; the third grid axis counts these, so they are replayed in parallel.

    Arguments as for `forward_kernel`, but `current` holds the recurrent part too: the spikes are known, so it is one
    matrix product for all steps. Written are `states` (steps, STATES, batch, neurons), the state before each step, and
    where SPARSE `active` (grid), how many derivatives of the surrogate a program found that are not zero.
    """
    columns, offsets, mask = tile(batch, neurons, BLOCK_BATCH, BLOCK_NEURONS)
    plane = tl.cast(batch, tl.int64) * neurons
    of_neuron = load_all(constants, neurons, columns[:, None], (columns < neurons)[:, None], CONSTANTS)
    chunk = tl.program_id(2)
    state = load_all(checkpoints + tl.cast(chunk, tl.int64) * STATES * plane, plane, offsets, mask, STATES)
    spikes = tl.zeros([BLOCK_NEURONS, BLOCK_BATCH], tl.float32)
    found = spikes
    for t in range(chunk * EVERY, tl.minimum(chunk * EVERY + EVERY, steps)):
        at = tl.cast(t, tl.int64) * plane
        store_all(states + at * STATES, plane, offsets, mask, state, STATES)
        drive = tl.load(current + at + offsets, mask=mask, other=0.0)
        if SPIKING:
            spikes = tl.load(emitted + at + offsets, mask=mask, other=0).to(tl.float32)
        state, x = STEP(of_neuron, state, spikes, drive, RESET)
        if SPARSE:
            h = derivative(x, beta, gamma, factor, threshold, SHAPE, SPARSE)
            found += tl.where(mask & (h != 0), 1.0, 0.0)
    if SPARSE:
        place = (chunk * tl.num_programs(1) + tl.program_id(1)) * tl.num_programs(0) + tl.program_id(0)
        tl.store(active + place, tl.sum(found))


@triton.jit
def of_step(
    current,
    emitted,
    states,
    grad_emitted,
    at,
    plane,
    offsets,
    mask,
    STATES: tl.constexpr,
    SPIKING: tl.constexpr,
):
    """Return current, spikes before, states before and gradient of what was emitted, of the step that begins at `at`.

    Just as they lie in memory: who made anything of them here would wait for them.
    """
    drive = tl.load(current + at + offsets, mask=mask, other=0.0)
    sent = drive
    if SPIKING:
        sent = tl.load(emitted + at + offsets, mask=mask, other=0)
    before = load_all(states + at * STATES, plane, offsets, mask, STATES)
    return drive, sent, before, tl.load(grad_emitted + at + offsets, mask=mask, other=0.0)


@triton.jit
def reverse_kernel(
    current,
    emitted,
    states,
    grad_emitted,
    grad_carry,
    grad_spikes,
    grad_current,
    grad_constants,
    constants,
    recurrent,
    batch,
    neurons,
    steps,
    beta,
    gamma,
    factor,
    threshold,
    STEP: tl.constexpr,
    ADJOINT: tl.constexpr,
    STATES: tl.constexpr,
    CONSTANTS: tl.constexpr,
    RESET: tl.constexpr,
    DETACH_RESET: tl.constexpr,
    SPIKING: tl.constexpr,
    SHAPE: tl.constexpr,
    SPARSE: tl.constexpr,
    TRAIN_CONSTANTS: tl.constexpr,
    RECURRENT: tl.constexpr,
    STRIDE: tl.constexpr,
    BLOCK_BATCH: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
):
    """Scan `steps` steps backward.

    Args:
        current: (steps, batch, neurons), with the recurrent part.
        emitted: (steps + 1, batch, neurons), what the forward scan wrote.
        states: (steps, STATES, batch, neurons), state before each step.
        grad_emitted: (steps, batch, neurons) float32, gradient of what was emitted; None where nothing above reads it.
        grad_carry: (STATES, batch, neurons), gradient of the state after the last step, replaced by that before the
            first.
        grad_spikes: (batch, neurons), gradient of the spikes of the last step that comes from later steps, replaced by
            that of the spikes before the first step.
        grad_current: (steps, batch, neurons), written.
        grad_constants: (programs over samples, CONSTANTS, neurons), added to.
        recurrent: (neurons and more rows of zeros, STRIDE) transposed, row = receiver; unused where not RECURRENT, as
            where the gradient through it is detached.
        beta, gamma, factor, threshold: of the surrogate, see `derivative`.
    """
    columns, offsets, mask = tile(batch, neurons, BLOCK_BATCH, BLOCK_NEURONS)
    plane = tl.cast(batch, tl.int64) * neurons
    of_neuron = load_all(constants, neurons, columns[:, None], (columns < neurons)[:, None], CONSTANTS)
    grad_state = load_all(grad_carry, plane, offsets, mask, STATES)
    grad_after = tl.zeros([BLOCK_NEURONS, BLOCK_BATCH], tl.float32)
    if SPIKING:
        grad_after = tl.load(grad_spikes + offsets, mask=mask, other=0.0)
    total = zeros_all(tl.zeros([BLOCK_NEURONS], tl.float32), CONSTANTS)
    at = tl.cast(steps - 1, tl.int64) * plane
    ahead = of_step(current, emitted, states, grad_emitted, at, plane, offsets, mask, STATES, SPIKING)
    for back in range(steps):
        drive, sent, before, grad = ahead
        spikes = sent.to(tl.float32) if SPIKING else tl.zeros_like(drive)
        ahead = of_step(
            current, emitted, states, grad_emitted, at - plane, plane, offsets, mask & (back + 1 < steps),
            STATES, SPIKING,
        )  # fmt: skip
        after, x = STEP(of_neuron, before, spikes, drive, RESET)
        grad += grad_after
        if SPIKING:
            grad *= derivative(x, beta, gamma, factor, threshold, SHAPE, SPARSE)
        grad_state, grad_reset, grad_drive, grads = ADJOINT(
            of_neuron, before, spikes, drive, after, grad_state, grad, RESET, DETACH_RESET
        )
        if TRAIN_CONSTANTS:
            total = add_sums(total, grads, mask, CONSTANTS)
        tl.store(grad_current + at + offsets, grad_drive, mask=mask)
        if SPIKING:
            grad_after = grad_reset
        if RECURRENT:
            own = grad_current + at + tl.program_id(0) * neurons
            grad_after += weighted_rows(recurrent, own, columns, neurons, STRIDE, BLOCK_NEURONS, BLOCK_ROWS)
        at -= plane
    store_all(grad_carry, plane, offsets, mask, grad_state, STATES)
    if SPIKING:
        tl.store(grad_spikes + offsets, grad_after, mask=mask)
    if TRAIN_CONSTANTS:
        of_tile = grad_constants + tl.program_id(0) * CONSTANTS * neurons + columns
        before_all = load_all(of_tile, neurons, 0, columns < neurons, CONSTANTS)
        for k in tl.static_range(CONSTANTS):
            tl.store(of_tile + k * neurons, before_all[k] + total[k], mask=columns < neurons)
