"""Learning by a trace of the presynaptic spikes: the gradient is an outer product."""

import torch
from torch import Tensor

from snnrun.engine.types import Layer
from snnrun.learning.blocks import LayerBlock, scan_layer, zero_state


class PresynapticTrace:
    """The response of a layer's membrane to each of its inputs, without resets: a number an input and not a synapse.

    It is the neuron's own step, without spikes, for all neurons have the same constants:
    lif: p_i[t] = a p_i[t-1] + x_i[t]
    cuba_lif: q_i[t] = a_syn q_i[t-1] + x_i[t], p_i[t] = a p_i[t-1] + (1 - a) q_i[t]
    """

    def __init__(self, layer: Layer, silence: Tensor) -> None:
        """`silence`: zeros (batch, inputs)."""
        self._step = layer.neuron.step
        self._constants = tuple(constant[:1] for constant in layer.constants)
        self._state = (silence,) * len(layer.neuron.states)
        self._silence = silence
        self._potential = layer.neuron.states.index("v")

    def advance(self, entering: Tensor) -> Tensor:
        """p[t] over the next block, (batch, steps, inputs), for its input."""
        trace = []
        for x in entering.unbind(1):
            self._state, _ = self._step(self._constants, self._state, self._silence, x)
            trace.append(self._state[self._potential])
        return torch.stack(trace, 1)


class TraceLearner:
    """A layer that learns by p_i[t] h(x_j[t]) L_j[t], summed over samples and steps.

    Attributes:
        gradient: of the weights from inputs, and then from the layer's own neurons if it is recurrent,
            (senders, neurons), as collected so far.
    """

    def __init__(self, layer: Layer, batch: int) -> None:
        assert layer.weight is not None
        self._layer = layer
        self._state = zero_state(layer, batch)
        self._spikes = self._state[0]
        inputs = len(layer.weight)
        senders = inputs + (0 if layer.recurrent is None else layer.size)
        zeros = layer.weight.detach().new_zeros
        self._inputs = PresynapticTrace(layer, zeros(batch, inputs))
        self._recurrent = None if layer.recurrent is None else PresynapticTrace(layer, zeros(batch, layer.size))
        self.gradient = zeros(senders, layer.size)

    @torch.no_grad()
    def run(self, entering: Tensor) -> LayerBlock:
        """Run the layer over the next block, (batch, steps, inputs)."""
        self._block = scan_layer(self._layer, self._state, self._spikes, entering)
        self._state, self._spikes = self._block.state, self._block.spikes[:, -1]
        return self._block

    @torch.no_grad()
    def learn(self, signals: Tensor, last: bool) -> None:
        """Learn from that block by L_j[t], (batch, steps, neurons)."""
        on_potential = (signals * self._layer.surrogate.derivative(self._block.distance)).flatten(0, 1)
        trace = self._inputs.advance(self._block.entering)
        inputs = trace.shape[2]
        self.gradient[:inputs].addmm_(trace.flatten(0, 1).T, on_potential)
        if self._recurrent is not None:
            trace = self._recurrent.advance(self._block.before)
            self.gradient[inputs:].addmm_(trace.flatten(0, 1).T, on_potential)


def is_presynaptic(layer: Layer) -> bool:
    """Whether the trace is the exact derivative of the membrane by the weights: no reset that the gradient sees."""
    neuron = layer.neuron
    linear = neuron.reset == "none" or (neuron.reset == "subtract" and neuron.detach_reset)
    return linear and neuron.name in ("lif", "if", "cuba_lif") and all((c == c[0]).all() for c in layer.constants)


def gain(layer: Layer) -> Tensor:
    """dv[t]/dI[t] of the same step, (neurons,): 1 for lif, 1 - a for cuba_lif."""
    zero = zero_state(layer, 1)
    state, _ = layer.neuron.step(layer.constants, zero, zero[0], torch.ones_like(zero[0]))
    return state[layer.neuron.states.index("v")][0]
