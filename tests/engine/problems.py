"""Random problems for engines: what goes in, what an engine makes of it, and how far two engines differ."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.types import Engine, Layer, Readout, ScanResult
from snnrun.neurons import NEURONS, Neuron
from snnrun.surrogates import Surrogate

SIGMOID = Surrogate("sigmoid", 5.0)


@dataclass(frozen=True)
class Case:
    """A problem: a stack of layers of random weights on random inputs.

    Attributes:
        counted: whether the loss depends on the numbers of spikes; without a readout it does in any case.
        fixed: whether time constants take no gradient.
    """

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
    counted: bool = True
    fixed: bool = False
    gain: float = 0.5
    rate: float = 0.2
    dtype: torch.dtype = torch.float32


def random_cases(
    make: Callable[..., Case],
    models: Sequence[str],
    surrogates: st.SearchStrategy[Surrogate],
    most_steps: int,
    most_layers: int,
) -> st.SearchStrategy[Case]:
    """Any problem of such models and surrogates, made by `make`, that is small enough to be tried often."""
    return st.builds(
        make,
        batch=st.integers(1, 10),
        steps=st.integers(1, most_steps),
        channels=st.integers(1, 20),
        sizes=st.lists(st.integers(1, 70), min_size=1, max_size=most_layers).map(tuple),
        neuron=st.sampled_from(models),
        reset=st.sampled_from(["zero", "subtract", "none"]),
        detach_reset=st.booleans(),
        recurrent=st.booleans(),
        detach_recurrent=st.booleans(),
        surrogate=surrogates,
        outputs=st.integers(0, 5),
        inputs=st.sampled_from(["events", "dense"]),
        initial=st.booleans(),
        counted=st.booleans(),
        fixed=st.booleans(),
    )


class Problem:
    """Leaf tensors of a case, the same for every engine."""

    def __init__(self, case: Case, seed: int = 0, device: str = "cpu") -> None:
        self.case = case
        self.device = device
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator).to(case.dtype)

        def decays(n: int) -> Tensor:
            return (0.6 + 0.35 * torch.rand(n, generator=generator)).to(case.dtype)

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
        self.counts = fired.to(case.dtype) * torch.randint(1, 3, fired.shape, generator=generator)
        self.counts = self.counts.to(device)
        if case.inputs == "dense":
            self.leaves["inputs"] = self.counts + 0.3 * normal(*fired.shape).to(device)
        if case.inputs == "current":
            self.leaves["inputs"] = case.gain * normal(case.batch, case.steps, case.sizes[0])
        self.output_gradient = normal(case.batch, case.steps, case.outputs).to(device)
        self.count_gradients = [normal(case.batch, n).to(device) for n in case.sizes]
        self.leaves = {name: leaf.to(device) for name, leaf in self.leaves.items()}

    def neuron(self, size: int) -> Neuron:
        """The neuron model of the case."""
        make = NEURONS[self.case.neuron]
        known = {
            "dt": 1.0, "tau_mem": 10.0, "tau_syn": 5.0, "tau_adapt": 30.0, "adaptation": 0.2, "a": (0.0, 1.0),
            "b": (0.0, 2.0), "q": 1.0, "reset": self.case.reset, "detach_reset": self.case.detach_reset,
        }  # fmt: skip
        taken = inspect.signature(make).parameters
        made = make(neurons=size, **{name: value for name, value in known.items() if name in taken})
        return made.to(self.device)

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
        """Results and the gradient of every leaf that takes one."""
        constants = ("constant", "decay") if self.case.fixed else ()
        leaves = {
            name: leaf.clone().requires_grad_(not name.startswith(constants)) for name, leaf in self.leaves.items()
        }
        inputs = EventBatch.from_dense(self.counts) if self.case.inputs == "events" else leaves["inputs"]
        readout = Readout(leaves["readout"], leaves["decay_mem"], leaves["decay_syn"]) if self.case.outputs else None
        result = engine.scan(inputs, self.layers(leaves), readout, record=True)
        loss = torch.zeros((), device=self.device)
        if self.case.counted or result.output is None:
            loss = loss + sum((c * g).sum() for c, g in zip(result.counts, self.count_gradients, strict=True))
        if result.output is not None:
            loss = loss + (result.output * self.output_gradient).sum()
        loss.backward()
        taking = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
        return result, {name: torch.zeros_like(x) if x.grad is None else x.grad for name, x in taking.items()}


def compare(case: Case, engine: Engine, seed: int, tolerance: float, device: str = "cpu") -> ScanResult:
    """Assert that spikes are identical, and outputs and gradients equal to `tolerance` of their largest entry."""
    problem = Problem(case, seed, device)
    expected, expected_gradients = problem.run(ReferenceEngine())
    found, gradients = problem.run(engine)
    for a, b in zip(expected.spikes, found.spikes, strict=True):
        assert torch.equal(a.pointer, b.pointer)
        assert torch.equal(a.unit, b.unit)
    for a, b in zip(expected.counts, found.counts, strict=True):
        assert torch.equal(a, b)
    if case.outputs:
        close("output", expected.output, found.output, tolerance)
    torch.testing.assert_close(expected.active, found.active, rtol=0, atol=1e-12)
    for name, gradient in expected_gradients.items():
        close(name, gradient, gradients[name], tolerance)
    return found


def close(name: str, expected: Tensor, found: Tensor, tolerance: float) -> None:
    """Assert that two tensors differ by at most `tolerance` of the largest entry."""
    assert expected.shape == found.shape
    error = (expected - found).abs().max() / expected.abs().max().clamp(min=1e-12)
    assert error <= tolerance, f"{name} is off by {error:.1e} of its largest entry"
