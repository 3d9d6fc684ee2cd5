"""The scan of a stack of layers, by stretches of steps, and its adjoint.

Arrays of floats over time exist for a stretch only; over the whole sequence there are spikes, one byte each, and the
state of every K-th step. The readout is the last stage: a layer whose model does not spike. A stretch is as long as
its arrays fit the workspace, so that a sequence of usual size is one launch of each kernel a layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snnrun.engine.triton import wide
from snnrun.engine.triton.inputs import Inputs
from snnrun.engine.triton.layer import DeviceLayer, Gradients


class Stage:
    """A layer with its weight and what it keeps of the forward scan.

    Attributes:
        emitted: (steps + 1, batch, neurons), row 0 is before the first step; uint8 spikes, or float32 x of a readout.
    """

    def __init__(self, layer: DeviceLayer, weight: Tensor | None, initial: Tensor | None, steps: int) -> None:
        """`initial` (states, batch, neurons), zero where None."""
        model = layer.equations.model
        self.layer = layer
        self.weight = weight
        self.emitted = layer.empty(steps + 1, dtype=torch.uint8 if model.spiking else torch.float32)
        self.emitted[0] = 0
        zero = layer.empty(model.states).zero_()
        self.carry = zero if initial is None else initial.clone(memory_format=torch.contiguous_format)
        self.checkpoints = layer.empty(-(-steps // layer.every), model.states)

    def forward(self, current: Tensor, first: int) -> None:
        """Scan the steps from `first` on, for their current (steps, batch, neurons)."""
        emitted = self.emitted[first : first + len(current) + 1]
        self.layer.forward(current, emitted, self.carry, self.checkpoints[first // self.layer.every :])

    def backward(
        self, current: Tensor, grad_emitted: Tensor, gradients: Gradients, first: int
    ) -> tuple[Tensor, Tensor]:
        """Return the gradient of the current, (steps, batch, neurons), and the count of active neuron-steps."""
        emitted = self.emitted[first : first + len(current) + 1]
        current = self.layer.with_recurrent(current, emitted)
        states, active = self.layer.replay(current, emitted, self.checkpoints[first // self.layer.every :])
        grad_current = torch.empty_like(current)
        scan = wide.reverse if self.layer.wide else DeviceLayer.reverse
        scan(self.layer, current, emitted, states, grad_emitted, gradients, grad_current)
        return grad_current, active

    def sent(self, first: int, steps: int) -> Tensor:
        """The spikes of the steps from `first` on, (steps, batch, neurons) float32."""
        return self.emitted[first + 1 : first + steps + 1].float()

    def sent_before(self, first: int, steps: int) -> Tensor:
        """The spikes one step earlier, (steps, batch, neurons) float32."""
        return self.emitted[first : first + steps].float()


@dataclass(frozen=True)
class Needs:
    """Which tensors of a stage need a gradient."""

    weight: bool
    recurrent: bool
    constants: bool


@dataclass
class StageGradients:
    """Gradients of the tensors of a stage, None where none is needed; see `Stage` and `DeviceLayer` for the shapes."""

    scan: Gradients
    weight: Tensor | None
    recurrent: Tensor | None
    active: Tensor | float = 0.0


class Stack:
    """Stages from the input up, on one batch."""

    def __init__(self, inputs: Inputs, stages: Sequence[Stage], workspace_bytes: int) -> None:
        self.inputs = inputs
        self.stages = stages
        self.stretch = stretch_steps([stage.layer for stage in stages], workspace_bytes)

    def forward(self) -> None:
        """Fill `emitted` of every stage."""
        for first, steps in self._stretches():
            for k, stage in enumerate(self.stages):
                stage.forward(self._current(k, first, steps), first)

    def backward(
        self, grad_output: Tensor | None, grad_counts: Sequence[Tensor | None], needs: Sequence[Needs]
    ) -> list[StageGradients]:
        """Return the gradients of every stage.

        Args:
            grad_output: of what the readout emitted, (steps, batch, outputs); None for none.
            grad_counts: of the spike counts of each spiking stage, (batch, neurons) or None.
            needs: for each stage.
        """
        found = [_zero_gradients(stage, need) for stage, need in zip(self.stages, needs, strict=True)]
        self.inputs.begin_backward()
        for first, steps in reversed(self._stretches()):
            grad = None if grad_output is None else grad_output[first : first + steps].contiguous()
            for k in reversed(range(len(self.stages))):
                counts = grad_counts[k] if k < len(grad_counts) else None
                grad = self._backward_stage(k, _total(self.stages[k].layer, grad, counts, steps), found[k], first)
        return found

    def _backward_stage(self, k: int, grad_emitted: Tensor, found: StageGradients, first: int) -> Tensor | None:
        """Add to the gradients of stage k; return that of the spikes below, (steps, batch, neurons below)."""
        stage, steps = self.stages[k], len(grad_emitted)
        grad, active = stage.backward(self._current(k, first, steps), grad_emitted, found.scan, first)
        found.active = found.active + active
        flat = grad.flatten(0, 1)
        if found.recurrent is not None:
            found.recurrent.addmm_(stage.sent_before(first, steps).flatten(0, 1).T, flat)
        if k == 0:
            self.inputs.add_gradient(stage.weight, found.weight, grad, first)
            return None
        assert stage.weight is not None
        if found.weight is not None:
            found.weight.addmm_(self.stages[k - 1].sent(first, steps).flatten(0, 1).T, flat)
        return grad @ stage.weight.T

    def _current(self, k: int, first: int, steps: int) -> Tensor:
        """What enters stage k from below, (steps, batch, neurons), a new tensor."""
        weight = self.stages[k].weight
        if k == 0:
            return self.inputs.current(weight, first, steps)
        assert weight is not None
        return self.stages[k - 1].sent(first, steps) @ weight

    def _stretches(self) -> list[tuple[int, int]]:
        """First step and length of each stretch."""
        steps = self.inputs.steps
        return [(first, min(self.stretch, steps - first)) for first in range(0, steps, self.stretch)]


def stretch_steps(layers: Sequence[DeviceLayer], workspace_bytes: int) -> int:
    """How many steps fit the workspace, a multiple of those between checkpoints.

    The backward pass of a layer holds, for each neuron and step: the current, its gradient, that of what was emitted,
    the spikes as floats and the states.
    """
    per_step = max(4 * layer.batch * layer.neurons * (4 + layer.equations.model.states) for layer in layers)
    every = layers[0].every
    return max(1, workspace_bytes // (per_step * every)) * every


def _zero_gradients(stage: Stage, needs: Needs) -> StageGradients:
    weight, recurrent = stage.weight, stage.layer.recurrent
    return StageGradients(
        stage.layer.zero_gradients(needs.constants),
        torch.zeros_like(weight) if needs.weight and weight is not None else None,
        torch.zeros_like(recurrent) if needs.recurrent and recurrent is not None else None,
    )


def _total(layer: DeviceLayer, from_above: Tensor | None, counts: Tensor | None, steps: int) -> Tensor:
    """The gradient of what a layer emitted: from above, and from the counts at every step."""
    total = layer.empty(steps).zero_() if from_above is None else from_above
    return total if counts is None else total.add_(counts)
