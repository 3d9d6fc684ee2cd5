"""Batches built on a device are those that the CPU builds."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnrun.data.batches import batches, placed
from snnrun.data.binning import Bins, batch
from snnrun.data.device_events import DeviceEvents, _steps
from snnrun.data.events import EventSet

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def made(sizes, seed):
    random = np.random.default_rng(seed)
    return EventSet.from_offsets(
        unit=random.integers(0, 9, sum(sizes)),
        time=np.concatenate([np.sort(random.integers(-2000, 60_000, size)) for size in sizes]),
        offsets=np.cumsum([0, *sizes]),
        labels=np.arange(len(sizes)),
        channels=9,
        classes=[str(number) for number in range(len(sizes))],
    )


@pytest.mark.parametrize("device", DEVICES)
@given(
    sizes=st.lists(st.integers(0, 80), min_size=1, max_size=5),
    seed=st.integers(0, 99),
    dt=st.sampled_from([0.3, 1.0, 7.0, 1400 / 99]),
    duration=st.sampled_from([20.0, 33.3, 50.0]),
    binary=st.booleans(),
    pool=st.integers(1, 10),
    binning=st.sampled_from(["fixed", "spytorch"]),
    data=st.data(),
)
def test_a_device_builds_the_same_batches(device, sizes, seed, dt, duration, binary, pool, binning, data):
    bins = {"dt": dt, "duration": duration, "binary": binary, "pool": pool, "binning": binning}
    part = made(sizes, seed).select(np.array(data.draw(st.permutations(range(len(sizes))))))
    order = np.array(data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=6)))
    here, labels = batch(part, order, **bins)
    there, same_labels = DeviceEvents.of(part, device).batch(torch.from_numpy(order), Bins(**bins))
    assert torch.equal(there.pointer.cpu(), here.pointer)
    assert torch.equal(there.dense().cpu(), here.dense())
    assert torch.equal(same_labels, labels)
    assert there.unit.dtype == torch.int32


@pytest.mark.parametrize("width", [100 / 3, 1.1, 14000 / 99 * 100])
def test_steps_are_right_where_a_division_rounds_the_wrong_way(width):
    time = torch.arange(100_000, dtype=torch.int32)
    step = _steps(time, width).double()
    assert bool((step * width <= time).all())
    assert bool((time < (step + 1) * width).all())


@pytest.mark.parametrize("device", DEVICES)
def test_a_placed_part_gives_the_batches_of_the_part(device, options):
    part, section, order = made([30, 40, 0, 20], 1), options(duration=50.0, dt=1.0), np.array([3, 0, 2, 1])
    moved = placed(part, torch.device(device), section, changed=True)
    assert isinstance(moved, EventSet if device == "cpu" else DeviceEvents)
    on_device = DeviceEvents.of(part, device)
    for (one, labels), (other, same) in zip(
        batches(part, order, 3, section), batches(on_device, order, 3, section), strict=True
    ):
        assert torch.equal(one.dense(), other.dense().cpu())
        assert torch.equal(labels, same)


def test_parts_that_will_be_changed_stay_on_the_cpu(options):
    part, meta = made([3], 0), torch.device("meta")
    assert placed(part, meta, options(deletion=0.1), changed=True) is part
    assert isinstance(placed(part, meta, options(deletion=0.1), changed=False), DeviceEvents)
