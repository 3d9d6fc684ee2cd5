"""Initialisation schemes."""

from snnrun.init import calibrated, fluctuation, standard  # noqa: F401  (they register their schemes)
from snnrun.init.base import SCHEMES, LayerFacts, readout_weights

__all__ = ["SCHEMES", "LayerFacts", "readout_weights"]
