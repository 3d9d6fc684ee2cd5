"""What was typed: reading overrides, catching the mistakes that need no configuration, and unrolling sweeps."""

import fnmatch
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from snnrun.config.tree import EXPERIMENT, Tree
from snnrun.errors import UserError
from snnrun.registry import did_you_mean

MOST_JOBS = 10_000
NOT_SWEPT = ("output_dir", "name", "tags", "plugins", "hydra")


@dataclass(frozen=True)
class Setting:
    """One override with one value, as it is given to Hydra.

    Attributes:
        key: the key or group without "+" and "~".
        line: for Hydra, for instance "training.epochs=3".
        typed: what the user typed, for messages.
        group: whether it chooses an option.
        deletes: whether it takes the key away.
    """

    key: str
    line: str
    typed: str
    group: bool
    deletes: bool

    @property
    def hydra(self) -> bool:
        """Whether it is about Hydra itself."""
        return self.key.split(".")[0].split("/")[0] == "hydra"


def parse(lines: Sequence[str], tree: Tree, multirun: bool) -> list[list[Setting]]:
    """Return, for each override, the settings it stands for: one, or in a sweep one for each of its values.

    Raises UserError for a line that cannot be read, a group that is deleted or set to something that is no option
    of it, and several values where there is no sweep.
    """
    return [_alternatives(_read(line), tree, multirun) for line in lines]


def plugin_files(lines: Sequence[str]) -> list[str]:
    """Return the files of `plugins=[...]` on the line, which must be known before the options of a group can be.

    Raises UserError where it is no list of texts.
    """
    given: object = []
    for line in lines:
        if line.lstrip("+").startswith("plugins="):
            override = _read(line)
            given = None if override.is_sweep_override() else override.value()
            if not isinstance(given, list) or not all(isinstance(path, str) and path for path in given):
                raise UserError(f"{line}: must be a list of files, as in plugins=[my_neuron.py]")
    return list(given) if isinstance(given, list) else []


def unroll(alternatives: Sequence[Sequence[Setting]]) -> Iterator[tuple[Setting, ...]]:
    """Yield the settings of every job of a sweep, the last override varying fastest."""
    jobs = 1
    for choices in alternatives:
        jobs *= len(choices)
    if jobs > MOST_JOBS:
        raise UserError(f"the sweep has {jobs} jobs; at most {MOST_JOBS} are allowed")
    return itertools.product(*alternatives)


def _read(line: str) -> Override:
    try:
        override = OverridesParser.create().parse_override(line)
    except (HydraException, RecursionError):
        hint = "; a value with special characters is quoted, as in \"name='a(b'\"" if "=" in line else ""
        raise UserError(f"{line!r} is not understood: key=value is expected{hint}") from None
    if not override.key_or_group:
        raise UserError(f"{line!r} is not understood: key=value is expected")
    if override.package is not None:
        raise UserError(f"{line}: packages (@) are not supported; write {override.key_or_group}=...")
    return override


def _alternatives(override: Override, tree: Tree, multirun: bool) -> list[Setting]:
    key, typed = override.key_or_group, override.input_line or ""
    group = key in tree.groups
    if "." in key and key.rpartition(".")[2] == "name" and (of := key.rpartition(".")[0]) in tree.groups:
        raise UserError(f"{typed}: an option is chosen with {of}=..., one of {', '.join(tree.groups[of])}")
    if key == "hydra":
        raise UserError(f"{typed}: hydra is a section; set one of its keys, as in hydra.run.dir=...")
    if key == "hydra.mode":
        raise UserError(f"{typed}: a sweep is asked for with -m")
    if override.is_delete():
        if group:
            needs = "has none unless it is given one" if key == EXPERIMENT else f"needs one {key}"
            raise UserError(f"{typed}: a configuration {needs}: {', '.join(tree.groups[key])}")
        return [Setting(key, typed, typed, group, deletes=True)]
    values = _values(override, tree, multirun)
    if group:
        for value in values:
            _check_option(key, value, _typed(override, value), tree)
    return [Setting(key, f"{key}={value}", _typed(override, value), group, deletes=False) for value in values]


def _typed(override: Override, value: str) -> str:
    return f"{override.get_key_element()}={value}" if override.is_sweep_override() else override.input_line or ""


def _values(override: Override, tree: Tree, multirun: bool) -> list[str]:
    """Return the value or values as Hydra's grammar writes them."""
    typed, key = override.input_line or "", override.key_or_group
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if key == "device" and "cuda" in typed:
        raise UserError(f"{typed}: one run computes on a single device; allowed are auto, cpu and cuda")
    if not multirun:
        value = typed.partition("=")[2]
        raise UserError(f"{typed}: several values are a sweep, which needs -m; one list is written {key}=[{value}]")
    if key.split(".")[0].split("/")[0] in NOT_SWEPT:
        raise UserError(f"{typed}: {key} cannot vary within a sweep")
    if not override.is_discrete_sweep():
        raise UserError(f"{typed}: an interval needs a sweeper that searches; list the values: {key}=1,2,3")
    glob = override.value()
    if isinstance(glob, Glob):
        return _matching_options(key, glob, typed, tree)
    try:
        return list(itertools.islice(override.sweep_string_iterator(), MOST_JOBS + 1))
    except (HydraException, ValueError, ArithmeticError) as error:
        raise UserError(f"{typed}: {str(error).splitlines()[0]}") from None


def _matching_options(key: str, glob: Glob, typed: str, tree: Tree) -> list[str]:
    names = [
        name
        for name in tree.groups.get(key, ())
        if any(fnmatch.fnmatch(name, pattern) for pattern in glob.include)
        and not any(fnmatch.fnmatch(name, pattern) for pattern in glob.exclude)
    ]
    if not names:
        raise UserError(f"{typed}: glob() matches no option; groups are {', '.join(tree.groups)}")
    return names


def _check_option(group: str, value: str, typed: str, tree: Tree) -> None:
    options = tree.groups[group]
    if value not in options:
        raise UserError(f"{typed}: no such {group}{did_you_mean(value, options)}; allowed are {', '.join(options)}")
