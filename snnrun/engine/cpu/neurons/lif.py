"""LIF neurons; the equations are those of `snnrun.neurons.lif`."""

from snnrun.engine.cpu.compile import row_function
from snnrun.engine.cpu.neurons.base import EQUATIONS, Equations, after_reset, after_reset_adjoint


@row_function
def lif_step(constants, rules, state, s, current):  # type: ignore[no-untyped-def]
    """v' = a R(v) + I."""
    (decay_mem,) = constants
    (v,) = state
    v = decay_mem * after_reset(rules, v, s) + current
    return (v,), v - rules.one


@row_function
def lif_adjoint(constants, rules, before, after, s, grad_after, grad_x):  # type: ignore[no-untyped-def]
    """Adjoint of `lif_step`."""
    (decay_mem,) = constants
    (v,) = before
    grad = grad_after[0] + grad_x
    grad_v, grad_s = after_reset_adjoint(rules, v, s, decay_mem * grad)
    return (grad_v,), grad_s, grad, (grad * after_reset(rules, v, s),)


@row_function
def cuba_lif_step(constants, rules, state, s, current):  # type: ignore[no-untyped-def]
    """i' = a_syn i + I, v' = a R(v) + (1 - a) i'."""
    decay_mem, decay_syn = constants
    i, v = state
    i = decay_syn * i + current
    v = decay_mem * after_reset(rules, v, s) + (rules.one - decay_mem) * i
    return (i, v), v - rules.one


@row_function
def cuba_lif_adjoint(constants, rules, before, after, s, grad_after, grad_x):  # type: ignore[no-untyped-def]
    """Adjoint of `cuba_lif_step`."""
    decay_mem, decay_syn = constants
    i, v = before
    grad_v = grad_after[1] + grad_x
    grad_i = grad_after[0] + (rules.one - decay_mem) * grad_v
    grad_v_before, grad_s = after_reset_adjoint(rules, v, s, decay_mem * grad_v)
    grad_decay_mem = grad_v * (after_reset(rules, v, s) - after[0])
    return (decay_syn * grad_i, grad_v_before), grad_s, grad_i, (grad_decay_mem, grad_i * i)


EQUATIONS.register("lif")(Equations(1, 1, lif_step, lif_adjoint))
EQUATIONS.register("if")(Equations(1, 1, lif_step, lif_adjoint))
EQUATIONS.register("cuba_lif")(Equations(2, 2, cuba_lif_step, cuba_lif_adjoint))
