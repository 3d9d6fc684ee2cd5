"""Step and adjoint of the neuron models that the CPU engine can run, one module a family."""

from snnrun.engine.cpu.neurons.base import EQUATIONS, Equations, Rules

from snnrun.engine.cpu.neurons import adaptive, lif  # isort: skip
from snnrun.engine.cpu.neurons import refractory  # isort: skip  (wraps the models above)

__all__ = ["EQUATIONS", "Equations", "Rules", "adaptive", "lif", "refractory"]
