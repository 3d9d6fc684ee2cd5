"""The options that a plug-in adds, read from its source as text: help and tab completion do not wait for torch."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from snnrun.config.tree import EXPERIMENT, Key, Option, Tree

# What a plug-in decorates with -> the group whose options it adds to.
DECORATORS = {
    "NEURONS.register": "neuron",
    "SHAPES.register": "surrogate",
    "register_derivative": "surrogate",
    "SCHEMES.register": "init",
    "SOURCES.register": "dataset",
}
Definition = ast.ClassDef | ast.FunctionDef


def add_plugins(tree: Tree, files: list[str]) -> Tree:
    """Return the tree with the options of plug-ins; a file that cannot be read or parsed adds nothing."""
    groups = {group: dict(options) for group, options in tree.groups.items()}
    for file in files:
        for group, option in _options(Path(file)):
            usual = groups[group][tree.defaults[group]]
            own = {key.name for key in option.keys}
            common = tuple(key for key in usual.keys if key.name in _common(tree, group) - own)
            groups[group].setdefault(option.name, Option(option.name, option.description, (*option.keys, *common)))
    return Tree(groups, tree.defaults, tree.keys, tree.sections)


def with_plugins(tree: Tree, words: Iterable[str]) -> Tree:
    """Return the tree with the options of the plug-ins among the words of a command line."""
    return add_plugins(tree, plugin_words(words, tree))


def plugin_words(words: Iterable[str], tree: Tree) -> list[str]:
    """Return the files of `plugins=[...]` among the words of a command line, else those that its presets name."""
    given, presets = [], []
    for key, _, value in (word.lstrip("+").partition("=") for word in words):
        if key == "plugins":
            given.append(value)
        for name in value.split(",") if key == EXPERIMENT else ():
            option = tree.groups[EXPERIMENT].get(name)
            presets += [key.default for key in (option.keys if option else ()) if key.name == "plugins"]
    files = (file.strip(" '\"") for text in given[-1:] or presets for file in text.strip("[]").split(","))
    return [file for file in files if file]


def _common(tree: Tree, group: str) -> set[str]:
    """The keys that every option of a group has."""
    return set.intersection(*({key.name for key in option.keys} for option in tree.groups[group].values()))


def _options(file: Path) -> Iterator[tuple[str, Option]]:
    """Yield (group, option) of everything that the file registers under a literal name."""
    try:
        module = ast.parse(file.expanduser().read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(module):
        if isinstance(node, Definition):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
                    group = DECORATORS.get(ast.unparse(call.func).removeprefix("snnrun."))
                    if group:
                        yield group, _option(node, group, str(call.args[0].value))


def _option(node: Definition, group: str, name: str) -> Option:
    """The option: the first line of the docstring describes it, a line "key: text" in it a key."""
    text = ast.get_docstring(node) or ""
    function: ast.AST | None = node
    if isinstance(node, ast.ClassDef):
        found = (item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
        function = next(found, None)
        text += "\n" + (ast.get_docstring(function) or "" if isinstance(function, ast.FunctionDef) else "")
    keys = _keys(function, group, text) if isinstance(function, ast.FunctionDef) else ()
    return Option(name, text.partition("\n")[0].strip(), tuple(keys))


def _keys(function: ast.FunctionDef, group: str, text: str) -> Iterator[Key]:
    """Yield the arguments after the star."""
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        described = re.search(rf"^\s*`?{argument.arg}`?: *(.+)$", text, re.MULTILINE)
        shown = "???" if default is None else ast.unparse(default)
        yield Key(f"{group}.{argument.arg}", shown, described.group(1) if described else "")
