"""`snnrun data`: what data sets there are, what one holds, and getting or making one."""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snnrun.commands.line import HELP, split
from snnrun.config.plugin_tree import with_plugins
from snnrun.config.tree import read_tree
from snnrun.errors import UserError
from snnrun.registry import did_you_mean


@dataclass(frozen=True)
class Maker:
    """Makes a data set: `function` of `module`, called with the keys that were given, returns the paths it made.

    `keys` maps each key to its type and a line of help.
    """

    module: str
    function: str
    keys: Mapping[str, tuple[type[int] | type[str], str]]


MAKERS = {
    "spoken_digits": Maker(
        "snnrun.data.spoken_digits",
        "make_spoken_digits",
        {
            "path": (str, "folder for the two files (default: the current one)"),
            "samples": (int, "samples of both files together"),
            "speakers": (int, "speakers of both files together"),
            "seed": (int, "seed of everything random"),
            "jobs": (int, "number of processes (default: 1)"),
        },
    ),
    "wav_folder": Maker(
        "snnrun.data.sounds",
        "make_wav_folder",
        {
            "root": (str, "folder of .wav files, one sub-folder a class, or names like 7_jackson_32.wav"),
            "path": (str, "folder for the file, ROOT.h5 (default: the current one)"),
            "jobs": (int, "number of processes (default: 1)"),
        },
    ),
}
FETCHED = ("dvs_gesture", "fashion_mnist", "human_digits", "mnist", "nmnist", "shd", "ssc")


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun data` with the words after the verb; returns the exit code."""
    line = split(arguments, (HELP,))
    if "--help" in line.flags or not line.words:
        print(_help())
        return 0
    action, *words = line.words
    if action not in ACTIONS:
        raise UserError(f"data {action}: no such action{did_you_mean(action, ACTIONS)}; they are {', '.join(ACTIONS)}")
    ACTIONS[action](words)
    return 0


def list_data_sets(words: Sequence[str]) -> None:
    """Print the data sets that `dataset=` can choose."""
    if words:
        raise UserError(f"data list {words[0]}: nothing is expected after list")
    for option in read_tree().groups["dataset"].values():
        print(f"{option.name:<16}{option.description}")


def make_data_set(words: Sequence[str]) -> None:
    """Make the data set that the first word names, with the keys that follow; print its files."""
    if not words or words[0] not in MAKERS:
        given = words[0] if words else ""
        raise UserError(
            f"data make {given}: the data set must be one of {', '.join(MAKERS)}{did_you_mean(given, MAKERS)}"
        )
    maker = MAKERS[words[0]]
    settings = dict(_setting(word, maker) for word in words[1:])
    if "root" in maker.keys and "root" not in settings:
        raise UserError(f"data make {words[0]}: root=FOLDER must be given, the {maker.keys['root'][1]}")
    function = getattr(importlib.import_module(maker.module), maker.function)
    for path in function(**settings):
        print(path)


def show_data_set(words: Sequence[str]) -> None:
    """Print what the data set that the first word names holds, and draw it; keys of `dataset` and `seed` may follow."""
    name = _name("show", words, with_plugins(read_tree(), words).groups["dataset"])
    pictures = [word for word in words[1:] if word.startswith("path=")]
    path = Path(pictures[-1].removeprefix("path=") if pictures else f"{name}.png")
    from snnrun.config.compose import compose
    from snnrun.data import load
    from snnrun.data.show import describe, draw

    config = compose([f"dataset={name}", *(word for word in words[1:] if not word.startswith("path="))])
    data = load(config.dataset, config.seed)
    for line in describe(data, config.dataset.duration):
        print(line)
    for warning in data.warnings:
        print(f"WARNING: {warning}", file=sys.stderr)
    draw(data, config.dataset.duration, path)
    print(path)


def fetch_data_set(words: Sequence[str]) -> None:
    """Download the files of the data set that the first word names; `root=FOLDER` may follow."""
    name = _name("fetch", words, FETCHED)
    root = None
    for word in words[1:]:
        if not word.startswith("root=") or word == "root=":
            raise UserError(f"{word}: no such key; allowed is root=FOLDER")
        root = word.removeprefix("root=")
    from snnrun.data.fetch import Told, fetch_all

    for path in fetch_all(name, root, Told(sys.stderr)):
        print(path)


def _name(action: str, words: Sequence[str], known: Iterable[str]) -> str:
    names = sorted(known)
    if not words or words[0] not in names:
        given = words[0] if words else ""
        text = f"the data set must be one of {', '.join(names)}{did_you_mean(given, names)}"
        raise UserError(f"data {action} {given}: {text}")
    return words[0]


def data_words(before: Sequence[str]) -> list[str]:
    """Return what can follow the words of `snnrun data` so far, for tab completion."""
    if before == ["make"]:
        return list(MAKERS)
    if before == ["fetch"]:
        return list(FETCHED)
    if before == ["show"]:
        return list(read_tree().groups["dataset"])
    if len(before) >= 2 and before[0] == "fetch":
        return ["root="]
    if len(before) >= 2 and before[0] == "show":
        options = read_tree().groups["dataset"].get(before[1])
        return ["path=", "seed=", *(f"{key.name}=" for key in (options.keys if options else ()))]
    if len(before) >= 2 and before[0] == "make" and before[1] in MAKERS:
        return [f"{key}=" for key in MAKERS[before[1]].keys]
    return []


def _setting(word: str, maker: Maker) -> tuple[str, int | str]:
    key, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"{word}: key=value is expected; keys are {', '.join(maker.keys)}")
    if key not in maker.keys:
        raise UserError(f"{word}: no such key{did_you_mean(key, maker.keys)}; allowed are {', '.join(maker.keys)}")
    kind, _ = maker.keys[key]
    try:
        return key, kind(value)
    except ValueError:
        raise UserError(f"{word}: must be a whole number") from None


def _help() -> str:
    makers = "\n".join(
        f"  snnrun data make {name} [KEY=VALUE ...]\n"
        + "\n".join(f"    {key:<10}{help_line}" for key, (_, help_line) in maker.keys.items())
        for name, maker in MAKERS.items()
    )
    return (
        "usage: snnrun data ACTION ...\n\n"
        "  snnrun data list\n    print the data sets\n"
        "  snnrun data show NAME [path=PICTURE] [KEY=VALUE ...]\n"
        "    print what a data set holds and draw a sample of each class; keys as in `snnrun train`\n"
        "  snnrun data fetch NAME [root=FOLDER]\n"
        f"    download a data set: {', '.join(FETCHED)}\n"
        f"{makers}"
    )


ACTIONS: dict[str, Callable[[Sequence[str]], None]] = {
    "list": list_data_sets,
    "show": show_data_set,
    "fetch": fetch_data_set,
    "make": make_data_set,
}
