"""Which neuron models have equations on the device."""

from dataclasses import dataclass
from typing import Any

from snnrun.engine.triton.kernels import models
from snnrun.neurons.adaptive import AdLif, Alif, SeAdLif
from snnrun.neurons.base import Neuron
from snnrun.neurons.lif import CubaLif, If, Lif


@dataclass(frozen=True)
class DeviceModel:
    """A neuron model on the device; see `kernels.models` for the two functions.

    Attributes:
        step: device function of one step.
        adjoint: device function of its adjoint.
        states: number of state variables.
        constants: number of constants.
        spiking: False where the model gives x itself, as the readout does.
    """

    step: Any
    adjoint: Any
    states: int
    constants: int
    spiking: bool = True


READOUT = DeviceModel(models.readout_step, models.readout_adjoint, states=2, constants=2, spiking=False)

MODELS: dict[type[Neuron], DeviceModel] = {
    If: DeviceModel(models.lif_step, models.lif_adjoint, states=1, constants=1),
    Lif: DeviceModel(models.lif_step, models.lif_adjoint, states=1, constants=1),
    CubaLif: DeviceModel(models.cuba_lif_step, models.cuba_lif_adjoint, states=2, constants=2),
    Alif: DeviceModel(models.alif_step, models.alif_adjoint, states=2, constants=3),
    AdLif: DeviceModel(models.adlif_step, models.adlif_adjoint, states=3, constants=4),
    SeAdLif: DeviceModel(models.se_adlif_step, models.se_adlif_adjoint, states=2, constants=4),
}
