"""The task of the training tests, and stacks of layers with delays."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from snnrun.delays import Delays, DelaySettings
from snnrun.engine.types import Arrivals, Layer, Readout
from snnrun.neurons import NEURONS
from snnrun.surrogates import Surrogate
from tests.training.conftest import configure, run, task

__all__ = ["configure", "run", "task"]

DT = 10.0


@dataclass
class Stack:
    """Two layers and a readout in float64, and the tensors that take a gradient."""

    layers: list[Layer]
    readout: Readout
    trained: dict[str, Tensor]
    inputs: Tensor
    modules: list[Delays]

    def build(self) -> list[Layer]:
        """The layers with their arrivals computed anew from the delays."""
        arrivals = iter(self.modules)
        return [
            replace(
                layer,
                delays=None if layer.delays is None else next(arrivals)(),
                recurrent_delays=None if layer.recurrent_delays is None else next(arrivals)(),
            )
            for layer in self.layers
        ]


def make_stack(
    kind: str,
    interpolation: str,
    delayed: str = "both",
    *,
    batch: int = 3,
    steps: int = 40,
    sizes: tuple[int, ...] = (12, 9, 7),
    longest: float = 80.0,
    sigma: float = 20.0,
    model: str = "cuba_lif",
    reset: str = "subtract",
    detach_reset: bool = False,
    detach_recurrent: bool = False,
    cutoff: float = 0.0,
    seed: int = 0,
) -> Stack:
    """Layers of `sizes` neurons on `sizes[0]` inputs, every one recurrent, `delayed` as in the configuration."""
    random = torch.Generator().manual_seed(seed)
    settings = DelaySettings(kind, longest, DT, interpolation, (sigma, sigma), shrink=0)
    taus = {"tau_syn": 20.0} if model == "cuba_lif" else {}
    layers: list[Layer] = []
    modules: list[Delays] = []
    trained: dict[str, Tensor] = {}

    def weight(name: str, *shape: int, scale: float) -> Tensor:
        trained[name] = (torch.randn(*shape, generator=random).double() * scale).requires_grad_()
        return trained[name]

    def arrivals(part: str, senders: int, neurons: int) -> Arrivals | None:
        if delayed not in (part, "both"):
            return None
        modules.append(Delays(senders, neurons, settings, random).double())
        trained[f"delays {len(modules)}"] = modules[-1].value
        return modules[-1]()

    for below, size in pairwise(sizes):
        neuron = NEURONS[model](neurons=size, dt=DT, tau_mem=30.0, reset=reset, detach_reset=detach_reset, **taus)
        layer = Layer(
            neuron=neuron,
            constants=tuple(c.double() for c in neuron.constants()),
            surrogate=Surrogate("sigmoid", 5.0, cutoff=cutoff),
            weight=weight(f"weight {len(layers)}", below, size, scale=3.0),
            recurrent=weight(f"recurrent {len(layers)}", size, size, scale=1.0),
            detach_recurrent=detach_recurrent,
            delays=arrivals("feedforward", below, size),
            recurrent_delays=arrivals("recurrent", size, size),
        )
        layers.append(layer)
    decay = torch.full((4,), 0.9).double()
    readout = Readout(weight("readout", sizes[-1], 4, scale=1.0), decay, decay * 0.8)
    inputs = (torch.rand(batch, steps, sizes[0], generator=random) < 0.15).double() * 2
    return Stack(layers, readout, trained, inputs, modules)


@pytest.fixture
def stack() -> Callable[..., Stack]:
    """Makes a stack."""
    return make_stack
