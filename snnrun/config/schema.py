"""Every key of the configuration with its type and range, as frozen dataclasses.

A default and its explanation stand in the YAML file of the option (folder conf/), and only there. Times are in
milliseconds, rates in Hz.

To add a key: a field here and a commented line in the YAML files of that group. To add an option: a class here,
registered in `OPTIONS` under its name (or one more name on a class that has the keys already), and a YAML file. The
models of neurons have their classes in `neurons`, schemes of initialisation in `inits`, data sets in `datasets`; how a
sweep is run is no part of an experiment and stands in `sweeps`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from snnrun.config.types import (
    Bounds,
    Count,
    CountOrZero,
    Filled,
    FolderName,
    NonNegative,
    Path,
    Positive,
    Seed,
)
from snnrun.registry import Registry

OPTIONS: dict[str, Registry[type]] = {
    group: Registry(group)
    for group in (
        *("neuron", "surrogate", "init", "dataset", "network", "learning", "optimizer"),
        *("launcher", "sweeper"),
    )
}


@dataclass(frozen=True)
class Group:
    """Marks a section whose keys depend on the option that its `name` says."""

    name: str


@dataclass(frozen=True, kw_only=True)
class NeuronConfig:
    """Keys of every neuron model. `dt` is the step of the dynamics, by default the bin width of the data."""

    name: str
    reset: Literal["zero", "subtract", "none"]
    detach_reset: bool
    detach_recurrent: bool
    refractory: NonNegative
    dt: Positive


@dataclass(frozen=True, kw_only=True)
class SurrogateConfig:
    """The derivative that stands for that of the spike function; `beta` multiplies the distance to the threshold.

    Every shape has the same keys, so that a sweep over shapes can set any of them.
    """

    name: str
    beta: Positive
    gamma: NonNegative
    scale: Literal["none", "peak", "area"]


for shape in (
    *("sigmoid", "superspike", "triangle", "boxcar", "atan"),
    *("gaussian", "multi_gaussian", "exponential", "erfc", "none"),
):
    OPTIONS["surrogate"].register(shape)(SurrogateConfig)


@dataclass(frozen=True, kw_only=True)
class InitConfig:
    """Keys of every initialisation; the scales are dimensionless factors on what a scheme draws."""

    name: str
    scale: NonNegative
    recurrent_scale: NonNegative
    readout_scale: NonNegative


@OPTIONS["dataset"].register("spoken_digits")
@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """Keys of every data set: binning, the held-out part, random changes; `datasets` has those of single ones."""

    name: str
    duration: Positive
    dt: Positive
    binning: Literal["fixed", "spytorch"]
    binary: bool
    pool: Count
    validation: Literal["speakers", "fraction", "none"]
    validation_fraction: Annotated[float, Bounds(above=0, below=1)]
    validation_speakers: Annotated[tuple[CountOrZero, ...], Filled()] | None
    fold: CountOrZero | None
    folds: Annotated[int, Bounds(at_least=2)]
    split_seed: Seed
    speed: Positive | tuple[Positive, Positive]
    time_jitter: NonNegative
    channel_jitter: NonNegative
    channel_shift: CountOrZero
    deletion: Annotated[float, Bounds(at_least=0, below=1)]
    insertion: NonNegative


@dataclass(frozen=True, kw_only=True)
class AnyNetworkConfig:
    """What a spiking network and the baselines that it is compared with have in common."""

    name: str


@OPTIONS["network"].register("recurrent")
@OPTIONS["network"].register("feedforward")
@dataclass(frozen=True, kw_only=True)
class NetworkConfig(AnyNetworkConfig):
    """Hidden layers and readout; `readout_tau_syn` 0 is a readout without a synapse. Delays are in ms."""

    hidden: Annotated[tuple[Count, ...], Filled()]
    recurrent: bool | tuple[bool, ...]
    readout: Literal["max", "mean", "last", "softmax", "spike_count", "first_spike"]
    readout_tau_mem: Positive
    readout_tau_syn: NonNegative
    delays: Literal["none", "axonal", "synaptic"]
    delayed: Literal["feedforward", "recurrent", "both"]
    max_delay: Positive
    delay_interpolation: Literal["gaussian", "linear"]
    delay_sigma: tuple[Positive, Positive] | None
    delay_shrink: Annotated[float, Bounds(at_least=0, at_most=1)]
    delay_round: bool
    readout_population: Count
    dropout: Annotated[float, Bounds(at_least=0, below=1)]
    batch_norm: bool


@OPTIONS["network"].register("gru")
@dataclass(frozen=True, kw_only=True)
class GruConfig(AnyNetworkConfig):
    """One layer of gated recurrent units on binned spike counts; nothing in it spikes."""

    hidden: tuple[Count]
    readout: Literal["max", "mean", "last", "softmax"]
    dropout: Annotated[float, Bounds(at_least=0, below=1)]


@OPTIONS["network"].register("spike_counts")
@dataclass(frozen=True, kw_only=True)
class SpikeCountsConfig(AnyNetworkConfig):
    """Multinomial logistic regression on the number of spikes of each channel."""

    normalise: Literal["log1p", "mean"]


@OPTIONS["learning"].register("bptt")
@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """Backpropagation through time; `cutoff` is the share of its peak below which a surrogate counts as zero."""

    name: str
    cutoff: Annotated[float, Bounds(at_least=0, below=1)]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Keys of every optimiser, the learning-rate schedule among them."""

    name: str
    lr: Positive
    delay_lr: NonNegative
    weight_decay: NonNegative
    schedule: Literal["none", "step", "exponential", "cosine", "onecycle", "plateau"]
    schedule_step: Count
    schedule_gamma: Annotated[float, Bounds(above=0, at_most=1)]


@OPTIONS["optimizer"].register("adam")
@OPTIONS["optimizer"].register("adamax")
@OPTIONS["optimizer"].register("adamw")
@dataclass(frozen=True, kw_only=True)
class AdamConfig(OptimizerConfig):
    """Adam and its kin; `betas` are the decays of the running moments, no slope of a surrogate."""

    betas: tuple[Annotated[float, Bounds(at_least=0, below=1)], Annotated[float, Bounds(at_least=0, below=1)]]


@OPTIONS["optimizer"].register("sgd")
@dataclass(frozen=True, kw_only=True)
class SgdConfig(OptimizerConfig):
    """Stochastic gradient descent."""

    momentum: Annotated[float, Bounds(at_least=0, below=1)]


@dataclass(frozen=True, kw_only=True)
class RegularizerConfig:
    """Strengths (0 is off) and bounds of the activity regularisers."""

    lower: NonNegative
    lower_rate_hz: Positive
    lower_per: Literal["neuron", "population"]
    upper: NonNegative
    upper_rate_hz: Positive
    upper_per: Literal["neuron", "population"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The training loop."""

    epochs: CountOrZero
    batch_size: Count
    clip_grad_norm: NonNegative
    early_stopping: CountOrZero
    monitor: Literal["accuracy", "loss"]
    log_every: Count
    check: bool
    diagnose: bool
    label_smoothing: Annotated[float, Bounds(at_least=0, below=1)]


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What is told at the end of a run."""

    tau_reference: Path | None
    tau_column: Annotated[str, Filled()]


@dataclass(frozen=True, kw_only=True)
class Config:
    """A complete, checked configuration. `beta` equals `surrogate.beta`."""

    beta: Positive
    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    engine: Literal["auto", "reference", "cpu", "triton"]
    deterministic: bool
    output_dir: Path
    name: Annotated[str, FolderName()] | None
    tags: tuple[str, ...]
    print_config: bool
    plugins: tuple[Path, ...]
    neuron: Annotated[NeuronConfig, Group("neuron")]
    surrogate: Annotated[SurrogateConfig, Group("surrogate")]
    init: Annotated[InitConfig, Group("init")]
    dataset: Annotated[DatasetConfig, Group("dataset")]
    network: Annotated[AnyNetworkConfig, Group("network")]
    learning: Annotated[LearningConfig, Group("learning")]
    optimizer: Annotated[OptimizerConfig, Group("optimizer")]
    regularizer: RegularizerConfig
    training: TrainingConfig
    report: ReportConfig

    @property
    def spiking(self) -> NetworkConfig:
        """The section `network` of a network that spikes, which the baselines do not."""
        assert isinstance(self.network, NetworkConfig)
        return self.network


Widths = Annotated[tuple[Count, ...], Filled()]


@dataclass(frozen=True, kw_only=True)
class BenchSection:
    """What `snnrun bench` times: one training step on random spike trains of this size."""

    steps: Annotated[tuple[Count, ...], Filled()]
    batch: Count
    hidden: Count | Annotated[tuple[Count | Widths, ...], Filled()]
    inputs: Count
    outputs: Count
    events: Count
    taps: Annotated[tuple[CountOrZero, ...], Filled()]
    engines: Annotated[tuple[Literal["reference", "cpu", "triton"], ...], Filled()]
    format: Literal["table", "json"]
    repeats: Count


@dataclass(frozen=True, kw_only=True)
class BenchConfig(Config):
    """The configuration of `snnrun bench`."""

    bench: BenchSection
