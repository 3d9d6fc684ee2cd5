"""Composing a configuration with Hydra and checking it, before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from snnrun.config.check import MISSING, ProblemError, check, show
from snnrun.config.overrides import Setting, parse, plugin_files, unroll
from snnrun.config.plugin_tree import add_plugins
from snnrun.config.resolvers import register_resolvers
from snnrun.config.rules import check_rules
from snnrun.config.schema import OPTIONS, Config
from snnrun.config.tree import EXPERIMENT, Option, Tree, read_tree
from snnrun.errors import UserError
from snnrun.plugins import absolute, load_plugins

AnyConfig = TypeVar("AnyConfig", bound=Config)
PARAMS = "hydra.sweeper.params"


@dataclass(frozen=True)
class Plan:
    """What a command line asks for, checked.

    Attributes:
        configs: one for a run, one for each job of a sweep, in the order in which they will run.
        folder: the run's or the sweep's folder, which does not exist yet.
        subfolders: the folder of each job within a sweep's folder; empty for a run.
        lines: the overrides as Hydra is to get them.
        local: whether the jobs run on this machine, and not through a launcher.
        needs_multirun: why this cannot be a single run, although it was asked for; empty where it can.
    """

    configs: tuple[Config, ...]
    folder: Path
    subfolders: tuple[str, ...]
    lines: tuple[str, ...]
    local: bool
    needs_multirun: str = ""


def compose(overrides: Sequence[str] = (), config_dir: Path | None = None) -> Config:
    """Return the checked configuration for overrides such as ["surrogate=sigmoid", "beta=5"].

    Raises UserError with one line for anything that is wrong.
    """
    return compose_as(Config, "config", overrides, config_dir)


def compose_as(
    schema: type[AnyConfig], config_name: str, overrides: Sequence[str], config_dir: Path | None = None
) -> AnyConfig:
    """As `compose`, for another main file and the schema that goes with it."""
    tree = tree_with_plugins(overrides, config_dir)
    settings = [choices[0] for choices in parse(overrides, tree, multirun=False)]
    with _hydra():
        return checked(_compose(settings, config_name, config_dir), settings, schema)


def checked(composed: DictConfig, settings: Sequence[Setting], schema: type[AnyConfig]) -> AnyConfig:
    """Return the configuration that Hydra composed as dataclasses; raises UserError."""
    container = _container(composed, settings)
    _load_named(container)
    try:
        config = check(container, schema)
        check_rules(config)
    except ProblemError as problem:
        raise UserError(_told(problem, settings)) from None
    return replace(config, plugins=absolute(config.plugins))


def from_container(container: Mapping[str, object], settings: Sequence[Setting] = ()) -> Config:
    """Return the configuration that `to_container` wrote, for instance from a run folder; raises UserError.

    `settings` are what the user changed in it, for the message.
    """
    _load_named(container)
    try:
        config = check(container, Config)
        check_rules(config)
    except ProblemError as problem:
        raise UserError(_told(problem, settings)) from None
    return config


def unchecked(settings: Sequence[Setting]) -> dict[str, Any]:
    """Return what Hydra composes for `settings`, as dicts, lists and scalars; raises UserError."""
    with _hydra():
        return _container(_compose(settings, "config", None), settings)


def to_container(config: Config) -> dict[str, Any]:
    """Return the configuration as dicts, lists and scalars, ready for YAML."""
    container: dict[str, Any] = _plain(asdict(config))
    return container


def plan(overrides: Sequence[str], multirun: bool, config_dir: Path | None = None) -> Plan:
    """Check every run that a command line asks for. Raises UserError; writes nothing."""
    tree = tree_with_plugins(overrides, config_dir)
    alternatives = parse(overrides, tree, multirun)
    with _hydra():
        base = _compose(_fixed(alternatives), "config", config_dir, multirun)
        params = _params(base)
        recipe = _recipe(params, alternatives, tree)
        if multirun:
            alternatives = [*recipe, *alternatives]
        configs, subfolders = [], []
        for settings in unroll(alternatives):
            composed = _compose(settings, "config", config_dir, multirun) if multirun else base
            configs.append(checked(composed, settings, Config))
            if multirun:
                subfolders.append(str(_select(composed, "hydra.sweep.subdir")))
        folder = Path(str(_select(base, "hydra.sweep.dir" if multirun else "hydra.run.dir")))
        local = _select(base, "hydra.runtime.choices")["hydra/launcher"] == "basic"
    _check_distinct(subfolders)
    needs_multirun = "" if multirun else _sweeps(base, recipe, alternatives)
    lines = _hydra_lines(alternatives, tree)
    if multirun and params:
        lines = (*lines, f"{PARAMS}=null")  # they are among the lines
    return Plan(tuple(configs), folder, tuple(subfolders), lines, local, needs_multirun)


def _fixed(alternatives: Sequence[Sequence[Setting]]) -> list[Setting]:
    return [choices[0] for choices in alternatives if len(choices) == 1]


def _params(base: DictConfig) -> dict[str, str]:
    """Return the lists of values that an experiment gives to Hydra's own sweeper; others search in what they get."""
    if _select(base, "hydra.runtime.choices")["hydra/sweeper"] != "basic":
        return {}
    return dict(_select(base, PARAMS) or {})


def _recipe(params: Mapping[str, str], alternatives: Sequence[Sequence[Setting]], tree: Tree) -> list[list[Setting]]:
    """Return the settings that `params` stand for, without those that were typed."""
    typed = {choices[0].key for choices in alternatives}
    origin = _experiment(_fixed(alternatives))
    try:
        recipe = parse([f"{key}={value}" for key, value in params.items() if key not in typed], tree, multirun=True)
    except UserError as error:
        raise UserError(f"{origin}{error}") from None
    return [[replace(setting, typed=origin + setting.typed) for setting in choices] for choices in recipe]


def _sweeps(base: DictConfig, recipe: Sequence[Sequence[Setting]], alternatives: Sequence[Sequence[Setting]]) -> str:
    """Say that what was asked for as a single run is a sweep, or nothing where it is none."""
    keys = ", ".join(choices[0].key for choices in recipe)
    if not keys and "MULTIRUN" not in str(_select(base, "hydra.mode")):
        return ""
    return f"{_experiment(_fixed(alternatives))}this is a sweep{f' over {keys}' if keys else ''}, which needs -m"


def _experiment(settings: Sequence[Setting]) -> str:
    """Return "experiment=x: " where one was chosen: what is wrong and was not typed stands in its file."""
    return next((f"{setting.typed}: " for setting in settings if setting.key == EXPERIMENT), "")


def tree_with_plugins(overrides: Sequence[str], config_dir: Path | None = None) -> Tree:
    """All that can be set, after the plug-ins on the line have been imported."""
    files = plugin_files(overrides)
    load_plugins(files)
    tree = add_plugins(read_tree([config_dir] if config_dir else []), files)
    for group, options in tree.groups.items():
        for name in OPTIONS.get(group, ()):
            options.setdefault(name, Option(name, "", ()))
    return tree


def _load_named(container: Mapping[str, object]) -> None:
    """Import the plug-ins that a composed configuration names, in whatever process this is."""
    files = container.get("plugins")
    if isinstance(files, list) and all(isinstance(file, str) for file in files):
        load_plugins(files)


def _hydra_lines(alternatives: Sequence[Sequence[Setting]], tree: Tree) -> tuple[str, ...]:
    """Return overrides for Hydra itself. All keys are known to be good by now.

    Hydra checks a fixed key against the default option even where a sweep over the group never uses that option,
    so keys of a swept group are forced; a preset can choose the option of any group.
    """
    swept = {choices[0].key for choices in alternatives if len(choices) > 1}
    open_groups = set(tree.groups) if EXPERIMENT in swept else swept & set(tree.groups)
    lines = []
    for choices in alternatives:
        first = choices[0]
        force = "++" if first.key.split(".")[0] in open_groups and not first.group else ""
        values = ",".join(setting.line.partition("=")[2] for setting in choices)
        lines.append(first.line if first.deletes or first.hydra else f"{force}{first.key}={values}")
    return tuple(lines)


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra's composition on the package's files, and no trace of it afterwards."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_module("snnrun.conf", version_base="1.3"):
        yield


def _compose(
    settings: Sequence[Setting], config_name: str, config_dir: Path | None, multirun: bool = False
) -> DictConfig:
    lines = [_forced(setting) for setting in settings]
    if config_dir:
        lines.append(f"hydra.searchpath=['file://{config_dir.resolve()}']")
    try:
        return hydra_compose(config_name, lines, return_hydra_config=True)
    except (yaml.YAMLError, UnicodeDecodeError) as error:  # in a file of the user's --config-dir
        raise UserError(f"--config-dir {config_dir}: {' '.join(str(error).split())}") from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UserError(_first_line(error, settings)) from None


def _forced(setting: Setting) -> str:
    """Return the override so that Hydra takes an unknown key: the schema tells better what is wrong with it."""
    if setting.group or setting.deletes or setting.hydra:
        return setting.line
    return f"++{setting.line}"


def _container(composed: DictConfig, settings: Sequence[Setting]) -> dict[str, Any]:
    """Return the resolved configuration without Hydra's part, the slope of the surrogate filled in."""
    task = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    try:
        container = OmegaConf.to_container(task, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error, settings)) from None
    assert isinstance(container, dict)
    if EXPERIMENT in container:
        raise UserError(f"{_experiment(settings)}the file must begin with the line `# @package _global_`")
    surrogate = container.get("surrogate")
    if container.get("beta", MISSING) is None and isinstance(surrogate, dict):
        container["beta"] = surrogate.get("beta", MISSING)
    return {str(key): value for key, value in container.items()}


def _select(composed: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(composed, key, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{key}: {str(error).splitlines()[0]}") from None


def _told(problem: ProblemError, settings: Sequence[Setting]) -> str:
    """Return the problem in one line that begins with what the user typed, or else with the key and its value."""
    for setting in reversed(settings):
        if setting.key == problem.key or setting.key.startswith(problem.key + "."):
            return f"{setting.typed}: {problem.text}"
        if problem.key.startswith(setting.key + "."):
            return f"{setting.typed}: {problem.key}: {problem.text}"
    shown = problem.key if problem.value == MISSING else f"{problem.key}={show(problem.value)}"
    return f"{_experiment(settings)}{shown}: {problem.text}"


def _first_line(error: Exception, settings: Sequence[Setting]) -> str:
    """Return an error of Hydra or OmegaConf in one line that begins with what the user typed, or else with the key."""
    whole = " ".join(str(error).partition("Config search path")[0].split())
    text = whole if "Available options" in whole else str(error).split("\n")[0].strip() or type(error).__name__
    if origin := _experiment(settings) if text.startswith("In '") else "":
        return origin + whole
    missing = "Could not override" in text or "Could not delete" in text
    shown = "there is no such key" if missing else text
    key = getattr(error, "full_key", None)
    for setting in settings:
        if setting.key == key or (not key and f"'{setting.key}" in text):
            return f"{setting.typed}: {shown}"
    return f"{key}: {text}" if key else text


def _check_distinct(subfolders: Sequence[str]) -> None:
    seen: set[str] = set()
    for subfolder in subfolders:
        if subfolder in seen:
            raise UserError(f"two jobs of the sweep would be the same: {subfolder}")
        seen.add(subfolder)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
