"""Composing a configuration with Hydra and checking it, before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
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
from snnrun.config.overrides import Setting, experiment_of, parse, plugin_files
from snnrun.config.plugin_tree import add_plugins, plugin_words
from snnrun.config.resolvers import register_resolvers
from snnrun.config.rules import check_rules
from snnrun.config.schema import OPTIONS, Config
from snnrun.config.sweeps import SWEEP_KEYS, SweepConfig
from snnrun.config.tree import EXPERIMENT, Option, Tree, read_tree
from snnrun.errors import UserError
from snnrun.plugins import absolute, load_plugins

AnyConfig = TypeVar("AnyConfig", bound=Config)


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
    with composing():
        return checked(hydra_composed(settings, config_name, config_dir), settings, schema)


def checked(composed: DictConfig, settings: Sequence[Setting], schema: type[AnyConfig]) -> AnyConfig:
    """Return the configuration that Hydra composed as dataclasses; raises UserError."""
    return checked_both(composed, settings, schema)[0]


def checked_both(
    composed: DictConfig, settings: Sequence[Setting], schema: type[AnyConfig]
) -> tuple[AnyConfig, SweepConfig]:
    """Return the configuration of the run, and that of the sweep it is part of."""
    container = _container(composed, settings)
    _load_named(container)
    of_sweep = {key: container.pop(key) for key in SWEEP_KEYS if key in container}
    try:
        config = check(container, schema)
        check_rules(config)
        sweep = check(of_sweep, SweepConfig)
    except ProblemError as problem:
        raise UserError(_told(problem, settings)) from None
    return replace(config, plugins=absolute(config.plugins)), sweep


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
    with composing():
        return _container(hydra_composed(settings, "config", None), settings)


def to_container(config: Config) -> dict[str, Any]:
    """Return the configuration as dicts, lists and scalars, ready for YAML."""
    container: dict[str, Any] = _plain(asdict(config))
    return container


def tree_with_plugins(overrides: Sequence[str], config_dir: Path | None = None) -> Tree:
    """All that can be set, after the plug-ins on the line have been imported."""
    tree = read_tree([config_dir] if config_dir else [])
    files = plugin_files(overrides) or plugin_words(overrides, tree)
    load_plugins(files)
    tree = add_plugins(tree, files)
    for group, options in tree.groups.items():
        for name in OPTIONS.get(group, ()):
            options.setdefault(name, Option(name, "", ()))
    return tree


def _load_named(container: Mapping[str, object]) -> None:
    """Import the plug-ins that a composed configuration names, in whatever process this is."""
    files = container.get("plugins")
    if isinstance(files, list) and all(isinstance(file, str) for file in files):
        load_plugins(files)


@contextmanager
def composing() -> Iterator[None]:
    """Hydra's composition on the package's files, and no trace of it afterwards."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_module("snnrun.conf", version_base="1.3"):
        yield


def hydra_composed(settings: Sequence[Setting], config_name: str, config_dir: Path | None) -> DictConfig:
    """Return what Hydra composes, its own part included; within `composing()`. Raises UserError."""
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
        raise UserError(f"{experiment_of(settings)}the file must begin with the line `# @package _global_`")
    surrogate = container.get("surrogate")
    if container.get("beta", MISSING) is None and isinstance(surrogate, dict):
        container["beta"] = surrogate.get("beta", MISSING)
    return {str(key): value for key, value in container.items()}


def select(composed: DictConfig, key: str) -> Any:
    """Return the value of a key, resolved; raises UserError."""
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
    return f"{experiment_of(settings)}{shown}: {problem.text}"


def _first_line(error: Exception, settings: Sequence[Setting]) -> str:
    """Return an error of Hydra or OmegaConf in one line that begins with what the user typed, or else with the key."""
    whole = " ".join(str(error).partition("Config search path")[0].split())
    text = whole if "Available options" in whole else str(error).split("\n")[0].strip() or type(error).__name__
    if origin := experiment_of(settings) if text.startswith("In '") else "":
        return origin + whole
    missing = "Could not override" in text or "Could not delete" in text
    shown = "there is no such key" if missing else text
    key = getattr(error, "full_key", None)
    for setting in settings:
        if setting.key == key or (not key and f"'{setting.key}" in text):
            return f"{setting.typed}: {shown}"
    return f"{key}: {text}" if key else text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
