"""The refractory period: when spikes fall, what the membrane does, and the CPU engine against the reference."""

import itertools
import math

import pytest
import torch

from snnrun.data.batch import EventBatch
from snnrun.engine.cpu import CpuEngine
from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.types import Layer, Readout
from snnrun.errors import UserError
from snnrun.neurons import NEURONS, Neuron, Refractory
from snnrun.surrogates import Surrogate

ADAPTATION = {"tau_adapt": 50.0, "a": (0.0, 1.0), "b": (0.0, 2.0), "q": 2.0}
MODELS = {
    "lif": {"tau_mem": 20.0},
    "if": {},
    "cuba_lif": {"tau_mem": 20.0, "tau_syn": 10.0},
    "alif": {"tau_mem": 20.0, "tau_adapt": 50.0, "adaptation": 0.2},
    "adlif": {"tau_mem": 20.0, **ADAPTATION},
    "se_adlif": {"tau_mem": 20.0, **ADAPTATION},
}


def make(name: str, neurons: int, reset: str = "zero", detach_reset: bool = True, dt: float = 10.0) -> Neuron:
    random = torch.Generator().manual_seed(0)
    return NEURONS[name](
        neurons=neurons, dt=dt, reset=reset, detach_reset=detach_reset, generator=random, **MODELS[name]
    )


def spike_times(neuron: Neuron, current: torch.Tensor) -> list[int]:
    layer = Layer(neuron, tuple(c.detach().double() for c in neuron.constants()), Surrogate("sigmoid", 5.0), None)
    result = ReferenceEngine().scan(current.double().view(1, -1, 1), [layer], None, record=True)
    assert result.spikes is not None
    return result.spikes[0].dense()[0, :, 0].nonzero().flatten().tolist()


@pytest.mark.parametrize("steps", [0, 1, 2, 7])
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("name", MODELS)
def test_no_spike_falls_for_so_many_steps(name: str, reset: str, steps: int) -> None:
    times = spike_times(Refractory(make(name, 1, reset), steps), torch.full((60,), 30.0))
    assert len(times) > 1
    assert min(b - a for a, b in itertools.pairwise(times)) == steps + 1


@pytest.mark.parametrize("drive", [0.06, 0.1, 0.3])
def test_a_lif_neuron_starts_anew_after_its_period(drive: float) -> None:
    # From rest it needs n steps to the threshold: I (1 - a^n) / (1 - a) > 1; then R steps at 0, and again.
    a, steps = math.exp(-1 / 20), 5
    needed = math.floor(math.log(1 - (1 - a) / drive) / math.log(a)) + 1
    times = spike_times(Refractory(make("lif", 1, dt=1.0), steps), torch.full((200,), drive))
    assert times == list(range(needed - 1, 200, needed + steps))


def test_the_synaptic_current_goes_on_while_the_membrane_is_held() -> None:
    decay_mem, decay_syn = math.exp(-10 / 20), math.exp(-10 / 10)
    current = torch.rand(100, generator=torch.Generator().manual_seed(1)) * 6
    i = v = left = s = 0.0
    expected = []
    for t, drive in enumerate(current.tolist()):
        left = 2 if s else max(0.0, left - 1)
        i = decay_syn * i + drive
        kept = v * (1 - s)
        v = kept if left > 0 else decay_mem * kept + (1 - decay_mem) * i
        s = float(v > 1 and left == 0)
        expected += [t] * int(s)
    assert len(expected) > 10
    assert spike_times(Refractory(make("cuba_lif", 1), 2), current) == expected


def test_a_model_without_a_membrane_is_refused() -> None:
    neuron = make("lif", 1)
    neuron.states = ("u",)
    with pytest.raises(UserError, match="need a state v"):
        Refractory(neuron, 1)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in MODELS if name != "cuba_lif"]


@pytest.mark.filterwarnings("ignore::Warning")  # numba warns of its own compilation
@pytest.mark.parametrize("detach_reset", [False, True], ids=["through", "detached"])
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("name", ["cuba_lif", *SLOW])
def test_the_cpu_engine_agrees_with_the_reference(name: str, reset: str, detach_reset: bool) -> None:
    random = torch.Generator().manual_seed(0)
    batch, steps, neurons = 4, 63, 30
    neuron = Refractory(make(name, neurons, reset, detach_reset), 2)
    counts = (torch.rand(batch, steps, 20, generator=random) < 0.1).double() * 2
    trained = [c.detach().double().requires_grad_(not detach_reset) for c in neuron.constants()[:-1]]
    constants = (*trained, neuron.constants()[-1].detach().double())
    weight, recurrent, out = (
        (torch.randn(*shape, generator=random).double() * scale).requires_grad_()
        for shape, scale in (((20, neurons), 2.0), ((neurons, neurons), 0.3), ((neurons, 5), 1.0))
    )
    rest = torch.zeros(batch, neurons).double()
    silent = torch.where(torch.rand(batch, neurons, generator=random) < 0.3, math.inf, rest)
    initial = (*(rest for _ in neuron.states[:-1]), silent)
    decay = torch.full((5,), 0.9).double()
    leaves = [weight, recurrent, out, *(c for c in trained if c.requires_grad)]
    found = []
    for engine in (ReferenceEngine(), CpuEngine()):
        layer = Layer(neuron, constants, Surrogate("sigmoid", 5.0), weight, recurrent, initial_state=initial)
        result = engine.scan(EventBatch.from_dense(counts), [layer], Readout(out, decay, decay * 0.8))
        assert result.output is not None
        loss = result.output.amax(1).square().sum() + result.counts[0].square().mean()
        found.append([result.output.detach(), result.counts[0].detach(), *torch.autograd.grad(loss, leaves)])
    assert found[0][1].sum() > 100
    assert found[0][1][silent > 0].sum() == 0
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-10)
