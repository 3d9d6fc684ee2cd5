"""What the Triton engine refuses, and how it says so; nothing here runs a kernel."""

import importlib.util

import pytest
import torch

from snnrun.data.batch import EventBatch
from snnrun.engine.triton import TritonEngine
from snnrun.engine.triton import engine as module
from snnrun.engine.types import Layer, Readout
from snnrun.errors import UserError
from snnrun.neurons import NEURONS
from snnrun.surrogates import SHAPES, Surrogate

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")


class Unknown(NEURONS["lif"]):
    """A model without equations on the device."""

    name = "unknown"


def layer(neurons: int = 5, channels: int = 3, model=NEURONS["lif"], surrogate: str = "sigmoid", **changes) -> Layer:
    neuron = model(neurons=neurons, dt=1.0, tau_mem=10.0, reset="zero", detach_reset=True)
    given = {
        "neuron": neuron,
        "constants": neuron.constants(),
        "surrogate": Surrogate(surrogate, 5.0),
        "weight": torch.zeros(channels, neurons),
        **changes,
    }
    return Layer(**given)


def events(channels: int = 3) -> EventBatch:
    return EventBatch.from_dense(torch.ones(2, 4, channels))


def one_bin(pointer: list[int], unit: torch.Tensor) -> EventBatch:
    return EventBatch(torch.tensor(pointer), unit, batch=1, steps=1, channels=3)


def test_missing_triton_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert TritonEngine().unsupported([layer()]) == module.MISSING
    with pytest.raises(UserError, match="pip install triton"):
        TritonEngine().scan(events(), [layer()], None)


@needs_triton
def test_tensors_on_the_cpu_need_the_interpreter(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(UserError, match="on cpu; engine=triton takes tensors on cuda"):
        TritonEngine().scan(events(), [layer()], None)


@needs_triton
def test_what_has_no_equations_is_named(monkeypatch):
    monkeypatch.setitem(SHAPES._items, "plugin", SHAPES["sigmoid"])
    engine = TritonEngine()
    assert engine.unsupported([layer()]) is None
    assert engine.unsupported([layer(), layer(model=Unknown)]) == "neuron unknown has no fused equations"
    assert engine.unsupported([layer(surrogate="plugin")]) == "surrogate plugin has no fused derivative"


def test_unknown_products():
    with pytest.raises(UserError, match="products=float16: engine=triton multiplies in float32 or bfloat16"):
        TritonEngine("float16")


@needs_triton
@pytest.mark.parametrize(
    ("inputs", "layers", "readout", "message"),
    [
        (events(), [], None, "at least one layer"),
        (events(), [layer(constants=(torch.ones(5).double(),))], None, "numbers are float64; allowed are float32"),
        (events(), [layer(constants=(torch.ones(5),) * 2)], None, "layer 1 has 2 constants; lif has 1"),
        (events(), [layer(weight=torch.zeros(3, 5).double())], None, "weight of layer 1 is float64"),
        (events(), [layer(weight=torch.zeros(3, 5, device="meta"))], None, "weight of layer 1 is on meta"),
        (events(), [layer(recurrent=torch.zeros(5, 4))], None, r"recurrent weight of layer 1 is \(5, 4\)"),
        (events(), [layer(weight=None)], None, "inputs are events, so the first layer must have a weight"),
        (events(4), [layer()], None, "inputs have 4 channels; the first layer takes 3"),
        (events(), [layer(), layer()], None, r"weight of layer 2 is \(3, 5\); must be \(5, 5\)"),
        (events(), [layer(initial_state=(torch.zeros(1, 5),))], None, "initial state 1 of layer 1"),
        (events(), [layer(initial_state=(torch.zeros(2, 5),) * 2)], None, "has 2 variables; must be 1"),
        (events(), [layer()], Readout(torch.zeros(5, 2), torch.ones(3), torch.ones(2)), "readout decay_mem"),
        (torch.ones(2, 3), [layer()], None, "must be"),
        (torch.ones(0, 4, 3), [layer()], None, "with a sample and a step at least"),
        (torch.ones(2, 4, 2), [layer()], None, r"the first layer takes \(batch, steps, 3\)"),
        (torch.full((2, 4, 3), torch.nan), [layer()], None, "inputs contain NaN"),
        (torch.ones(2, 4, 3, dtype=torch.int64), [layer()], None, "inputs is int64"),
        (one_bin([0, 1], torch.tensor([3], dtype=torch.int32)), [layer()], None, "units 3 to 3"),
        (one_bin([0, 2], torch.tensor([1], dtype=torch.int32)), [layer()], None, "must rise"),
        (one_bin([0, 1], torch.tensor([1])), [layer()], None, "unit is int64"),
    ],
)  # fmt: skip
def test_unfit_tensors(monkeypatch, inputs, layers, readout, message):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(UserError, match=message):
        TritonEngine().scan(inputs, layers, readout)
