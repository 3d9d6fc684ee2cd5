"""One layer of the scan on the device: its buffers and the launches of its kernels."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnrun.engine.triton.kernels import scan
from snnrun.engine.triton.models import DeviceModel
from snnrun.engine.triton.tiling import MOST_NEURONS, Tiling, choose_tiling, stride
from snnrun.surrogates import Surrogate


@dataclass(frozen=True)
class Equations:
    """What the kernels are compiled for.

    Attributes:
        model: functions of the neuron model.
        reset: "zero", "subtract" or "none".
        detach_reset: whether the gradient stops at the reset.
        surrogate: derivative of the spike; None where the model does not spike.
    """

    model: DeviceModel
    reset: str
    detach_reset: bool
    surrogate: Surrogate | None

    @property
    def compiled(self) -> dict[str, Any]:
        """Compile-time arguments that every scan kernel takes."""
        model = self.model
        return {
            "STEP": model.step, "STATES": model.states, "CONSTANTS": model.constants, "RESET": self.reset,
            "SPIKING": model.spiking,
        }  # fmt: skip

    @property
    def derivative(self) -> dict[str, Any]:
        """Arguments of the surrogate derivative."""
        s = self.surrogate
        if s is None:
            return {"beta": 1.0, "gamma": 1.0, "factor": 1.0, "threshold": 0.0, "SHAPE": "none", "SPARSE": False}
        return {
            "beta": s.beta, "gamma": s.gamma, "factor": s.factor, "threshold": s.cutoff * s.peak,
            "SHAPE": s.name, "SPARSE": s.cutoff > 0,
        }  # fmt: skip


class DeviceLayer:
    """Tensors and launches of one layer; arrays over time are (steps, batch, neurons), see `kernels.scan`.

    Attributes:
        every: steps between two checkpoints of the state.
    """

    def __init__(
        self,
        equations: Equations,
        constants: Tensor,
        recurrent: Tensor | None,
        detach_recurrent: bool,
        batch: int,
        products: str,
        every: int,
    ) -> None:
        """`constants` (constants, neurons) contiguous; `recurrent` (neurons, neurons); all float32 on one device."""
        self.equations = equations
        self.constants = constants
        self.recurrent = recurrent if recurrent is None or products == "float32" else recurrent.bfloat16().float()
        self.detach_recurrent = detach_recurrent
        self.batch = batch
        self.neurons = constants.shape[1]
        self.products = products
        self.every = every
        self.device = constants.device

    @property
    def wide(self) -> bool:
        """Whether a recurrent matrix is so large that a library call a step multiplies gradients with it faster."""
        return self.recurrent is not None and self.neurons > MOST_NEURONS

    def empty(self, *leading: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """An uninitialised tensor (*leading, batch, neurons)."""
        return torch.empty(*leading, self.batch, self.neurons, dtype=dtype, device=self.device)

    def matrix(self, tiling: Tiling, transposed: bool) -> Tensor:
        """The recurrent matrix with rows of zeros at its end, in the type of the products; a stand-in where unused."""
        if self.recurrent is None or not tiling.recurrent:
            return self.constants
        dtype = torch.bfloat16 if self.products == "bfloat16" else torch.float32
        rows = -(-self.neurons // tiling.block_rows) * tiling.block_rows
        block = torch.zeros(rows, stride(self.neurons), dtype=dtype, device=self.device)
        block[: self.neurons, : self.neurons] = self.recurrent.T if transposed else self.recurrent
        return block

    def forward(self, current: Tensor, emitted: Tensor, carry: Tensor, checkpoints: Tensor) -> None:
        """Scan forward; see `kernels.scan.forward_kernel`."""
        tiling = choose_tiling(self.neurons, self.batch, self.recurrent is not None, backward=False)
        senders = self.empty(2 * tiling.recurrent, dtype=torch.int32)
        scan.forward_kernel[self._grid(tiling)](
            current, emitted, carry, checkpoints, self.constants, self.matrix(tiling, False), senders, self.batch,
            self.neurons, len(current), EVERY=self.every, **self._sizes(tiling), **self.equations.compiled,
            **tiling.launch,
        )  # fmt: skip

    def with_recurrent(self, current: Tensor, emitted: Tensor) -> Tensor:
        """Add S[t-1] V to the current of every step, in place."""
        if self.recurrent is not None:
            sent = emitted[:-1].reshape(-1, self.neurons).float()
            current.view(-1, self.neurons).addmm_(sent, self.recurrent)
        return current

    def replay(self, current: Tensor, emitted: Tensor, checkpoints: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states before each step, (steps, states, batch, neurons), and the count of active neuron-steps."""
        steps = len(current)
        tiling = choose_tiling(self.neurons, self.batch, False, backward=True)
        grid = (*self._grid(tiling), -(-steps // self.every))
        states = self.empty(steps, self.equations.model.states)
        active = torch.zeros(grid[0] * grid[1] * grid[2], device=self.device)
        scan.replay_kernel[grid](
            current, emitted, states, checkpoints, active, self.constants, self.batch, self.neurons, steps,
            EVERY=self.every, BLOCK_BATCH=tiling.block_batch, BLOCK_NEURONS=tiling.block_neurons,
            **self.equations.derivative, **self.equations.compiled, **tiling.launch,
        )  # fmt: skip
        return states, active.sum(dtype=torch.float64)

    def reverse(
        self,
        current: Tensor,
        emitted: Tensor,
        states: Tensor,
        grad_emitted: Tensor,
        gradients: "Gradients",
        grad_current: Tensor,
    ) -> None:
        """Scan backward; see `kernels.scan.reverse_kernel`. Where `wide`, the caller adds the recurrent gradient."""
        tiling = self._backward_tiling
        scan.reverse_kernel[self._grid(tiling)](
            current, emitted, states, grad_emitted, gradients.carry, gradients.spikes, grad_current,
            gradients.constants, self.constants, self.matrix(tiling, True), self.batch, self.neurons,
            len(current), ADJOINT=self.equations.model.adjoint, DETACH_RESET=self.equations.detach_reset,
            TRAIN_CONSTANTS=gradients.train_constants, **self._sizes(tiling), **self.equations.derivative,
            **self.equations.compiled, **tiling.launch,
        )  # fmt: skip

    def zero_gradients(self, train_constants: bool) -> "Gradients":
        """Gradients after the last step."""
        model, programs = self.equations.model, self._grid(self._backward_tiling)[0]
        return Gradients(
            self.empty(model.states).zero_(),
            self.empty().zero_(),
            torch.zeros(programs, model.constants, self.neurons, device=self.device),
            train_constants,
        )

    @property
    def _backward_tiling(self) -> Tiling:
        fused = self.recurrent is not None and not self.wide and not self.detach_recurrent
        return choose_tiling(self.neurons, self.batch, fused, backward=True)

    def _grid(self, tiling: Tiling) -> tuple[int, int]:
        return -(-self.batch // tiling.block_batch), -(-self.neurons // tiling.block_neurons)

    def _sizes(self, tiling: Tiling) -> dict[str, Any]:
        return {
            "RECURRENT": tiling.recurrent, "STRIDE": stride(self.neurons), "BLOCK_BATCH": tiling.block_batch,
            "BLOCK_NEURONS": tiling.block_neurons, "BLOCK_ROWS": tiling.block_rows,
        }  # fmt: skip


@dataclass
class Gradients:
    """What the reverse scan of a layer carries from later to earlier steps.

    Attributes:
        carry: (states, batch, neurons), gradient of the state.
        spikes: (batch, neurons), gradient of the spikes of the step before, from the reset and the recurrent weights.
        constants: (programs, constants, neurons), gradient of the constants so far.
        train_constants: whether the constants need one.
    """

    carry: Tensor
    spikes: Tensor
    constants: Tensor
    train_constants: bool
