"""One pass over the training data."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from snnrun.data.batch import EventBatch
from snnrun.engine.types import Engine
from snnrun.errors import RunError
from snnrun.learning import Rule
from snnrun.learning.comparison import Comparison
from snnrun.network import Network, NetworkOutput
from snnrun.optimizers import Schedule
from snnrun.preflight import SILENT_HZ, gradient_norms

AfterBatch = Callable[["Tally", NetworkOutput], None]


@dataclass
class Tally:
    """Running sums over the batches of an epoch; every figure weights samples, not batches.

    Attributes:
        duration_s: length of a sample in seconds.
        norms: gradient norm of each layer in the last batch.
        data_s: seconds spent on building batches.
    """

    duration_s: float
    samples: int = 0
    batches: int = 0
    norms: dict[str, float] = field(default_factory=dict)
    data_s: float = 0.0
    _loss: float = 0.0
    _correct: int = 0
    _spikes: list[Tensor] = field(default_factory=list)  # (neurons,) a layer, summed over samples
    _norms: dict[str, float] = field(default_factory=dict)
    _cosines: dict[str, list[float]] = field(default_factory=dict)  # a number a batch
    _active: Tensor | float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def add(self, step: "Step", labels: Tensor) -> None:
        """Count one batch."""
        output = step.output
        size = len(labels)
        self.samples += size
        self.batches += 1
        self._loss += step.loss * size
        self._correct += int((output.logits.detach().argmax(1) == labels).sum())
        spikes = [counts.detach().double().sum(0).cpu() for counts in output.counts]
        self._spikes = [a + b for a, b in zip(self._spikes, spikes, strict=True)] if self._spikes else spikes
        self.norms = step.norms
        self._norms = {name: self._norms.get(name, 0.0) + norm for name, norm in step.norms.items()}
        for name, cosine in step.cosines.items():
            self._cosines.setdefault(name, []).append(cosine)
        self._active = self._active + output.active * size

    @property
    def loss(self) -> float:
        """Mean loss of a sample, regularisers included."""
        return self._loss / max(self.samples, 1)

    @property
    def accuracy(self) -> float:
        """Share of samples that were right when they were trained on."""
        return self._correct / max(self.samples, 1)

    @property
    def seconds(self) -> float:
        """Since the epoch began."""
        return time.perf_counter() - self.started

    def rates_hz(self) -> list[Tensor]:
        """Mean rate of each neuron, (neurons,) a layer."""
        return [spikes / (max(self.samples, 1) * self.duration_s) for spikes in self._spikes]

    def mean_rate_hz(self) -> float | None:
        """Mean rate of all hidden neurons; None where there are none."""
        return float(torch.cat(self.rates_hz()).mean()) if self._spikes else None

    def cosines(self) -> dict[str, float]:
        """Mean cosine between the rule's gradient and that of `bptt` by layer, over the batches that have one."""
        known = {name: [c for c in found if math.isfinite(c)] for name, found in self._cosines.items()}
        return {name: sum(found) / len(found) if found else math.nan for name, found in known.items()}

    def scalars(self, layers: Sequence[str]) -> dict[str, float]:
        """The figures by their TensorBoard tags."""
        found = {"loss/train": self.loss, "accuracy/train": self.accuracy}
        for name, rate, active in zip(layers, self.rates_hz(), self._shares(), strict=True):
            found[f"rate_hz/{name}"] = float(rate.mean())
            found[f"silent/{name}"] = float((rate < SILENT_HZ).double().mean())
            found[f"active/{name}"] = active
        found |= {f"grad_norm/{name}": norm / max(self.batches, 1) for name, norm in self._norms.items()}
        found |= {f"cosine/{name}": cosine for name, cosine in self.cosines().items()}
        found["time/epoch_s"] = self.seconds
        found["time/samples_per_s"] = self.samples / self.seconds
        found["time/data_share"] = self.data_s / self.seconds
        return found

    def _shares(self) -> list[float]:
        shares: list[float] = (torch.as_tensor(self._active) / max(self.samples, 1)).tolist()
        return shares


@dataclass(frozen=True)
class Learner:
    """What an epoch of training acts with.

    Attributes:
        engine: the scan over time of evaluation, and of `bptt`.
        rule: where the gradient comes from.
        comparison: of the rule's gradient with that of `bptt`, where it was asked for.
        clip: largest norm of the whole gradient; 0 is no limit.
        duration_s: length of a sample in seconds.
    """

    network: Network
    engine: Engine
    rule: Rule
    comparison: Comparison | None
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    clip: float
    duration_s: float
    device: torch.device

    def step(self, inputs: EventBatch, labels: Tensor) -> "Step":
        """One gradient step. Raises RunError if the loss is not finite."""
        self.optimizer.zero_grad(set_to_none=True)
        found = self.rule.gradient(inputs, labels)
        _require_finite("the loss", found.loss)
        norms = gradient_norms(self.network)
        for name, norm in norms.items():
            _require_finite(f"the gradient of {name}", norm)
        cosines = {} if self.comparison is None else self.comparison.cosines(inputs, labels)
        if self.clip > 0:
            clip_grad_norm_([*self.network.parameters(), *self.rule.parameters()], self.clip)
        self.optimizer.step()
        self.network.constrain()
        self.schedule.after_batch()
        return Step(found.loss, found.output, norms, cosines)


@dataclass(frozen=True)
class Step:
    """What one gradient step found.

    Attributes:
        norms: gradient norm of each layer.
        cosines: between the rule's gradient and that of `bptt`, by layer; empty where it was not asked for.
    """

    loss: float
    output: NetworkOutput
    norms: dict[str, float]
    cosines: dict[str, float]


def train_epoch(learner: Learner, batches: Iterator[tuple[EventBatch, Tensor]], after_batch: AfterBatch) -> Tally:
    """Train on every batch once; `after_batch(tally, output)` is called after each."""
    learner.network.train()
    tally = Tally(learner.duration_s)
    while True:
        fetching = time.perf_counter()
        batch = next(batches, None)
        tally.data_s += time.perf_counter() - fetching
        if batch is None:
            for name, weights in learner.network.named_parameters():
                _require_finite(f"the parameter {name}", float(weights.detach().abs().max()))
            return tally
        inputs, labels = batch[0].to(learner.device), batch[1].to(learner.device)
        step = learner.step(inputs, labels)
        tally.add(step, labels)
        after_batch(tally, step.output)


def _require_finite(name: str, value: float) -> None:
    """Raise RunError for a number that no float can hold; weights of that kind make no spike, so nothing else tells."""
    if not math.isfinite(value):
        raise RunError(
            f"{name} is not finite ({value}); lower optimizer.lr or init.scale, or set training.clip_grad_norm"
        )
