"""Networks that do not spike, to compare with: what the same data, loop and splits give without spiking neurons.

They are trained by backpropagation as everything else; of a configuration they use what is not about spiking neurons.
"""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn

from snnrun.config import Config, GruConfig, NetworkConfig, SpikeCountsConfig
from snnrun.data.batch import EventBatch
from snnrun.engine.types import Engine
from snnrun.network import LinearReadout, Network, NetworkOutput, build_network, build_surrogate
from snnrun.readouts import Scores


class Baseline(Network, ABC):
    """A network without hidden layers that spike. `scores` returns (batch, classes)."""

    def __init__(self, config: Config, readout: LinearReadout, reduction: Scores) -> None:
        super().__init__((), readout, reduction, build_surrogate(config))

    @abstractmethod
    def scores(self, inputs: EventBatch) -> Tensor:
        """The logits of a batch, (batch, classes)."""

    def forward(self, inputs: EventBatch, engine: Engine, record: bool = False) -> NetworkOutput:
        """Run a batch of spike trains through the network, in torch whatever the engine; no spikes are counted."""
        return NetworkOutput(self.scores(inputs), (), () if record else None, ())

    def linear(self, values: Tensor) -> Tensor:
        """The weighted sums of the readout."""
        return cast(Tensor, self.readout(values))


class Gru(Baseline):
    """One layer of gated recurrent units on the spike counts of each bin, and a linear readout of every step.

    Source: Cho et al. 2014, EMNLP, in the form of torch.nn.GRU; weights uniform in +- 1 / sqrt(units), as there.
    """

    def __init__(self, config: Config, inputs: int, classes: int, generator: torch.Generator) -> None:
        """`generator` draws the weights."""
        keys = config.network
        assert isinstance(keys, GruConfig)
        (units,) = keys.hidden
        readout = LinearReadout(torch.empty(units, classes), torch.empty(classes))
        super().__init__(config, readout, Scores(keys.readout, 1.0))
        self.gru = nn.GRU(inputs, units, batch_first=True)
        self.silent = keys.dropout
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(units**-0.5), units**-0.5, generator=generator)

    def scores(self, inputs: EventBatch) -> Tensor:
        """See `Baseline.scores`. Dropout silences a unit for a whole sample, as in the spiking networks."""
        values, _ = self.gru(inputs.dense(self.readout.weight.dtype))
        if self.training and self.silent > 0:
            kept = torch.rand(values.shape[0], 1, values.shape[2], device=values.device) >= self.silent
            values = values * kept / (1 - self.silent)
        return self.reduction(self.linear(values))

    def parts(self) -> dict[str, nn.Module]:
        """What has parameters by its name."""
        return {"gru": self.gru, "readout": self.readout}

    def macs(self, steps: int) -> int:
        """Multiply-accumulates of a sample of so many steps."""
        return steps * sum(p.numel() for p in self.parameters() if p.dim() == 2)

    def summary(self) -> str:
        """Sizes, kinds and number of parameters in one line."""
        units, classes = self.readout.weight.shape
        parameters = sum(p.numel() for p in self.parameters())
        return f"{self.gru.input_size} - {units} (gru) - {classes} (readout), {parameters:,} parameters"

    def distributions(self) -> dict[str, Tensor]:
        """Weights by the tags of their histograms."""
        weights = torch.cat([p.detach().flatten() for p in self.gru.parameters() if p.dim() == 2])
        return {"weights/gru": weights, "weights/readout": self.readout.weight.detach().flatten()}


class SpikeCounts(Baseline):
    """Multinomial logistic regression on the number of spikes of each channel in a sample; weights start at zero.

    It knows nothing of when a spike was. Its L2 penalty is `optimizer.weight_decay`.
    """

    def __init__(self, config: Config, inputs: int, classes: int, generator: torch.Generator) -> None:
        """`generator` is not used, since nothing is drawn."""
        keys = config.network
        assert isinstance(keys, SpikeCountsConfig)
        super().__init__(config, LinearReadout(torch.zeros(inputs, classes), torch.zeros(classes)), Scores("last", 1.0))
        self.normalise = keys.normalise

    def scores(self, inputs: EventBatch) -> Tensor:
        """See `Baseline.scores`; `log1p` is log(1 + n) of a count n, `mean` is n over the mean count of the sample."""
        counts = inputs.dense(self.readout.weight.dtype).sum(1)
        if self.normalise == "log1p":
            return self.linear(counts.log1p())
        return self.linear(counts / counts.mean(1, keepdim=True).clamp(min=1 / counts.shape[1]))

    def macs(self, steps: int) -> int:
        """Multiply-accumulates of a sample, which do not depend on its steps."""
        return self.readout.weight.numel()

    def summary(self) -> str:
        """Sizes and number of parameters in one line."""
        channels, classes = self.readout.weight.shape
        parameters = sum(p.numel() for p in self.parameters())
        return f"{channels} (spike counts, {self.normalise}) - {classes} (readout), {parameters:,} parameters"


BASELINES: dict[str, type[Gru | SpikeCounts]] = {"gru": Gru, "spike_counts": SpikeCounts}


def build(config: Config, inputs: int, classes: int, generator: torch.Generator) -> Network:
    """The network that the config describes, spiking or not; see `build_network`."""
    if isinstance(config.network, NetworkConfig):
        return build_network(config, inputs, classes, generator)
    return BASELINES[config.network.name](config, inputs, classes, generator)
