"""From the alternatives of a sweep to the settings of each of its jobs."""

import dataclasses
import itertools
from collections.abc import Sequence

from snnrun.config.overrides import MOST_JOBS, Setting
from snnrun.config.schema import OPTIONS
from snnrun.errors import UserError

Settings = tuple[Setting, ...]


def unroll(alternatives: Sequence[Sequence[Setting]]) -> list[Settings]:
    """Return the settings of every job, the last override varying fastest.

    A key that only some options of a swept group have ("neuron=lif,cuba_lif neuron.tau_syn=5,10") is given to the jobs
    with these options; the others run once and not once for each of its values.
    """
    count = 1
    for choices in alternatives:
        count *= len(choices)
    if count > MOST_JOBS:
        raise UserError(f"the sweep has {count} jobs; at most {MOST_JOBS} are allowed")
    partial = partial_keys(alternatives)
    jobs: list[Settings] = []
    shortened: set[tuple[str, ...]] = set()
    for settings in itertools.product(*alternatives):
        chosen = {setting.key: setting.value for setting in settings if setting.group}
        kept = tuple(s for s in settings if s.key not in partial or chosen[group_of(s.key)] in partial[s.key])
        if len(kept) < len(settings):
            lines = tuple(setting.line for setting in kept)
            if lines in shortened:
                continue
            shortened.add(lines)
        jobs.append(kept)
    return jobs


def notes(alternatives: Sequence[Sequence[Setting]]) -> list[str]:
    """Say in a line for each such key to which options of its group it is given."""
    return [f"{key} is for {group_of(key)}={'|'.join(having)}" for key, having in partial_keys(alternatives).items()]


def partial_keys(alternatives: Sequence[Sequence[Setting]]) -> dict[str, list[str]]:
    """Return the keys that some but not all of the swept options of their group have, and which have them."""
    swept = {choices[0].key: [choice.value for choice in choices] for choices in alternatives if choices[0].group}
    found = {}
    for choices in alternatives:
        first = choices[0]
        options = swept.get(group_of(first.key), [])
        if first.group or first.deletes or not all(name in OPTIONS[group_of(first.key)] for name in options):
            continue
        having = [name for name in options if _has(group_of(first.key), name, first.key.split(".")[1])]
        if 0 < len(having) < len(options):
            found[first.key] = having
    return found


def group_of(key: str) -> str:
    """Return the group or section that a key is in."""
    return key.split(".")[0]


def _has(group: str, option: str, key: str) -> bool:
    return key in {field.name for field in dataclasses.fields(OPTIONS[group][option])}
