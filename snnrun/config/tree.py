"""The names and comments of the configuration, read from the YAML files as text.

Help and tab completion need them fast, so nothing here parses YAML in full: a key is a line `key: value`, its
description the first line of the comment above it, and an option's description the first line of its file.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from snnrun.config.files import conf_folder

GROUPS = (
    *("neuron", "surrogate", "init", "dataset", "network", "learning", "optimizer"),
    *("launcher", "sweeper"),
)
EXPERIMENT = "experiment"  # a group of presets: an option has no keys of its own, but sets those of others
KEY = re.compile(r"^( *)([A-Za-z_][\w.]*):(?: +([^#\n]*?))?(?: +#.*)?$")
DEFAULT = re.compile(r"^  - (\w+): (\w+)\b", re.MULTILINE)
CHOICE = re.compile(r"^ *- override /(\w+): +(\w+)", re.MULTILINE)
PACKAGE = "# @package"  # Hydra's line that says which keys a file sets
SWEPT = "hydra.sweeper.params."


@dataclass(frozen=True)
class Key:
    """One key: its full name ("training.epochs"), its value in the file as text, and a line about it."""

    name: str
    default: str
    description: str


@dataclass(frozen=True)
class Option:
    """One option of a group, which is one file. `keys` of an experiment are what it sets, options it chooses first."""

    name: str
    description: str
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Tree:
    """All that can be set: options of each group, the default ones, keys of the top level, sections with their keys."""

    groups: dict[str, dict[str, Option]]
    defaults: dict[str, str]
    keys: tuple[Key, ...]
    sections: dict[Key, tuple[Key, ...]]

    def names(self) -> Iterator[str]:
        """All keys in full, those of every option among them, without repetition."""
        groups = (options for group, options in self.groups.items() if group != EXPERIMENT)
        in_options = (key for options in groups for option in options.values() for key in option.keys)
        in_sections = (key for keys in self.sections.values() for key in keys)
        return iter(dict.fromkeys(key.name for key in (*self.keys, *in_sections, *in_options)))


def read_tree(extra: Iterable[Path] = ()) -> Tree:
    """Read the package's configuration, and the options that folders in `extra` add to its groups."""
    conf = conf_folder()
    groups: dict[str, dict[str, Option]] = {group: {} for group in (*GROUPS, EXPERIMENT)}
    for folder in (conf, *extra):
        for group, options in groups.items():
            for path in sorted((folder / group).glob("*.yaml")):
                option = read_experiment(path) if group == EXPERIMENT else read_option(path, group)
                options.setdefault(path.stem, option)
    text = (conf / "config.yaml").read_text(encoding="utf-8")
    return Tree(groups, dict(DEFAULT.findall(text)), *_read_main(text))


def read_section(config_name: str, section: str) -> tuple[Key, ...]:
    """Return the keys of one section of a main file such as "bench"."""
    text = (conf_folder() / f"{config_name}.yaml").read_text(encoding="utf-8")
    _, sections = _read_main(text)
    return next(keys for key, keys in sections.items() if key.name == section)


def read_option(path: Path, group: str) -> Option:
    """Read one option's file. Raises OSError where it cannot be read."""
    text = path.read_text(encoding="utf-8", errors="replace")
    description = _description(text)
    keys = (key for indent, key in _keys(text) if indent == 0 and key.name not in ("name", "defaults"))
    return Option(path.stem, description, tuple(Key(f"{group}.{k.name}", k.default, k.description) for k in keys))


def read_experiment(path: Path) -> Option:
    """Read a preset's file. Values over which it sweeps stand as a list with commas, as on the command line."""
    text = path.read_text(encoding="utf-8", errors="replace")
    found = [Key(group, option, "") for group, option in CHOICE.findall(text)]
    sections: list[tuple[int, str]] = []
    for indent, key in _keys(text):
        while sections and sections[-1][0] >= indent:
            sections.pop()
        sections.append((indent, key.name))
        name = ".".join(part for _, part in sections).removeprefix(SWEPT)
        if key.default and not name.startswith("hydra."):
            found.append(Key(name, key.default.strip("\"'"), key.description))  # quoted for YAML, not for Hydra
    return Option(path.stem, _description(text), tuple(found))


def _description(text: str) -> str:
    """Return the first line of a file if it is a comment, without regard to Hydra's line about packages."""
    first = next((line for line in text.split("\n") if not line.startswith(PACKAGE)), "")
    return first.lstrip("# ") if first.startswith("#") else ""


def _read_main(text: str) -> tuple[tuple[Key, ...], dict[Key, tuple[Key, ...]]]:
    top: list[Key] = []
    sections: dict[Key, list[Key]] = {}
    for indent, key in _keys(text):
        if indent == 0 and key.default:
            top.append(key)
        elif indent == 0:
            sections[key] = []
        elif indent == 2:
            section = next(reversed(sections))
            sections[section].append(Key(f"{section.name}.{key.name}", key.default, key.description))
    shown = {key: tuple(inner) for key, inner in sections.items() if key.name not in ("defaults", "hydra")}
    return tuple(top), shown


def _keys(text: str) -> Iterator[tuple[int, Key]]:
    """Yield (indent, key) of every key; a comment belongs to the key below it, unless a blank line is between."""
    comment = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment = comment or stripped.lstrip("# ")
        elif match := KEY.match(line):
            indent, name, value = match.groups()
            yield len(indent), Key(name, value or "", comment)
            comment = ""
        else:
            comment = ""
