"""What enters the first layer: events, or a tensor; by stretches of steps."""

from typing import Protocol

import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.engine.triton.kernels import events as kernels

BLOCK_ROWS = 16
BLOCK_EVENTS = 16
BLOCK_NEURONS = 64


class Inputs(Protocol):
    """The inputs of a batch."""

    batch: int
    steps: int

    def current(self, weight: Tensor | None, first: int, steps: int) -> Tensor:
        """The current x[t] W of the steps from `first` on, (steps, batch, neurons), a new tensor."""

    def begin_backward(self) -> None:
        """Prepare for the gradients of a backward pass."""

    def add_gradient(self, weight: Tensor | None, grad_weight: Tensor | None, grad: Tensor, first: int) -> None:
        """Take the gradient of such a current, (steps, batch, neurons), and add it to that of the weight."""


class EventInputs:
    """Events: a current is the sum of the weights of its events; no (batch, steps, inputs) array is made."""

    def __init__(self, events: EventBatch) -> None:
        self.batch, self.steps = events.batch, events.steps
        self.unit = events.unit[int(events.pointer[0]) : int(events.pointer[-1])].contiguous()
        self.pointer = events.pointer - events.pointer[0]

    def current(self, weight: Tensor | None, first: int, steps: int) -> Tensor:
        """See `Inputs.current`."""
        assert weight is not None
        neurons = weight.shape[1]
        current = torch.empty(steps, self.batch, neurons, device=weight.device)
        grid = (-(-steps * self.batch // BLOCK_ROWS), -(-neurons // BLOCK_NEURONS))
        kernels.gather_kernel[grid](
            self.pointer, self.unit, weight, current, self.batch, self.steps, first, steps, neurons,
            BLOCK_ROWS=BLOCK_ROWS, BLOCK_NEURONS=BLOCK_NEURONS, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
        return current

    def begin_backward(self) -> None:
        """See `Inputs.begin_backward`; events have no gradient."""

    def add_gradient(self, weight: Tensor | None, grad_weight: Tensor | None, grad: Tensor, first: int) -> None:
        """See `Inputs.add_gradient`."""
        if grad_weight is None:
            return
        channels, neurons = grad_weight.shape
        row, unit = self._rows(first, len(grad))
        unit, order = torch.sort(unit, stable=True)
        pointer = torch.searchsorted(unit, torch.arange(channels + 1, dtype=unit.dtype, device=unit.device))
        kernels.scatter_kernel[(channels, -(-neurons // BLOCK_NEURONS))](
            pointer, row[order], grad, grad_weight, neurons,
            BLOCK_EVENTS=BLOCK_EVENTS, BLOCK_NEURONS=BLOCK_NEURONS, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip

    def _rows(self, first: int, steps: int) -> tuple[Tensor, Tensor]:
        """Row in (steps, batch) and unit of every event of the steps from `first` on."""
        bins = torch.arange(self.batch * self.steps, device=self.unit.device)
        bins = torch.repeat_interleave(bins, self.pointer[1:] - self.pointer[:-1], output_size=len(self.unit))
        step = bins % self.steps - first
        row = step * self.batch + bins // self.steps
        if steps == self.steps:
            return row, self.unit
        here = (step >= 0) & (step < steps)
        return row[here], self.unit[here]


class DenseInputs:
    """A tensor of any real numbers (batch, steps, inputs), or of currents where there is no weight.

    Attributes:
        grad: gradient of the tensor, (batch, steps, inputs), filled by `add_gradient`; None where it
            needs none.
    """

    def __init__(self, inputs: Tensor, needs_gradient: bool) -> None:
        self.batch, self.steps = inputs.shape[:2]
        self.inputs = inputs
        self.needs_gradient = needs_gradient
        self.grad: Tensor | None = None

    def current(self, weight: Tensor | None, first: int, steps: int) -> Tensor:
        """See `Inputs.current`."""
        rows = self._rows(first, steps)
        return rows if weight is None else rows @ weight

    def begin_backward(self) -> None:
        """See `Inputs.begin_backward`."""
        self.grad = torch.empty_like(self.inputs) if self.needs_gradient else None

    def add_gradient(self, weight: Tensor | None, grad_weight: Tensor | None, grad: Tensor, first: int) -> None:
        """See `Inputs.add_gradient`."""
        if self.grad is not None:
            back = grad if weight is None else grad @ weight.T
            self.grad[:, first : first + len(grad)] = back.transpose(0, 1)
        if grad_weight is not None:
            rows = self._rows(first, len(grad))
            grad_weight.addmm_(rows.flatten(0, 1).T, grad.flatten(0, 1))

    def _rows(self, first: int, steps: int) -> Tensor:
        """A copy of some steps, (steps, batch, inputs)."""
        return self.inputs[:, first : first + steps].transpose(0, 1).clone(memory_format=torch.contiguous_format)
