"""The table of data sets: name -> how its parts are obtained."""

from collections.abc import Callable
from typing import Protocol

from snnrun.data.dataset import Parts
from snnrun.registry import Registry


class DatasetOptions(Protocol):
    """The keys that every data set has; a source reads further ones of its own."""

    @property
    def name(self) -> str:
        """Which source."""

    @property
    def duration(self) -> float:
        """Length of a sample [ms]."""

    @property
    def validation(self) -> str:
        """speakers, fraction or none."""

    @property
    def validation_fraction(self) -> float:
        """Share of samples or speakers to hold out."""

    @property
    def validation_speakers(self) -> tuple[int, ...] | None:
        """Whom to hold out; None draws them."""

    @property
    def fold(self) -> int | None:
        """Which fold of the speakers to hold out; None is not a cross-validation."""

    @property
    def folds(self) -> int:
        """Number of folds."""

    @property
    def split_seed(self) -> int | None:
        """Seed of the split; None is the seed of the run."""


# A source gets the section `dataset` of the configuration, with the keys of its own option, and the seed of the run;
# keys of its own can also be arguments after a star.
Source = Callable[..., Parts]
SOURCES: Registry[Source] = Registry("dataset")
