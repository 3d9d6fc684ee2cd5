"""Neuron models."""

from snnrun.neurons import adaptive, lif  # noqa: F401  (they register their models)
from snnrun.neurons.base import NEURONS, THRESHOLD, Neuron, State
from snnrun.neurons.refractory import Refractory

__all__ = ["NEURONS", "THRESHOLD", "Neuron", "Refractory", "State"]
