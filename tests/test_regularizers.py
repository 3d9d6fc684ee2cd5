"""Activity bounds on counts whose rates are known."""

import pytest
import torch

from snnrun.regularizers import ActivityBounds

DURATION_S = 0.5
COUNTS = [torch.tensor([[0.0, 1.0], [4.0, 10.0]])]  # rates 0, 2, 8, 20 Hz


def test_lower_bound_is_the_mean_squared_shortfall_of_each_neuron() -> None:
    penalty = ActivityBounds(2.0, 4.0, 0.0, 10.0)(COUNTS, DURATION_S)
    assert penalty is not None
    assert penalty.item() == pytest.approx(2.0 * (1**2 + 0.5**2) / 4)


def test_upper_bound_is_the_mean_squared_excess_of_the_layer() -> None:
    penalty = ActivityBounds(0.0, 4.0, 3.0, 10.0)(COUNTS * 2, DURATION_S)
    assert penalty is not None
    assert penalty.item() == pytest.approx(2 * 3.0 * 0.4**2 / 2)  # two layers; mean rates 1 and 14 Hz


def test_bounds_by_population_and_by_neuron() -> None:
    lower = ActivityBounds(2.0, 4.0, 0.0, 10.0, lower_per="population")(COUNTS, DURATION_S)
    upper = ActivityBounds(0.0, 4.0, 3.0, 10.0, upper_per="neuron")(COUNTS, DURATION_S)
    assert lower is not None
    assert upper is not None
    assert lower.item() == pytest.approx(2.0 * 0.75**2 / 2)  # mean rates 1 and 14 Hz
    assert upper.item() == pytest.approx(3.0 * 1**2 / 4)  # 20 Hz


def test_off_is_none_and_gradients_reach_the_counts() -> None:
    assert ActivityBounds(0.0, 4.0, 0.0, 10.0)(COUNTS, DURATION_S) is None
    counts = [COUNTS[0].clone().requires_grad_()]
    penalty = ActivityBounds(1.0, 4.0, 1.0, 10.0)(counts, DURATION_S)
    assert penalty is not None
    penalty.backward()
    assert counts[0].grad is not None
    assert counts[0].grad[0, 0] < 0 < counts[0].grad[1, 1]
