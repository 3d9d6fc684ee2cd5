"""The closed configuration: what may be set, checked before anything else happens.

`compose` is in `snnrun.config.compose` and not imported here, because it needs Hydra.
"""

from snnrun.config.datasets import Hdf5Config
from snnrun.config.inits import CalibratedConfig, RateConfig
from snnrun.config.learning import ComparedConfig, EpropConfig, LocalConfig
from snnrun.config.neurons import TauConfig
from snnrun.config.schema import (
    OPTIONS,
    BenchConfig,
    BenchSection,
    Config,
    DatasetConfig,
    GruConfig,
    InitConfig,
    LearningConfig,
    NetworkConfig,
    NeuronConfig,
    OptimizerConfig,
    RegularizerConfig,
    ReportConfig,
    SpikeCountsConfig,
    SurrogateConfig,
    TrainingConfig,
)
from snnrun.config.sweeps import SweepConfig

__all__ = [
    "OPTIONS",
    "BenchConfig",
    "BenchSection",
    "CalibratedConfig",
    "ComparedConfig",
    "Config",
    "DatasetConfig",
    "EpropConfig",
    "GruConfig",
    "Hdf5Config",
    "InitConfig",
    "LearningConfig",
    "LocalConfig",
    "NetworkConfig",
    "NeuronConfig",
    "OptimizerConfig",
    "RateConfig",
    "RegularizerConfig",
    "ReportConfig",
    "SpikeCountsConfig",
    "SurrogateConfig",
    "SweepConfig",
    "TauConfig",
    "TrainingConfig",
]
