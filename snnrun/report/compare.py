"""Two settings of a key compared over runs that agree in everything else, the seed among it."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from snnrun.errors import UserError
from snnrun.registry import did_you_mean
from snnrun.report.groups import SEED, full_key, setting, shown, varied_keys
from snnrun.report.runs import Run, Value

LEVEL = 0.05
MOST_SIGN_FLIPS = 16  # pairs up to which every sign is tried


@dataclass(frozen=True)
class Comparison:
    """The difference of a figure between two values of a key, second less first, over pairs of runs.

    Attributes:
        key: the key in full.
        values: the two values.
        figure: what is compared.
        differences: one a pair.
    """

    key: str
    values: tuple[str, str]
    figure: str
    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean difference; NaN without a pair."""
        return float(np.mean(self.differences)) if self.differences else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the mean difference by Student's t; NaN for fewer than two pairs."""
        number = len(self.differences)
        if number < 2:
            return math.nan, math.nan
        half = float(stats.t.ppf(1 - LEVEL / 2, number - 1) * np.std(self.differences, ddof=1) / math.sqrt(number))
        return self.mean - half, self.mean + half

    @property
    def p_t(self) -> float:
        """p of the paired t test, two-sided; NaN for fewer than two pairs or where all differences are the same."""
        if len(self.differences) < 2 or np.ptp(self.differences) == 0:
            return math.nan
        return float(stats.ttest_1samp(self.differences, 0).pvalue)

    @property
    def p_sign_flip(self) -> float:
        """p of the sign-flip permutation test, two-sided and exact: it assumes only that the sign of each difference
        is arbitrary where the key does not matter. With n pairs it is at least 2 / 2^n. NaN beyond 16 pairs."""
        number = len(self.differences)
        if not 0 < number <= MOST_SIGN_FLIPS:
            return math.nan
        signs = np.array(list(itertools.product((1, -1), repeat=number)))
        sums = np.abs(signs @ np.array(self.differences))
        return float(np.mean(sums >= abs(sum(self.differences)) * (1 - 1e-12)))

    def __str__(self) -> str:
        first, second = self.values
        name = self.key.removesuffix(".name")
        if not self.differences:
            return f"{name}: no two runs differ only in {first} and {second}, so nothing can be compared"
        low, high = self.interval
        text = f"{name} {second} less {first}: {self.mean:+.2%} in {self.figure} over {len(self.differences)} pairs"
        if math.isnan(low):
            return f"{text}; a test needs two pairs at least"
        better = (
            "no difference that the pairs show" if low <= 0 <= high else f"{second if low > 0 else first} is better"
        )
        tests = f"95 % interval {low:+.2%} to {high:+.2%}, p = {self.p_t:.3g} (paired t)"
        flips = "" if math.isnan(self.p_sign_flip) else f", {self.p_sign_flip:.3g} (sign flips)"
        return f"{text}: {better}; {tests}{flips}"


def compare(runs: Sequence[Run], request: str, figure: str) -> Comparison:
    """Compare as `request` asks: "KEY=A,B", such as "surrogate=sigmoid,superspike".

    Raises:
        UserError: the request is of another form, or no run has such a key or value.
    """
    typed, equals, rest = request.partition("=")
    values = rest.split(",")
    if not equals or len(values) != 2:
        raise UserError(f"compare={request}: must be compare=KEY=A,B, such as compare=surrogate=sigmoid,superspike")
    key = full_key(typed)
    known = {shown(run.config[key]) for run in runs if key in run.config}
    if not known:
        names = sorted({name for run in runs for name in run.config})
        raise UserError(f"compare={request}: no run has the key {typed}{did_you_mean(typed, names)}")
    for value in values:
        if value not in known:
            raise UserError(f"compare={request}: {typed}={value} is in no run; there are {', '.join(sorted(known))}")
    first, second = values
    # What follows from the key (its usual slope) may differ within a pair; all else that varies may not.
    others = [name for name in varied_keys(runs) if name != key]
    pairs: dict[tuple[Value | None, ...], dict[str, list[float]]] = {}
    for run in runs:
        chosen = shown(run.config.get(key))
        if chosen in values and math.isfinite(run.figure(figure)):
            place = setting(run, [*others, SEED])
            pairs.setdefault(place, {}).setdefault(chosen, []).append(run.figure(figure))
    both = [found for found in pairs.values() if len(found) == 2]
    differences = [float(np.mean(found[second]) - np.mean(found[first])) for found in both]
    return Comparison(key, (first, second), figure, tuple(differences))
