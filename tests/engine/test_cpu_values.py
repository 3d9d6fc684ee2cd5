"""The CPU engine against the reference: spikes, outputs and every gradient, on odd shapes; buffers begin as NaN."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnrun import memory
from snnrun.data.batch import EventBatch
from snnrun.engine.cpu import CpuEngine, engine, layout, scan
from snnrun.engine.cpu.blocks import Block
from snnrun.engine.cpu.neurons import EQUATIONS
from snnrun.engine.types import Readout, ScanResult
from snnrun.neurons import NEURONS
from snnrun.surrogates import LEAST, SHAPES, Surrogate
from tests.engine.problems import Case, Problem, compare, random_cases

pytestmark = pytest.mark.filterwarnings("ignore::Warning:numba")  # it warns of its own compilation
# Of the largest entry; in float32 the reference itself adds up in another order.
TOLERANCES = {torch.float64: 1e-10, torch.float32: 5e-5}
MODELS = [name for name in EQUATIONS if name in NEURONS]  # a refractory period is tested with the neurons
SIGMOID, CUT = Surrogate("sigmoid", 5.0), Surrogate("superspike", 100.0, cutoff=1e-3)


class Poisoned:
    """numpy whose new arrays are full of NaN; only for code that is not compiled."""

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def empty(shape, dtype=float):
        array = np.empty(shape, dtype)
        if array.dtype.kind in "fi":
            array.fill(np.nan if array.dtype.kind == "f" else -1)
        return array


@pytest.fixture(autouse=True, scope="module")
def _poisoned_buffers() -> Iterator[None]:
    with ExitStack() as patches:
        for module in (engine, layout, scan, memory):
            patches.enter_context(patch.object(module, "np", Poisoned()))
        patches.enter_context(patch.object(memory, "OWN_MAPPING", 2**62))
        assert np.isnan(memory.blank(2**18, np.dtype("float32"))).all()
        yield


def agree(case: Case, seed: int = 0) -> ScanResult:
    """Assert that spikes are identical, and outputs and gradients equal to rounding."""
    return compare(case, CpuEngine(), seed, TOLERANCES[case.dtype])


def exactly(**changes: object) -> Case:
    """A case in float64."""
    return Case(dtype=torch.float64, **changes)


@pytest.mark.parametrize("neuron", MODELS)
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_models_and_resets(neuron, reset):
    case = exactly(neuron=neuron, reset=reset, gain=1.0, steps=20, initial=True)
    result = agree(case)
    assert 0.02 < result.counts[0].mean() / 20 < 0.9
    agree(replace(case, dtype=torch.float32))


def test_every_model_has_fused_equations():
    assert set(EQUATIONS) >= {"lif", "if", "cuba_lif", "alif", "adlif", "se_adlif"}
    assert set(EQUATIONS) == {*MODELS, *(f"{name}_refractory" for name in MODELS)}


@pytest.mark.parametrize("neuron", ["lif", "adlif"])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_detached_paths(neuron, reset):
    agree(exactly(neuron=neuron, reset=reset, gain=1.0, detach_reset=True, initial=True))
    agree(exactly(neuron=neuron, reset=reset, gain=1.0, detach_recurrent=True, initial=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_every_surrogate(name, dtype):
    shape = SHAPES[name]
    agree(Case(surrogate=Surrogate(name, shape.beta, shape.gamma or 1.0), steps=15, dtype=dtype))


@pytest.mark.parametrize("scale", ["peak", "area"])
@pytest.mark.parametrize("name", ["superspike", "multi_gaussian"])
def test_scale_gamma_and_cutoff(name, scale):
    result = agree(exactly(surrogate=Surrogate(name, 10.0, 0.3, scale, cutoff=0.05)))
    assert 0 < result.active[0] < 1


@pytest.mark.parametrize("surrogate", [SIGMOID, CUT], ids=["exact", "cutoff"])
@pytest.mark.parametrize(
    "case",
    [
        exactly(batch=1),
        exactly(steps=1),
        exactly(batch=1, steps=1, sizes=(1,), channels=1),
        exactly(steps=63, batch=19),
        exactly(steps=300, batch=2),
        exactly(sizes=(257,)),
        exactly(sizes=(512,), batch=3, steps=5),
        exactly(sizes=(257,), batch=33, steps=3, detach_recurrent=True),
        exactly(sizes=(520,), batch=3, steps=4),
        exactly(sizes=(65,), recurrent=False),
        exactly(channels=1, rate=1.0),
        exactly(outputs=0),
        exactly(outputs=70),
        exactly(sizes=(20, 31), initial=True),
        exactly(sizes=(20, 31, 7), steps=40, recurrent=False, initial=True, neuron="lif"),
        exactly(sizes=(7, 40), outputs=0),
    ],
    ids=str,
)
def test_shapes(case, surrogate):
    agree(replace(case, surrogate=surrogate))


@pytest.mark.parametrize("share", [1, 8, 10**9], ids=lambda share: f"listed up to 1 in {share}")
@pytest.mark.parametrize("cutoff", [1e-3, 0.3])
@pytest.mark.parametrize("counted", [True, False])
def test_active_places_are_listed_or_there_are_too_many(share, cutoff, counted):
    surrogate = Surrogate("multi_gaussian", 10.0, 0.3, cutoff=cutoff)
    case = exactly(sizes=(20, 31), steps=63, batch=19, gain=1.0, detach_reset=True, surrogate=surrogate)
    case, listed = replace(case, counted=counted, fixed=True), []
    made = scan.Scan.forward

    def forward(self, *arguments):
        made(self, *arguments)
        listed.extend(self.active[block].pointer[0, 0] == 0 for block in self.blocks)

    with patch.object(scan, "LISTED_SHARE", share), patch.object(scan.Scan, "forward", forward):
        assert 0.02 < agree(case).active[0] < 0.9
    assert all(listed) if share == 1 else share == 8 or not any(listed)


def test_more_neurons_than_two_bytes_can_number():
    # Those that fire, and so the active ones, are spread over all of them.
    case = exactly(sizes=(70_000,), recurrent=False, batch=1, steps=3, channels=2, rate=0.9, gain=2.0, surrogate=CUT)
    assert 0 < float(agree(case).active) < 0.5


def test_listed_places_need_no_checkpoints():
    problem = Problem(exactly(detach_reset=True, surrogate=CUT, steps=40))
    layers, listed = problem.layers(problem.leaves), []
    for layer in layers:
        layer.weight.requires_grad_()
    made = scan.Scan.forward

    def forward(self, *arguments):
        made(self, *arguments)
        listed.extend((self.checkpoints[block].size, self.active[block].pointer[0, 0]) for block in self.blocks)

    with patch.object(scan.Scan, "forward", forward):
        CpuEngine().scan(EventBatch.from_dense(problem.counts), layers, None)
    assert listed == [(0, 0)]


def test_silent_layer():
    assert agree(exactly(rate=0.0)).counts[0].sum() == 0
    assert agree(exactly(rate=0.0, surrogate=CUT)).active[0] == 0


def test_saturated_layer():
    result = agree(exactly(channels=40, gain=8.0, rate=1.0, neuron="lif", reset="none", recurrent=False, initial=True))
    assert result.counts[0].max() == 10


@pytest.mark.parametrize("empty", [[0], [2], [0, 1, 2]], ids=str)
def test_samples_without_events(empty):
    original = Problem.__init__

    def emptied(self, *arguments):
        original(self, *arguments)
        self.counts[empty] = 0

    with patch.object(Problem, "__init__", emptied):
        agree(exactly(steps=30, gain=1.0))


@pytest.mark.parametrize("inputs", ["dense", "current"])
@pytest.mark.parametrize("batch", [1, 18])
def test_tensors_as_inputs(inputs, batch):
    agree(exactly(inputs=inputs, batch=batch, gain=1.0))


def test_many_spikes_of_one_sample_make_the_list_longer():
    agree(exactly(batch=16, steps=50, channels=40, gain=8.0, rate=1.0, neuron="lif", reset="none"))


SURROGATES = st.builds(
    Surrogate,
    st.sampled_from(list(SHAPES)),
    st.floats(0.5, 100.0),
    st.just(0.0) | st.floats(4 * LEAST, 0.9),  # half of it times the least slope is a height
    st.sampled_from(["none", "peak"]),
    st.sampled_from([0.0, 1e-3, 0.1]),
)


@given(
    case=random_cases(exactly, MODELS, SURROGATES, most_steps=70, most_layers=3),
    seed=st.integers(0, 5),
    interval=st.integers(1, 80),
    block=st.integers(1, 12),
)
@settings(max_examples=60)
def test_random_problems_with_any_checkpoints_and_blocks(case, seed, interval, block):
    def blocks(batch, widest):
        return [Block(first, min(first + block, batch)) for first in range(0, batch, block)]

    with (
        patch.object(scan, "checkpoint_interval", lambda steps, row_bytes: min(steps, interval)),
        patch.object(scan, "blocks_of", blocks),
    ):
        agree(case, seed)


@pytest.mark.parametrize("case", [Case(batch=70, steps=40, sizes=(33, 20), surrogate=CUT), Case(batch=70)], ids=str)
def test_the_number_of_threads_changes_no_bit(case):
    threads = torch.get_num_threads()
    problem, found = Problem(case), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            result, gradients = problem.run(CpuEngine())
            found.append([result.output.detach(), *result.counts, *gradients.values()])
    finally:
        torch.set_num_threads(threads)
    for others in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], others, strict=True))


def test_memory_layout_of_the_tensors_does_not_matter():
    problem = Problem(exactly(inputs="dense", initial=True))
    _, expected = problem.run(CpuEngine())
    problem.leaves = {name: strided(leaf) for name, leaf in problem.leaves.items()}
    _, found = problem.run(CpuEngine())
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def strided(leaf: torch.Tensor) -> torch.Tensor:
    """The same numbers, every second place of a wider tensor."""
    wide = torch.full((*leaf.shape[:-1], 2 * leaf.shape[-1]), torch.nan, dtype=leaf.dtype)
    wide[..., ::2] = leaf
    return wide[..., ::2]


def test_events_may_be_a_part_of_a_longer_list():
    problem = Problem(exactly())
    events = EventBatch.from_dense(problem.counts)
    padding = torch.full((5,), 8, dtype=torch.int32)
    unit = torch.cat([padding, events.unit, padding])
    part = EventBatch(events.pointer + 5, unit, events.batch, events.steps, events.channels)
    whole, cut = (CpuEngine().scan(given, problem.layers(problem.leaves), None) for given in (events, part))
    assert torch.equal(whole.counts[0], cut.counts[0])


@pytest.mark.parametrize("trained", [False, True])
def test_the_output_is_kept_only_for_the_decays_of_the_readout(trained):
    problem = Problem(exactly())
    leaves = {
        name: leaf.clone().requires_grad_(trained or "decay" not in name) for name, leaf in problem.leaves.items()
    }
    readout = Readout(leaves["readout"], leaves["decay_mem"], leaves["decay_syn"])
    events = EventBatch.from_dense(problem.counts)
    output = CpuEngine().scan(events, problem.layers(leaves), readout).output
    assert (output.grad_fn.saved_tensors[0] is not None) == trained
    output.sum().backward()
    assert leaves["readout"].grad.abs().max() > 0


def test_backward_can_be_repeated():
    problem = Problem(exactly(inputs="dense", batch=1))
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in problem.leaves.items()}
    counts = CpuEngine().scan(leaves["inputs"], problem.layers(leaves), None).counts[0]
    first = torch.autograd.grad(counts.sum(), leaves["inputs"], retain_graph=True)[0]
    kept = first.clone()
    second = torch.autograd.grad(2 * counts.sum(), leaves["inputs"])[0]
    assert torch.equal(first, kept)
    torch.testing.assert_close(second, 2 * kept)


def test_active_share_is_unknown_before_the_backward_pass():
    problem = Problem(exactly(surrogate=CUT))
    events = EventBatch.from_dense(problem.counts)
    assert CpuEngine().scan(events, problem.layers(problem.leaves), None).active.isnan().all()
