"""The absolute refractory period around the other models; the equations are those of `snnrun.neurons.refractory`."""

from collections.abc import Callable
from typing import Any

from snnrun.engine.cpu.compile import row_function
from snnrun.engine.cpu.neurons.base import EQUATIONS, Equations, after_reset, after_reset_adjoint

# Which state is the membrane potential.
MEMBRANE = {"lif": 0, "if": 0, "cuba_lif": 1, "alif": 0, "adlif": 0, "se_adlif": 0}
# (states of the model, v, r) -> the states with v in its place and r at the end; written out, as numba needs it.
_JOINED: dict[tuple[int, int], Callable[[Any, Any, Any], Any]] = {
    (1, 0): lambda states, v, left: (v, left),
    (2, 0): lambda states, v, left: (v, states[1], left),
    (2, 1): lambda states, v, left: (states[0], v, left),
    (3, 0): lambda states, v, left: (v, states[1], states[2], left),
}


def with_refractory(model: Equations, membrane: int) -> Equations:
    """The equations of a model whose state number `membrane` is held for a while after a spike."""
    inner_step, inner_adjoint = model.step, model.adjoint
    joined = row_function(_JOINED[model.states, membrane])

    @row_function
    def step(constants, rules, state, s, current):  # type: ignore[no-untyped-def]
        zero = rules.one - rules.one
        rest = state[-1] - rules.one
        rest = rest if rest > zero else zero
        left = constants[-1] if s > zero else rest
        after, x = inner_step(constants[:-1], rules, state[:-1], s, current)
        held = left > zero
        v = after_reset(rules, state[membrane], s) if held else after[membrane]
        return joined(after, v, left), -rules.one if held else x

    @row_function
    def adjoint(constants, rules, before, after, s, grad_after, grad_x):  # type: ignore[no-untyped-def]
        zero = rules.one - rules.one
        held = after[-1] > zero
        grad_v = grad_after[membrane]
        to_step, to_kept = (zero, grad_v) if held else (grad_v, zero)
        grads = inner_adjoint(
            constants[:-1], rules, before[:-1], after[:-1], s,
            joined(grad_after[:-1], to_step, zero)[:-1], zero if held else grad_x,
        )  # fmt: skip
        grad_before, grad_s = after_reset_adjoint(rules, before[membrane], s, to_kept)
        grad_state = joined(grads[0], grads[0][membrane] + grad_before, zero)
        return grad_state, grads[1] + grad_s, grads[2], (*grads[3], zero)

    return Equations(model.states + 1, model.constants + 1, step, adjoint, spikes_act=model.spikes_act, remembers=True)


for _name, _membrane in MEMBRANE.items():
    EQUATIONS.register(f"{_name}_refractory")(with_refractory(EQUATIONS[_name], _membrane))
