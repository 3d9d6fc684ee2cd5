"""Input events to currents, and the gradient of the currents back to the weights: cost follows the events."""

# Device code: compile-time arguments in capitals as is usual in Triton, which infers all other types itself.
# ruff: noqa: N803

import triton
import triton.language as tl


@triton.jit
def gather_kernel(
    pointer,
    unit,
    weight,
    current,
    batch,
    total_steps,
    first_step,
    steps,
    neurons,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
):
    """Sum the weights of the events of each (step, sample).

    Args:
        pointer, unit: events as in `snnrun.data.batch.EventBatch`, of `total_steps` steps.
        weight: (channels, neurons) float32.
        current: (steps, batch, neurons) float32, written: steps first_step .. first_step + steps - 1.
    """
    rows = tl.program_id(0).to(tl.int64) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    columns = tl.program_id(1) * BLOCK_NEURONS + tl.arange(0, BLOCK_NEURONS)
    is_row = rows < tl.cast(steps, tl.int64) * batch
    is_column = columns < neurons
    bins = (rows % batch) * total_steps + first_step + rows // batch
    start = tl.load(pointer + bins, mask=is_row, other=0)
    end = tl.load(pointer + bins + 1, mask=is_row, other=0)
    total = tl.zeros([BLOCK_ROWS, BLOCK_NEURONS], tl.float32)
    for k in range(tl.max(end - start, 0)):
        here = start + k < end
        channel = tl.load(unit + start + k, mask=here, other=0).to(tl.int64)
        mask = here[:, None] & is_column[None, :]
        total += tl.load(weight + channel[:, None] * neurons + columns[None, :], mask=mask, other=0.0)
    place = current + rows[:, None] * neurons + columns[None, :]
    tl.store(place, total, mask=is_row[:, None] & is_column[None, :])


@triton.jit
def scatter_kernel(
    pointer,
    row,
    grad_current,
    grad_weight,
    neurons,
    BLOCK_EVENTS: tl.constexpr,
    BLOCK_NEURONS: tl.constexpr,
):
    """Add the gradients of the currents that each channel reached to those of its weights, in a fixed order.

    Args:
        pointer: (channels + 1,) int64; the events of channel c are row[pointer[c]:pointer[c + 1]].
        row: (events,) int64, row of `grad_current` of each event.
        grad_current: (rows, neurons) float32.
        grad_weight: (channels, neurons) float32, added to.
    """
    channel = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK_NEURONS + tl.arange(0, BLOCK_NEURONS)
    is_column = columns < neurons
    start = tl.load(pointer + channel)
    end = tl.load(pointer + channel + 1)
    total = tl.zeros([BLOCK_EVENTS, BLOCK_NEURONS], tl.float32)
    for first in range(start, end, BLOCK_EVENTS):
        events = first + tl.arange(0, BLOCK_EVENTS)
        rows = tl.load(row + events, mask=events < end, other=0)
        mask = (events < end)[:, None] & is_column[None, :]
        total += tl.load(grad_current + rows[:, None] * neurons + columns[None, :], mask=mask, other=0.0)
    place = grad_weight + channel * neurons + columns
    tl.store(place, tl.load(place, mask=is_column, other=0.0) + tl.sum(total, 0), mask=is_column)
