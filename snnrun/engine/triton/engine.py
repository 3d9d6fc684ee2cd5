"""The Triton engine: checks, and the scan as an operation of torch."""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnrun.data.batch import EventBatch
from snnrun.engine.checks import Takes, check_inputs, check_stack
from snnrun.engine.types import Layer, Readout, ScanResult
from snnrun.errors import UserError
from snnrun.neurons.base import Neuron

if TYPE_CHECKING:
    from snnrun.engine.triton.stack import Needs, Stack, Stage

PRODUCTS = ("float32", "bfloat16")
MISSING = "triton is not installed (pip install triton; torch for CUDA on Linux brings it)"


class TritonEngine:
    """Fused scans on CUDA, state in float32; see `snnrun.engine.triton.stack` for what is kept of a sequence.

    Values and gradients are tested in Triton's interpreter on the CPU (`TRITON_INTERPRET=1`), and on a GPU where there
    is one; the kernels are built ahead of time for sm_80 and sm_90. They were run and tuned on an H100 only. Results do
    not depend on scheduling: no atomic additions.
    """

    name = "triton"

    def __init__(self, products: str = "float32", workspace_mib: int = 1024, checkpoint_every: int = 32) -> None:
        """Choose precision and memory.

        Args:
            products: "float32", or "bfloat16": the recurrent weights are rounded to it before they are multiplied; sums
                stay in float32. It saves memory traffic, and no time on an H100.
            workspace_mib: what the arrays over time of one layer may take; longer sequences are cut.
            checkpoint_every: steps between two kept states; those in between are recomputed in the backward pass.

        Raises:
            UserError: unknown `products`.
        """
        if products not in PRODUCTS:
            raise UserError(f"products={products}: engine=triton multiplies in {' or '.join(PRODUCTS)}")
        self.products = products
        self.checkpoint_every = checkpoint_every
        self.workspace_bytes = workspace_mib * 1024 * 1024

    def scan(
        self,
        inputs: EventBatch | Tensor,
        layers: Sequence[Layer],
        readout: Readout | None,
        *,
        record: bool = False,
    ) -> ScanResult:
        """See `Engine.scan`."""
        takes = self._check(inputs, layers, readout)
        active = torch.tensor([1.0 if layer.surrogate.cutoff == 0 else torch.nan for layer in layers]).double()
        call = _Call(self, inputs, layers, readout, active)
        apply: Callable[..., tuple[Tensor, ...]] = _Scan.apply
        with torch.cuda.device(takes.device) if takes.device.type == "cuda" else contextlib.nullcontext():
            outputs = apply(call, inputs if isinstance(inputs, Tensor) else None, *_tensors(layers, readout))
            spikes = tuple(EventBatch.from_dense(s[1:].transpose(0, 1)) for s in call.spikes) if record else None
        call.spikes = ()
        counts = outputs[: len(layers)]
        return ScanResult(None if readout is None else outputs[-1], counts, spikes, active)

    def unsupported(self, layers: Sequence[Layer]) -> str | None:
        """See `Engine.unsupported`."""
        if importlib.util.find_spec("triton") is None:
            return MISSING
        from snnrun.engine.triton.kernels.surrogates import SHAPES
        from snnrun.engine.triton.models import MODELS

        for layer in layers:
            if layer.delays is not None or layer.recurrent_delays is not None:
                return "it has no delays"
            if type(layer.neuron) not in MODELS:
                return f"neuron {layer.neuron.name} has no fused equations"
            if layer.surrogate.name not in SHAPES:
                return f"surrogate {layer.surrogate.name} has no fused derivative"
        return None

    def _check(self, inputs: EventBatch | Tensor, layers: Sequence[Layer], readout: Readout | None) -> Takes:
        obstacle = self.unsupported(layers)
        if obstacle is not None:
            raise UserError(f"engine=triton cannot run this: {obstacle}")
        from snnrun.engine.triton.models import MODELS

        if inputs.device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
            raise UserError(
                f"the inputs are on {inputs.device}; engine=triton takes tensors on cuda, or on the cpu with the"
                " environment variable TRITON_INTERPRET=1 (slow, for tests)"
            )

        def constants(neuron: Neuron) -> int:
            return MODELS[type(neuron)].constants

        takes = Takes(self.name, inputs.device, (torch.float32,), constants)
        check_stack(layers, readout, takes)
        check_inputs(inputs, layers, takes)
        return takes


@dataclass
class _Call:
    """What a call of the operation carries besides tensors.

    Attributes:
        spikes: filled by the forward pass: (steps + 1, batch, neurons) of every layer.
    """

    engine: TritonEngine
    inputs: EventBatch | Tensor
    layers: Sequence[Layer]
    readout: Readout | None
    active: Tensor
    spikes: tuple[Tensor, ...] = ()


PER_STAGE = 4  # weight, recurrent, constants, initial state


def _tensors(layers: Sequence[Layer], readout: Readout | None) -> list[Tensor | None]:
    """Per stage: weight, recurrent, constants (constants, neurons), initial state (states, batch, neurons) or None."""
    tensors: list[Tensor | None] = []
    for layer in layers:
        initial = None if layer.initial_state is None else torch.stack(layer.initial_state)
        tensors += [layer.weight, layer.recurrent, torch.stack(layer.constants), initial]
    if readout is not None:
        tensors += [readout.weight, None, torch.stack((readout.decay_mem, readout.decay_syn)), None]
    return tensors


class _Scan(torch.autograd.Function):
    """The scan as an operation of torch: input tensor or None and `_tensors` -> counts of every layer, output."""

    @staticmethod
    def forward(ctx: Any, call: _Call, dense: Tensor | None, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        stack = _stack(call, dense, tensors, ctx.needs_input_grad[1])
        stack.forward()
        hidden = stack.stages[: len(call.layers)]
        call.spikes = tuple(stage.emitted for stage in hidden)
        counts = [stage.emitted[1:].sum(0, dtype=torch.float32) for stage in hidden]
        output = [stage.emitted[1:].transpose(0, 1) for stage in stack.stages[len(call.layers) :]]
        if any(ctx.needs_input_grad):
            ctx.stack, ctx.active, ctx.layers = stack, call.active, len(call.layers)
            ctx.save_for_backward(*(tensor for tensor in (dense, *tensors) if tensor is not None))
            ctx.set_materialize_grads(False)
        return (*counts, *output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.saved_tensors  # noqa: B018  (raises where a weight was changed in place since the forward pass)
        stack: Stack = ctx.stack
        needed = ctx.needs_input_grad[2:]
        needs = [_needs(needed[k : k + PER_STAGE]) for k in range(0, len(needed), PER_STAGE)]
        output = grads[ctx.layers] if len(grads) > ctx.layers else None
        found = stack.backward(None if output is None else output.transpose(0, 1), grads[: ctx.layers], needs)
        results: list[Tensor | None] = [None, getattr(stack.inputs, "grad", None)]
        for k, stage in enumerate(found):
            results += [
                stage.weight,
                stage.recurrent,
                stage.scan.constants.sum(0) if needs[k].constants else None,
                stage.scan.carry if needed[PER_STAGE * k + 3] else None,
            ]
            if k < ctx.layers and torch.isnan(ctx.active[k]):
                ctx.active[k] = float(stage.active) / stack.stages[k].emitted[1:].numel()
        return tuple(results)


def _needs(flags: Sequence[bool]) -> "Needs":
    from snnrun.engine.triton.stack import Needs

    return Needs(weight=flags[0], recurrent=flags[1], constants=flags[2])


def _stack(call: _Call, dense: Tensor | None, tensors: Sequence[Tensor | None], dense_gradient: bool) -> "Stack":
    from snnrun.engine.triton.inputs import DenseInputs, EventInputs
    from snnrun.engine.triton.stack import Stack

    inputs: EventInputs | DenseInputs
    if isinstance(call.inputs, EventBatch):
        inputs = EventInputs(call.inputs)
    else:
        assert dense is not None
        inputs = DenseInputs(dense, dense_gradient)
    groups = [tensors[k : k + PER_STAGE] for k in range(0, len(tensors), PER_STAGE)]
    stages = [_stage(call, k, group, inputs.batch, inputs.steps) for k, group in enumerate(groups)]
    return Stack(inputs, stages, call.engine.workspace_bytes)


def _stage(call: _Call, k: int, tensors: Sequence[Tensor | None], batch: int, steps: int) -> "Stage":
    from snnrun.engine.triton.layer import DeviceLayer, Equations
    from snnrun.engine.triton.models import MODELS, READOUT
    from snnrun.engine.triton.stack import Stage

    weight, recurrent, constants, initial = (None if x is None else x.contiguous() for x in tensors)
    assert constants is not None
    if k == len(call.layers):
        equations, detach = Equations(READOUT, "none", True, None), False
    else:
        layer = call.layers[k]
        model = MODELS[type(layer.neuron)]
        equations = Equations(model, layer.neuron.reset, layer.neuron.detach_reset, layer.surrogate)
        detach = layer.detach_recurrent
    device_layer = DeviceLayer(
        equations, constants, recurrent, detach, batch, call.engine.products, call.engine.checkpoint_every
    )
    return Stage(device_layer, weight, initial, steps)
