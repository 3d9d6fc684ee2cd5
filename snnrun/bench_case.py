"""One measurement of `snnrun bench`: the work, the proof that an engine does it right, and the time that it takes."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnrun.config.inits import RateConfig
from snnrun.config.schema import BenchConfig
from snnrun.data.batch import EventBatch
from snnrun.device import peak_memory_mb, pick_device, reset_peak_memory
from snnrun.engine.select import FUSED, choose
from snnrun.engine.types import Engine
from snnrun.errors import RunError, UserError
from snnrun.learning import Rule, Task, build_rule
from snnrun.network import Network, NetworkOutput, build_network
from snnrun.regularizers import ActivityBounds
from snnrun.seeding import stream

# Of the largest entry of a tensor. In float64 the numbers are the same but for rounding; in float32, which is timed, a
# few of the millions of potentials lie so close to the threshold that the spike may fall either way.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 5e-2}
UNTIMED = 2  # steps before those that are timed: one of a single sample, one of the whole batch
NEURON_STEPS = 2**24  # of the reference at once in the proof, so that it fits in memory at any number of steps


@dataclass(frozen=True)
class Case:
    """A network, a batch and its labels, on the device of the engine."""

    network: Network
    inputs: EventBatch
    labels: Tensor
    device: torch.device

    def step(self, engine: Engine) -> tuple[float, float, NetworkOutput]:
        """Seconds of the forward and of the backward pass of a training step, and the network's output."""
        self.network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        output = self.network(self.inputs, engine)
        loss = functional.cross_entropy(output.logits, self.labels)
        self.wait()
        middle = time.perf_counter()
        if loss.requires_grad:
            loss.backward()
        self.wait()
        return middle - start, time.perf_counter() - middle, output

    def learn(self, rule: Rule) -> tuple[float, NetworkOutput]:
        """Seconds of a training step by a rule, and the network's output."""
        self.network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        found = rule.gradient(self.inputs, self.labels)
        self.wait()
        return time.perf_counter() - start, found.output

    def results(self, engine: Engine, samples: int) -> list[Tensor]:
        """Logits, spike counts of every layer, and gradient of every parameter, from so many samples at a time."""
        self.network.zero_grad(set_to_none=True)
        torch.manual_seed(0)  # dropout draws the same with every engine
        outputs = []
        for part, labels in self.parts(samples):
            output = self.network(part, engine)
            outputs.append([output.logits.detach(), *(counts.detach() for counts in output.counts)])
            loss = functional.cross_entropy(output.logits, labels, reduction="sum") / self.inputs.batch
            if loss.requires_grad:
                loss.backward()
        forward = [torch.cat(parts) for parts in zip(*outputs, strict=True)]
        return forward + [p.grad.clone() for p in self.network.parameters() if p.grad is not None]

    def parts(self, samples: int) -> Iterator[tuple[EventBatch, Tensor]]:
        """The batch, so many samples at a time."""
        for first in range(0, self.inputs.batch, samples):
            last = min(first + samples, self.inputs.batch)
            yield self.inputs.samples(first, last), self.labels[first:last]

    def wait(self) -> None:
        """Until the device has done all that it was told to."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def prove(config: BenchConfig, steps: int, hidden: tuple[int, ...], name: str) -> dict[str, float]:
    """The largest difference between an engine and the reference, relative to the largest entry of each tensor.

    Compared are logits, spike counts and the gradients of all parameters, in float64 on the CPU, and in float32, which
    is what is timed.

    Raises:
        UserError: an engine that cannot run the network.
        RunError: the difference is above the tolerance.
    """
    case, engine = make_case(config, steps, hidden, name)
    samples = max(1, NEURON_STEPS // (steps * sum(hidden)))
    errors = {}
    for kind, key in ((torch.float32, "max_error"), (torch.float64, "max_error_float64")):
        if kind == torch.float64 and case.device.type != "cpu":
            continue
        case.network.to(kind)
        found = case.results(engine, config.bench.batch)
        expected = case.results(choose("reference", case.device, case.network.tensors())[0], samples)
        errors[key] = error = max(difference(a, b) for a, b in zip(found, expected, strict=True))
        if not error <= TOLERANCES[kind]:
            text = f"differs from the reference by {error:.1e} of the largest value in {str(kind)[6:]}; not timed"
            raise RunError(f"engine {name} at {steps} steps {text}")
    return errors


def measure(config: BenchConfig, steps: int, hidden: tuple[int, ...], name: str) -> dict[str, object]:
    """Time, memory and activity of a training step.

    Memory is the growth of the high-water mark during the steps, once the engine's compiled code has been loaded.
    """
    case, engine = make_case(config, steps, hidden, name)
    times = []

    def step(part: Case) -> NetworkOutput:
        forward, backward, output = part.step(engine)
        times.append((forward, backward, forward + backward))
        return output

    figures = _figures(config, steps, hidden, case, step)
    forward, backward, both = (statistics.median(part) for part in zip(*times[UNTIMED:], strict=True))
    seconds = {"step_s": round(both, 4), "forward_s": round(forward, 4), "backward_s": round(backward, 4)}
    return {"engine": name, "learning": "bptt"} | seconds | figures


def measure_rule(config: BenchConfig, steps: int, hidden: tuple[int, ...]) -> dict[str, object]:
    """The same of a training step by the configured rule, which scans by itself; it has no passes to time apart."""
    case, engine = make_case(config, steps, hidden, "reference")
    bounds = ActivityBounds(**asdict(config.regularizer))
    random = stream(config.seed, "feedback")
    task = Task(case.network, engine, bounds, config.dataset.duration / 1000, random, config.init.readout_scale)
    rule = build_rule(config.learning, task)
    times = []

    def step(part: Case) -> NetworkOutput:
        seconds, output = part.learn(rule)
        times.append(seconds)
        return output

    figures = _figures(config, steps, hidden, case, step)
    seconds = round(statistics.median(times[UNTIMED:]), 4)
    return {"engine": rule.trains_on, "learning": config.learning.name, "step_s": seconds} | figures


def _figures(
    config: BenchConfig, steps: int, hidden: tuple[int, ...], case: Case, step: Callable[[Case], NetworkOutput]
) -> dict[str, object]:
    """Run `UNTIMED` steps and those to time; what is the same for engines and rules."""
    first, labels = next(case.parts(1))
    step(replace(case, inputs=first, labels=labels))
    reset_peak_memory(case.device)
    before = peak_memory_mb(case.device)
    for _ in range(config.bench.repeats + 1):
        output = step(case)
    spikes = sum(float(counts.detach().sum()) for counts in output.counts)
    neuron_seconds = config.bench.batch * sum(hidden) * config.dataset.duration / 1000
    return {
        "steps": steps,
        "batch": config.bench.batch,
        "hidden": hidden[0] if len(hidden) == 1 else hidden,
        "peak_mb": round(peak_memory_mb(case.device) - before, 1),
        "rate_hz": round(spikes / neuron_seconds, 2),
        "active": round(float(output.active.mean()), 4),
        "events": round(len(case.inputs.unit) / config.bench.batch),
        "device": str(case.device),
        "threads": torch.get_num_threads(),
    }


def make_case(config: BenchConfig, steps: int, hidden: tuple[int, ...], name: str) -> tuple[Case, Engine]:
    """The configured network with hidden layers of the given widths, its work, and the engine."""
    size = config.bench
    dt = config.dataset.duration / steps
    config = replace(
        config,
        network=replace(config.spiking, hidden=hidden),
        dataset=replace(config.dataset, dt=dt),
        neuron=replace(config.neuron, dt=dt),
    )
    if isinstance(config.init, RateConfig) and config.init.rate_hz is None:
        rate = size.events / size.inputs / (config.dataset.duration / 1000)
        config = replace(config, init=replace(config.init, rate_hz=rate))
    device = _device(name, config.device)
    network = build_network(config, size.inputs, size.outputs, stream(config.seed, "weights")).to(device)
    engine, _ = choose(name, device, network.tensors())
    inputs, labels = spike_trains(size.batch, steps, size.inputs, size.events, size.outputs, config.seed)
    return Case(network, inputs.to(device), labels.to(device), device), engine


def _device(engine: str, chosen: str) -> torch.device:
    """Where a fused engine computes; the reference computes on the chosen device."""
    if engine not in FUSED:
        return pick_device(chosen)
    runs_on = FUSED[engine][2]
    if runs_on == "cuda" and not torch.cuda.is_available():
        raise UserError(f"bench.engines: {engine} runs on {runs_on}, and there is no such device here")
    return pick_device(runs_on)


def spike_trains(
    batch: int, steps: int, channels: int, events: int, classes: int, seed: int
) -> tuple[EventBatch, Tensor]:
    """Random events, as many a sample but for those that coincide, and random labels (batch,).

    Channels are uniform, times are 0.8 * Beta(2, 3) of the sample: the density of the Spiking Heidelberg Digits.
    """
    random = np.random.default_rng(seed)
    pointers, units, total = [np.zeros(1, np.int64)], [], 0
    for _ in range(batch):
        step = np.minimum((random.beta(2, 3, events) * 0.8 * steps).astype(np.int64), steps - 1)
        place = np.unique(step * channels + random.integers(0, channels, events))
        pointers.append(np.searchsorted(place, np.arange(1, steps + 1) * channels) + total)
        units.append((place % channels).astype(np.int32))
        total += len(place)
    labels = torch.from_numpy(random.integers(0, classes, batch))
    pointer, unit = (torch.from_numpy(np.concatenate(parts)) for parts in (pointers, units))
    return EventBatch(pointer, unit, batch, steps, channels), labels


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference relative to the largest entry; infinite where there is a NaN."""
    error = (found - expected).abs().max() / expected.abs().max().clamp(min=1e-12)
    return float(error.nan_to_num(nan=torch.inf))
