"""What a value of the configuration may be: bounds that go into `Annotated` types, and common types."""

import math
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Bounds:
    """An interval of numbers. A bound that is None is not there."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def contains(self, value: float) -> bool:
        """Whether `value` is finite and inside."""
        return (
            math.isfinite(value)
            and (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"from {self.at_least:.12g} to {self.at_most:.12g}"
        words = {
            "above": self.above,
            "at least": self.at_least,
            "below": self.below,
            "at most": self.at_most,
        }
        return " and ".join(f"{word} {bound:.12g}" for word, bound in words.items() if bound is not None)


@dataclass(frozen=True)
class Filled:
    """A text or a list that may not be empty."""

    def __str__(self) -> str:
        return "that is not empty"


@dataclass(frozen=True)
class FolderName:
    """A text that can be the name of a folder on any system."""

    @staticmethod
    def fits(value: str) -> bool:
        """Whether `value` is printable, has no separator and does not start with a dot."""
        return value.isprintable() and value[:1] not in ("", ".") and not set(value) & set('/\\:*?"<>|')

    def __str__(self) -> str:
        return 'that can name a folder (no / \\ : * ? " < > | in it and no dot at its start)'


Positive = Annotated[float, Bounds(above=0)]
NonNegative = Annotated[float, Bounds(at_least=0)]
Count = Annotated[int, Bounds(at_least=1)]
CountOrZero = Annotated[int, Bounds(at_least=0)]
Seed = Annotated[int, Bounds(at_least=0, at_most=2**32 - 1)]
Path = Annotated[str, Filled()]
