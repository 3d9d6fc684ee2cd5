"""The rules that are no exact gradient, against their published equations written out step by step."""

import math

import pytest
import torch

from snnrun.config.compose import compose
from snnrun.surrogates import Surrogate

SMALL = ("network.hidden=[9,7]", "init.scale=3", "init.readout_scale=2", "dataset.dt=2", "neuron.tau_mem=8")
DECAY = math.exp(-2 / 8)
H = Surrogate("sigmoid", 5.0)


def by_hand(rule, inputs, labels, signal):
    """Traces, potentials and per-step errors in plain loops; `signal(x, spikes, e)` gives dL/dv of both layers."""
    first, second = rule.network.hidden
    w = [first.weight, second.weight]
    v = [first.recurrent, second.recurrent]
    out = rule.network.readout.weight
    x = inputs.dense(torch.float64)
    batch, steps, _ = x.shape
    potential = [torch.zeros(batch, len(r), dtype=torch.float64) for r in v]
    spikes = [p.clone() for p in potential]
    o, filtered = torch.zeros(batch, out.shape[1], dtype=torch.float64), torch.zeros_like(potential[1])
    trace = [torch.zeros(batch, len(m), dtype=torch.float64) for m in w]
    back = [p.clone() for p in potential]
    found = {"readout.weight": torch.zeros_like(out)}
    target = torch.nn.functional.one_hot(labels, out.shape[1])
    for t in range(steps):
        entering, distances = x[:, t], []
        for k in range(2):
            trace[k] = DECAY * trace[k] + entering
            back[k] = DECAY * back[k] + spikes[k]
            current = entering @ w[k] + spikes[k] @ v[k]
            potential[k] = DECAY * potential[k] * (1 - spikes[k]) + current
            distances.append(potential[k] - 1)
            entering = spikes[k] = (distances[k] > 0).double()
        o = DECAY * o + (1 - DECAY) * spikes[1] @ out
        filtered = DECAY * filtered + (1 - DECAY) * spikes[1]
        e = (torch.softmax(o, 1) - target) / (batch * steps)
        found["readout.weight"] += filtered.T @ e
        for k, g in enumerate(signal(distances, spikes, e)):
            for name, left in (("weight", trace[k]), ("recurrent", back[k])):
                key = f"hidden.{k}.{name}"
                found[key] = found.get(key, 0) + left.T @ g
    return found


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name, gradient in found.items():
        assert expected[name].abs().max() > 1e-6, name
        assert torch.allclose(gradient, expected[name], rtol=1e-9, atol=1e-14), name


def test_ottt(make_rule, make_inputs, gradients):
    rule = make_rule(compose([*SMALL, "learning=ottt"]))
    inputs, labels = make_inputs()
    above, out = rule.network.hidden[1].weight, rule.network.readout.weight

    def signal(x, spikes, e):
        upper = (1 - DECAY) * e @ out.T * H.derivative(x[1])
        return [upper @ above.T * H.derivative(x[0]), upper]

    with torch.no_grad():
        expected = by_hand(rule, inputs, labels, signal)
    assert_equal(gradients(rule, inputs, labels)[1], expected)


def test_decolle(make_rule, make_inputs, gradients):
    rule = make_rule(compose([*SMALL, "learning=decolle"]))
    inputs, labels = make_inputs()
    steps, batch = inputs.steps, inputs.batch
    local = list(rule.state_dict().values())

    def signal(x, spikes, e):
        target = torch.nn.functional.one_hot(labels, 4)
        own = [(torch.softmax(s @ g, 1) - target) / (batch * steps) for s, g in zip(spikes, local, strict=True)]
        return [mine @ g.T * H.derivative(d) for mine, g, d in zip(own, local, x, strict=True)]

    with torch.no_grad():
        expected = by_hand(rule, inputs, labels, signal)
    assert_equal(gradients(rule, inputs, labels)[1], expected)


@pytest.mark.parametrize("neuron", ["lif", "alif"])
def test_eprop_at_every_step_is_the_gradient_of_that_loss(make_rule, make_inputs, gradients, neuron):
    keys = ["network.hidden=[9]", f"neuron={neuron}", "neuron.detach_recurrent=true", "network.readout_tau_syn=5"]
    rule = make_rule(compose([*SMALL, *keys, "learning=eprop", "learning.loss=every_step"]))
    inputs, labels = make_inputs()
    outcome, found = gradients(rule, inputs, labels)
    network = rule.network
    trace = rule.task.engine.scan(inputs, network.tensors(), network.readout.tensors()).output
    loss = torch.nn.functional.cross_entropy(trace.flatten(0, 1), labels.repeat_interleave(inputs.steps))
    truth = torch.autograd.grad(loss, list(network.parameters()))
    assert outcome.loss == pytest.approx(loss.item(), rel=1e-12)
    assert_equal(found, {name: g for (name, _), g in zip(network.named_parameters(), truth, strict=True)})


def test_eprop_by_random_feedback_is_eprop_with_those_weights(make_rule, make_inputs, gradients):
    inputs, labels = make_inputs()
    keys = ["network.hidden=[9]", "learning=eprop"]
    random = make_rule(compose([*SMALL, *keys, "learning.feedback=random"]))
    symmetric = make_rule(compose([*SMALL, *keys]))
    _, found = gradients(random, inputs, labels)
    _, other = gradients(symmetric, inputs, labels)
    assert torch.allclose(found["readout.weight"], other["readout.weight"])
    assert not torch.allclose(found["hidden.0.weight"], other["hidden.0.weight"])
    random.load_state_dict({"feedback1": symmetric.network.readout.weight.detach()})
    _, found = gradients(random, inputs, labels)
    assert_equal(found, other)


def test_adaptive_feedback_gets_the_gradient_of_the_readout(make_rule, make_inputs, gradients):
    keys = ["network.hidden=[9]", "learning=eprop", "learning.feedback=adaptive", "learning.feedback_decay=0.5"]
    rule = make_rule(compose([*SMALL, *keys]))
    _, found = gradients(rule, *make_inputs())
    (feedback,) = rule.parameters()
    readout = rule.network.readout.weight
    assert not torch.allclose(feedback, readout)
    assert torch.allclose(feedback.grad - 0.5 * feedback, found["readout.weight"] - 0.5 * readout)
