"""Memory of the rules against the length of a sample, by the high-water mark of a process of its own."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, resource, sys
import torch
from snnrun.config.compose import compose
from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.learning import Task, build_rule
from snnrun.network import build_network
from snnrun.regularizers import ActivityBounds
from snnrun.seeding import stream

torch.set_num_threads(1)
config = compose([*sys.argv[2:], "network.hidden=[32]", "init.scale=2"])
network = build_network(config, 40, 5, stream(0, "weights"))
task = Task(network, ReferenceEngine(), ActivityBounds(0.0, 1.0, 0.0, 1.0), 1.0, stream(0, "feedback"))
rule = build_rule(config.learning, task)
marks = []
for steps in (100, 100, int(sys.argv[1])):
    pointer = torch.arange(8 * steps + 1)  # one event in every step
    events = EventBatch(pointer, torch.randint(40, (8 * steps,), dtype=torch.int32), 8, steps, 40)
    network.zero_grad(set_to_none=True)
    rule.gradient(events, torch.arange(8) % 5)
    marks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(json.dumps(marks))
"""
RULES = ["truncated_bptt", "eprop", "ottt", "decolle"]
EPROP = [("learning=eprop", "learning.loss=every_step"), ("learning=eprop", "neuron.reset=subtract")]


def rise_mb(steps: int, *overrides: str) -> float:
    """How far the high-water mark rises from a batch of 100 steps, the second one, to one of `steps`."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(steps), *overrides], capture_output=True, text=True, check=True
    )
    _, short, long = json.loads(done.stdout)
    return long - short


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [*((f"learning={rule}",) for rule in RULES), *EPROP], ids=str)
def test_memory_of_a_rule_does_not_grow_with_time(overrides):
    # 1 MB are the events of ten thousand steps themselves
    assert rise_mb(10_000, *overrides) < 8


@pytest.mark.slow
def test_memory_of_bptt_does():
    assert rise_mb(3000, "learning=bptt") > 20
