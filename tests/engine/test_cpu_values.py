"""The CPU engine against the reference in float64: spikes, output and every gradient of weights and constants."""

import pytest
import torch

from snnrun.data.batch import EventBatch
from snnrun.engine.cpu import CpuEngine
from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.types import Layer, Readout
from snnrun.neurons import NEURONS
from snnrun.surrogates import Surrogate

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # numba warns of its own compilation
TAUS = {"lif": {}, "cuba_lif": {"tau_syn": 10.0}}


@pytest.mark.parametrize(("batch", "steps", "neurons"), [(4, 63, 30), (1, 1, 5), (3, 40, 257)], ids=str)
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("name", list(TAUS))
def test_agrees_with_the_reference(name: str, reset: str, batch: int, steps: int, neurons: int) -> None:
    random = torch.Generator().manual_seed(0)
    neuron = NEURONS[name](neurons=neurons, dt=10.0, tau_mem=20.0, reset=reset, detach_reset=False, **TAUS[name])
    counts = (torch.rand(batch, steps, 20, generator=random) < 0.1).double() * 2
    constants = tuple(c.double().requires_grad_() for c in neuron.constants())
    shapes = [(20, neurons), (neurons, neurons), (neurons, 5)]
    weight, recurrent, out = (
        (torch.randn(*shape, generator=random).double() * scale).requires_grad_()
        for shape, scale in zip(shapes, (1.0, 0.1, 1.0), strict=True)
    )
    decay = torch.full((5,), 0.9).double()
    found = []
    for engine in (ReferenceEngine(), CpuEngine()):
        layer = Layer(neuron, constants, Surrogate("sigmoid", 5.0), weight, recurrent)
        result = engine.scan(EventBatch.from_dense(counts), [layer], Readout(out, decay, decay * 0.8))
        assert result.output is not None
        loss = result.output.amax(1).square().sum() + result.counts[0].square().mean()
        gradients = torch.autograd.grad(loss, [weight, recurrent, out, *constants])
        found.append([result.output.detach(), result.counts[0].detach(), *gradients])
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-10)
