"""The form in which spike trains reach an engine: one batch of binned events."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EventBatch:
    """Events of a batch, sorted by (sample, step), in the compressed layout that every engine reads.

    Attributes:
        pointer: (batch * steps + 1,) int64; the events of sample b at step t are
            ``unit[pointer[b * steps + t]:pointer[b * steps + t + 1]]``.
        unit: (events,) int32, channel of each event, 0 <= unit < channels. An event that counts twice stands twice.
        batch: number of samples.
        steps: number of time steps.
        channels: number of input channels.
    """

    pointer: Tensor
    unit: Tensor
    batch: int
    steps: int
    channels: int

    @property
    def device(self) -> torch.device:
        """Where the events are."""
        return self.unit.device

    def to(self, device: torch.device | str) -> "EventBatch":
        """The same events on another device."""
        return EventBatch(self.pointer.to(device), self.unit.to(device), self.batch, self.steps, self.channels)

    def samples(self, first: int, last: int) -> "EventBatch":
        """The samples first to last - 1."""
        pointer = self.pointer[first * self.steps : last * self.steps + 1]
        unit = self.unit[pointer[0] : pointer[-1]]
        return EventBatch(pointer - pointer[0], unit, last - first, self.steps, self.channels)

    def window(self, first: int, last: int) -> "EventBatch":
        """The steps first to last - 1 of every sample, counted from 0."""
        steps = last - first
        samples = torch.arange(self.batch, device=self.device) * self.steps
        begin, end = self.pointer[samples + first], self.pointer[samples + last]
        kept = (torch.arange(steps, device=self.device) + first + samples[:, None]).flatten()
        pointer = torch.zeros(self.batch * steps + 1, dtype=torch.int64, device=self.device)
        torch.cumsum(self.pointer[kept + 1] - self.pointer[kept], 0, out=pointer[1:])
        # The events of a sample's window lie together: one shift for each sample takes them from there.
        places = torch.arange(int(pointer[-1]), device=self.device)
        shift = begin - pointer[:-1:steps]
        places = places + torch.repeat_interleave(shift, end - begin)
        return EventBatch(pointer, self.unit[places], self.batch, steps, self.channels)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Counts (batch, steps, channels): how often each channel fired in each step."""
        counts = torch.zeros(self.batch * self.steps * self.channels, dtype=dtype, device=self.device)
        per_bin = self.pointer[1:] - self.pointer[:-1]
        rows = torch.repeat_interleave(torch.arange(len(per_bin), device=self.device), per_bin)
        flat = rows * self.channels + self.unit.long()
        counts.index_add_(0, flat, torch.ones_like(flat, dtype=dtype))
        return counts.view(self.batch, self.steps, self.channels)

    @classmethod
    def from_dense(cls, counts: Tensor) -> "EventBatch":
        """Events of a tensor (batch, steps, channels) of non-negative whole counts."""
        batch, steps, channels = counts.shape
        flat = counts.detach().reshape(batch * steps, channels)
        row, unit = flat.nonzero(as_tuple=True)
        times = flat[row, unit].long()
        row, unit = torch.repeat_interleave(row, times), torch.repeat_interleave(unit, times)
        pointer = torch.zeros(batch * steps + 1, dtype=torch.int64, device=counts.device)
        torch.cumsum(torch.bincount(row, minlength=batch * steps), 0, out=pointer[1:])
        return cls(pointer, unit.to(torch.int32), batch, steps, channels)
