"""Where the configuration of a run is not what its options have by default."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from snnrun.config.check import show
from snnrun.config.compose import composing, hydra_composed
from snnrun.config.overrides import parse
from snnrun.config.tree import GROUPS, read_tree


def differences(container: Mapping[str, Any]) -> Iterator[tuple[str, Any, str | None]]:
    """Yield (key, value, default as text) of every key that is not at its default; None is no default at all.

    The chosen options come first, as group and name. The other defaults are those of these options; one that refers to
    other keys (neuron.dt to dataset.dt) is what they are in this run.
    """
    tree = read_tree()
    sections = {group: container[group] for group in GROUPS if isinstance(container.get(group), Mapping)}
    names = {group: str(section.get("name")) for group, section in sections.items()}
    known = {group: name for group, name in names.items() if name in tree.groups[group]}
    for group, name in names.items():
        if name != tree.defaults[group]:
            yield group, name, tree.defaults[group]
    settings = [choices[0] for choices in parse([f"{g}={n}" for g, n in known.items()], tree, multirun=False)]
    with composing():
        composed = hydra_composed(settings, "config", None)
        defaults = dict(_flat(OmegaConf.to_container(composed, resolve=False)))
        for key, value in _flat(container):
            if key == "beta" or key.endswith(".name"):
                continue  # surrogate.beta and the option tell the same
            default = _in_this_run(container, key, defaults[key]) if key in defaults else None
            if key not in defaults:
                yield key, value, None
            elif value != default:
                yield key, value, show(default)


def _in_this_run(container: Mapping[str, Any], key: str, default: Any) -> Any:
    """Resolve a default that refers to other keys."""
    if not isinstance(default, str) or "${" not in default:
        return default
    config = OmegaConf.create({**container, "beta": None})
    try:
        OmegaConf.update(config, key, default)
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return default


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            if prefix or key != "hydra":
                yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
