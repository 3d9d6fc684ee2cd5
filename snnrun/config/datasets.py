"""The keys of the data sets beyond those that every data set has; registered in `OPTIONS` like all others."""

from dataclasses import dataclass
from typing import Annotated, Literal

from snnrun.config.schema import OPTIONS, DatasetConfig
from snnrun.config.types import Bounds, Count, CountOrZero, Filled, Path, Positive, Seed

Share = Annotated[float, Bounds(above=0, below=1)]


@OPTIONS["dataset"].register("hdf5")
@dataclass(frozen=True, kw_only=True)
class Hdf5Config(DatasetConfig):
    """Files in the layout of the Spiking Heidelberg Digits."""

    train: Path
    test: Path | None
    valid: Path | None


@OPTIONS["dataset"].register("shd")
@OPTIONS["dataset"].register("ssc")
@dataclass(frozen=True, kw_only=True)
class RootConfig(DatasetConfig):
    """Files under their official names in one folder."""

    root: Path | None


@dataclass(frozen=True, kw_only=True)
class SoundConfig(DatasetConfig):
    """Sounds that are encoded by the model of the cochlea."""

    jobs: Count | None
    test_speakers: Annotated[tuple[str, ...], Filled()] | None
    test_fraction: Share


@OPTIONS["dataset"].register("wav_folder")
@dataclass(frozen=True, kw_only=True)
class WavFolderConfig(SoundConfig):
    """The user's sounds."""

    root: Path


@OPTIONS["dataset"].register("human_digits")
@dataclass(frozen=True, kw_only=True)
class HumanDigitsConfig(SoundConfig):
    """The Free Spoken Digit Dataset."""

    root: Path | None


@OPTIONS["dataset"].register("poisson")
@dataclass(frozen=True, kw_only=True)
class PoissonConfig(DatasetConfig):
    """Random patterns with random labels."""

    samples: Annotated[int, Bounds(at_least=2)]
    units: Count
    classes: Annotated[int, Bounds(at_least=2)]
    rate_hz: Positive
    data_seed: Seed


@OPTIONS["dataset"].register("randman")
@dataclass(frozen=True, kw_only=True)
class RandmanConfig(DatasetConfig):
    """Spike times on random manifolds; `samples` and `test_samples` are of a class."""

    samples: Annotated[int, Bounds(at_least=2)]
    test_samples: CountOrZero
    units: Count
    classes: Annotated[int, Bounds(at_least=2)]
    manifold_dim: Count
    alpha: Annotated[float, Bounds(at_least=0.1)]
    spikes: Count
    time_fraction: Annotated[float, Bounds(above=0, at_most=1)]
    data_seed: Seed


@OPTIONS["dataset"].register("mnist")
@OPTIONS["dataset"].register("fashion_mnist")
@dataclass(frozen=True, kw_only=True)
class ImageConfig(RootConfig):
    """Images as spike times."""

    latency_tau: Positive
    latency_threshold: Annotated[float, Bounds(at_least=0, below=1)]


@OPTIONS["dataset"].register("nmnist")
@OPTIONS["dataset"].register("dvs_gesture")
@dataclass(frozen=True, kw_only=True)
class CameraConfig(RootConfig):
    """Recordings of event cameras."""

    downsample: Count
    polarity: Literal["both", "merged", "on", "off"]
