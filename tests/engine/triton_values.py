"""Values and gradients of the Triton engine against the reference engine, in Triton's interpreter or on a GPU.

Not collected by itself: `test_triton_values.py` runs it in a process of its own, since TRITON_INTERPRET has to be set
before triton is imported; without it the problems are run on the GPU. Every uninitialised buffer is filled with NaN.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.triton import TritonEngine
from snnrun.engine.triton.models import MODELS
from snnrun.engine.types import ScanResult
from snnrun.surrogates import SHAPES, Surrogate
from tests.engine.problems import Case, Problem, close, compare, random_cases

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"


@pytest.fixture(autouse=True)
def _poisoned_buffers() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.empty(1).isnan()
    yield
    torch.use_deterministic_algorithms(False)


ON_A_GPU = pytest.mark.skipif(INTERPRETED, reason="minutes in the interpreter")
TOLERANCE = 5e-5  # of the largest entry


def agree(case: Case, engine: TritonEngine | None = None, seed: int = 0) -> ScanResult:
    """Assert that spikes are identical, and outputs and gradients equal to TOLERANCE."""
    return compare(case, engine or TritonEngine(checkpoint_every=4), seed, TOLERANCE, DEVICE)


@pytest.mark.parametrize("neuron", [model.name for model in MODELS])
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_models_and_resets(neuron, reset):
    result = agree(Case(neuron=neuron, reset=reset, gain=1.0, steps=7, initial=True))
    assert 0.02 < result.counts[0].mean() / 7 < 0.9


@pytest.mark.parametrize("neuron", ["lif", "adlif"])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_detached_paths(neuron, reset):
    agree(Case(neuron=neuron, reset=reset, gain=1.0, detach_reset=True, initial=True))
    agree(Case(neuron=neuron, reset=reset, gain=1.0, detach_recurrent=True, initial=True))


@pytest.mark.parametrize("name", SHAPES)
def test_every_surrogate(name):
    shape = SHAPES[name]
    agree(Case(surrogate=Surrogate(name, shape.beta, shape.gamma or 1.0), steps=5))


@pytest.mark.parametrize("scale", ["peak", "area"])
@pytest.mark.parametrize("name", ["superspike", "multi_gaussian"])
def test_scale_gamma_and_cutoff(name, scale):
    result = agree(Case(surrogate=Surrogate(name, 10.0, 0.3, scale, cutoff=0.05)))
    assert 0 < result.active[0] < 1


@pytest.mark.parametrize(
    "case",
    [
        Case(batch=1),
        Case(steps=1),
        pytest.param(Case(steps=63, batch=9), marks=pytest.mark.slow),
        pytest.param(Case(sizes=(200,), batch=40, steps=100, initial=True), marks=ON_A_GPU),
        pytest.param(Case(sizes=(200,), batch=300, steps=20), marks=ON_A_GPU),
        pytest.param(Case(sizes=(600,), batch=9, steps=100), marks=ON_A_GPU),
        Case(steps=7, batch=9),
        Case(sizes=(1,), batch=1, steps=2),
        Case(sizes=(65,), recurrent=False),
        Case(sizes=(129,), steps=5),
        Case(sizes=(200,), steps=5),
        Case(sizes=(257,), steps=5),
        Case(sizes=(513,), steps=5),
        Case(sizes=(513,), batch=2, detach_recurrent=True),
        Case(channels=1, rate=1.0),
        Case(outputs=0),
        Case(outputs=70, steps=5),
        Case(initial=True),
        Case(sizes=(20, 31), steps=5),
        Case(sizes=(20, 31, 7), steps=6, recurrent=False, initial=True, neuron="lif"),
        Case(sizes=(20, 31), steps=6, outputs=0),
    ],
    ids=str,
)
def test_shapes(case):
    agree(case)


def test_silent_layer():
    result = agree(Case(rate=0.0))
    assert result.counts[0].sum() == 0


def test_saturated_layer():
    result = agree(Case(channels=40, gain=8.0, rate=1.0, neuron="lif", reset="none", recurrent=False, initial=True))
    assert result.counts[0].max() == 10


@pytest.mark.parametrize("inputs", ["dense", "current"])
@pytest.mark.parametrize("batch", [1, 3])
def test_tensors_as_inputs(inputs, batch):
    agree(Case(inputs=inputs, batch=batch, gain=1.0))


@pytest.mark.parametrize("inputs", ["events", "dense", "current"])
def test_sequence_cut_into_stretches(inputs):
    agree(Case(inputs=inputs, sizes=(20, 12), initial=True), TritonEngine(workspace_mib=0, checkpoint_every=4))


def test_wide_layer_in_stretches():
    agree(Case(sizes=(520,), batch=1, initial=True), TritonEngine(workspace_mib=0, checkpoint_every=4))


def test_bfloat16_products_are_those_of_rounded_weights():
    problem = Problem(Case(), device=DEVICE)
    found, _ = problem.run(TritonEngine("bfloat16"))
    problem.leaves["recurrent0"] = problem.leaves["recurrent0"].bfloat16().float()
    expected, _ = problem.run(ReferenceEngine())
    assert torch.equal(expected.counts[0], found.counts[0])
    close("output", expected.output, found.output, TOLERANCE)


@pytest.mark.parametrize("size", [20, 200, 520])
def test_bfloat16_gradients(size):
    problem = Problem(Case(sizes=(size,)), device=DEVICE)
    problem.leaves["recurrent0"] = problem.leaves["recurrent0"].bfloat16().float()
    _, expected = problem.run(ReferenceEngine())
    _, found = problem.run(TritonEngine("bfloat16"))
    for name, gradient in expected.items():
        close(name, gradient, found[name], TOLERANCE)


def test_backward_can_be_repeated():
    problem = Problem(Case(inputs="dense", batch=1), device=DEVICE)
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in problem.leaves.items()}
    counts = TritonEngine().scan(leaves["inputs"], problem.layers(leaves), None).counts[0]
    first = torch.autograd.grad(counts.sum(), leaves["inputs"], retain_graph=True)[0]
    kept = first.clone()
    second = torch.autograd.grad(2 * counts.sum(), leaves["inputs"])[0]
    assert torch.equal(first, kept)
    assert torch.equal(second, 2 * kept)


def test_active_share_is_unknown_before_the_backward_pass():
    problem = Problem(replace(Case(), surrogate=Surrogate("superspike", 100.0, cutoff=0.01)), device=DEVICE)
    events = EventBatch.from_dense(problem.counts)
    assert TritonEngine().scan(events, problem.layers(problem.leaves), None).active.isnan().all()


SURROGATES = st.sampled_from([Surrogate("superspike", 100.0, cutoff=1e-3), Surrogate("sigmoid", 5.0)])


@pytest.mark.slow
@settings(max_examples=40)
@given(
    case=random_cases(Case, [model.name for model in MODELS], SURROGATES, most_steps=40, most_layers=2),
    seed=st.integers(0, 5),
    workspace=st.sampled_from([0, 1024]),
    every=st.integers(1, 40),
)
def test_random_problems(case, seed, workspace, every):
    agree(case, TritonEngine(workspace_mib=workspace, checkpoint_every=every), seed)
