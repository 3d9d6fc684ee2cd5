"""From the readout's potential over time to the logits without keeping it, and back: when it counted, and how much.

A readout that is decided at the end of a sample (its mean, maximum or last value) tells its error only then. Rules
that work block by block run such a sample twice: the first pass keeps the logits and the step of each maximum, the
second knows for each step t what the loss loses there. With logit y_k = sum over t of w_k[t] o_k[t]:

    dL/do_k[t] = d_k w_k[t],   d_k = dL/dy_k
    dL/d(S[t] W)_k = d_k c_k[t],   c_k[t] = sum over t' >= t of w_k[t'] kappa[t' - t]

kappa is the impulse response of the readout's integrators, so c has a closed form and needs no pass backwards in time.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from snnrun.engine.types import Readout
from snnrun.registry import Registry


class Answer(ABC):
    """The logits over the blocks seen so far."""

    def __init__(self, start: Tensor, steps: int) -> None:
        """`start`: zeros (batch, classes); `steps`: length of the sample."""
        self.logits = start
        self.steps = steps

    @abstractmethod
    def see(self, trace: Tensor, first: int) -> None:
        """Take in o[t] of a block, (batch, steps, classes), that begins at step `first`."""

    @abstractmethod
    def weights(self, first: int, last: int) -> Tensor:
        """w_k[t] for t from first to last - 1, (batch or 1, steps, classes or 1); once everything was seen."""

    @abstractmethod
    def reach(self, first: int, last: int, kappa: Tensor) -> Tensor:
        """c_k[t] likewise; `kappa` (steps,) is the readout's impulse response."""


ANSWERS: Registry[type[Answer]] = Registry("readout")


@ANSWERS.register("mean")
class Mean(Answer):
    """Mean potential over time."""

    def see(self, trace: Tensor, first: int) -> None:
        """See `Answer.see`."""
        self.logits = self.logits + trace.sum(1) / self.steps

    def weights(self, first: int, last: int) -> Tensor:
        """See `Answer.weights`."""
        return self.logits.new_full((1, last - first, 1), 1 / self.steps)

    def reach(self, first: int, last: int, kappa: Tensor) -> Tensor:
        """See `Answer.reach`."""
        left = self.steps - 1 - torch.arange(first, last, device=kappa.device)
        return kappa.cumsum(0)[left][None, :, None] / self.steps


class Moment(Answer):
    """The potential at one step of each class, `when` (batch, classes)."""

    def __init__(self, start: Tensor, steps: int) -> None:
        super().__init__(start, steps)
        self.when = torch.full_like(start, steps - 1, dtype=torch.int64)

    def _lag(self, first: int, last: int) -> Tensor:
        return self.when[:, None] - torch.arange(first, last, device=self.when.device)[:, None]

    def weights(self, first: int, last: int) -> Tensor:
        """See `Answer.weights`."""
        return (self._lag(first, last) == 0).to(self.logits.dtype)

    def reach(self, first: int, last: int, kappa: Tensor) -> Tensor:
        """See `Answer.reach`."""
        lag = self._lag(first, last)
        return kappa[lag.clamp(min=0)] * (lag >= 0)


@ANSWERS.register("last")
class Last(Moment):
    """Potential at the last step."""

    def see(self, trace: Tensor, first: int) -> None:
        """See `Answer.see`."""
        self.logits = trace[:, -1]


@ANSWERS.register("max")
class Maximum(Moment):
    """Largest potential; of equal ones the first, as torch has it."""

    def __init__(self, start: Tensor, steps: int) -> None:
        super().__init__(torch.full_like(start, -torch.inf), steps)

    def see(self, trace: Tensor, first: int) -> None:
        """See `Answer.see`."""
        largest, step = trace.max(1)
        better = largest > self.logits
        self.logits = torch.where(better, largest, self.logits)
        self.when = torch.where(better, step + first, self.when)


def impulse_response(readout: Readout, steps: int) -> Tensor:
    """kappa (steps,): o[t] after an input of 1 at step 0; the constants are those of the first output, as of all."""
    from scipy.signal import lfilter  # half a second and 50 MB, which a run by bptt does without

    mem, syn = float(readout.decay_mem[0]), float(readout.decay_syn[0])
    impulse = [1.0] + [0.0] * (steps - 1)
    response = lfilter([1 - mem], [1, -mem], lfilter([1.0], [1, -syn], impulse))
    return torch.from_numpy(response).to(readout.weight)
