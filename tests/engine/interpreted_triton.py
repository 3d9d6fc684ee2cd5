"""Values and gradients of the Triton engine in Triton's interpreter, against the reference engine.

Not collected by itself: `test_triton_values.py` runs it in a process of its own, since TRITON_INTERPRET has to be set
before triton is imported. Every uninitialised buffer is filled with NaN.
"""

import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import triton.language as tl
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from triton.runtime import interpreter

from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.triton import TritonEngine
from snnrun.engine.triton.models import MODELS
from snnrun.engine.types import Engine, Layer, Readout, ScanResult
from snnrun.neurons import NEURONS, Neuron
from snnrun.surrogates import SHAPES, Surrogate

assert os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(autouse=True)
def _poisoned_buffers() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.empty(1).isnan()
    yield
    torch.use_deterministic_algorithms(False)


SIGMOID = Surrogate("sigmoid", 5.0)


@dataclass(frozen=True)
class Case:
    """A problem: a stack of layers of random weights on random inputs."""

    batch: int = 3
    steps: int = 10
    channels: int = 9
    sizes: tuple[int, ...] = (20,)
    neuron: str = "cuba_lif"
    reset: str = "zero"
    detach_reset: bool = False
    recurrent: bool = True
    detach_recurrent: bool = False
    surrogate: Surrogate = SIGMOID
    outputs: int = 4
    inputs: str = "events"  # events, dense or current
    initial: bool = False
    gain: float = 0.5
    rate: float = 0.2


class Problem:
    """Leaf tensors of a case, the same for every engine."""

    def __init__(self, case: Case, seed: int = 0) -> None:
        self.case = case
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        def decays(n: int) -> Tensor:
            return 0.6 + 0.35 * torch.rand(n, generator=generator)

        self.leaves: dict[str, Tensor] = {}
        below = case.channels
        for k, n in enumerate(case.sizes):
            if case.inputs != "current" or k > 0:
                self.leaves[f"weight{k}"] = case.gain * normal(below, n) * (9 / below) ** 0.5
            if case.recurrent:
                self.leaves[f"recurrent{k}"] = case.gain * normal(n, n) * min(1, 20 / n) ** 0.5
            neuron = self.neuron(n)
            for c in range(len(neuron.constants())):
                self.leaves[f"constant{k}.{c}"] = decays(n)
            if case.initial:
                for c in range(len(neuron.states)):
                    self.leaves[f"initial{k}.{c}"] = 0.5 * normal(case.batch, n)
            below = n
        if case.outputs:
            self.leaves |= {"readout": normal(below, case.outputs), "decay_mem": decays(case.outputs)}
            self.leaves["decay_syn"] = decays(case.outputs)
        fired = torch.rand(case.batch, case.steps, case.channels, generator=generator) < case.rate
        self.counts = fired.float() * torch.randint(1, 3, fired.shape, generator=generator)
        if case.inputs == "dense":
            self.leaves["inputs"] = self.counts + 0.3 * normal(*fired.shape)
        if case.inputs == "current":
            self.leaves["inputs"] = case.gain * normal(case.batch, case.steps, case.sizes[0])
        self.output_gradient = normal(case.batch, case.steps, case.outputs)
        self.count_gradients = [normal(case.batch, n) for n in case.sizes]

    def neuron(self, size: int) -> Neuron:
        """The neuron model of the case."""
        make = NEURONS[self.case.neuron]
        known = {
            "dt": 1.0, "tau_mem": 10.0, "tau_syn": 5.0, "tau_adapt": 30.0, "adaptation": 0.2, "a": (0.0, 1.0),
            "b": (0.0, 2.0), "q": 1.0, "reset": self.case.reset, "detach_reset": self.case.detach_reset,
        }  # fmt: skip
        taken = inspect.signature(make).parameters
        return make(neurons=size, **{name: value for name, value in known.items() if name in taken})

    def layers(self, leaves: dict[str, Tensor]) -> list[Layer]:
        """The layers of the case."""
        layers = []
        for k, n in enumerate(self.case.sizes):
            constants = tuple(leaves[name] for name in leaves if name.startswith(f"constant{k}."))
            initial = tuple(leaves[name] for name in leaves if name.startswith(f"initial{k}."))
            layers.append(
                Layer(
                    self.neuron(n),
                    constants,
                    self.case.surrogate,
                    leaves.get(f"weight{k}"),
                    leaves.get(f"recurrent{k}"),
                    self.case.detach_recurrent,
                    initial or None,
                )
            )
        return layers

    def run(self, engine: Engine) -> tuple[ScanResult, dict[str, Tensor]]:
        """Results and the gradient of every leaf."""
        leaves = {name: leaf.clone().requires_grad_() for name, leaf in self.leaves.items()}
        inputs = EventBatch.from_dense(self.counts) if self.case.inputs == "events" else leaves["inputs"]
        readout = Readout(leaves["readout"], leaves["decay_mem"], leaves["decay_syn"]) if self.case.outputs else None
        result = engine.scan(inputs, self.layers(leaves), readout, record=True)
        loss = sum((c * g).sum() for c, g in zip(result.counts, self.count_gradients, strict=True))
        if result.output is not None:
            loss = loss + (result.output * self.output_gradient).sum()
        loss.backward()
        return result, {name: torch.zeros_like(x) if x.grad is None else x.grad for name, x in leaves.items()}


def agree(case: Case, engine: TritonEngine | None = None, seed: int = 0) -> ScanResult:
    """Assert that spikes are identical, and outputs and gradients equal to 5e-5 of their largest entry."""
    problem = Problem(case, seed)
    expected, expected_gradients = problem.run(ReferenceEngine())
    found, gradients = problem.run(engine or TritonEngine(checkpoint_every=4))
    for a, b in zip(expected.spikes, found.spikes, strict=True):
        assert torch.equal(a.pointer, b.pointer)
        assert torch.equal(a.unit, b.unit)
    for a, b in zip(expected.counts, found.counts, strict=True):
        assert torch.equal(a, b)
    if case.outputs:
        close("output", expected.output, found.output)
    torch.testing.assert_close(expected.active, found.active, rtol=0, atol=1e-12)
    for name, gradient in expected_gradients.items():
        close(name, gradient, gradients[name])
    return found


def close(name: str, expected: Tensor, found: Tensor) -> None:
    assert expected.shape == found.shape
    error = (expected - found).abs().max() / expected.abs().max().clamp(min=1e-12)
    assert error <= 5e-5, f"{name} is off by {error:.1e} of its largest entry"


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
        Case(steps=7, batch=9),
        Case(sizes=(1,), batch=1, steps=2),
        Case(sizes=(65,), recurrent=False),
        Case(sizes=(129,), steps=5),
        Case(sizes=(200,), steps=5),
        Case(sizes=(257,), steps=5),
        Case(sizes=(257,), batch=2, detach_recurrent=True),
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
    agree(Case(sizes=(260,), batch=1, initial=True), TritonEngine(workspace_mib=0, checkpoint_every=4))


@pytest.fixture
def bfloat16_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mend the interpreter of Triton 3.9, whose `tl.dot` multiplies the bit patterns of bfloat16 as integers."""
    original = interpreter.InterpreterBuilder.create_dot

    def widened(x):
        if x.dtype.scalar != tl.bfloat16:
            return x
        return interpreter.TensorHandle((x.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def create_dot(self, a, b, *rest):
        return original(self, widened(a), widened(b), *rest)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", create_dot)


@pytest.mark.usefixtures("bfloat16_dot")
def test_bfloat16_products_are_those_of_rounded_weights():
    problem = Problem(Case())
    found, _ = problem.run(TritonEngine("bfloat16"))
    problem.leaves["recurrent0"] = problem.leaves["recurrent0"].bfloat16().float()
    expected, _ = problem.run(ReferenceEngine())
    assert torch.equal(expected.counts[0], found.counts[0])
    close("output", expected.output, found.output)


@pytest.mark.usefixtures("bfloat16_dot")
@pytest.mark.parametrize("size", [20, 200, 260])
def test_bfloat16_gradients(size):
    problem = Problem(Case(sizes=(size,)))
    problem.leaves["recurrent0"] = problem.leaves["recurrent0"].bfloat16().float()
    _, expected = problem.run(ReferenceEngine())
    _, found = problem.run(TritonEngine("bfloat16"))
    for name, gradient in expected.items():
        assert (gradient - found[name]).abs().max() < 0.02 * gradient.abs().max(), name


def test_backward_can_be_repeated():
    problem = Problem(Case(inputs="dense", batch=1))
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in problem.leaves.items()}
    counts = TritonEngine().scan(leaves["inputs"], problem.layers(leaves), None).counts[0]
    first = torch.autograd.grad(counts.sum(), leaves["inputs"], retain_graph=True)[0]
    kept = first.clone()
    second = torch.autograd.grad(2 * counts.sum(), leaves["inputs"])[0]
    assert torch.equal(first, kept)
    assert torch.equal(second, 2 * kept)


def test_active_share_is_unknown_before_the_backward_pass():
    problem = Problem(replace(Case(), surrogate=Surrogate("superspike", 100.0, cutoff=0.01)))
    events = EventBatch.from_dense(problem.counts)
    assert TritonEngine().scan(events, problem.layers(problem.leaves), None).active.isnan().all()


@pytest.mark.slow
@settings(max_examples=40)
@given(
    case=st.builds(
        Case,
        batch=st.integers(1, 10),
        steps=st.integers(1, 40),
        channels=st.integers(1, 20),
        sizes=st.lists(st.integers(1, 70), min_size=1, max_size=2).map(tuple),
        neuron=st.sampled_from([model.name for model in MODELS]),
        reset=st.sampled_from(["zero", "subtract", "none"]),
        detach_reset=st.booleans(),
        recurrent=st.booleans(),
        detach_recurrent=st.booleans(),
        surrogate=st.sampled_from([Surrogate("superspike", 100.0, cutoff=1e-3), Surrogate("sigmoid", 5.0)]),
        outputs=st.integers(0, 5),
        inputs=st.sampled_from(["events", "dense"]),
        initial=st.booleans(),
    ),
    seed=st.integers(0, 5),
    workspace=st.sampled_from([0, 1024]),
    every=st.integers(1, 40),
)
def test_random_problems(case, seed, workspace, every):
    agree(case, TritonEngine(workspace_mib=workspace, checkpoint_every=every), seed)
