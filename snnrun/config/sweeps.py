"""How a sweep is run: its launcher and its sweeper, registered in `OPTIONS`. No job's result depends on it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from snnrun.config.schema import OPTIONS, Group
from snnrun.config.types import Count, CountOrZero, Filled, NonNegative, Path, Positive, Seed


@OPTIONS["launcher"].register("local")
@dataclass(frozen=True, kw_only=True)
class LauncherConfig:
    """Where the jobs run; `local` is one after the other in this process."""

    name: str


@OPTIONS["launcher"].register("submitit_local")
@OPTIONS["launcher"].register("joblib")
@dataclass(frozen=True, kw_only=True)
class ProcessesConfig(LauncherConfig):
    """Processes of this machine; None shares its cores and GPUs among the jobs."""

    jobs: Count | None
    threads: Count | None


@OPTIONS["launcher"].register("slurm")
@dataclass(frozen=True, kw_only=True)
class SlurmConfig(LauncherConfig):
    """What each job asks SLURM for."""

    jobs: Count
    threads: Count
    gpus: CountOrZero
    mem_gb: Positive
    time_min: Count
    partition: Annotated[str, Filled()] | None
    sbatch: tuple[Annotated[str, Filled()], ...]


@OPTIONS["launcher"].register("ray")
@dataclass(frozen=True, kw_only=True)
class RayConfig(LauncherConfig):
    """A Ray cluster; `address` None starts one of processes of this machine."""

    address: Annotated[str, Filled()] | None
    jobs: Count | None
    threads: Count | None
    gpus: NonNegative | None


@OPTIONS["sweeper"].register("grid")
@dataclass(frozen=True, kw_only=True)
class SweeperConfig:
    """Which jobs there are; `grid` is every combination."""

    name: str


@OPTIONS["sweeper"].register("optuna")
@dataclass(frozen=True, kw_only=True)
class OptunaConfig(SweeperConfig):
    """A search for the best validation accuracy; `warmup` is in epochs."""

    trials: Count
    sampler: Literal["tpe", "gp", "random", "qmc"]
    sampler_seed: Seed
    pruner: Literal["median", "hyperband", "none"]
    warmup: CountOrZero
    storage: Annotated[str, Filled()] | None


@dataclass(frozen=True, kw_only=True)
class SweepSection:
    """`resume` is the folder of an earlier sweep."""

    resume: Path | None


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """The part of the configuration that is about sweeps."""

    launcher: Annotated[LauncherConfig, Group("launcher")]
    sweeper: Annotated[SweeperConfig, Group("sweeper")]
    sweep: SweepSection


SWEEP_KEYS = ("launcher", "sweeper", "sweep")
