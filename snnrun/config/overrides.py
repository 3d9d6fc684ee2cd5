"""What was typed: reading overrides, catching the mistakes that need no configuration, and unrolling sweeps."""

import fnmatch
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override
from hydra.errors import HydraException

from snnrun.config.tree import EXPERIMENT, Tree
from snnrun.errors import UserError
from snnrun.registry import did_you_mean

MOST_JOBS = 10_000
NOT_SWEPT = ("output_dir", "name", "tags", "plugins", "hydra", "launcher", "sweeper", "sweep")


@dataclass(frozen=True)
class Span:
    """The numbers from `low` to `high`; `log` spreads them evenly by their logarithm."""

    low: float
    high: float
    log: bool
    integer: bool


@dataclass(frozen=True)
class Setting:
    """One override with one value, as it is given to Hydra.

    Attributes:
        key: the key or group without "+" and "~".
        line: for Hydra, for instance "training.epochs=3".
        typed: what the user typed, for messages.
        group: whether it chooses an option.
        deletes: whether it takes the key away.
        span: the interval that it is an end of, if it is one.
    """

    key: str
    line: str
    typed: str
    group: bool
    deletes: bool
    span: Span | None = None

    @property
    def value(self) -> str:
        """What it sets the key to, as Hydra's grammar writes it."""
        return self.line.partition("=")[2]

    @property
    def hydra(self) -> bool:
        """Whether it is about Hydra itself."""
        return self.key.split(".")[0].split("/")[0] == "hydra"


def parse(lines: Sequence[str], tree: Tree, multirun: bool, intervals: bool = False) -> list[list[Setting]]:
    """Return, for each override, the settings it stands for: one, or in a sweep one for each of its values.

    An interval, if `intervals` are allowed, stands for its two ends.
    Raises UserError for a line that cannot be read, a group that is deleted or set to something that is no option
    of it, and several values where there is no sweep.
    """
    return [_alternatives(read(line), tree, multirun, intervals) for line in lines]


def plugin_files(lines: Sequence[str]) -> list[str]:
    """Return the files of `plugins=[...]` on the line, which must be known before the options of a group can be.

    Raises UserError where it is no list of texts.
    """
    given: object = []
    for line in lines:
        if line.lstrip("+").startswith("plugins="):
            override = read(line)
            given = None if override.is_sweep_override() else override.value()
            if not isinstance(given, list) or not all(isinstance(path, str) and path for path in given):
                raise UserError(f"{line}: must be a list of files, as in plugins=[my_neuron.py]")
    return list(given) if isinstance(given, list) else []


def experiment_of(settings: Sequence[Setting]) -> str:
    """Return "experiment=x: " where one was chosen: what is wrong and was not typed stands in its file."""
    return next((f"{setting.typed}: " for setting in settings if setting.key == EXPERIMENT), "")


def read(line: str) -> Override:
    """Read one override with Hydra's grammar. Raises UserError."""
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


def _alternatives(override: Override, tree: Tree, multirun: bool, intervals: bool) -> list[Setting]:
    key, typed = override.key_or_group, override.input_line or ""
    group = key in tree.groups
    if "." in key and key.rpartition(".")[2] == "name" and (of := key.rpartition(".")[0]) in tree.groups:
        raise UserError(f"{typed}: an option is chosen with {of}=..., one of {', '.join(tree.groups[of])}")
    if key == "hydra":
        raise UserError(f"{typed}: hydra is a section; set one of its keys, as in hydra.run.dir=...")
    if key in ("hydra/launcher", "hydra/sweeper"):
        own = key.removeprefix("hydra/")
        raise UserError(f"{typed}: a {own} is chosen with {own}=..., one of {', '.join(tree.groups[own])}")
    if key == "hydra.mode":
        raise UserError(f"{typed}: a sweep is asked for with -m")
    if override.is_delete():
        if group:
            needs = "has none unless it is given one" if key == EXPERIMENT else f"needs one {key}"
            raise UserError(f"{typed}: a configuration {needs}: {', '.join(tree.groups[key])}")
        return [Setting(key, typed, typed, group, deletes=True)]
    values = _values(override, tree, multirun, intervals)
    if group:
        for value in values:
            _check_option(key, value, _typed(override, value), tree)
    span = _span(override) if intervals else None
    return [
        Setting(key, f"{key}={value}", _typed(override, value), group, deletes=False, span=span) for value in values
    ]


def _span(override: Override) -> Span | None:
    """Return the interval of an override; None where it is another value. Raises UserError."""
    sweep = override.value()
    if not isinstance(sweep, IntervalSweep):
        return None
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    if low is None or high is None or not low < high:
        raise UserError(f"{override.input_line}: must be an interval, the smaller number first")
    if log and low <= 0:
        raise UserError(f"{override.input_line}: a logarithmic interval begins above 0")
    return Span(low, high, log, isinstance(low, int) and isinstance(high, int))


def _typed(override: Override, value: str) -> str:
    return f"{override.get_key_element()}={value}" if override.is_sweep_override() else override.input_line or ""


def _values(override: Override, tree: Tree, multirun: bool, intervals: bool) -> list[str]:
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
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        if not intervals:
            raise UserError(f"{typed}: an interval needs sweeper=optuna, which searches; or list values: {key}=1,2,3")
        return [str(sweep.start), str(sweep.end)]
    if isinstance(sweep, Glob):
        return _matching_options(key, sweep, typed, tree)
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
