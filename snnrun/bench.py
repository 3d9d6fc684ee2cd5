"""Time of one training step, for each engine, on random spike trains of a given size."""

import json
import statistics
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from snnrun.config.schema import BenchConfig, BenchSection
from snnrun.data.batch import EventBatch
from snnrun.engine.select import choose
from snnrun.engine.types import Engine
from snnrun.errors import RunError
from snnrun.network import Network, build_network
from snnrun.seeding import stream

TOLERANCE = 1e-3  # of the largest gradient in float32; a spike on the threshold may flip


@dataclass(frozen=True)
class Case:
    """A network, a batch and its labels."""

    network: Network
    inputs: EventBatch
    labels: Tensor

    def step(self, engine: Engine) -> tuple[float, float]:
        """Seconds of the forward and of the backward pass; the gradients stay in the parameters."""
        self.network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        loss = functional.cross_entropy(self.network(self.inputs, engine).logits, self.labels)
        middle = time.perf_counter()
        loss.backward()
        return middle - start, time.perf_counter() - middle

    def gradients(self, engine: Engine) -> list[Tensor]:
        """The gradient of every parameter."""
        self.step(engine)
        return [p.grad.clone() for p in self.network.parameters() if p.grad is not None]


def run(config: BenchConfig) -> None:
    """Print a line a case and engine; raises RunError where an engine disagrees with the reference."""
    for steps in config.bench.steps:
        case = make_case(config, config.bench, steps)
        expected = case.gradients(choose("reference", torch.device("cpu"), case.network.tensors())[0])
        for name in config.bench.engines:
            engine, _ = choose(name, torch.device("cpu"), case.network.tensors())
            error = difference(case.gradients(engine), expected)
            if error > TOLERANCE:
                raise RunError(f"engine {name} differs from the reference by {error:.1e} at {steps} steps; not timed")
            times = [case.step(engine) for _ in range(config.bench.repeats)]
            forward, backward = (statistics.median(part) for part in zip(*times, strict=True))
            row: dict[str, object] = {"engine": name, "steps": steps, "batch": config.bench.batch}
            row["hidden"] = config.bench.hidden
            row |= {"step_s": round(forward + backward, 4), "forward_s": round(forward, 4)}
            row |= {"backward_s": round(backward, 4), "max_error": error}
            print(json.dumps(row) if config.bench.format == "json" else "  ".join(f"{k} {v}" for k, v in row.items()))


def make_case(config: BenchConfig, size: BenchSection, steps: int) -> Case:
    """The configured network with one hidden layer of the given size, and uniform random events."""
    random = stream(config.seed, "bench")
    one_layer = replace(config, network=replace(config.network, hidden=(size.hidden,)))
    network = build_network(one_layer, size.inputs, size.outputs, random)
    counts = torch.zeros(size.batch, steps * size.inputs)
    places = torch.randint(steps * size.inputs, (size.batch, size.events), generator=random)
    counts.scatter_(1, places, 1.0)
    inputs = EventBatch.from_dense(counts.view(size.batch, steps, size.inputs))
    return Case(network, inputs, torch.randint(size.outputs, (size.batch,), generator=random))


def difference(found: list[Tensor], expected: list[Tensor]) -> float:
    """Largest difference relative to the largest entry, over all parameters."""
    return max(
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in zip(found, expected, strict=True)
    )
