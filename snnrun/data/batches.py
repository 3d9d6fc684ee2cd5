"""Batches as the section `dataset` of the configuration asks for them."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snnrun.data.augmentation import Augmentation, AugmentationOptions
from snnrun.data.batch import EventBatch
from snnrun.data.binning import Bins, batch
from snnrun.data.device_events import DeviceEvents
from snnrun.data.events import EventSet


class BatchOptions(AugmentationOptions, Protocol):
    """The keys of `dataset` that say what a batch is."""

    @property
    def dt(self) -> float:
        """Width of a bin [ms]."""

    @property
    def binary(self) -> bool:
        """Whether a channel counts at most once in a bin."""

    @property
    def pool(self) -> int:
        """Neighbouring channels added together."""

    @property
    def binning(self) -> str:
        """fixed or spytorch."""


def placed(events: EventSet, device: torch.device, options: BatchOptions, *, changed: bool) -> EventSet | DeviceEvents:
    """The events where their batches are best built: on a GPU, if there is one and they are used as they are.

    Args:
        events: a part of a data set.
        device: what trains on it.
        options: the section `dataset` of the configuration.
        changed: whether the changes of the spike trains that `options` ask for will be made; they are made on the CPU.
    """
    if device.type == "cpu" or (changed and Augmentation.of(options) is not None):
        return events
    return DeviceEvents.of(events, device)


def batches(
    events: EventSet | DeviceEvents,
    order: NDArray[np.int64],
    size: int,
    options: BatchOptions,
    augment: np.random.Generator | None = None,
) -> Iterator[tuple[EventBatch, Tensor]]:
    """The samples `order` in batches of `size`, the last one smaller, each with its labels.

    Args:
        events: a part of a data set, on the CPU or as `placed` put it.
        order: (samples,) which samples, in this order.
        size: samples in a batch.
        options: the section `dataset` of the configuration.
        augment: what the changes of the spike trains (speed, jitter and so on) are drawn from; None changes nothing.
    """
    changes = None if augment is None else Augmentation.of(options)
    bins = Bins(options.dt, options.duration, options.binary, options.pool, options.binning)
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        if isinstance(events, DeviceEvents):
            made = events.batch(torch.from_numpy(chosen), bins)
        else:
            if changes is None or augment is None:
                made = batch(events, chosen, **asdict(bins))
            else:
                made = batch(changes.apply(events, chosen, augment), np.arange(len(chosen)), **asdict(bins))
            events.let_go()
        yield made
        del made  # or it would lie in memory beside the next one
