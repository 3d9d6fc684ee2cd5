"""Streams are reproducible and independent."""

import torch

from snnrun.seeding import stream


def test_streams_depend_on_seed_and_name_only() -> None:
    draws = {key: torch.rand(8, generator=stream(*key)) for key in [(0, "weights"), (0, "shuffle"), (1, "weights")]}
    torch.rand(5)
    assert torch.equal(draws[0, "weights"], torch.rand(8, generator=stream(0, "weights")))
    assert len({tuple(d.tolist()) for d in draws.values()}) == 3
