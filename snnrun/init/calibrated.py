"""The start of a calibration; `snnrun.calibration` then scales what is drawn here on a batch of data."""

from torch import Generator

from snnrun.init.base import SCHEMES, LayerFacts, Weights
from snnrun.init.standard import normal


@SCHEMES.register("calibrated")
def calibrated(layer: LayerFacts, generator: Generator, *, target_rate_hz: float) -> Weights:
    """As `normal`; a factor on the weights of each layer is found afterwards, so that it fires at `target_rate_hz`.

    Source: our own; after the layer-sequential unit-variance start of Mishkin & Matas 2016, ICLR, with a rate in place
    of the variance.
    """
    return normal(layer, generator)
