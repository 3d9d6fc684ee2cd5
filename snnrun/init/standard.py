"""Schemes that look at sizes and nothing else, but for `spytorch`, which undoes a difference in the equations."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from snnrun.init.base import SCHEMES, LayerFacts, Weights, gaussian, uniform_within
from snnrun.init.kernel import impulse_response


def _drawn(layer: LayerFacts, draw: Callable[[int, int], Tensor]) -> Weights:
    """Input and recurrent weights, each from `draw(rows, columns)`."""
    weight = draw(layer.inputs, layer.neurons)
    return weight, draw(layer.neurons, layer.neurons) if layer.recurrent else None


@SCHEMES.register("normal")
def normal(layer: LayerFacts, generator: Generator) -> Weights:
    """w ~ N(0, 1 / sqrt(fan_in)); recurrent ones likewise, their fan-in being the layer's size.

    Source: fzenke/spytorch, tutorials 1 to 5 (weight_scale / sqrt(nb_inputs)).
    """
    return _drawn(layer, lambda rows, columns: gaussian(rows, columns, 1 / math.sqrt(rows), generator))


@SCHEMES.register("uniform")
def uniform(layer: LayerFacts, generator: Generator) -> Weights:
    """w ~ U(-b, b) with b = 1 / sqrt(fan_in).

    Source: Perez-Nieves et al. 2021, Nature Communications 12:5791 (npvoid/neural_heterogeneity).
    """
    return _drawn(layer, lambda rows, columns: uniform_within(rows, columns, 1 / math.sqrt(rows), generator))


@SCHEMES.register("kaiming_uniform")
def kaiming_uniform(layer: LayerFacts, generator: Generator) -> Weights:
    """w ~ U(-b, b) with b = sqrt(6 / fan_in).

    Source: He et al. 2015, ICCV, 1026-1034, eq. 10, for rectifiers (gain sqrt(2)).
    """
    return _drawn(layer, lambda rows, columns: uniform_within(rows, columns, math.sqrt(6 / rows), generator))


@SCHEMES.register("kaiming_normal")
def kaiming_normal(layer: LayerFacts, generator: Generator) -> Weights:
    """w ~ N(0, sqrt(2 / fan_in)).

    Source: He et al. 2015, ICCV, 1026-1034, eq. 10.
    """
    return _drawn(layer, lambda rows, columns: gaussian(rows, columns, math.sqrt(2 / rows), generator))


@SCHEMES.register("xavier_uniform")
def xavier_uniform(layer: LayerFacts, generator: Generator) -> Weights:
    """w ~ U(-b, b) with b = sqrt(6 / (fan_in + fan_out)).

    Source: Glorot & Bengio 2010, AISTATS, 249-256, eq. 16.
    """
    return _drawn(
        layer, lambda rows, columns: uniform_within(rows, columns, math.sqrt(6 / (rows + columns)), generator)
    )


@SCHEMES.register("orthogonal")
def orthogonal(layer: LayerFacts, generator: Generator) -> Weights:
    """Input weights as in `normal`; the recurrent matrix is orthogonal, so that it keeps the length of a vector.

    Source: Saxe, McClelland & Ganguli 2014, ICLR; for spiking networks Bittar & Garner 2022 (idiap/sparch).
    """
    weight = gaussian(layer.inputs, layer.neurons, 1 / math.sqrt(layer.inputs), generator)
    if not layer.recurrent:
        return weight, None
    return weight, torch.nn.init.orthogonal_(torch.empty(layer.neurons, layer.neurons), generator=generator)


@SCHEMES.register("spytorch")
def spytorch(layer: LayerFacts, generator: Generator) -> Weights:
    """As `normal`, so that potentials are those of SPyTorch's code whatever the model's gain.

    There an input spike steps the potential by w; here by w k, where k is the model's response to a unit input in the
    same step (1 for lif, 1 - a for cuba_lif). The weights are divided by k, neuron by neuron.

    Source: fzenke/spytorch, tutorials 3 and 4 (weight_scale 0.2, the scales of the YAML file).
    """
    weight, recurrent = normal(layer, generator)
    gain = impulse_response(layer.neuron, steps=1)[0].float()
    return weight / gain, None if recurrent is None else recurrent / gain
