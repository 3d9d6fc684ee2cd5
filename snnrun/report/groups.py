"""Which keys runs differ in, and runs that differ only in their seed put together."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from snnrun.config.tree import GROUPS
from snnrun.report.runs import Run, Value

SEED = "seed"
MEASURED = frozenset({"init.rate_hz"})  # found in the training data where it was left open, so each split has its own
Setting = tuple[Value | None, ...]  # the value of each varied key


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (of a sample) over `count` runs; NaN where there are too few."""

    mean: float
    deviation: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Over the values that are numbers."""
        known = [value for value in values if math.isfinite(value)]
        mean = statistics.fmean(known) if known else math.nan
        return cls(mean, statistics.stdev(known) if len(known) > 1 else math.nan, len(known))


@dataclass(frozen=True)
class Group:
    """Runs with the same setting of the varied keys."""

    setting: Setting
    runs: tuple[Run, ...]

    def values(self, figure: str) -> list[float]:
        """A figure of every run, NaN where it has none."""
        return [run.figure(figure) for run in self.runs]

    def spread(self, figure: str) -> Spread:
        """Mean and spread of a figure."""
        return Spread.of(self.values(figure))


@dataclass(frozen=True)
class Groups:
    """All runs of a report, by their setting of the varied `keys`; in the order of the settings."""

    keys: tuple[str, ...]
    groups: tuple[Group, ...]

    def label(self, group: Group) -> str:
        """The setting in a line: "superspike, beta 10"; "all runs" where nothing varies."""
        parts = []
        for key, value in zip(self.keys, group.setting, strict=True):
            name = key.removesuffix(".name")
            short = "" if key.endswith(".name") else f"{name.rpartition('.')[2]} "
            parts.append(f"{short}{shown(value)}")
        return ", ".join(parts) or "all runs"


def shown(value: Value | None) -> str:
    """A value as a person writes it: 5.0 is 5."""
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else value


def full_key(key: str) -> str:
    """The key that holds what was typed: surrogate is surrogate.name, beta is surrogate.beta."""
    if key in GROUPS:
        return f"{key}.name"
    return "surrogate.beta" if key == "beta" else key


def group(runs: Sequence[Run]) -> Groups:
    """Put runs together that differ in nothing but the seed."""
    keys = varied_keys(runs)
    by_setting: dict[Setting, list[Run]] = {}
    for run in runs:
        by_setting.setdefault(setting(run, keys), []).append(run)
    ordered = sorted(by_setting.items(), key=lambda item: [_order(value) for value in item[0]])
    return Groups(keys, tuple(Group(values, tuple(members)) for values, members in ordered))


def varied_keys(runs: Sequence[Run]) -> tuple[str, ...]:
    """The keys in which runs differ, without the seed and what follows from it.

    First those that were typed, in the order of the command lines, then others as far as they are needed: a key that
    follows from the ones before (the usual slope of a surrogate, say) tells nothing new.
    """
    typed = dict.fromkeys(full_key(key) for run in runs for key in run.typed)
    everything = dict.fromkeys(key for run in runs for key in run.config)
    chosen: list[str] = []
    for key in (*(key for key in typed if key in everything), *everything):
        measured = key in MEASURED and key not in typed
        if not measured and not _is_seed(key, runs) and not _follows(key, chosen, runs):
            chosen.append(key)
    return tuple(chosen)


def setting(run: Run, keys: Sequence[str]) -> Setting:
    """The values of `keys` in a run; None where it has no such key."""
    return tuple(run.config.get(key) for key in keys)


def _is_seed(key: str, runs: Sequence[Run]) -> bool:
    """Whether a key is the seed or another that was left to be the same, such as that of the split."""
    return all(run.config.get(key) == run.config.get(SEED) for run in runs)


def _follows(key: str, others: Sequence[str], runs: Sequence[Run]) -> bool:
    """Whether the values of `others` tell that of `key` in every run."""
    known: dict[Setting, Value | None] = {}
    return all(known.setdefault(setting(run, others), run.config.get(key)) == run.config.get(key) for run in runs)


def _order(value: Value | None) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    return (1, value, "") if isinstance(value, float) else (2, 0.0, value)
