"""Delays on the CPU engine against the reference in float64: spikes, output and every gradient."""

from dataclasses import replace

import pytest
import torch

from snnrun.data.batch import EventBatch
from snnrun.engine.cpu import CpuEngine
from snnrun.engine.reference import ReferenceEngine
from snnrun.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # numba warns of its own compilation

CASES = {
    "synaptic": {},
    "axonal": {"kind": "axonal"},
    "one sample, one step": {"batch": 1, "steps": 1},
    "63 steps": {"steps": 63, "sizes": (5, 19, 7)},
    "recurrent only": {"delayed": "recurrent", "reset": "zero"},
    "feedforward only": {"delayed": "feedforward", "reset": "none", "detach_reset": True},
    "detached recurrence": {"detach_recurrent": True},
    "cut surrogate": {"cutoff": 0.05},
    "one bin": {"longest": 10.0},
    "as long as the sample": {"longest": 400.0},
    "many samples": {"batch": 33, "steps": 20},
    "narrow gaussian": {"interpolation": "gaussian", "sigma": 5.0},
    "wide gaussian": {"interpolation": "gaussian", "sigma": 60.0, "longest": 120.0},
    "three layers": {"sizes": (12, 9, 8, 7)},
    "wide layer": {"sizes": (10, 257), "steps": 30},
    "many chunks": {"steps": 300, "longest": 30.0},
}


AGAIN = ("synaptic", "many chunks", "wide gaussian", "three layers")


@pytest.mark.parametrize(("name", "kept"), [*((name, True) for name in CASES), *((name, False) for name in AGAIN)])
def test_agrees_with_the_reference(stack, monkeypatch, name: str, kept: bool) -> None:
    """Also where currents are not kept for the backward pass."""
    monkeypatch.setattr("snnrun.engine.cpu.scan.CURRENT_BYTES", 10**9 if kept else 0)
    case = stack(**{"kind": "synaptic", "interpolation": "linear"} | CASES[name])
    found = []
    for engine in (ReferenceEngine(), CpuEngine()):
        result = engine.scan(EventBatch.from_dense(case.inputs), case.build(), case.readout)
        assert result.output is not None
        loss = result.output.amax(1).square().sum() + sum(c.square().mean() for c in result.counts)
        gradients = torch.autograd.grad(loss, list(case.trained.values()))
        found.append([result.output.detach(), *(c.detach() for c in result.counts), *gradients])
    assert all(float(c.sum()) > 0 for c in found[0][1 : 1 + len(case.layers)]) or case.inputs.shape[1] == 1
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10 * max(1.0, float(expected.abs().max())))


def test_evaluation_gives_the_same_spikes(stack) -> None:
    case = stack("synaptic", "linear", steps=150)
    inputs, layers = EventBatch.from_dense(case.inputs), case.build()
    trained = CpuEngine().scan(inputs, layers, case.readout, record=True)
    with torch.no_grad():
        found = CpuEngine().scan(inputs, layers, case.readout, record=True)
        expected = ReferenceEngine().scan(inputs, layers, case.readout, record=True)
    assert found.spikes is not None
    assert expected.spikes is not None
    assert trained.spikes is not None
    for a, b, c in zip(found.spikes, expected.spikes, trained.spikes, strict=True):
        torch.testing.assert_close(a.dense(), b.dense(), rtol=0, atol=0)
        torch.testing.assert_close(a.dense(), c.dense(), rtol=0, atol=0)


def test_rounded_delays(stack) -> None:
    case = stack("synaptic", "linear")
    for module in case.modules:
        module.settings = replace(module.settings, round=True)
        module.eval()
    with torch.no_grad():
        inputs, layers = EventBatch.from_dense(case.inputs), case.build()
        found, expected = (engine.scan(inputs, layers, case.readout) for engine in (CpuEngine(), ReferenceEngine()))
    assert layers[0].delays is not None
    assert layers[0].delays.share.shape[-1] == 1
    torch.testing.assert_close(found.output, expected.output, rtol=1e-10, atol=1e-10)
    assert float(found.counts[1].sum()) > 0


@pytest.mark.parametrize("kept", [True, False])
def test_a_tensor_that_enters_takes_a_gradient_through_delays(stack, monkeypatch, kept: bool) -> None:
    monkeypatch.setattr("snnrun.engine.cpu.scan.CURRENT_BYTES", 10**9 if kept else 0)
    case = stack("synaptic", "linear")
    inputs = case.inputs.requires_grad_()
    gradients = []
    for engine in (ReferenceEngine(), CpuEngine()):
        output = engine.scan(inputs, case.build(), case.readout).output
        assert output is not None
        gradients.append(torch.autograd.grad(output.square().sum(), inputs)[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-10, atol=1e-10)
    assert float(gradients[0].abs().max()) > 0


@pytest.mark.parametrize("what", ["start", "share", "lags", "dtype"])
def test_delays_that_do_not_fit_are_refused(stack, what: str) -> None:
    case = stack("synaptic", "linear")
    layers = case.build()
    good = layers[1].delays
    assert good is not None
    bad = {
        "start": replace(good, start=good.start + good.lags),
        "share": replace(good, share=good.share[:-1]),
        "lags": replace(good, lags=1),
        "dtype": replace(good, start=good.start.int()),
    }[what]
    with pytest.raises(UserError, match=r"delays of layer 2"):
        CpuEngine().scan(case.inputs, [layers[0], replace(layers[1], delays=bad)], case.readout)
