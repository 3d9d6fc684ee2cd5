"""Dropout of hidden neurons: for a whole sample a random share of them is silent.

Source: Gal & Ghahramani 2016, NeurIPS ("A theoretically grounded application of dropout in recurrent neural networks"):
one draw for all time steps, for what a neuron sends up and what it sends back. Here the neuron is made refractory for
the whole sample, so that every engine that knows a refractory period can drop neurons.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from snnrun.engine.types import Layer
from snnrun.neurons.refractory import FOREVER


def drop(layers: Sequence[Layer], share: float, batch: int) -> list[Layer]:
    """Hidden layers, whose neurons are `Refractory`, with a random `share` of them silent in each sample.

    The weights of what they send to each other and back are divided by 1 - share, and so must be those of what reads
    the last layer. Draws come from torch's generator of the device.
    """
    dropped = []
    for number, layer in enumerate(layers):
        zero = torch.zeros(batch, layer.size, dtype=layer.constants[0].dtype, device=layer.constants[0].device)
        silent = torch.where(torch.rand_like(zero) < share, FOREVER, zero)
        others = (zero,) * (len(layer.neuron.states) - 1)
        dropped.append(
            replace(
                layer,
                weight=layer.weight if number == 0 else _raised(layer.weight, share),
                recurrent=_raised(layer.recurrent, share),
                initial_state=(*others, silent),
            )
        )
    return dropped


def _raised(weight: Tensor | None, share: float) -> Tensor | None:
    return None if weight is None else weight / (1 - share)
