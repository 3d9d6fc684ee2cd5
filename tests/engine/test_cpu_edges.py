"""What the CPU engine refuses and how it says so, denormals, and the cache of compiled code."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from snnrun.data.batch import EventBatch
from snnrun.engine.cpu import CpuEngine, compile
from snnrun.engine.cpu.blocks import run_all
from snnrun.engine.cpu.layout import padded
from snnrun.engine.types import Layer, Readout
from snnrun.errors import UserError
from snnrun.neurons import NEURONS
from snnrun.surrogates import SHAPES, Surrogate

pytestmark = pytest.mark.filterwarnings("ignore::Warning:numba")


class Unknown(NEURONS["lif"]):
    """A model without fused equations."""

    name = "unknown"


def layer(neurons: int = 5, model=NEURONS["lif"], surrogate: str = "sigmoid", **changes) -> Layer:
    neuron = model(neurons=neurons, dt=1.0, tau_mem=10.0, reset="zero", detach_reset=True)
    given = Layer(neuron, neuron.constants(), Surrogate(surrogate, 5.0), torch.zeros(3, neurons))
    return replace(given, **changes)


def events(channels: int = 3) -> EventBatch:
    return EventBatch.from_dense(torch.ones(2, 4, channels))


def one_bin(pointer: list[int], unit: torch.Tensor) -> EventBatch:
    return EventBatch(torch.tensor(pointer), unit, batch=1, steps=1, channels=3)


READOUT = Readout(torch.zeros(5, 2), torch.ones(2), torch.ones(2))
UNIT = torch.zeros(1, dtype=torch.int32)


def test_what_has_no_equations_is_named(monkeypatch):
    monkeypatch.setitem(SHAPES._items, "plugin", SHAPES["sigmoid"])
    engine = CpuEngine()
    assert engine.unsupported([layer()]) is None
    assert engine.unsupported([layer(), layer(model=Unknown)]) == "neuron unknown has no fused equations"
    assert engine.unsupported([layer(surrogate="plugin")]) == "surrogate plugin has no fused derivative"


@pytest.mark.parametrize(
    ("inputs", "layers", "readout", "message"),
    [
        (events(), [], None, "at least one layer"),
        (events(4), [layer()], None, "4 channels; the first layer takes 3"),
        (events(), [layer(), layer()], None, r"weight of layer 2 is \(3, 5\); must be \(5, 5\)"),
        (events(), [layer(0)], None, "layer 1 has no neurons"),
        (events(), [layer(recurrent=torch.zeros(5, 4))], None, "recurrent weight of layer 1"),
        (events(), [layer(constants=())], None, "layer 1 has 0 constants; lif has 1"),
        (events(), [layer(constants=(torch.ones(5),) * 2)], None, "layer 1 has 2 constants; lif has 1"),
        (events(), [layer(weight=None)], None, "the first layer must have a weight"),
        (events(), [layer(weight=torch.zeros(3, 5).double())], None, "weight of layer 1 is float64"),
        (events(), [layer(weight=torch.zeros(3, 5, device="meta"))], None, "weight of layer 1 is on meta"),
        (events(), [layer(constants=(torch.ones(5).half(),))], None, "numbers are float16; allowed are float32 and"),
        (events(), [layer(initial_state=(torch.zeros(3, 5),))], None, r"initial state 1 of layer 1 is \(3, 5\)"),
        (events(), [layer(initial_state=(torch.zeros(2, 5),) * 2)], None, "has 2 variables; must be 1"),
        (events(), [layer()], replace(READOUT, weight=torch.zeros(4, 2)), "readout weight"),
        (events(), [layer()], replace(READOUT, decay_mem=torch.ones(3)), "readout decay_mem"),
        (torch.ones(2, 3), [layer()], None, "must be"),
        (torch.ones(0, 4, 3), [layer()], None, "with a sample and a step at least"),
        (torch.ones(2, 4, 2), [layer()], None, r"the first layer takes \(batch, steps, 3\)"),
        (torch.full((2, 4, 3), torch.nan), [layer()], None, "inputs contain NaN"),
        (torch.ones(2, 4, 3, dtype=torch.int64), [layer()], None, "inputs is int64"),
        (torch.ones(2, 4, 3, device="meta"), [layer()], None, "inputs is on meta"),
        (one_bin([0, 1], UNIT + 3), [layer()], None, "units 3 to 3; allowed are 0 to 2"),
        (one_bin([0, 1], UNIT - 1), [layer()], None, "units -1 to -1"),
        (one_bin([0, 2], UNIT), [layer()], None, "must rise"),
        (one_bin([1, 0], UNIT), [layer()], None, "must rise"),
        (one_bin([0, 1, 1], UNIT), [layer()], None, "pointer has 3 entries"),
        (one_bin([0, 1], UNIT.long()), [layer()], None, "unit is int64"),
        (EventBatch(torch.zeros(1).long(), UNIT[:0], 0, 4, 3), [layer()], None, "0 samples of 4 steps"),
    ],
)  # fmt: skip
def test_unfit_tensors(inputs, layers, readout, message):
    with pytest.raises(UserError, match=message):
        CpuEngine().scan(inputs, layers, readout)


def test_threads_flush_denormal_numbers():
    tiny = np.full(4, 1e-30, np.float32)
    assert all((product == 0).all() for product in run_all(lambda factor: tiny * np.float32(factor), [1e-12] * 8))


def test_compiled_code_is_found_again(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caplog.set_level(logging.WARNING)
    for compilations in (1, 1):
        assert compile.kernel("sum-of-two")(lambda a, b: a + b)(2.0, 3.0) == 5
        assert caplog.text.count("compiling sum-of-two of the CPU engine") == compilations
    for file in tmp_path.rglob("*.nbc"):
        file.write_bytes(b"damaged")
    assert compile.kernel("sum-of-two")(lambda a, b: a + b)(2.0, 3.0) == 5
    assert caplog.text.count("compiling sum-of-two") == 2


COUNTS = """
import os
import sys
import torch
from snnrun.data.batch import EventBatch
from snnrun.engine.cpu import CpuEngine
from snnrun.engine.reference import ReferenceEngine
from tests.engine.problems import Case, Problem

def check(names):
    for name in names:
        problem = Problem(Case(neuron=name, gain=1.0, outputs=0))
        events, layers = EventBatch.from_dense(problem.counts), problem.layers(problem.leaves)
        expected, found = (engine.scan(events, layers, None).counts[0] for engine in (ReferenceEngine(), CpuEngine()))
        print(name, bool(expected.any() and torch.equal(expected, found)), flush=True)

first, *others = sys.argv[1:]
for names in others:
    if (child := os.fork()) == 0:
        check(names.split(","))
        os._exit(0)
    os.waitpid(child, 0)
check(first.split(","))
"""


def test_kernels_compiled_apart_are_not_mistaken_for_one_another(tmp_path):
    def run(*names: str) -> str:
        """Check models in a process, first those of each further group in a fork of its own."""
        command = [sys.executable, "-c", COUNTS, *names]
        paths = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
        # The order of a set, which differs from process to process, is a part of numba's names.
        variables = os.environ | paths | {"PYTHONHASHSEED": "0"}
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout

    assert run("lif") == "lif True\n"
    assert run("alif", "cuba_lif") == "cuba_lif True\nalif True\n"
    files = set(tmp_path.rglob("*.nbc"))
    assert run("lif,cuba_lif,alif") == "lif True\ncuba_lif True\nalif True\n"
    assert set(tmp_path.rglob("*.nbc")) == files


@pytest.mark.parametrize("count", [0, 1, 16, 17, 511, 512, 513, 1024, 1536, 2048])
def test_rows_hold_what_they_must_and_do_not_meet_in_the_cache(count):
    places = padded(count)
    assert count <= places < count + 32
    assert places % 16 == 0
    assert places == 0 if count == 0 else places % 512 != 0
