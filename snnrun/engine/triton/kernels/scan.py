"""The loops over time, the same for every neuron model.

Arrays over time are (steps, batch, neurons), contiguous; `emitted` has one more row in front: the spikes before the
first step. A program owns a tile of samples and of neurons; with a recurrent matrix the tile holds every neuron, so
that no program ever waits for another. RECURRENT says where that matrix lives: "resident" is loaded once and stays on
the chip, "streamed" is read by blocks in every step through the caches, "none" is a feed-forward layer.
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
    """Return samples, neurons, offsets and mask of this program's tile (neurons, samples).

    Neurons come first, so that the recurrent matrix is the left operand of the product: the tensor cores take a tile of
    8 samples as the right one, and no narrower tile of 16 as the left one.
    """
    samples = tl.program_id(0) * BLOCK_BATCH + tl.arange(0, BLOCK_BATCH)
    columns = tl.program_id(1) * BLOCK_NEURONS + tl.arange(0, BLOCK_NEURONS)
    mask = (samples < batch)[None, :] & (columns < neurons)[:, None]
    return samples, columns, samples[None, :] * neurons + columns[:, None], mask


@triton.jit
def columns_of(matrix, first, BLOCK: tl.constexpr, SIZE: tl.constexpr):
    """Return the columns first .. first + BLOCK - 1 of a matrix (SIZE, SIZE)."""
    rows = tl.arange(0, SIZE)
    columns = first + tl.arange(0, BLOCK)
    return tl.load(matrix + rows[:, None] * SIZE + columns[None, :])


@triton.jit
def resident_blocks(matrix, RECURRENT: tl.constexpr, BLOCK: tl.constexpr, SIZE: tl.constexpr):
    """Return the matrix (SIZE, SIZE) as a tuple of blocks of columns, or nothing where it does not stay on the chip."""
    blocks = ()
    if RECURRENT == "resident":
        for k in tl.static_range(SIZE // BLOCK):
            blocks = blocks + (columns_of(matrix, k * BLOCK, BLOCK, SIZE),)
    return blocks


@triton.jit
def rows_of(sent, first, samples, batch, neurons, BLOCK: tl.constexpr):
    """Return what the neurons first .. first + BLOCK - 1 send, from (batch, neurons), as (BLOCK, samples)."""
    senders = first + tl.arange(0, BLOCK)
    mask = (samples < batch)[None, :] & (senders < neurons)[:, None]
    return tl.load(sent + samples[None, :] * neurons + senders[:, None], mask=mask, other=0).to(tl.float32)


@triton.jit
def recurrent_product(
    sent,
    matrix,
    blocks,
    samples,
    batch,
    neurons,
    RECURRENT: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_BATCH: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
    BLOCK_SENDERS: tl.constexpr,
):
    """Return the tile matrix @ sent.T for `sent` (batch, neurons) in global memory, by blocks of senders.

    `sent` was stored by other threads of this program: the barrier makes it visible.
    """
    tl.debug_barrier()
    total = tl.zeros([BLOCK_NEURONS, BLOCK_BATCH], tl.float32)
    if RECURRENT == "resident":
        for k in tl.static_range(BLOCK_NEURONS // BLOCK_SENDERS):
            rows = rows_of(sent, k * BLOCK_SENDERS, samples, batch, neurons, BLOCK_SENDERS)
            total = tl.dot(blocks[k], rows.to(blocks[k].dtype), total, input_precision=PRECISION)
    else:
        for first in range(0, neurons, BLOCK_SENDERS):
            rows = rows_of(sent, first, samples, batch, neurons, BLOCK_SENDERS)
            block = columns_of(matrix, first, BLOCK_SENDERS, BLOCK_NEURONS)
            total = tl.dot(block, rows.to(block.dtype), total, input_precision=PRECISION)
    return total


@triton.jit
def forward_kernel(
    current,
    emitted,
    carry,
    checkpoints,
    constants,
    recurrent,
    batch,
    neurons,
    steps,
    STEP: tl.constexpr,
    STATES: tl.constexpr,
    CONSTANTS: tl.constexpr,
    RESET: tl.constexpr,
    SPIKING: tl.constexpr,
    RECURRENT: tl.constexpr,
    PRECISION: tl.constexpr,
    EVERY: tl.constexpr,
    BLOCK_BATCH: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
    BLOCK_SENDERS: tl.constexpr,
):
    """Scan `steps` steps forward.

    Args:
        current: (steps, batch, neurons) float32, without the recurrent part.
        emitted: (steps + 1, batch, neurons), row 0 read, the others written: spikes as uint8, or x as float32 where
            the model does not spike.
        carry: (STATES, batch, neurons), state before the first step, replaced by that after the last.
        checkpoints: (ceil(steps / EVERY), STATES, batch, neurons), written: the state before every EVERY-th step.
        constants: (CONSTANTS, neurons).
        recurrent: (neurons, neurons) in the type of the product, row = sender; unused in a feed-forward layer.
    """
    samples, columns, offsets, mask = tile(batch, neurons, BLOCK_BATCH, BLOCK_NEURONS)
    plane = tl.cast(batch, tl.int64) * neurons
    of_neuron = load_all(constants, neurons, columns[:, None], (columns < neurons)[:, None], CONSTANTS)
    state = load_all(carry, plane, offsets, mask, STATES)
    spikes = tl.zeros([BLOCK_NEURONS, BLOCK_BATCH], tl.float32)
    if SPIKING:
        spikes = tl.load(emitted + offsets, mask=mask, other=0).to(tl.float32)
    blocks = resident_blocks(recurrent, RECURRENT, BLOCK_SENDERS, BLOCK_NEURONS)
    for t in range(steps):
        at = tl.cast(t, tl.int64) * plane
        if t % EVERY == 0:
            kept = tl.cast(t // EVERY, tl.int64) * STATES * plane
            store_all(checkpoints + kept, plane, offsets, mask, state, STATES)
        drive = tl.load(current + at + offsets, mask=mask, other=0.0)
        if RECURRENT != "none":
            drive += recurrent_product(
                emitted + at, recurrent, blocks, samples, batch, neurons,
                RECURRENT, PRECISION, BLOCK_BATCH, BLOCK_NEURONS, BLOCK_SENDERS,
            )  # fmt: skip
        state, x = STEP(of_neuron, state, spikes, drive, RESET)
        if SPIKING:
            spikes = tl.where(x > 0, 1.0, 0.0)
            tl.store(emitted + at + plane + offsets, spikes.to(tl.uint8), mask=mask)
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
    _, columns, offsets, mask = tile(batch, neurons, BLOCK_BATCH, BLOCK_NEURONS)
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
    PRECISION: tl.constexpr,
    BLOCK_BATCH: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
    BLOCK_SENDERS: tl.constexpr,
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
        grad_constants: (tiles of samples, CONSTANTS, neurons), added to.
        recurrent: as for `forward_kernel`; RECURRENT is "none" also where the gradient through it is detached.
        beta, gamma, factor, threshold: of the surrogate, see `derivative`.
    """
    samples, columns, offsets, mask = tile(batch, neurons, BLOCK_BATCH, BLOCK_NEURONS)
    plane = tl.cast(batch, tl.int64) * neurons
    of_neuron = load_all(constants, neurons, columns[:, None], (columns < neurons)[:, None], CONSTANTS)
    grad_state = load_all(grad_carry, plane, offsets, mask, STATES)
    spikes = tl.zeros([BLOCK_NEURONS, BLOCK_BATCH], tl.float32)
    grad_after = spikes
    if SPIKING:
        grad_after = tl.load(grad_spikes + offsets, mask=mask, other=0.0)
    total = zeros_all(tl.zeros([BLOCK_NEURONS], tl.float32), CONSTANTS)
    blocks = resident_blocks(recurrent, RECURRENT, BLOCK_SENDERS, BLOCK_NEURONS)
    for back in range(steps):
        at = tl.cast(steps - 1 - back, tl.int64) * plane
        before = load_all(states + at * STATES, plane, offsets, mask, STATES)
        drive = tl.load(current + at + offsets, mask=mask, other=0.0)
        if SPIKING:
            spikes = tl.load(emitted + at + offsets, mask=mask, other=0).to(tl.float32)
        after, x = STEP(of_neuron, before, spikes, drive, RESET)
        grad = grad_after + tl.load(grad_emitted + at + offsets, mask=mask, other=0.0)
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
        if RECURRENT != "none":
            grad_after += recurrent_product(
                grad_current + at, recurrent, blocks, samples, batch, neurons,
                RECURRENT, PRECISION, BLOCK_BATCH, BLOCK_NEURONS, BLOCK_SENDERS,
            )  # fmt: skip
    store_all(grad_carry, plane, offsets, mask, grad_state, STATES)
    if SPIKING:
        tl.store(grad_spikes + offsets, grad_after, mask=mask)
    if TRAIN_CONSTANTS:
        of_tile = grad_constants + tl.program_id(0) * CONSTANTS * neurons + columns
        before_all = load_all(of_tile, neurons, 0, columns < neurons, CONSTANTS)
        for k in tl.static_range(CONSTANTS):
            tl.store(of_tile + k * neurons, before_all[k] + total[k], mask=columns < neurons)
