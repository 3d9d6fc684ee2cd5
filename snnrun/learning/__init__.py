"""Learning rules: backpropagation through time, and the local and online rules that it is compared with."""

from snnrun.learning import bptt, decolle, eprop, ottt, truncated  # noqa: F401  (they register their rules)
from snnrun.learning.base import RULES, Outcome, Rule, Task, build_rule

__all__ = ["RULES", "Outcome", "Rule", "Task", "build_rule"]
