"""A data set on the device that trains on it, and batches built there."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnrun.data.batch import EventBatch
from snnrun.data.binning import Bins
from snnrun.data.events import EventSet


@dataclass(frozen=True, eq=False)
class DeviceEvents:
    """The events of a part of a data set as tensors on one device, 8 bytes an event.

    Attributes:
        unit: (events,) int32.
        time: (events,) int32, microseconds.
        offsets: (samples + 1,) int64; sample s holds the events ``offsets[s]:offsets[s + 1]``.
        labels: (samples,) int64, on the CPU.
        channels: number of input channels.
    """

    unit: Tensor
    time: Tensor
    offsets: Tensor
    labels: Tensor
    channels: int

    @classmethod
    def of(cls, events: EventSet, device: torch.device | str) -> "DeviceEvents":
        """Copy the samples of `events`, and no others, to a device."""
        samples = [events.sample(index) for index in range(len(events))]
        times = np.concatenate([time for time, _ in samples])
        units = np.concatenate([unit for _, unit in samples]).astype(np.int32)
        bounds = np.concatenate([[0], np.cumsum(events.counts)])
        unit, time, offsets = (torch.from_numpy(array).to(device) for array in (units, times, bounds))
        return cls(unit, time, offsets, torch.from_numpy(events.labels), events.channels)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor, bins: Bins) -> tuple[EventBatch, Tensor]:
        """As `binning.batch`, the events on the device; within a step they may be in another order."""
        chosen = indices.to(self.offsets.device)
        first, counts = self.offsets[chosen], self.offsets[chosen + 1] - self.offsets[chosen]
        sample = torch.repeat_interleave(torch.arange(len(chosen), device=chosen.device), counts)
        place = torch.arange(len(sample), device=chosen.device) + (first - (counts.cumsum(0) - counts))[sample]
        time = self.time[place]
        kept = (time >= 0) & (time < bins.end)
        row = sample[kept] * bins.steps + bins.first + _steps(time[kept], bins.width)
        channel = self.unit[place][kept] // bins.pool
        channels = bins.inputs(self.channels)
        if bins.binary:
            cells = torch.unique(row * channels + channel)
            row, channel = cells // channels, (cells % channels).to(torch.int32)
        rows = len(chosen) * bins.steps
        pointer = torch.zeros(rows + 1, dtype=torch.int64, device=chosen.device)
        torch.cumsum(torch.bincount(row, minlength=rows), 0, out=pointer[1:])
        return EventBatch(pointer, channel, len(chosen), bins.steps, channels), self.labels[indices]


def _steps(time: Tensor, width: float) -> Tensor:
    """The k with k width <= time < (k + 1) width, in float64, whose division may be off by one at an edge."""
    exact = time.double()
    step = torch.floor(exact / width)
    step += ((step + 1) * width <= exact).double()
    step -= (step * width > exact).double()
    return step.long()
