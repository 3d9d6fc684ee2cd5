"""The absolute refractory period, around a neuron of any model that has a membrane potential."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from snnrun.errors import UserError
from snnrun.neurons.base import THRESHOLD, Neuron, State

FOREVER = math.inf  # steps left of a neuron that takes no part in a sample


class Refractory(Neuron):
    """After a spike the membrane stays where the reset put it, and no spike falls, for R steps.

    r[t] = R where S[t-1] = 1, else max(0, r[t-1] - 1)
    v[t] = v[t-1] after the reset, S[t] = 0 where r[t] > 0; all else is the step of the model

    Synaptic currents and adaptation go on meanwhile. A gradient flows through what the membrane keeps, and none
    through the spikes that cannot fall.

    Source: the absolute refractory period as simulators have it, a membrane that is clamped and a synaptic current that
    goes on: NEST (iaf_psc_exp, t_ref) and Norse (lif_refrac, rho_reset). State that of the model, and r.
    """

    def __init__(self, inner: Neuron, steps: int) -> None:
        """`inner` is the population, `steps` is R, at least 0. Raises UserError for a model without a state v."""
        super().__init__(inner.reset, inner.detach_reset)
        if "v" not in inner.states:
            raise UserError(f"neuron {inner.name}: neuron.refractory and network.dropout need a state v")
        self.inner = inner
        self.name = f"{inner.name}_refractory"
        self.states = (*inner.states, "refractory")
        self.steps = steps
        self.membrane = inner.states.index("v")

    def constants(self) -> tuple[Tensor, ...]:
        """Those of the model, and R."""
        own = self.inner.constants()
        return (*own, torch.full_like(own[0], self.steps, requires_grad=False))

    def step(self, constants: Sequence[Tensor], state: State, spikes: Tensor, current: Tensor) -> tuple[State, Tensor]:
        """One step; see the class."""
        *before, left = state
        left = torch.where(spikes > 0, constants[-1], (left - 1).clamp(min=0))
        after, x = self.inner.step(constants[:-1], tuple(before), spikes, current)
        states = list(after)
        held = left > 0
        states[self.membrane] = torch.where(held, self.after_reset(before[self.membrane], spikes), after[self.membrane])
        return (*states, left), torch.where(held, torch.full_like(x, -THRESHOLD), x)

    def constrain(self) -> None:
        """That of the model."""
        self.inner.constrain()
