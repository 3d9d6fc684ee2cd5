"""Small networks in double precision, and gradients on them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from snnrun.config import Config
from snnrun.config.compose import compose
from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.learning import Outcome, Rule, Task, build_rule
from snnrun.network import build_network
from snnrun.regularizers import ActivityBounds
from snnrun.seeding import stream

STEPS, CHANNELS, CLASSES, BATCH = 120, 13, 4, 5  # more steps than two blocks
SMALL = ("network.hidden=[9]", "init.scale=3", "init.readout_scale=2", "dataset.dt=2", "neuron.tau_mem=8")


def events_and_labels(steps: int = STEPS, batch: int = BATCH) -> tuple[EventBatch, Tensor]:
    random = torch.Generator().manual_seed(3)
    counts = (torch.rand(batch, steps, CHANNELS, generator=random) < 0.15).double()
    return EventBatch.from_dense(counts), torch.arange(batch) % CLASSES


def rule_on_a_network(config: Config, bounds: ActivityBounds | None = None) -> Rule:
    network = build_network(config, CHANNELS, CLASSES, stream(1, "weights")).double()
    task = Task(
        network=network,
        engine=ReferenceEngine(),
        bounds=bounds or ActivityBounds(0.0, 1.0, 0.0, 1.0),
        duration_s=0.24,
        generator=stream(1, "feedback"),
    )
    return build_rule(config.learning, task)


def gradients_of(rule: Rule, inputs: EventBatch, labels: Tensor) -> tuple[Outcome, dict[str, Tensor]]:
    rule.network.zero_grad(set_to_none=True)
    outcome = rule.gradient(inputs, labels)
    return outcome, {name: p.grad.clone() for name, p in rule.network.named_parameters() if p.grad is not None}


@pytest.fixture
def make_inputs() -> Callable[..., tuple[EventBatch, Tensor]]:
    """Makes a batch: `make_inputs()` gives events and labels."""
    return events_and_labels


@pytest.fixture
def make_rule() -> Callable[..., Rule]:
    """Makes the rule of a configuration, on a small network in double precision."""
    return rule_on_a_network


@pytest.fixture
def gradients() -> Callable[..., tuple[Outcome, dict[str, Tensor]]]:
    """Outcome and gradients by parameter of a rule on a batch."""
    return gradients_of


@pytest.fixture
def both() -> Callable[..., tuple[tuple[Outcome, dict[str, Tensor]], tuple[Outcome, dict[str, Tensor]]]]:
    """Outcome and gradients of a rule, and of bptt, on the same network and data."""

    def act(*overrides: str, bounds: ActivityBounds | None = None):
        inputs, labels = events_and_labels()
        keys = [*SMALL, *(o for o in overrides if not o.startswith("learning"))]
        rule = rule_on_a_network(compose([*SMALL, *overrides]), bounds)
        bptt = rule_on_a_network(compose(keys), bounds)
        bptt.network.load_state_dict(rule.network.state_dict())
        return gradients_of(rule, inputs, labels), gradients_of(bptt, inputs, labels)

    return act
