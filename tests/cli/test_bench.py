"""`snnrun bench`: the work, the proof before the clock, and what is printed."""

import json
import os
import signal
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from snnrun import bench, bench_case
from snnrun.bench import with_delays
from snnrun.bench_case import NEURON_STEPS, make_case, prove, spike_trains
from snnrun.config.compose import compose_as
from snnrun.config.schema import BenchConfig
from snnrun.engine.reference import ReferenceEngine
from snnrun.engine.select import choose
from snnrun.errors import RunError

pytestmark = pytest.mark.filterwarnings("ignore::Warning:numba")
SMALL = ("bench.batch=5", "bench.events=400", "bench.inputs=30", "bench.outputs=3", "bench.repeats=1")
KEYS = ["engine", "learning", "step_s", "forward_s", "backward_s", "steps", "batch", "hidden", "peak_mb", "rate_hz"]


def config(*words: str) -> BenchConfig:
    return compose_as(BenchConfig, "bench", [*SMALL, *words])


def test_json_has_an_object_a_line(snnrun):
    words = ["bench.steps=[30]", "bench.hidden=[[12,9]]", "learning.cutoff=0.001", "bench.format=json"]
    reference, cpu = (json.loads(line) for line in snnrun("bench", *SMALL, *words).stdout.splitlines())
    assert list(cpu)[:10] == KEYS
    assert [cpu[key] for key in ("engine", "learning", "steps", "batch", "hidden")] == ["cpu", "bptt", 30, 5, [12, 9]]
    assert reference["max_error"] == 0
    assert cpu["max_error"] < 1e-2
    assert cpu["max_error_float64"] < 1e-9
    assert cpu["step_s"] == pytest.approx(cpu["forward_s"] + cpu["backward_s"], abs=2e-4)
    assert (cpu["events"], cpu["rate_hz"]) == (reference["events"], reference["rate_hz"])
    assert 0 < cpu["active"] < 1
    assert cpu["active"] == pytest.approx(reference["active"], abs=0.01)


def test_a_rule_is_measured_beside_the_engines(snnrun):
    words = ["bench.steps=[30]", "bench.hidden=9", "learning=eprop", "bench.engines=[reference]", "bench.format=json"]
    bptt, eprop = (json.loads(line) for line in snnrun("bench", *SMALL, *words).stdout.splitlines())
    assert (bptt["learning"], eprop["learning"], eprop["engine"]) == ("bptt", "eprop", "reference")
    assert eprop["step_s"] > 0
    assert eprop["rate_hz"] == bptt["rate_hz"] > 0
    table = snnrun("bench", *SMALL, *words[:-1]).stdout
    assert "eprop" in table


def test_the_table(monkeypatch, capsys):
    row = dict.fromkeys([*KEYS, "active"], 2.0) | {"engine": "cpu", "hidden": (400, 400)}
    monkeypatch.setattr(
        bench, "_in_own_process", lambda function, *_: {"max_error": 1e-5} if function == "prove" else row
    )
    bench.run(config("bench.steps=[7]", "bench.engines=[cpu]"))
    shown = capsys.readouterr().out.splitlines()
    head, cpu = (next(line for line in shown if word in line) for word in ("engine", " cpu "))
    assert "step [s]" in head
    assert "times faster" in head
    assert "(400, 400)" in cpu
    assert len(cpu.split("│")) == len(head.split("┃"))


def test_every_size_is_measured_with_every_engine(monkeypatch, capsys):
    asked = []

    def in_own_process(function, config, steps, hidden, engine):
        asked.append((function, steps, hidden, engine))
        return {"max_error": 0.5} if function == "prove" else {"engine": engine}

    monkeypatch.setattr(bench, "_in_own_process", in_own_process)
    bench.run(config("bench.steps=[7,30]", "bench.hidden=[20,[12,9]]", "bench.format=json"))
    sizes = [(steps, hidden) for steps in (7, 30) for hidden in ((20,), (12, 9))]
    calls = [("measure", "reference"), ("prove", "cpu"), ("measure", "cpu")]
    assert asked == [(function, *size, engine) for size in sizes for function, engine in calls]
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [{"engine": "reference", "max_error": 0.0}, {"engine": "cpu", "max_error": 0.5}] * 4


def test_delays_are_measured_over_taps_and_beside_the_network_without(snnrun):
    words = ["network.delays=synaptic", "network.delayed=both", "bench.taps=[0,4]", "bench.steps=[20]"]
    done = snnrun("bench", *SMALL, *words, "bench.hidden=9", "bench.format=json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["engine"], row["taps"]) for row in rows] == [(e, t) for t in (0, 4) for e in ("reference", "cpu")]
    assert max(row["max_error_float64"] for row in rows[1::2]) < 1e-9
    late = with_delays(config(*words), 20, 4)
    assert late.network.max_delay == pytest.approx(4 * 1400 / 20)
    case, _ = make_case(late, 20, (9,), "cpu")
    assert {layer.delays.lags for layer in case.network.tensors()} == {5}


def test_a_process_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(bench, "_answer", lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RunError, match=r"the process that was to measure ended with -9; out of memory"):
        bench.run(config())


def test_the_events_are_binary_early_and_as_many_as_asked_for():
    events, labels = spike_trains(batch=4, steps=50, channels=200, events=3000, classes=7, seed=3)
    counts = events.dense()
    assert counts.max() == 1
    assert counts[:, 40:].sum() == 0
    random = np.random.default_rng(3)
    for sample in counts:
        step = (random.beta(2, 3, 3000) * 0.8 * 50).astype(int)
        channel = random.integers(0, 200, 3000)
        assert sample[step, channel].all()
        assert sample.sum() == len(set(zip(step, channel, strict=True)))
    assert labels.tolist() == random.integers(0, 7, 4).tolist()


def test_the_weights_of_the_usual_case():
    case, _ = make_case(config("bench.inputs=700", "bench.hidden=200"), 100, (200,), "reference")
    case.network.requires_grad_(False)
    layer, readout = case.network.tensors()[0], case.network.readout.tensors()
    assert layer.neuron.name == "cuba_lif"
    assert layer.weight.std() * 700**0.5 == pytest.approx(12, rel=0.02)
    assert layer.recurrent.std() * 200**0.5 == pytest.approx(0.2, rel=0.02)
    assert readout.weight.std() * 200**0.5 == pytest.approx(0.2, rel=0.06)
    decays = [float(decay[0]) for decay in (*layer.constants, readout.decay_mem, readout.decay_syn)]
    assert decays == pytest.approx([np.exp(-14 / 20), np.exp(-14 / 10)] * 2)


@pytest.mark.parametrize("words", ["init=fluctuation neuron=adlif network=feedforward", "surrogate=sigmoid beta=5"])
def test_other_models(words):
    assert prove(config(*words.split()), 9, (6,), "cpu")["max_error"] < 1e-4


def test_the_reference_may_take_the_batch_in_parts(monkeypatch):
    whole = prove(config(), 30, (8,), "cpu")
    monkeypatch.setattr(bench_case, "NEURON_STEPS", 2 * 30 * 8)
    assert prove(config(), 30, (8,), "cpu") == pytest.approx(whole, abs=1e-5)
    assert NEURON_STEPS > 5 * 30 * 8


@dataclass(frozen=True)
class Wrong(ReferenceEngine):
    """Right but for gradients that are a thousandth too large, or for a NaN."""

    error: float

    def scan(self, inputs, layers, readout, *, record=False):
        result = ReferenceEngine().scan(inputs, layers, readout, record=record)
        output = result.output + self.error * (result.output - result.output.detach())
        return replace(result, output=output)


@pytest.mark.parametrize("error", [1e-3, torch.nan], ids=str)
def test_an_engine_that_differs_is_not_timed(monkeypatch, error):
    def chosen(name, device, layers):
        return (Wrong(error), "") if name == "cpu" else choose(name, device, layers)

    monkeypatch.setattr(bench_case, "choose", chosen)
    with pytest.raises(RunError, match=r"engine cpu at 9 steps differs from the reference by .*; not timed"):
        prove(config(), 9, (6,), "cpu")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("bench.hidden=[[]]", 2, "bench.hidden=[[]]: must be a whole number at least 1, or a list"),
        ("bench.hidden=[3,[4,0]]", 2, "must be a whole number"),
        ("bench.steps=[]", 2, "bench.steps=[]: must be a list that is not empty"),
        ("bench.engines=[triton]", 2, "bench.engines: triton runs on cuda, and there is no such device here"),
    ],
)
def test_mistakes(snnrun, words, code, message):
    if "triton" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = snnrun("bench", *SMALL, *words.split())
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
