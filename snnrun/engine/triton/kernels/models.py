"""Neuron models on the device: one step and its adjoint each; the loops around them are in `scan`.

A step is `step(constants, state, spikes, current, RESET) -> state, x` as in `snnrun.neurons.base.Neuron.step`.

An adjoint is `adjoint(constants, state, spikes, current, after, grad_state, grad_x, RESET, DETACH_RESET)
-> grad_state, grad_spikes, grad_current, grad_constants`. It gets what the step got, the state `after` the step and the
gradients that reach this state and x; it returns the gradients of what the step got. Everything is a tile of float32;
`constants` and `state` are tuples in the order of the model, `grad_spikes` is the part that flows through
the neuron itself and not through the recurrent weights.
"""

# Device code: compile-time arguments in capitals as is usual in Triton, which infers all other types itself.
# ruff: noqa: N803

import triton
import triton.language as tl


@triton.jit
def after_reset(v, spikes, RESET: tl.constexpr):
    """v[t-1] after the reset by S[t-1]; threshold 1."""
    if RESET == "zero":
        v = v * (1 - spikes)
    elif RESET == "subtract":
        v = v - spikes
    return v


@triton.jit
def after_reset_adjoint(v, spikes, grad, RESET: tl.constexpr, DETACH_RESET: tl.constexpr):
    """Gradients of v and of the spikes for the gradient of the potential after the reset."""
    grad_v = grad
    if RESET == "zero":
        grad_v = grad * (1 - spikes)
    if DETACH_RESET or RESET == "none":
        grad_spikes = tl.zeros_like(grad)
    elif RESET == "zero":
        grad_spikes = -grad * v
    else:
        grad_spikes = -grad
    return grad_v, grad_spikes


@triton.jit
def lif_step(constants, state, spikes, current, RESET: tl.constexpr):
    """See `snnrun.neurons.lif.Lif`."""
    v = constants[0] * after_reset(state[0], spikes, RESET) + current
    return (v,), v - 1


@triton.jit
def lif_adjoint(
    constants, state, spikes, current, after, grad_state, grad_x, RESET: tl.constexpr, DETACH_RESET: tl.constexpr
):
    """Adjoint of `lif_step`."""
    grad = grad_state[0] + grad_x
    grad_decay = grad * after_reset(state[0], spikes, RESET)
    grad_v, grad_spikes = after_reset_adjoint(state[0], spikes, grad * constants[0], RESET, DETACH_RESET)
    return (grad_v,), grad_spikes, grad, (grad_decay,)


@triton.jit
def cuba_lif_step(constants, state, spikes, current, RESET: tl.constexpr):
    """See `snnrun.neurons.lif.CubaLif`."""
    i = constants[1] * state[0] + current
    v = constants[0] * after_reset(state[1], spikes, RESET) + (1 - constants[0]) * i
    return (i, v), v - 1


@triton.jit
def cuba_lif_adjoint(
    constants, state, spikes, current, after, grad_state, grad_x, RESET: tl.constexpr, DETACH_RESET: tl.constexpr
):
    """Adjoint of `cuba_lif_step`."""
    grad = grad_state[1] + grad_x
    grad_i = grad_state[0] + (1 - constants[0]) * grad
    grad_mem = grad * (after_reset(state[1], spikes, RESET) - after[0])
    grad_v, grad_spikes = after_reset_adjoint(state[1], spikes, grad * constants[0], RESET, DETACH_RESET)
    return (constants[1] * grad_i, grad_v), grad_spikes, grad_i, (grad_mem, grad_i * state[0])


@triton.jit
def alif_step(constants, state, spikes, current, RESET: tl.constexpr):
    """See `snnrun.neurons.adaptive.Alif`."""
    b = constants[1] * state[1] + spikes
    v = constants[0] * after_reset(state[0], spikes, RESET) + current
    return (v, b), v - 1 - constants[2] * b


@triton.jit
def alif_adjoint(
    constants, state, spikes, current, after, grad_state, grad_x, RESET: tl.constexpr, DETACH_RESET: tl.constexpr
):
    """Adjoint of `alif_step`."""
    grad = grad_state[0] + grad_x
    grad_b = grad_state[1] - constants[2] * grad_x
    grads = (grad * after_reset(state[0], spikes, RESET), grad_b * state[1], -grad_x * after[1])
    grad_v, grad_spikes = after_reset_adjoint(state[0], spikes, grad * constants[0], RESET, DETACH_RESET)
    return (grad_v, constants[1] * grad_b), grad_spikes + grad_b, grad, grads


@triton.jit
def adlif_step(constants, state, spikes, current, RESET: tl.constexpr):
    """See `snnrun.neurons.adaptive.AdLif`."""
    drive = constants[2] * state[2] + constants[3] * spikes
    w = constants[1] * state[1] + (1 - constants[1]) * drive
    u = after_reset(state[0], spikes, RESET)
    v = constants[0] * u + (1 - constants[0]) * (current - w)
    return (v, w, u), v - 1


@triton.jit
def adlif_adjoint(
    constants, state, spikes, current, after, grad_state, grad_x, RESET: tl.constexpr, DETACH_RESET: tl.constexpr
):
    """Adjoint of `adlif_step`."""
    grad = grad_state[0] + grad_x
    grad_current = (1 - constants[0]) * grad
    grad_w = grad_state[1] - grad_current
    grad_drive = (1 - constants[1]) * grad_w
    grads = (
        grad * (after[2] - current + after[1]),
        grad_w * (state[1] - constants[2] * state[2] - constants[3] * spikes),
        grad_drive * state[2],
        grad_drive * spikes,
    )
    grad_u = grad_state[2] + constants[0] * grad
    grad_v, grad_spikes = after_reset_adjoint(state[0], spikes, grad_u, RESET, DETACH_RESET)
    before = (grad_v, constants[1] * grad_w, constants[2] * grad_drive)
    return before, grad_spikes + constants[3] * grad_drive, grad_current, grads


@triton.jit
def se_adlif_step(constants, state, spikes, current, RESET: tl.constexpr):
    """See `snnrun.neurons.adaptive.SeAdLif`."""
    u = after_reset(state[0], spikes, RESET)
    drive = constants[2] * u + constants[3] * spikes
    w = constants[1] * state[1] + (1 - constants[1]) * drive
    v = constants[0] * u + (1 - constants[0]) * (current - w)
    return (v, w), v - 1


@triton.jit
def se_adlif_adjoint(
    constants, state, spikes, current, after, grad_state, grad_x, RESET: tl.constexpr, DETACH_RESET: tl.constexpr
):
    """Adjoint of `se_adlif_step`."""
    u = after_reset(state[0], spikes, RESET)
    grad = grad_state[0] + grad_x
    grad_current = (1 - constants[0]) * grad
    grad_w = grad_state[1] - grad_current
    grad_drive = (1 - constants[1]) * grad_w
    grads = (
        grad * (u - current + after[1]),
        grad_w * (state[1] - constants[2] * u - constants[3] * spikes),
        grad_drive * u,
        grad_drive * spikes,
    )
    grad_u = constants[0] * grad + constants[2] * grad_drive
    grad_v, grad_spikes = after_reset_adjoint(state[0], spikes, grad_u, RESET, DETACH_RESET)
    return (grad_v, constants[1] * grad_w), grad_spikes + constants[3] * grad_drive, grad_current, grads


@triton.jit
def readout_step(constants, state, spikes, current, RESET: tl.constexpr):
    """See `snnrun.engine.types.Readout`: the current-based neuron without threshold and reset; constants mem, syn."""
    after, _ = cuba_lif_step(constants, state, spikes, current, RESET)
    return after, after[1]


@triton.jit
def readout_adjoint(
    constants, state, spikes, current, after, grad_state, grad_x, RESET: tl.constexpr, DETACH_RESET: tl.constexpr
):
    """Adjoint of `readout_step`."""
    return cuba_lif_adjoint(constants, state, spikes, current, after, grad_state, grad_x, RESET, DETACH_RESET)
