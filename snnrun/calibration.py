"""What an initialisation takes from the data: the rate of the input, and the scale at which a layer fires as asked."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from snnrun.config import Config, DatasetConfig, RateConfig
from snnrun.data.batch import EventBatch
from snnrun.data.batches import batches
from snnrun.data.events import EventSet
from snnrun.engine.types import Engine
from snnrun.errors import UserError
from snnrun.network import Network, SpikingLayer

CLOSE = 0.02  # of the rate asked for
TRIALS = 40
WIDEST = 1e4  # factor on the drawn weights, and its inverse


def with_measured_rate(config: Config, train: EventSet) -> Config:
    """The configuration with the input's rate filled in, where the scheme wants it and it is not given.

    Raises UserError if the training data has no spikes.
    """
    if not isinstance(config.init, RateConfig) or config.init.rate_hz is not None:
        return config
    rate = input_rate_hz(train, config.dataset)
    if rate == 0:
        raise UserError("init.rate_hz=null: the training data has no spikes to measure a rate on; give a rate in Hz")
    return replace(config, init=replace(config.init, rate_hz=rate))


def input_rate_hz(events: EventSet, settings: DatasetConfig, samples: int = 1000) -> float:
    """Mean rate in Hz of an input channel as the network gets it, binned and pooled, over at most `samples` samples."""
    some = torch.linspace(0, len(events) - 1, min(samples, len(events))).long().unique().numpy()
    spikes, bins = 0, 0
    for inputs, _ in batches(events, some, 256, settings):
        spikes += len(inputs.unit)
        bins += inputs.batch * inputs.steps * inputs.channels
    return spikes / (bins * settings.dt / 1000)


@dataclass(frozen=True)
class Calibration:
    """Scales the weights of each hidden layer, from the input up, until it fires at the rate asked for.

    Attributes:
        inputs: the batch to fire on.
        target_hz: mean rate of a layer.
        duration_s: length of a sample in seconds.
    """

    network: Network
    engine: Engine
    inputs: EventBatch
    target_hz: float
    duration_s: float

    @torch.no_grad()
    def run(self) -> Iterator[str]:
        """Scale one layer after the other; yields a line about each. Raises UserError if no factor reaches the rate."""
        for number, name in enumerate(self.network.layer_names()):
            factor, rate = self._scale(number)
            if abs(rate - self.target_hz) > CLOSE * self.target_hz:
                raise UserError(
                    f"init.target_rate_hz={self.target_hz:g}: no scale of the weights makes {name} fire so; "
                    f"{rate:.3g} Hz is what a bisection ended at"
                )
            yield f"calibrated: {name} fires at {rate:.3g} Hz with its weights times {factor:.3g}"

    def _scale(self, number: int) -> tuple[float, float]:
        """Find the common factor of a layer's weights by bisection; returns it and the rate in Hz."""
        layer = self.network.hidden[number]
        assert isinstance(layer, SpikingLayer)
        drawn = [(weights, weights.clone()) for weights in (layer.weight, layer.recurrent) if weights is not None]
        low, high, factor = 1 / WIDEST, WIDEST, 1.0
        for _ in range(TRIALS):
            for weights, start in drawn:
                weights.copy_(factor * start)
            rate = self._rate(number)
            if abs(rate - self.target_hz) <= CLOSE * self.target_hz:
                break
            low, high = (factor, high) if rate < self.target_hz else (low, factor)
            factor = math.sqrt(low * high)
        return factor, rate

    def _rate(self, number: int) -> float:
        result = self.engine.scan(self.inputs, self.network.tensors()[: number + 1], None)
        return float(result.counts[-1].mean()) / self.duration_s
