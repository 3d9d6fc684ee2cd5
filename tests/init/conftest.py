"""Facts about a layer, as the network hands them to a scheme."""

from collections.abc import Callable

import pytest
import torch

from snnrun.config.compose import compose
from snnrun.init import LayerFacts
from snnrun.network import build_neuron, build_surrogate

Facts = Callable[..., LayerFacts]


@pytest.fixture
def facts() -> Facts:
    """The facts for a neuron model and overrides of the configuration."""

    def make(
        *overrides: str, inputs: int = 700, neurons: int = 300, recurrent: bool = True, steps: int = 350
    ) -> LayerFacts:
        config = compose(["dataset.dt=2", *overrides])
        neuron = build_neuron(config.neuron, neurons, torch.Generator().manual_seed(0))
        return LayerFacts(inputs, neurons, recurrent, False, neuron, build_surrogate(config), config.dataset.dt, steps)

    return make
