"""The eligibility of every synapse of a layer, exact for any model whose neurons touch each other only by spikes.

With recurrent spikes taken as given (detached), the state z_j of neuron j depends on the weight W_ij through j alone:

    e_ij[t] = dz_j[t]/dW_ij = (dz_j[t]/dz_j[t-1]) e_ij[t-1] + (dz_j[t]/dI_j[t]) x_i[t]
    dL/dW_ij = sum over t of L_j[t] (dS_j[t]/dz_j[t]) e_ij[t]

(Bellec et al. 2020). Stepping e, an array of batch * inputs * neurons numbers a state variable, at every t
is what makes the rule slow. But the sum over a block of steps needs e only at its border: what entered before the
block acts through e there, what enters inside acts through I[t], and both derivatives are one number a neuron and step
that the backward pass of the block alone gives. So e is read and stepped once a block:

    dL/dW_ij += sum over t of x_i[t] dL/dI_j[t]  +  sum over samples of e_ij dL/dz_j       (dL of this block's signals)
    e_ij     <- (dz_j'/dz_j) e_ij + sum over t of x_i[t] dz_j'/dI_j[t]                     (z' at the block's end)

Per sample and block of K steps this is (1 + n) K inputs neurons + (n + n^2) inputs neurons multiplications for n state
variables that carry (1 lif, 2 cuba_lif and alif; 1 or 2 more with a loss at every step), and the memory of n e's.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from snnrun.engine.types import Layer, Readout
from snnrun.learning.blocks import Integrators, LayerBlock, scan_layer, zero_state
from snnrun.surrogates import spike


class Eligibility:
    """The eligibilities of one layer on their way through a sample, and the gradient that they collect."""

    def __init__(self, layer: Layer, batch: int, readout: Readout | None) -> None:
        """`readout`: whose filter stands between spikes and learning signal; None where there is none."""
        detached = tuple(constant.detach() for constant in layer.constants)
        assert layer.weight is not None
        self.layer = replace(
            layer,
            constants=detached,
            weight=layer.weight.detach(),
            recurrent=None if layer.recurrent is None else layer.recurrent.detach(),
            detach_recurrent=True,
        )
        self.readout = readout
        self.inputs = len(layer.weight)
        senders = self.inputs + (0 if layer.recurrent is None else layer.size)
        self.gradient = layer.weight.new_zeros(senders, layer.size)
        self._state = list(zero_state(layer, batch))
        self.synapse = readout is not None and bool((readout.decay_syn > 0).any())
        if readout is not None:
            self._state += [torch.zeros_like(self._state[0])] * (2 if self.synapse else 1)
        self._carried: list[Tensor] = []  # a state variable's, (batch, senders, neurons); empty before the first border

    def run(self, entering: Tensor) -> LayerBlock:
        """Run the layer over the next block, (batch, steps, inputs), keeping the graph of its derivatives."""
        self._graph = BlockGraph(self, entering, [part.clone().requires_grad_() for part in self._state])
        return self._graph.block

    def learn(self, signals: Tensor, last: bool) -> None:
        """Collect the gradient of that block and carry the eligibilities over it.

        Args:
            signals: L_j[t], (batch, steps, neurons), on the spikes, filtered where there is a readout.
            last: no block follows.
        """
        graph, block = self._graph, self._graph.block
        senders = block.entering if self.layer.recurrent is None else torch.cat([block.entering, block.before], 2)
        on_current, on_state = graph.derivatives((signals * graph.emitted).sum())
        self.gradient += senders.flatten(0, 1).T @ on_current.flatten(0, 1)
        for carried, by_neuron in zip(self._carried, on_state, strict=False):
            if by_neuron is not None:
                for sample, factor in zip(carried, by_neuron, strict=True):
                    self.gradient.addcmul_(sample, factor)
        if not last:
            self._step([graph.derivatives(end.sum()) for end in graph.ends], senders)
            self._state = [end.detach() for end in graph.ends]

    def _step(self, derivatives: Sequence[tuple[Tensor, Sequence[Tensor | None]]], senders: Tensor) -> None:
        """Carry the eligibilities to the end of a block, a sample at a time: a whole batch would be there twice."""
        if not self._carried:
            shape = len(senders), *self.gradient.shape
            self._carried = [self.gradient.new_zeros(shape) for _ in derivatives]
        for sample, sent in enumerate(senders):
            before = [carried[sample] for carried in self._carried]
            after = []
            for on_current, on_state in derivatives:
                found = sent.T @ on_current[sample]
                for carried, by_neuron in zip(before, on_state, strict=True):
                    if by_neuron is not None:
                        found.addcmul_(carried, by_neuron[sample])
                after.append(found)
            for old, new in zip(before, after, strict=True):
                old.copy_(new)


class BlockGraph:
    """One layer over one block, with the derivatives of what came out by its currents and by its state before.

    Attributes:
        block: as of `scan_layer`, without a graph.
        emitted: S[t], or the filtered spikes, (batch, steps, neurons), with its graph.
        ends: the state after the block, likewise.
    """

    def __init__(self, owner: Eligibility, entering: Tensor, state: list[Tensor]) -> None:
        layer, variables = owner.layer, len(owner.layer.neuron.states)
        batch, steps, _ = entering.shape
        own = tuple(state[:variables])
        spikes = spike(layer.neuron.distance(layer.constants, own), layer.surrogate)
        self._currents = [entering.new_zeros(batch, layer.size, requires_grad=True) for _ in range(steps)]
        self._state = state
        block = scan_layer(layer, own, spikes, entering, self._currents)
        self.block = LayerBlock(
            entering, block.before.detach(), block.spikes.detach(), block.distance.detach(), block.state
        )
        self.emitted, self.ends = block.spikes, list(block.state)
        if owner.readout is not None:
            *current, potential = state[variables:]
            integrators = Integrators(owner.readout, current[0] if current else torch.zeros_like(potential), potential)
            self.emitted = integrators.advance(block.spikes)
            self.ends += [integrators.current, integrators.potential] if current else [integrators.potential]

    def derivatives(self, of: Tensor) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Derivatives of a sum by each step's currents, (batch, steps, neurons), and by the state before."""
        by = [*self._currents, *self._state]
        found = torch.autograd.grad(of, by, retain_graph=True, allow_unused=True, materialize_grads=False)
        steps = len(self._currents)
        currents = [torch.zeros_like(c) if g is None else g for g, c in zip(found, self._currents, strict=False)]
        return torch.stack(currents, 1), found[steps:]
