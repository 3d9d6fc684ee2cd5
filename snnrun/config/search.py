"""The space that a search looks through: the overrides with several values or an interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from snnrun.config.overrides import Setting, Span
from snnrun.config.unroll import group_of, partial_keys
from snnrun.errors import UserError

SEED = "seed"
Values = Span | tuple[str, ...]
Suggest = Callable[[str, Values], str]


@dataclass(frozen=True)
class Space:
    """What varies and what does not.

    Attributes:
        fixed: overrides of every job.
        varied: values or interval by key, groups first.
        partial: for a key that only some options of a varied group have, these options.
    """

    fixed: tuple[Setting, ...]
    varied: dict[str, Values]
    partial: dict[str, list[str]]

    def words(self, suggest: Suggest) -> list[str]:
        """Return the overrides of one job, its values chosen by `suggest(key, values)`."""
        chosen: dict[str, str] = {}
        for key, values in self.varied.items():
            if self._applies(key, chosen):
                chosen[key] = suggest(key, values)
        fixed = [setting.line for setting in self.fixed if self._applies(setting.key, chosen)]
        return [*fixed, *(f"{key}={value}" for key, value in chosen.items())]

    def corners(self) -> list[list[str]]:
        """Return the overrides of jobs in which each value and each end of an interval comes up once."""
        firsts = {key: _ends(values)[0] for key, values in self.varied.items()}
        others = [{key: end} for key, values in self.varied.items() for end in _ends(values)[1:]]
        return [self._given(firsts | other) for other in ({}, *others)]

    def _given(self, values: dict[str, str]) -> list[str]:
        return self.words(lambda key, _: values[key])

    def _applies(self, key: str, chosen: dict[str, str]) -> bool:
        return key not in self.partial or chosen.get(group_of(key)) in self.partial[key]


def is_search(words: Sequence[str]) -> bool:
    """Whether overrides ask for a search; the last sweeper of the line counts."""
    sweepers = [word.lstrip("+").partition("=")[2] for word in words if word.lstrip("+").startswith("sweeper=")]
    return sweepers[-1:] == ["optuna"]


def read_space(alternatives: Sequence[Sequence[Setting]]) -> Space:
    """Read the space from the settings of a sweep; raises UserError for what cannot vary, and where nothing does."""
    varied: dict[str, Values] = {}
    for choices in sorted(alternatives, key=lambda choices: not choices[0].group):
        if len(choices) > 1:
            varied[choices[0].key] = choices[0].span or tuple(choice.value for choice in choices)
    if SEED in varied:
        raise UserError(f"{SEED}: a search must not choose the seed, or it finds the luckiest; give it one value")
    if not varied:
        raise UserError("sweeper=optuna: nothing varies; give a key an interval or values, as in beta=interval(1,100)")
    fixed = tuple(choices[0] for choices in alternatives if len(choices) == 1)
    return Space(fixed, varied, partial_keys(alternatives))


def _ends(values: Values) -> tuple[str, ...]:
    return (str(values.low), str(values.high)) if isinstance(values, Span) else values
