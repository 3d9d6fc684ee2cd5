"""What delays do: arrivals against the definition, gradients against finite differences, width, rounding, range."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snnrun.delays import Delays, DelaySettings, gaussian, linear
from snnrun.engine.reference import Recurrence, ReferenceEngine, current_of
from snnrun.engine.types import Arrivals, Layer
from snnrun.neurons import NEURONS
from snnrun.surrogates import Surrogate, smooth_spike

CASES = [(kind, how) for kind in ("axonal", "synaptic") for how in ("linear", "gaussian")]


def layer_with(weight: Tensor, arrivals: Arrivals) -> Layer:
    """A layer of which only the way in matters."""
    neuron = NEURONS["lif"](neurons=weight.shape[1], dt=1.0, tau_mem=20.0, reset="zero", detach_reset=True)
    return Layer(neuron, neuron.constants(), Surrogate("sigmoid", 5.0), weight, delays=arrivals)


def by_definition(signal: Tensor, weight: Tensor, arrivals: Arrivals) -> Tensor:
    """I_j[t] = sum_i W_ij sum_r share_ijr x_i[t - start_ij - r], one term after the other."""
    current = signal.new_zeros(len(signal), signal.shape[1], weight.shape[1])
    for i, j in torch.cartesian_prod(*(torch.arange(n) for n in weight.shape)).tolist():
        column = j % arrivals.start.shape[1]
        for r, share in enumerate(arrivals.share[i, column]):
            late = int(arrivals.start[i, column]) + r
            current[:, late:, j] += weight[i, j] * share * signal[:, : signal.shape[1] - late, i]
    return current


@given(
    case=st.sampled_from(CASES), seed=st.integers(0, 999), longest=st.floats(1, 9), sigma=st.floats(0.3, 4),
    steps=st.integers(10, 20),
)  # fmt: skip
@settings(deadline=None, max_examples=25)
def test_current_is_what_the_definition_says(
    case: tuple[str, str], seed: int, longest: float, sigma: float, steps: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    delays = Delays(4, 3, DelaySettings(case[0], longest, 1.0, case[1], (sigma, sigma), 0), random).double()
    weight = torch.randn(4, 3, generator=random).double()
    signal = (torch.rand(2, steps, 4, generator=random) < 0.3).double()
    arrivals = delays()
    assert int(arrivals.start.min()) >= 0
    assert int(arrivals.start.max()) + arrivals.share.shape[-1] <= arrivals.lags <= longest + 2
    torch.testing.assert_close(arrivals.share.sum(-1), torch.ones_like(delays.value))
    expected = by_definition(signal, weight, arrivals)
    torch.testing.assert_close(current_of(signal, layer_with(weight, arrivals)), expected)
    recurrence = Recurrence(weight, arrivals)
    found = torch.stack([recurrence.current(spikes) for spikes in signal.unbind(1)], 1)
    torch.testing.assert_close(found, expected)


def test_a_spike_arrives_after_its_delay() -> None:
    start, share = linear(torch.tensor([0.0, 2.25, 4.0]).double(), 5)
    kernel = Arrivals(start.unsqueeze(0), share.unsqueeze(0), 5).dense()[:, 0]
    expected = torch.tensor([[1, 0, 0, 0, 0], [0, 0, 0.75, 0.25, 0], [0, 0, 0, 0, 1]]).double()
    torch.testing.assert_close(kernel.T, expected)
    start, share = gaussian(torch.tensor([10.0]).double(), 21, 2.0)
    kernel = Arrivals(start.unsqueeze(0), share.unsqueeze(0), 21).dense()[:, 0, 0]
    full = torch.exp(-((torch.arange(21) - 10.0).double() ** 2) / 8)
    torch.testing.assert_close(kernel, full / full.sum(), rtol=0, atol=0.003)  # cut at three standard deviations
    assert float(kernel[3]) == 0 < float(kernel[4])


@pytest.mark.parametrize("kind", ["axonal", "synaptic"])
@pytest.mark.parametrize("how", ["linear", "gaussian"])
def test_gradients_are_those_of_finite_differences(stack, kind: str, how: str) -> None:
    case = stack(kind, how, steps=25)
    engine = ReferenceEngine(smooth_spike)

    def loss() -> Tensor:
        result = engine.scan(case.inputs, case.build(), case.readout)
        assert result.output is not None
        return result.output.square().sum() + result.counts[0].square().mean()

    gradients = torch.autograd.grad(loss(), list(case.trained.values()))
    step = 1e-6
    for (name, tensor), gradient in zip(case.trained.items(), gradients, strict=True):
        direction = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)).double()
        values = []
        with torch.no_grad():
            for sign in (1, -1):
                tensor += sign * step * direction
                values.append(loss())
                tensor -= sign * step * direction
        expected = (gradient * direction).sum()
        assert float(expected) != 0, name
        torch.testing.assert_close((values[0] - values[1]) / (2 * step), expected, rtol=1e-5, atol=1e-7)


def test_the_width_shrinks_and_stays_with_the_state() -> None:
    settings = DelaySettings("synaptic", 250.0, 10.0, "gaussian")
    widths = [settings.width(epoch, 40) for epoch in range(1, 41)]
    assert widths[0] == 125.0
    assert widths[5] == pytest.approx(125 * (5 / 125) ** 0.5)
    assert widths[10:] == pytest.approx([5.0] * 30)
    assert widths[:11] == sorted(widths[:11], reverse=True)
    delays = Delays(5, 4, settings, torch.Generator().manual_seed(0))
    wide = delays().share.shape[-1]
    delays.begin_epoch(20, 40)
    narrow = delays()
    assert narrow.share.shape[-1] == 5 < wide == settings.lags == 26
    again = Delays(5, 4, settings, torch.Generator().manual_seed(1))
    again.load_state_dict(delays.state_dict())
    torch.testing.assert_close(again().share, narrow.share)


@pytest.mark.parametrize("how", ["linear", "gaussian"])
def test_rounding_is_for_evaluation_and_changes_nothing_stored(how: str) -> None:
    settings = DelaySettings("synaptic", 25.0, 10.0, how, round=True)
    delays = Delays(50, 40, settings, torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in delays.state_dict().items()}
    trained = delays().share
    delays.eval()
    rounded = delays()
    assert rounded.share.shape == (50, 40, 1)
    assert bool((rounded.share == 1).all())
    assert int(rounded.start.max()) == 2 < rounded.lags
    torch.testing.assert_close(rounded.start, (delays.value / 10).round().long())
    delays.train()
    torch.testing.assert_close(delays().share, trained)
    assert all(torch.equal(before[name], value) for name, value in delays.state_dict().items())


def test_delays_stay_within_their_range() -> None:
    delays = Delays(3, 3, DelaySettings("axonal", 50.0, 10.0), torch.Generator().manual_seed(0))
    with torch.no_grad():
        delays.value.copy_(torch.tensor([[-5.0], [20.0], [70.0]]))
    delays.constrain()
    assert delays.value.flatten().tolist() == [0.0, 20.0, 50.0]
