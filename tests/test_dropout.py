"""Dropout: which neurons are silent, and that it is the same network on average."""

import pytest
import torch

from snnrun.config.compose import compose
from snnrun.data.batch import EventBatch
from snnrun.engine.reference import ReferenceEngine
from snnrun.network import Network, build_network

SAMPLES, STEPS, INPUTS = 400, 30, 10


def network(*overrides: str) -> Network:
    config = compose(["network.hidden=[20,15]", "network.recurrent=[true,false]", "init.scale=3", *overrides])
    return build_network(config, INPUTS, 3, torch.Generator().manual_seed(0))


@pytest.fixture
def inputs() -> EventBatch:
    return EventBatch.from_dense((torch.rand(1, STEPS, INPUTS) < 0.5).float().expand(SAMPLES, -1, -1))


def test_in_training_a_share_of_the_neurons_is_silent_all_the_time(inputs: EventBatch) -> None:
    free = network()(inputs, ReferenceEngine()).counts[0]
    dropped = network("network.dropout=0.4").train()(inputs, ReferenceEngine()).counts[0]
    always = (free > 0).all(0)  # the samples are alike, and so a neuron fires in all of them or in none
    assert always.sum() > 5
    silent = (dropped[:, always] == 0).double().mean(0)
    assert silent.mean().item() == pytest.approx(0.4, abs=0.1)
    assert len(dropped[:, always].eq(0).unique(dim=0)) > 10  # each sample has a draw of its own


def test_evaluation_is_that_of_the_network_without_dropout(inputs: EventBatch) -> None:
    expected = network().eval()(inputs, ReferenceEngine())
    found = network("network.dropout=0.4").eval()(inputs, ReferenceEngine())
    torch.testing.assert_close(found.logits, expected.logits)


def test_what_is_left_makes_up_for_what_is_missing(inputs: EventBatch) -> None:
    words = ("network.hidden=[20]", "network.recurrent=false", "network.readout=mean")
    expected = network(*words).eval()(inputs, ReferenceEngine()).logits[0]
    found = network(*words, "network.dropout=0.5").train()(inputs, ReferenceEngine()).logits
    error = (found.mean(0) - expected).abs() / (found.std(0) / SAMPLES**0.5)
    assert (error < 4).all()


def test_no_gradient_reaches_a_silent_neuron() -> None:
    inputs = EventBatch.from_dense((torch.rand(1, STEPS, INPUTS) < 0.5).float())
    dropped = network("network.dropout=0.5").train()
    output = dropped(inputs, ReferenceEngine())
    output.logits.square().sum().backward()
    gradient = dropped.hidden[0].weight.grad
    assert (gradient == 0).all(0).sum() >= 1
    assert (output.counts[0][0][(gradient == 0).all(0)] == 0).all()
    assert (gradient != 0).any()
