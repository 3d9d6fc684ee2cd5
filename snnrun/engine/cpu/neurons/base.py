"""What the CPU engine needs of a neuron model: one step of one neuron, and its adjoint."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from snnrun.engine.cpu.compile import row_function
from snnrun.registry import Registry


class Rules(NamedTuple):
    """How the membrane potential is reset, as numbers in the dtype of the state.

    Attributes:
        one: 1. (A literal 1 next to a float32 would make numba compute in float64.)
        to_zero: 1 if a spike sets the potential to 0, else 0.
        by_one: 1 if a spike takes the threshold from the potential, else 0.
        through: 1 if the gradient flows through the reset, else 0.
    """

    one: Any
    to_zero: Any
    by_one: Any
    through: Any


@dataclass(frozen=True)
class Equations:
    """The equations of a neuron model for the CPU engine, on plain numbers; the loops around them are the engine's.

    A neuron whose constants, state and input are all 0 must have x <= 0: rows are padded with such neurons.

    Attributes:
        states: number of state variables.
        constants: number of constants of a neuron.
        step: (constants, rules, state, s, current) -> (state, x), with s = S[t-1]; tuples of `states` numbers.
        adjoint: (constants, rules, before, after, s, grad_after, grad_x) -> (grad_before, grad_s, grad_current,
            grad_constants): gradients with respect to the arguments of `step`, given those with respect to its
            results. `before` and `after` are the states around the step. Without a gradient through the reset
            (rules.through = 0) nothing but grad_constants may depend on `before` and `after`: where no constant is
            trained, the engine does not keep them.
        remembers: whether the adjoint depends on `before` and `after` in any case, so that they are always kept.
        spikes_act: whether spikes act on the state other than by the reset, so that their gradient is never nothing.
    """

    states: int
    constants: int
    step: Callable[..., Any]
    adjoint: Callable[..., Any]
    spikes_act: bool = False
    remembers: bool = False


EQUATIONS: Registry[Equations] = Registry("neuron")


@row_function
def after_reset(rules, v, s):  # type: ignore[no-untyped-def]
    """v[t-1] after the reset by s = S[t-1], which is 0 or 1."""
    return v * (rules.one - rules.to_zero * s) - rules.by_one * s


@row_function
def after_reset_adjoint(rules, v, s, grad):  # type: ignore[no-untyped-def]
    """Gradients with respect to v and s of `after_reset`."""
    return grad * (rules.one - rules.to_zero * s), -rules.through * grad * (rules.to_zero * v + rules.by_one)
