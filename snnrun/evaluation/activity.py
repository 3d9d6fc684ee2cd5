"""Spikes of an inference, the synaptic operations that they cause, and the energy that those would take.

A spike makes one synaptic operation, an accumulation, at each synapse that it reaches: SynOps = sum over senders of
spikes x fan-out (Merolla et al. 2014, Science 345:668). Weights that are zero are no synapses. The energies are those
of 32-bit floating-point arithmetic at 45 nm (Horowitz 2014, ISSCC: addition 0.9 pJ, multiplication 3.7 pJ), which the
field multiplies such counts with. They leave out the neurons' own updates and all movement of data, so they compare
networks and predict no chip.
"""

import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.network import Network, NetworkOutput

ACCUMULATE_PJ = 0.9
MULTIPLY_ACCUMULATE_PJ = 4.6
CONVENTION = (
    f"energy: {ACCUMULATE_PJ} pJ a synaptic operation (accumulation), {MULTIPLY_ACCUMULATE_PJ} pJ a "
    "multiply-accumulate of the same network computed densely in every step;\n"
    "32-bit, 45 nm (Horowitz 2014, ISSCC); updates of neurons and movement of data are not counted"
)


class Activity:
    """Counts spikes and synaptic operations; call it with every batch and what the network made of it.

    Attributes:
        spikes: (samples,) of each batch, for the input and every hidden layer.
        operations: (samples,) of each batch; none of a network that does not spike, where an operation is no addition.
        macs: multiply-accumulates of a dense computation of a sample, in all steps.
    """

    def __init__(self, network: Network) -> None:
        """`network` is the one whose spikes will be counted."""
        self.spikes: dict[str, list[Tensor]] = {}
        self.operations: list[Tensor] = []
        self.macs = 0
        self._network = network
        self._names = network.layer_names()
        layers = network.tensors()
        into = [*(layer.weight for layer in layers), network.readout.weight]
        back = [None, *(layer.recurrent for layer in layers)]
        # Synapses that a spike reaches: of each input channel, then of each neuron of each hidden layer.
        self._fan_out = [
            sum((_synapses(weight) for weight in pair if weight is not None), torch.zeros(1, dtype=torch.float64))
            for pair in zip(into, back, strict=True)
        ]

    def __call__(self, inputs: EventBatch, output: NetworkOutput) -> None:
        """Count one batch."""
        bounds = inputs.pointer[:: inputs.steps].cpu()
        self._add("input", bounds.diff().double())
        self.macs = self._network.macs(inputs.steps)
        if not self._names:
            return
        reached = self._fan_out[0][inputs.unit.long().cpu()].cumsum(0)
        operations = torch.cat([reached.new_zeros(1), reached])[bounds].diff()
        for name, counts, fan_out in zip(self._names, output.counts, self._fan_out[1:], strict=True):
            spikes = counts.detach().double().cpu()
            self._add(name, spikes.sum(1))
            operations = operations + spikes @ fan_out
        self.operations.append(operations)

    def _add(self, name: str, spikes: Tensor) -> None:
        self.spikes.setdefault(name, []).append(spikes)


def _synapses(weight: Tensor) -> Tensor:
    """(senders,) number of synapses of each, for weights of shape (senders, receivers)."""
    return (weight.detach() != 0).sum(1).double().cpu()
