"""The long help of `train` and `bench`, made from the comments in the configuration files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from snnrun.commands.line import Flag
from snnrun.config.plugin_tree import with_plugins
from snnrun.config.tree import Key, Option, Tree, read_section, read_tree

INDENT = "  "


def train_help(flags: Sequence[Flag], words: Sequence[str], config_dir: Path | None = None) -> str:
    """Return the text of `snnrun train --help`, one line an item; options in `config_dir` are listed too.

    Where `words` choose options (neuron=lif), it is the keys of those options instead.
    """
    tree = with_plugins(read_tree([config_dir] if config_dir else []), words)
    chosen = [(group, name) for group, _, name in (word.partition("=") for word in words)]
    known = [(group, name) for group, name in chosen if name in tree.groups.get(group, {})]
    return _option_help(tree, known) if known else _overview(tree, flags)


def _overview(tree: Tree, flags: Sequence[Flag]) -> str:
    parts = [
        "usage: snnrun train [GROUP=OPTION ...] [KEY=VALUE ...] [flags]\n"
        "       snnrun train resume=FOLDER [KEY=VALUE ...]",
        "Train a spiking network; the last line printed is the run's folder.",
        "flags, anywhere on the line:\n" + _table((flag.usage, flag.help) for flag in flags),
        "resume=FOLDER: go on with a run after its last whole epoch, on a CPU bit for bit as if it had never stopped;\n"
        "  keys that would make another experiment are refused, and training.epochs=60 makes it longer",
        "groups, GROUP=OPTION (* is the default); `snnrun train neuron=lif --help` lists its keys:\n"
        + "\n".join(_group(group, options, tree.defaults.get(group, "")) for group, options in tree.groups.items()),
        "keys, KEY=VALUE:\n" + _keys(tree.keys),
        *(f"{section.name}: {section.description}\n{_keys(keys)}" for section, keys in tree.sections.items()),
        "examples:\n"
        "  snnrun train surrogate=superspike beta=20 training.epochs=5\n"
        "  snnrun train -m beta=1,5,25 seed=1,2,3 name=slopes\n"
        "  snnrun train resume=outputs/train/2026-01-31_12-00-00_1a2b3c training.epochs=60",
    ]
    return "\n\n".join(parts)


def bench_help(flags: Sequence[Flag]) -> str:
    """Return the text of `snnrun bench --help`."""
    return "\n\n".join(
        (
            "usage: snnrun bench [bench.KEY=VALUE ...] [GROUP=OPTION ...] [KEY=VALUE ...]",
            "Time one training step on random spike trains with each engine; groups and keys as in `snnrun train`.",
            "flags:\n" + _table((flag.usage, flag.help) for flag in flags),
            "keys:\n" + _keys(read_section("bench", "bench")),
        )
    )


def _option_help(tree: Tree, chosen: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(
        f"{group}={name}: {tree.groups[group][name].description}\n{_keys(tree.groups[group][name].keys)}"
        for group, name in chosen
    )


def _group(group: str, options: dict[str, Option], default: str) -> str:
    rows = ((f"{INDENT}{name}{'*' if name == default else ''}", option.description) for name, option in options.items())
    return f"{INDENT}{group}\n{_table(rows)}"


def _keys(keys: Iterable[Key]) -> str:
    return _table((f"{key.name}={key.default}", key.description) for key in keys)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    listed = list(rows)
    column = max((len(name) for name, _ in listed), default=0) + 2
    return "\n".join(f"{INDENT}{name:<{column}}{text}".rstrip() for name, text in listed)
