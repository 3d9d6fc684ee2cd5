"""Neurons that adapt; the equations are those of `snnrun.neurons.adaptive`."""

from snnrun.engine.cpu.compile import row_function
from snnrun.engine.cpu.neurons.base import EQUATIONS, Equations, after_reset, after_reset_adjoint


@row_function
def alif_step(constants, rules, state, s, current):  # type: ignore[no-untyped-def]
    """b' = r b + s, v' = a R(v) + I, x = v' - 1 - adaptation b'."""
    decay_mem, decay_adapt, adaptation = constants
    v, b = state
    b = decay_adapt * b + s
    v = decay_mem * after_reset(rules, v, s) + current
    return (v, b), v - rules.one - adaptation * b


@row_function
def alif_adjoint(constants, rules, before, after, s, grad_after, grad_x):  # type: ignore[no-untyped-def]
    """Adjoint of `alif_step`."""
    decay_mem, decay_adapt, adaptation = constants
    v, b = before
    grad_v = grad_after[0] + grad_x
    grad_b = grad_after[1] - adaptation * grad_x
    grad_v_before, grad_s = after_reset_adjoint(rules, v, s, decay_mem * grad_v)
    grad_constants = grad_v * after_reset(rules, v, s), grad_b * b, -grad_x * after[1]
    return (grad_v_before, decay_adapt * grad_b), grad_s + grad_b, grad_v, grad_constants


@row_function
def adlif_step(constants, rules, state, s, current):  # type: ignore[no-untyped-def]
    """w' = r w + (1 - r) (a u_before + b s), u = R(v), v' = d u + (1 - d) (I - w'), u_before' = u."""
    decay_mem, decay_adapt, a, b = constants
    v, w, u_before = state
    w = decay_adapt * w + (rules.one - decay_adapt) * (a * u_before + b * s)
    u = after_reset(rules, v, s)
    v = decay_mem * u + (rules.one - decay_mem) * (current - w)
    return (v, w, u), v - rules.one


@row_function
def adlif_adjoint(constants, rules, before, after, s, grad_after, grad_x):  # type: ignore[no-untyped-def]
    """Adjoint of `adlif_step`; (I - w') follows from v' = d u + (1 - d) (I - w')."""
    decay_mem, decay_adapt, a, b = constants
    v, w, u_before = before
    grad_v = grad_after[0] + grad_x
    grad_current = (rules.one - decay_mem) * grad_v
    grad_w = grad_after[1] - grad_current
    grad_drive = (rules.one - decay_adapt) * grad_w
    grad_v_before, grad_s = after_reset_adjoint(rules, v, s, decay_mem * grad_v + grad_after[2])
    drive = (after[0] - decay_mem * after[2]) / (rules.one - decay_mem)
    grad_constants = (
        grad_v * (after[2] - drive), grad_w * (w - (a * u_before + b * s)), grad_drive * u_before, grad_drive * s,
    )  # fmt: skip
    return (grad_v_before, decay_adapt * grad_w, a * grad_drive), grad_s + b * grad_drive, grad_current, grad_constants


@row_function
def se_adlif_step(constants, rules, state, s, current):  # type: ignore[no-untyped-def]
    """u = R(v), w' = r w + (1 - r) (a u + b s), v' = d u + (1 - d) (I - w')."""
    decay_mem, decay_adapt, a, b = constants
    v, w = state
    u = after_reset(rules, v, s)
    w = decay_adapt * w + (rules.one - decay_adapt) * (a * u + b * s)
    v = decay_mem * u + (rules.one - decay_mem) * (current - w)
    return (v, w), v - rules.one


@row_function
def se_adlif_adjoint(constants, rules, before, after, s, grad_after, grad_x):  # type: ignore[no-untyped-def]
    """Adjoint of `se_adlif_step`; (I - w') follows from v' = d u + (1 - d) (I - w')."""
    decay_mem, decay_adapt, a, b = constants
    v, w = before
    u = after_reset(rules, v, s)
    grad_v = grad_after[0] + grad_x
    grad_current = (rules.one - decay_mem) * grad_v
    grad_w = grad_after[1] - grad_current
    grad_drive = (rules.one - decay_adapt) * grad_w
    grad_v_before, grad_s = after_reset_adjoint(rules, v, s, decay_mem * grad_v + a * grad_drive)
    drive = (after[0] - decay_mem * u) / (rules.one - decay_mem)
    grad_constants = grad_v * (u - drive), grad_w * (w - (a * u + b * s)), grad_drive * u, grad_drive * s
    return (grad_v_before, decay_adapt * grad_w), grad_s + b * grad_drive, grad_current, grad_constants


EQUATIONS.register("alif")(Equations(2, 3, alif_step, alif_adjoint, spikes_act=True))
EQUATIONS.register("adlif")(Equations(3, 4, adlif_step, adlif_adjoint, spikes_act=True))
EQUATIONS.register("se_adlif")(Equations(2, 4, se_adlif_step, se_adlif_adjoint, spikes_act=True))
