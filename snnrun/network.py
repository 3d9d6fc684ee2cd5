"""A spiking network: hidden layers of one neuron model, and a readout of leaky integrators or of spiking neurons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from snnrun.config import Config, InitConfig, NeuronConfig, TauConfig
from snnrun.data.batch import EventBatch
from snnrun.data.binning import steps_in
from snnrun.delays import Delays, DelaySettings
from snnrun.dropout import drop
from snnrun.engine.types import Engine, Layer, Readout, ScanResult
from snnrun.init import EXPECTATIONS, SCHEMES, LayerFacts, readout_weights
from snnrun.neurons import NEURONS, Neuron, Refractory
from snnrun.neurons.time_constants import TauSettings, TimeConstant
from snnrun.readouts import SPIKING, Scores
from snnrun.seeding import stream
from snnrun.surrogates import Surrogate

BATCH_NORM_MOMENTUM = 0.05  # as Bittar & Garner 2022 (idiap/sparch)


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says about a batch.

    Attributes:
        logits: (batch, classes).
        counts: spikes of every neuron over the sample, (batch, neurons) for each hidden layer, differentiable.
        spikes: the spikes of each hidden layer, where they were asked for.
        shares: what `active` is made of.
    """

    logits: Tensor
    counts: tuple[Tensor, ...]
    spikes: tuple[EventBatch, ...] | None
    shares: tuple[Tensor, ...]

    @property
    def active(self) -> Tensor:
        """(hidden layers,) share of neuron-steps in the backward pass; see `ScanResult.active`."""
        return torch.cat(self.shares)[: len(self.counts)] if self.shares else torch.empty(0)


class SpikingLayer(nn.Module):
    """Weights, delays and neurons of a layer.

    Parameters: weight (inputs, neurons), recurrent (neurons, neurons), and those of the delays, where there are any.
    `norm`, where there is one, normalises the current x[t] weight over batch and time; None is the usual layer.
    """

    def __init__(
        self,
        weight: Tensor,
        recurrent: Tensor | None,
        neuron: Neuron,
        detach_recurrent: bool,
        delays: Delays | None = None,
        recurrent_delays: Delays | None = None,
        norm: nn.BatchNorm1d | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.recurrent = None if recurrent is None else nn.Parameter(recurrent)
        self.neuron = neuron
        self.detach_recurrent = detach_recurrent
        self.delays = delays
        self.recurrent_delays = recurrent_delays
        self.norm = norm

    def current(self, signal: EventBatch | Tensor, weight: Tensor) -> Tensor:
        """The normalised current (batch, steps, neurons) of events or of a tensor (batch, steps, inputs)."""
        assert self.norm is not None
        dense = signal.dense(weight.dtype) if isinstance(signal, EventBatch) else signal
        current = dense @ weight
        normalised: Tensor = self.norm(current.flatten(0, 1))
        return normalised.view_as(current)

    def tensors(self, surrogate: Surrogate) -> Layer:
        """What an engine needs of this layer, differentiable with respect to its parameters."""
        return Layer(
            neuron=self.neuron,
            constants=self.neuron.constants(),
            surrogate=surrogate,
            weight=self.weight,
            recurrent=self.recurrent,
            detach_recurrent=self.detach_recurrent,
            delays=None if self.delays is None else self.delays(),
            recurrent_delays=None if self.recurrent_delays is None else self.recurrent_delays(),
        )


class ReadoutLayer(nn.Module):
    """Leaky integrators, one a class. Parameter: weight (neurons, classes); time constants in ms, 0 is no synapse."""

    def __init__(self, weight: Tensor, tau_mem: float, tau_syn: float, dt: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        classes = weight.shape[1]
        self.tau_mem = TimeConstant(tau_mem, classes, dt)
        self.tau_syn = TimeConstant(tau_syn, classes, dt) if tau_syn > 0 else None

    def tensors(self) -> Readout:
        """What an engine needs of the readout."""
        decay_mem = self.tau_mem()
        decay_syn = torch.zeros_like(decay_mem) if self.tau_syn is None else self.tau_syn()
        return Readout(self.weight, decay_mem, decay_syn)


class SpikingReadout(nn.Module):
    """Spiking neurons, `population` a class, in the place of the integrators; what counts are their spikes."""

    def __init__(self, spiking: SpikingLayer) -> None:
        super().__init__()
        self.spiking = spiking

    @property
    def weight(self) -> Tensor:
        """(neurons, outputs)."""
        return self.spiking.weight

    def tensors(self) -> Readout:
        """What gives an engine the spikes of the layer themselves."""
        return spikes_of(self.weight)


class LinearReadout(nn.Module):
    """A sum without memory, of a network that does not spike. Parameters: weight (units, classes), bias (classes,)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def tensors(self) -> Readout:
        """The same as leaky integrators that forget at once, without the bias."""
        return Readout(self.weight, torch.zeros_like(self.bias), torch.zeros_like(self.bias))

    def forward(self, values: Tensor) -> Tensor:
        """(..., units) to (..., classes)."""
        return values @ self.weight + self.bias


class Network(nn.Module):
    """Hidden layers and readout; the scan over time is the engine's.

    A readout of spiking neurons is one more layer, whose spikes are what `reduction` gets. Without hidden layers it is
    one that does not spike, see `snnrun.baselines`.
    """

    def __init__(
        self,
        hidden: Sequence[SpikingLayer],
        readout: ReadoutLayer | SpikingReadout | LinearReadout,
        reduction: Scores,
        surrogate: Surrogate,
        dropout: float = 0.0,
    ) -> None:
        """`dropout` is the share of silent neurons."""
        super().__init__()
        self.hidden = nn.ModuleList(hidden)
        self.readout = readout
        self.reduction = reduction
        self.surrogate = surrogate
        self.dropout = dropout

    def tensors(self) -> list[Layer]:
        """The hidden layers as an engine sees them."""
        return [layer.tensors(self.surrogate) for layer in self.hidden if isinstance(layer, SpikingLayer)]

    def forward(self, inputs: EventBatch, engine: Engine, record: bool = False) -> NetworkOutput:
        """Run a batch of spike trains through the network."""
        scans = self._scan(inputs, engine, record)
        trace, hidden = scans[-1].output, len(self.hidden)
        assert trace is not None
        counts = tuple(counts for scan in scans for counts in scan.counts)[:hidden]
        spikes = tuple(events for scan in scans for events in scan.spikes or ())[:hidden]
        shares = tuple(scan.active for scan in scans)  # an engine fills them in the backward pass
        return NetworkOutput(self.reduction(trace), counts, spikes if record else None, shares)

    def _scan(self, inputs: EventBatch, engine: Engine, record: bool) -> tuple[ScanResult, ...]:
        """One scan of all layers; where currents are normalised, which takes all steps at once, one a layer."""
        layers, readout = self._stack(inputs.batch)
        signal: EventBatch | Tensor = inputs
        scans = []
        for number, module in enumerate(self.hidden):
            assert isinstance(module, SpikingLayer)
            weight = layers[number].weight
            if module.norm is None or weight is None:
                return (engine.scan(inputs, layers, readout, record=record),)
            signal = module.current(signal, weight)
            last = number == len(self.hidden) - 1
            part = [replace(layers[number], weight=None), *(layers[number + 1 :] if last else ())]
            scans.append(engine.scan(signal, part, readout if last else spikes_of(weight), record=record))
            signal = scans[-1].output if scans[-1].output is not None else signal
        return tuple(scans)

    def _stack(self, batch: int) -> tuple[list[Layer], Readout]:
        """All spiking layers and what integrates the last one, for a batch of so many samples."""
        layers, share = self.tensors(), self.dropout if self.training else 0.0
        if share > 0:
            layers = drop(layers, share, batch)
        readout, weight = self.readout.tensors(), self.readout.weight / (1 - share)
        if isinstance(self.readout, SpikingReadout):
            return [*layers, replace(self.readout.spiking.tensors(self.surrogate), weight=weight)], readout
        return layers, replace(readout, weight=weight)

    def constrain(self) -> None:
        """Bring trained constants and delays back into their ranges; call it after every step of the optimiser."""
        if isinstance(self.readout, SpikingReadout):
            self.readout.spiking.neuron.constrain()
        for layer in self.hidden:
            assert isinstance(layer, SpikingLayer)
            layer.neuron.constrain()
        for delays in self.delays().values():
            delays.constrain()

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Tell what changes with training that epoch `epoch`, counted from 1, of `epochs` begins."""
        for delays in self.delays().values():
            delays.begin_epoch(epoch, epochs)

    def delays(self) -> dict[str, Delays]:
        """The delays by the name of their layer, hidden1 or hidden1_recurrent; empty where there are none."""
        named = {
            f"{name}{part}": module
            for name, layer in zip(self.layer_names(), self.hidden, strict=True)
            for part, module in (("", layer.delays), ("_recurrent", layer.recurrent_delays))
        }
        return {name: module for name, module in named.items() if isinstance(module, Delays)}

    def summary(self) -> str:
        """Sizes, kinds and number of parameters in one line."""
        parts: list[str] = []
        for layer in self.hidden:
            assert isinstance(layer, SpikingLayer)
            parts = parts or [str(layer.weight.shape[0])]
            kind = layer.neuron.name if layer.recurrent is None else f"{layer.neuron.name}, recurrent"
            parts.append(f"{layer.weight.shape[1]} ({kind})")
        parts.append(f"{self.readout.weight.shape[1]} (readout)")
        return f"{' - '.join(parts)}, {sum(p.numel() for p in self.parameters()):,} parameters"

    def parts(self) -> dict[str, nn.Module]:
        """What has parameters by its name: hidden1, hidden2, ... and readout."""
        return {**dict(zip(self.layer_names(), self.hidden, strict=True)), "readout": self.readout}

    def macs(self, steps: int) -> int:
        """Multiply-accumulates of a dense computation of one sample of so many steps."""
        weights = [weight for layer in self.tensors() for weight in (layer.weight, layer.recurrent)]
        return steps * sum(weight.numel() for weight in (*weights, self.readout.weight) if weight is not None)

    def distributions(self) -> dict[str, Tensor]:
        """Weights, time constants and delays [ms] by the tags of their histograms, of hidden layers and readout."""
        found = {f"delay_ms/{name}": delays.value.detach() for name, delays in self.delays().items()}
        for name, module in self.parts().items():
            weights = [p for p in (module.weight, getattr(module, "recurrent", None)) if isinstance(p, Tensor)]
            found[f"weights/{name}"] = torch.cat([p.detach().flatten() for p in weights])
            for part, inner in module.named_modules():
                if isinstance(inner, TimeConstant):
                    found[f"{part.rsplit('.', 1)[-1]}_ms/{name}"] = inner.tau.detach()
        return found

    def layer_names(self) -> list[str]:
        """Names of the hidden layers, as the run folder and TensorBoard use them: hidden1, hidden2, ..."""
        return [f"hidden{k + 1}" for k in range(len(self.hidden))]


def spikes_of(weight: Tensor) -> Readout:
    """A readout that gives the spikes themselves of the layer with such a weight (inputs, neurons)."""
    one = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
    return Readout(one, torch.zeros_like(one[0]), torch.zeros_like(one[0]))


def build_network(config: Config, inputs: int, classes: int, generator: torch.Generator) -> Network:
    """The spiking network of the config, for `inputs` channels and `classes` classes; weights from `generator`.

    What is drawn for the neurons themselves and for delays comes from streams of their own: networks that differ in
    their time constants or delays start with the same weights.
    """
    of_neurons, of_delays = stream(config.seed, "neurons"), stream(config.seed, "delays")
    surrogate, network = build_surrogate(config), config.spiking
    hidden: list[SpikingLayer] = []

    def spiking(size: int, recurrent: bool) -> SpikingLayer:
        neuron = build_neuron(config.neuron, size, of_neurons)
        if network.dropout > 0 and not isinstance(neuron, Refractory):
            neuron = Refractory(neuron, 0)  # which dropout makes endless, see `drop`
        layer = LayerFacts(
            inputs=hidden[-1].weight.shape[1] if hidden else inputs,
            neurons=size,
            recurrent=recurrent,
            from_neurons=bool(hidden),
            neuron=neuron,
            surrogate=surrogate,
            dt=config.dataset.dt,
            steps=steps_in(config.dataset.duration, config.dataset.dt),
        )
        weight, back = initial_weights(config.init, layer, generator)
        return SpikingLayer(weight, back, layer.neuron, config.neuron.detach_recurrent)

    for size, recurrent in zip(network.hidden, recurrence(config), strict=True):
        layer = spiking(size, recurrent)
        layer.norm = nn.BatchNorm1d(size, momentum=BATCH_NORM_MOMENTUM) if network.batch_norm else None
        layer.delays = build_delays(config, "feedforward", layer.weight, of_delays)
        layer.recurrent_delays = build_delays(config, "recurrent", layer.recurrent, of_delays)
        hidden.append(layer)
    readout: ReadoutLayer | SpikingReadout
    if network.readout in SPIKING:
        readout = SpikingReadout(spiking(classes * network.readout_population, recurrent=False))
        readout.weight.data *= config.init.readout_scale
    else:
        weight = readout_weights(network.hidden[-1], classes, config.init.readout_scale, generator)
        readout = ReadoutLayer(weight, network.readout_tau_mem, network.readout_tau_syn, config.neuron.dt)
    scores = Scores(network.readout, network.readout_tau_mem / config.neuron.dt, network.readout_population)
    return Network(hidden, readout, scores, surrogate, network.dropout)


def initial_weights(config: InitConfig, layer: LayerFacts, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    """What the configured scheme draws for a layer, scaled: (inputs, neurons), and (neurons, neurons) or None."""
    weight, recurrent = SCHEMES[config.name](layer, generator, **_own_keys(config))
    return config.scale * weight, None if recurrent is None else config.recurrent_scale * recurrent


def expected_potential(config: Config, network: Network, number: int) -> tuple[float, float] | None:
    """Mean and standard deviation of the potential at which the scheme aims in a hidden layer (number 0 is the first).

    In thresholds, of neurons that never spike; None for a scheme that aims at no potential.
    """
    scheme, layer = config.init, network.hidden[number]
    assert isinstance(layer, SpikingLayer)
    if scheme.name not in EXPECTATIONS:
        return None
    facts = LayerFacts(
        inputs=layer.weight.shape[0],
        neurons=layer.weight.shape[1],
        recurrent=layer.recurrent is not None,
        from_neurons=number > 0,
        neuron=layer.neuron,
        surrogate=network.surrogate,
        dt=config.dataset.dt,
        steps=steps_in(config.dataset.duration, config.dataset.dt),
    )
    return EXPECTATIONS[scheme.name](facts, **_own_keys(scheme)).scaled(scheme.scale, scheme.recurrent_scale)


def _own_keys(config: InitConfig) -> dict[str, Any]:
    """The keys of a scheme beyond those that every scheme has."""
    common = {field.name for field in fields(InitConfig)}
    return {field.name: getattr(config, field.name) for field in fields(config) if field.name not in common}


def build_neuron(config: NeuronConfig, neurons: int, generator: torch.Generator) -> Neuron:
    """A population of `neurons` neurons of the configured model, and its refractory period."""
    keys = {field.name: getattr(config, field.name) for field in fields(config)}
    del keys["name"], keys["detach_recurrent"], keys["refractory"]  # the second is the layer's
    if isinstance(config, TauConfig):
        keys["taus"] = TauSettings(
            init=keys.pop("tau_init"),
            shape=keys.pop("tau_shape"),
            train=keys.pop("tau_train"),
            constraint=keys.pop("tau_constraint"),
            minimum=keys.pop("tau_min"),
            maximum=keys.pop("tau_max"),
        )
    neuron = NEURONS[config.name](neurons=neurons, generator=generator, **keys)
    return Refractory(neuron, refractory_steps(config)) if config.refractory > 0 else neuron


def refractory_steps(config: NeuronConfig) -> int:
    """The refractory period in steps, rounded up but for the rounding of floats."""
    return math.ceil(config.refractory / config.dt - 1e-9)


def build_delays(config: Config, connections: str, weight: Tensor | None, generator: torch.Generator) -> Delays | None:
    """Delays of the weights (senders, neurons) of one kind of connections; None where the config wants none."""
    keys = config.spiking
    if weight is None or keys.delays == "none" or keys.delayed not in (connections, "both"):
        return None
    settings = DelaySettings(
        kind=keys.delays,
        maximum=keys.max_delay,
        dt=config.dataset.dt,
        interpolation=keys.delay_interpolation,
        sigma=keys.delay_sigma,
        shrink=keys.delay_shrink,
        round=keys.delay_round,
        trained=config.optimizer.delay_lr > 0,
    )
    return Delays(weight.shape[0], weight.shape[1], settings, generator)


def build_surrogate(config: Config) -> Surrogate:
    """The configured surrogate derivative."""
    chosen = config.surrogate
    return Surrogate(chosen.name, chosen.beta, chosen.gamma, chosen.scale, config.learning.cutoff)


def recurrence(config: Config) -> list[bool]:
    """Whether each hidden layer is recurrent."""
    given = config.spiking.recurrent
    return [given] * len(config.spiking.hidden) if isinstance(given, bool) else list(given)
