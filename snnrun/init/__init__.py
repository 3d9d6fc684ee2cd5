"""Initialisation schemes."""

from snnrun.init import calibrated, fluctuation, standard, variance  # noqa: F401  (they register their schemes)
from snnrun.init.base import EXPECTATIONS, SCHEMES, Expectation, LayerFacts, readout_weights

__all__ = ["EXPECTATIONS", "SCHEMES", "Expectation", "LayerFacts", "readout_weights"]
