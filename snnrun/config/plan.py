"""All runs that a command line asks for: one, those of a sweep, or those of a search as far as they can be foreseen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from snnrun.config.compose import checked_both, composing, hydra_composed, select, tree_with_plugins
from snnrun.config.overrides import Setting, experiment_of, parse
from snnrun.config.rules import holds_out
from snnrun.config.schema import Config
from snnrun.config.search import Space, is_search, read_space
from snnrun.config.sweeps import SWEEP_KEYS, SweepConfig
from snnrun.config.tree import Tree
from snnrun.config.unroll import Settings, notes, unroll
from snnrun.errors import UserError

PARAMS = "hydra.sweeper.params"


@dataclass(frozen=True)
class Plan:
    """What a command line asks for, checked.

    Attributes:
        configs: one for a run, one for each job of a sweep, in the order in which they will run.
        folder: the run's or the sweep's folder, which does not exist yet.
        subfolders: the folder of each job within a sweep's folder; empty for a run.
        overrides: those of each of `configs`, as its results are to name them.
        lines: the overrides of the first one as Hydra is to get them.
        sweep: how the sweep is run.
        notes: what a person should know of the sweep, in lines.
        space: what a search looks through, whose jobs are not known yet; None for all else.
        needs_multirun: why this cannot be a single run, although it was asked for; empty where it can.
    """

    configs: tuple[Config, ...]
    folder: Path
    subfolders: tuple[str, ...]
    overrides: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]
    sweep: SweepConfig
    notes: tuple[str, ...] = ()
    space: Space | None = None
    needs_multirun: str = ""


def plan(overrides: Sequence[str], multirun: bool, config_dir: Path | None = None) -> Plan:
    """Check every run that a command line asks for; of a search, runs with each value and end of an interval.

    Raises UserError; writes nothing.
    """
    tree = tree_with_plugins(overrides, config_dir)
    searched = multirun and is_search(overrides)
    alternatives = parse(overrides, tree, multirun, intervals=searched)
    with composing():
        base = hydra_composed(_fixed(alternatives), "config", config_dir)
        recipe = _recipe(base, alternatives, tree, searched)
        if not multirun:
            found = _planned([(_fixed(alternatives), base)], multirun)
            return replace(found, needs_multirun=_sweeps(base, recipe, alternatives))
        alternatives = [*recipe, *alternatives]
        space = read_space(alternatives) if searched else None
        jobs = unroll(alternatives) if space is None else [_single(words, tree) for words in space.corners()]
        found = _planned([(job, hydra_composed(job, "config", config_dir)) for job in jobs], multirun)
    if space is None:
        _check_distinct(found.subfolders)
    elif not all(map(holds_out, found.configs)):
        raise UserError("sweeper=optuna: needs validation data; choose dataset.validation=speakers or fraction")
    return replace(found, notes=tuple(notes(alternatives)), space=space)


def plan_job(overrides: Sequence[str], config_dir: Path | None = None) -> Plan:
    """Check one job of a sweep, all of whose values are given."""
    settings = _single(overrides, tree_with_plugins(overrides, config_dir))
    with composing():
        return _planned([(settings, hydra_composed(settings, "config", config_dir))], multirun=True)


def _planned(jobs: Sequence[tuple[Settings, DictConfig]], multirun: bool) -> Plan:
    configs, subfolders, listed = [], [], []
    for settings, composed in jobs:
        config, sweep = checked_both(composed, settings, Config)
        configs.append(config)
        listed.append(tuple(setting.line for setting in settings if setting.key.split(".")[0] not in SWEEP_KEYS))
        if multirun:
            subfolders.append(str(select(composed, "hydra.sweep.subdir")))
    folder = Path(str(select(composed, "hydra.sweep.dir" if multirun else "hydra.run.dir")))
    lines = tuple(setting.line for setting in jobs[0][0])
    return Plan(tuple(configs), folder, tuple(subfolders), tuple(listed), lines, sweep)


def _single(overrides: Sequence[str], tree: Tree) -> Settings:
    return tuple(choices[0] for choices in parse(overrides, tree, multirun=False))


def _fixed(alternatives: Sequence[Sequence[Setting]]) -> Settings:
    return tuple(choices[0] for choices in alternatives if len(choices) == 1)


def _recipe(
    base: DictConfig, alternatives: Sequence[Sequence[Setting]], tree: Tree, searched: bool
) -> list[list[Setting]]:
    """Return the settings that the lists of values of an experiment stand for, without those that were typed."""
    typed = {choices[0].key for choices in alternatives}
    origin = experiment_of(_fixed(alternatives))
    params: Mapping[str, str] = select(base, PARAMS) or {}
    lines = [f"{key}={value}" for key, value in params.items() if key not in typed]
    try:
        recipe = parse(lines, tree, multirun=True, intervals=searched)
    except UserError as error:
        raise UserError(f"{origin}{error}") from None
    return [[replace(setting, typed=origin + setting.typed) for setting in choices] for choices in recipe]


def _sweeps(base: DictConfig, recipe: Sequence[Sequence[Setting]], alternatives: Sequence[Sequence[Setting]]) -> str:
    """Say that what was asked for as a single run is a sweep, or nothing where it is none."""
    keys = ", ".join(choices[0].key for choices in recipe)
    if not keys and "MULTIRUN" not in str(select(base, "hydra.mode")):
        return ""
    return f"{experiment_of(_fixed(alternatives))}this is a sweep{f' over {keys}' if keys else ''}, which needs -m"


def _check_distinct(subfolders: Sequence[str]) -> None:
    seen: set[str] = set()
    for subfolder in subfolders:
        if subfolder in seen:
            raise UserError(f"two jobs of the sweep would be the same: {subfolder}")
        seen.add(subfolder)
