"""Neuron models."""

from snnrun.neurons import adaptive, lif  # noqa: F401  (they register their models)
from snnrun.neurons.base import NEURONS, THRESHOLD, Neuron, State

__all__ = ["NEURONS", "THRESHOLD", "Neuron", "State"]
