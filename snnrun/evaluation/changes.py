"""What may change when a trained network is judged again: the data, and how it is computed; never what was trained."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from snnrun.config import Config
from snnrun.config.check import show
from snnrun.config.compose import from_container
from snnrun.config.overrides import Setting, parse
from snnrun.config.tree import read_tree
from snnrun.config.unroll import unroll
from snnrun.errors import UserError
from snnrun.evaluation.keys import COMPUTING, OWN, SPLIT
from snnrun.registry import did_you_mean

PARTS = ("test", "valid", "train")
CHECKPOINTS = ("best", "last")
# The random changes of spike trains, in `dataset`, and the value that changes nothing. A network is trained with them
# and judged without them, unless they are asked for.
UNCHANGED: dict[str, Any] = {
    "speed": 1.0,
    "time_jitter": 0.0,
    "channel_jitter": 0.0,
    "channel_shift": 0,
    "deletion": 0.0,
    "insertion": 0.0,
}
AS_TRAINED = "as trained"
Change = tuple[str, Any]


@dataclass(frozen=True)
class Case:
    """One way to judge a run.

    Attributes:
        config: that of the run with the changes.
        changes: what was typed, in its order.
        part: test, valid or train.
        checkpoint: best or last.
        seed: what random changes of the data are drawn with.
    """

    config: Config
    changes: tuple[Change, ...]
    part: str
    checkpoint: str
    seed: int

    @property
    def label(self) -> str:
        """The changes in words."""
        return label(self.changes)


def label(changes: Sequence[Change]) -> str:
    """Return changes as they would be typed, separated by commas.

    >>> label([("dataset.speed", 0.5), ("part", "valid")])
    'dataset.speed=0.5,part=valid'
    """
    return ",".join(f"{key}={show(value)}" for key, value in changes) or AS_TRAINED


def read_changes(words: Sequence[str]) -> tuple[list[tuple[Change, ...]], str | None]:
    """Return the changes of every case that `words` ask for, several values being several cases, and output_dir.

    Raises UserError for words that cannot be read and for keys that a trained network does not leave open.
    """
    alternatives = parse(words, read_tree(), multirun=True)
    for choices in alternatives:
        _check_key(choices[0])
    folders = [_value(choices[0]) for choices in alternatives if choices[0].key == "output_dir"]
    swept = [choices for choices in alternatives if choices[0].key != "output_dir"]
    cases = [tuple((setting.key, _value(setting)) for setting in settings) for settings in unroll(swept)]
    if len(set(map(label, cases))) < len(cases):
        raise UserError(f"{' '.join(words)}: two of the evaluations would be the same")
    return cases, str(folders[-1]) if folders else None


def case(container: Mapping[str, Any], changes: Sequence[Change]) -> Case:
    """Return what `changes` make of the configuration of a run. Raises UserError where they do not fit it."""
    changed = copy.deepcopy(dict(container))
    own: dict[str, Any] = {"part": "test", "checkpoint": "best", "seed": changed.get("seed")}
    dataset = changed.get("dataset", {})
    dataset |= {key: value for key, value in UNCHANGED.items() if key in dataset}
    for key, value in changes:
        if key in OWN:
            own[key] = _own(key, value)
        else:
            _set(changed, key, value)
    _follow_bins(container, changed)
    return Case(from_container(changed), tuple(changes), **own)


def _check_key(setting: Setting) -> None:
    section, _, name = setting.key.partition(".")
    allowed = (*COMPUTING, *OWN)
    if section == "dataset" and name and not setting.group and not setting.deletes:
        if name in SPLIT or name == "name":
            raise UserError(f"{setting.typed}: which samples are held out was settled by the training and stays")
        return
    if setting.key not in allowed or setting.deletes:
        known = [*allowed, *(f"dataset.{key}" for key in UNCHANGED), "dataset.dt", "dataset.duration"]
        raise UserError(
            f"{setting.typed}: cannot change for a network that is trained{did_you_mean(setting.key, known)}; "
            f"allowed are keys of dataset (dataset.speed=0.5,1,2), {', '.join(allowed)}"
        )


def _value(setting: Setting) -> Any:
    value = OverridesParser.create().parse_override(setting.line).value()
    return _plain(value)


def _plain(value: Any) -> Any:
    """Return a value of Hydra's grammar without its marks of quotation."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _own(key: str, value: Any) -> Any:
    choices = {"part": PARTS, "checkpoint": CHECKPOINTS}.get(key)
    if choices and value not in choices:
        raise UserError(f"{key}={show(value)}: must be one of {', '.join(choices)}{did_you_mean(str(value), choices)}")
    if key == "seed" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise UserError(f"seed={show(value)}: must be a whole number at least 0")
    return value


def _set(container: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        container = container.setdefault(section, {})
    container[last] = value


def _follow_bins(before: Mapping[str, Any], after: dict[str, Any]) -> None:
    """Let the step of the neurons follow the width of the bins, as it did when the run was configured."""
    old, new = before.get("dataset", {}).get("dt"), after.get("dataset", {}).get("dt")
    neuron = after.get("neuron", {})
    if old == new or neuron.get("dt") != old:
        return
    if neuron.get("tau_train", "none") != "none" and neuron.get("tau_constraint") == "clamp":
        raise UserError(
            f"dataset.dt={show(new)}: neuron.tau_constraint=clamp trained decays of a step of {show(old)} ms, "
            "which mean nothing at another"
        )
    neuron["dt"] = new


def groups(containers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[int]]]:
    """Yield (what is special about them, indices) for the runs whose configurations differ in the seed alone."""
    flats = [dict(_flat(container)) for container in containers]
    keys = list(dict.fromkeys(key for flat in flats for key in flat))
    differing = [key for key in keys if len({repr(flat.get(key)) for flat in flats}) > 1]
    found: dict[str, list[int]] = {}
    for index, flat in enumerate(flats):
        found.setdefault(label([(key, flat[key]) for key in differing if key in flat]), []).append(index)
    for name, indices in found.items():
        yield ("" if name == AS_TRAINED else name), indices


def _flat(container: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys that tell experiments apart, in full; beta is left out, since surrogate.beta is the same."""
    for key, value in container.items():
        name = prefix + key
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif name not in NO_EXPERIMENT:
            yield name, value


NO_EXPERIMENT = frozenset(
    {"seed", "dataset.split_seed", "dataset.data_seed", "beta"}
    | {"output_dir", "name", "tags", "print_config", "device", "engine"}
)
