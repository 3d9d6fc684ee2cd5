"""Deep continuous local learning."""

import math

from torch import Tensor

from snnrun.init.base import uniform_within
from snnrun.learning.base import RULES, Task
from snnrun.learning.errors import errors_now
from snnrun.learning.local import LocalRule, Seen, hidden


@RULES.register("decolle")
class Decolle(LocalRule):
    """Every layer learns from a readout of its own, which is random and fixed: no error passes between layers.

        y_k[t] = sum over j of S_j[t] G_jk,   dL/dW_ij = sum over t of P_i[t] h(x_j[t]) sum over k of G_jk e_k[t]

    P is the membrane's response to the spikes of input i, without resets, and e the error of the layer's own loss,
    here the cross-entropy of y[t] at every step. G ~ U(-1, 1) local_scale / sqrt(neurons), as a linear layer of torch
    starts. The network's own readout learns by its cross-entropy at every step. Recurrent weights, which the paper does
    not have, learn by the same rule. The paper's double filter of the spikes is that of cuba_lif; lif has one. Memory
    as for ottt.

    Source: Kaiser, Mostafa & Neftci 2020, Frontiers in Neuroscience 14:424.
    """

    def __init__(self, task: Task, local_scale: float) -> None:
        """`local_scale`: factor on the random readouts."""
        super().__init__(task)
        classes = self.network.readout.weight.shape[1]
        self.readouts = []
        for layer in hidden(self.network):
            size = layer.weight.shape[1]
            drawn = uniform_within(size, classes, local_scale / math.sqrt(size), task.generator)
            self.readouts.append(drawn.to(layer.weight))

    def state_dict(self) -> dict[str, Tensor]:
        """See `Rule.state_dict`."""
        return {f"local{k}": weights for k, weights in enumerate(self.readouts, 1)}

    def signals(self, seen: Seen) -> list[Tensor]:
        """See `LocalRule.signals`."""
        found = []
        for block, local in zip(seen.blocks, self.readouts, strict=True):
            _, errors = errors_now(block.spikes @ local, seen.labels, seen.steps)
            found.append(errors @ local.T)
        return found
