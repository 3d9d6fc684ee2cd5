"""Readouts on traces whose scores are known, and the gradient of the time of the first spike."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnrun.readouts import READOUTS, SPIKING, Scores

TRACE = torch.tensor([[[0.0, 1.0], [2.0, 0.0], [1.0, 0.0]]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("max", [2.0, 1.0]),
        ("mean", [1.0, 1 / 3]),
        ("last", [1.0, 0.0]),
        ("softmax", [0.268941 + 0.880797 + 0.731059, 0.731059 + 0.119203 + 0.268941]),
        ("spike_count", [3.0, 1.0]),
    ],
)
def test_scores(name: str, expected: list[float]) -> None:
    assert READOUTS[name](TRACE, 2.0).tolist() == [pytest.approx(expected, abs=1e-6)]
    assert (name in SPIKING) == (name == "spike_count")


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.floats(0.1, 10))
def test_the_first_spike_and_its_gradient_count_steps(train: list[bool], tau: float) -> None:
    spikes = torch.tensor(train, dtype=torch.float64).view(1, -1, 1).requires_grad_()
    score = READOUTS["first_spike"](spikes, tau)

    def time(row: list[bool]) -> int:
        return row.index(True) if True in row else len(row)

    assert score.item() == pytest.approx(-time(train) / tau)
    score.backward()
    for t, spiked in enumerate(train):
        flipped = [*train[:t], not spiked, *train[t + 1 :]]
        difference = (time(flipped) - time(train)) * (-1 if spiked else 1)  # of the time, for a spike more
        assert spikes.grad is not None
        assert spikes.grad[0, t, 0].item() == pytest.approx(-difference / tau)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [3, 5000])  # the second gradient is a mapping of its own
def test_the_gradient_of_the_maximum_is_at_its_step(kind, steps):
    trace = torch.randn(4, steps, 7, dtype=kind, requires_grad=True)
    given = torch.randn(4, 7, dtype=kind)
    found, expected = (torch.autograd.grad(y, trace, given)[0] for y in (READOUTS["max"](trace, 1.0), trace.amax(1)))
    assert torch.equal(found, expected)
    assert torch.equal(READOUTS["max"](trace, 1.0), trace.amax(1))


def test_a_class_is_the_mean_of_its_population() -> None:
    assert Scores("last", 1.0, 2)(torch.tensor([[[1.0, 3.0, 5.0, 9.0]]])).tolist() == [[2.0, 7.0]]
    assert Scores("last", 1.0)(torch.tensor([[[1.0, 3.0]]])).tolist() == [[1.0, 3.0]]
