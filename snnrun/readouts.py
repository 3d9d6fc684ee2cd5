"""From the trace of the readout to one number a class."""

from collections.abc import Callable

from torch import Tensor

from snnrun.registry import Registry

Reduction = Callable[[Tensor], Tensor]  # (batch, steps, classes) -> (batch, classes)

READOUTS: Registry[Reduction] = Registry("readout")


@READOUTS.register("max")
def maximum(trace: Tensor) -> Tensor:
    """Largest potential over time (Cramer et al. 2020, IEEE TNNLS, "max over time")."""
    return trace.max(1).values


@READOUTS.register("mean")
def mean(trace: Tensor) -> Tensor:
    """Mean potential over time."""
    return trace.mean(1)


@READOUTS.register("last")
def last(trace: Tensor) -> Tensor:
    """Potential at the last time step."""
    return trace[:, -1]
