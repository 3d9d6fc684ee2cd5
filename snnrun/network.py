"""A spiking network: hidden layers of one neuron model and a leaky-integrator readout."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from snnrun.config import Config, InitConfig, NeuronConfig, TauConfig
from snnrun.data.batch import EventBatch
from snnrun.data.binning import steps_in
from snnrun.delays import Delays, DelaySettings
from snnrun.engine.types import Engine, Layer, Readout
from snnrun.init import SCHEMES, LayerFacts, readout_weights
from snnrun.neurons import NEURONS, Neuron
from snnrun.neurons.time_constants import TauSettings, TimeConstant
from snnrun.readouts import READOUTS
from snnrun.seeding import stream
from snnrun.surrogates import Surrogate


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says about a batch.

    Attributes:
        logits: (batch, classes).
        counts: spikes of every neuron over the sample, (batch, neurons) for each hidden layer, differentiable.
        spikes: the spikes of each hidden layer, where they were asked for.
        active: (layers,) share of neuron-steps in the backward pass; see `ScanResult.active`.
    """

    logits: Tensor
    counts: tuple[Tensor, ...]
    spikes: tuple[EventBatch, ...] | None
    active: Tensor


class SpikingLayer(nn.Module):
    """Weights, delays and neurons of one hidden layer.

    Parameters: weight (inputs, neurons), recurrent (neurons, neurons), and those of the delays, where there are any.
    """

    def __init__(
        self,
        weight: Tensor,
        recurrent: Tensor | None,
        neuron: Neuron,
        detach_recurrent: bool,
        delays: Delays | None = None,
        recurrent_delays: Delays | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.recurrent = None if recurrent is None else nn.Parameter(recurrent)
        self.neuron = neuron
        self.detach_recurrent = detach_recurrent
        self.delays = delays
        self.recurrent_delays = recurrent_delays

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


class Network(nn.Module):
    """Hidden layers and readout; the scan over time is the engine's."""

    def __init__(
        self, hidden: Sequence[SpikingLayer], readout: ReadoutLayer, reduction: str, surrogate: Surrogate
    ) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(hidden)
        self.readout = readout
        self.reduction_name = reduction
        self.reduction = READOUTS[reduction]
        self.inputs = int(hidden[0].weight.shape[0])
        self.surrogate = surrogate

    def tensors(self) -> list[Layer]:
        """The hidden layers as an engine sees them."""
        return [layer.tensors(self.surrogate) for layer in self.hidden if isinstance(layer, SpikingLayer)]

    def forward(self, inputs: EventBatch, engine: Engine, record: bool = False) -> NetworkOutput:
        """Run a batch of spike trains through the network."""
        result = engine.scan(inputs, self.tensors(), self.readout.tensors(), record=record)
        assert result.output is not None
        return NetworkOutput(self.reduction(result.output), result.counts, result.spikes, result.active)

    def constrain(self) -> None:
        """Bring trained constants and delays back into their ranges; call it after every step of the optimiser."""
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
        parts = [str(self.inputs)]
        for layer in self.hidden:
            assert isinstance(layer, SpikingLayer)
            kind = layer.neuron.name if layer.recurrent is None else f"{layer.neuron.name}, recurrent"
            parts.append(f"{layer.weight.shape[1]} ({kind})")
        parts.append(f"{self.readout.weight.shape[1]} (readout)")
        return f"{' - '.join(parts)}, {sum(p.numel() for p in self.parameters()):,} parameters"

    def distributions(self) -> dict[str, Tensor]:
        """Weights, time constants and delays [ms] by the tags of their histograms, of hidden layers and readout."""
        found = {f"delay_ms/{name}": delays.value.detach() for name, delays in self.delays().items()}
        for name, module in [*zip(self.layer_names(), self.hidden, strict=True), ("readout", self.readout)]:
            weights = [p for p in (module.weight, getattr(module, "recurrent", None)) if isinstance(p, Tensor)]
            found[f"weights/{name}"] = torch.cat([p.detach().flatten() for p in weights])
            for part, inner in module.named_modules():
                if isinstance(inner, TimeConstant):
                    found[f"{part.rsplit('.', 1)[-1]}_ms/{name}"] = inner.tau.detach()
        return found

    def layer_names(self) -> list[str]:
        """Names of the hidden layers, as the run folder and TensorBoard use them: hidden1, hidden2, ..."""
        return [f"hidden{k + 1}" for k in range(len(self.hidden))]


def build_network(config: Config, inputs: int, classes: int, generator: torch.Generator) -> Network:
    """The network that the config describes, for `inputs` channels and `classes` classes; weights from `generator`.

    What is drawn for the neurons themselves and for delays comes from streams of their own: networks that differ in
    their time constants or delays start with the same weights.
    """
    of_neurons, of_delays = stream(config.seed, "neurons"), stream(config.seed, "delays")
    surrogate = build_surrogate(config)
    hidden: list[SpikingLayer] = []
    below = inputs
    for size, recurrent in zip(config.network.hidden, recurrence(config), strict=True):
        layer = LayerFacts(
            inputs=below,
            neurons=size,
            recurrent=recurrent,
            from_neurons=bool(hidden),
            neuron=build_neuron(config.neuron, size, of_neurons),
            surrogate=surrogate,
            dt=config.dataset.dt,
            steps=steps_in(config.dataset.duration, config.dataset.dt),
        )
        weight, back = initial_weights(config.init, layer, generator)
        delays = build_delays(config, "feedforward", weight, of_delays)
        late = build_delays(config, "recurrent", back, of_delays)
        hidden.append(SpikingLayer(weight, back, layer.neuron, config.neuron.detach_recurrent, delays, late))
        below = size
    weight = readout_weights(below, classes, config.init.readout_scale, generator)
    readout = ReadoutLayer(weight, config.network.readout_tau_mem, config.network.readout_tau_syn, config.neuron.dt)
    return Network(hidden, readout, config.network.readout, surrogate)


def initial_weights(config: InitConfig, layer: LayerFacts, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    """What the configured scheme draws for a layer, scaled: (inputs, neurons), and (neurons, neurons) or None."""
    common = {field.name for field in fields(InitConfig)}
    own = {field.name: getattr(config, field.name) for field in fields(config) if field.name not in common}
    weight, recurrent = SCHEMES[config.name](layer, generator, **own)
    return config.scale * weight, None if recurrent is None else config.recurrent_scale * recurrent


def build_neuron(config: NeuronConfig, neurons: int, generator: torch.Generator) -> Neuron:
    """A population of `neurons` neurons of the configured model."""
    keys = {field.name: getattr(config, field.name) for field in fields(config)}
    del keys["name"], keys["detach_recurrent"]  # the second is the layer's
    if isinstance(config, TauConfig):
        keys["taus"] = TauSettings(
            init=keys.pop("tau_init"),
            shape=keys.pop("tau_shape"),
            train=keys.pop("tau_train"),
            constraint=keys.pop("tau_constraint"),
            minimum=keys.pop("tau_min"),
            maximum=keys.pop("tau_max"),
        )
    return NEURONS[config.name](neurons=neurons, generator=generator, **keys)


def build_delays(config: Config, connections: str, weight: Tensor | None, generator: torch.Generator) -> Delays | None:
    """Delays of the weights (senders, neurons) of one kind of connections; None where the config wants none."""
    keys = config.network
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
    given = config.network.recurrent
    return [given] * len(config.network.hidden) if isinstance(given, bool) else list(given)
