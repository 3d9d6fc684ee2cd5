"""Online training through time."""

from torch import Tensor

from snnrun.learning.base import RULES
from snnrun.learning.local import LocalRule, Seen
from snnrun.learning.traces import gain


@RULES.register("ottt")
class Ottt(LocalRule):
    """A presynaptic trace, times the gradient of this step's loss through the layers above at this step alone.

        a_i[t] = lambda a_i[t-1] + s_i[t],   dL/dW_ij = sum over t of a_i[t] g_j[t]
        g[t] = h(x[t]) dL[t]/dS[t], the latter through the layers above as if nothing before step t depended on it

    lambda is the decay of the membrane. What is left out: the way of a spike through the membranes of the layers above
    into later losses, and through recurrent connections. Memory and cost are those of a step, batch * (inputs +
    neurons) numbers. Gradients are summed over the sample (the paper's OTTT_A); the loss is the cross-entropy at every
    step without the paper's share of a squared error. Derived for a reset by subtraction; a reset to zero cuts the
    membrane's memory, which the trace does not know of. cuba_lif: the trace is the membrane's response to its synapse.

    Source: Xiao et al. 2022, NeurIPS, "Online training through time for spiking neural networks".
    """

    def signals(self, seen: Seen) -> list[Tensor]:
        """See `LocalRule.signals`."""
        found = [(seen.errors * (1 - seen.readout.decay_mem)) @ seen.readout.weight.T]
        for layer, block in zip(seen.layers[:0:-1], seen.blocks[:0:-1], strict=True):
            assert layer.weight is not None
            on_current = found[0] * layer.surrogate.derivative(block.distance) * gain(layer)
            found.insert(0, on_current @ layer.weight.T)
        return found
