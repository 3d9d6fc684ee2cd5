"""The configuration of a run that there is: read again, and changed as far as the run stays the same experiment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from snnrun.config.compose import from_container, tree_with_plugins, unchecked
from snnrun.config.overrides import Setting, parse
from snnrun.config.schema import Config
from snnrun.config.tree import Tree
from snnrun.errors import UserError
from snnrun.plugins import absolute

# How long it trains, what it shows, where it computes and where its files lie now; none of it changes what is learned.
MAY_CHANGE = (
    *("training.epochs", "training.early_stopping", "training.log_every", "device", "engine", "tags"),
    *("plugins", "dataset.root", "dataset.train", "dataset.valid", "dataset.test", "dataset.jobs"),
)
Container = dict[str, Any]


def with_defaults(stored: Mapping[str, Any]) -> Container:
    """Return the configuration in a run's config.yaml; keys that are newer than the run get their defaults.

    It is not checked. Raises UserError if a plug-in cannot be imported.
    """
    tree = tree_with_plugins([_plugins(stored)])
    return _filled(stored, _defaults(tuple(_choices(stored, tree))), tree)


def resumed_config(stored: Mapping[str, Any], overrides: Sequence[str]) -> Config:
    """Return the configuration with which a run goes on.

    Args:
        stored: the run's config.yaml. Keys that are newer than the run get their defaults.
        overrides: as on the command line, of the keys in `MAY_CHANGE`; others may only repeat what the run has.

    Raises:
        UserError: an override would make another experiment, or the configuration is none of this version's.
    """
    tree = tree_with_plugins([_plugins(stored), *overrides])
    settings = [choices[0] for choices in parse(overrides, tree, multirun=False)]
    fresh = unchecked([*_choices(stored, tree), *settings])
    refused = [setting.typed for setting in settings if not _allowed(setting, stored, fresh, tree)]
    if refused:
        raise UserError(
            f"{' '.join(refused)}: would make it another experiment, so start a new run; "
            f"what can change with resume= is {', '.join(MAY_CHANGE)}"
        )
    merged = _filled(stored, fresh, tree)
    for setting in (setting for setting in settings if not setting.group):
        _put(merged, setting.key, _get(fresh, setting.key))
    config = from_container(merged, settings)
    return replace(config, plugins=absolute(config.plugins))


def _plugins(stored: Mapping[str, Any]) -> str:
    return f"plugins={json.dumps(stored.get('plugins', []))}"


def _filled(stored: Mapping[str, Any], fresh: Container, tree: Tree) -> Container:
    """Return `stored` with the values of `fresh` where it has none."""
    lost = {group for group in tree.groups if _get(stored, f"{group}.name") not in tree.groups[group]}
    known = {field.name for field in fields(Config)} - lost  # another option's defaults would only confuse the message
    return _merged({key: value for key, value in fresh.items() if key in known}, stored)


@lru_cache
def _defaults(choices: tuple[Setting, ...]) -> Container:
    return unchecked(choices)


def _choices(stored: Mapping[str, Any], tree: Tree) -> list[Setting]:
    """The options of the run, as far as this version has them: they bring the defaults of their keys."""
    named = {group: stored[group].get("name") for group in tree.groups if isinstance(stored.get(group), Mapping)}
    lines = [f"{group}={name}" for group, name in named.items() if name in tree.groups[group]]
    return [choices[0] for choices in parse(lines, tree, multirun=False)]


def _allowed(setting: Setting, stored: Mapping[str, Any], fresh: Container, tree: Tree) -> bool:
    if setting.deletes or setting.hydra:
        return False
    if setting.group:
        return bool(_get(stored, f"{setting.key}.name") == setting.line.partition("=")[2])
    before = _get(stored, setting.key)
    if setting.key in MAY_CHANGE or (before is None and setting.key not in set(tree.names())):
        return True  # the check tells of what is no key
    return bool(_get(fresh, setting.key) == before)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Container:
    """Return `below` with the values of `above` where it has some."""
    result = dict(below)
    for key, value in above.items():
        inner = result.get(key)
        result[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return result


def _get(container: Mapping[str, Any], key: str) -> Any:
    """Return the value of a dotted key, None where there is none."""
    found: Any = container
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _put(container: Container, key: str, value: Any) -> None:
    *parts, last = key.split(".")
    for part in parts:
        container = container.setdefault(part, {})
    container[last] = value
