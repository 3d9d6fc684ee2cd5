"""The fingerprint of a data set: that of the samples, and of nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from snnrun.data.digest import digest
from snnrun.data.events import EventSet

EVENTS = EventSet.from_offsets(
    unit=np.array([3, 1, 4, 1, 5]),
    time=np.array([10, 20, 5, 6, 7]),
    offsets=np.array([0, 2, 2, 5]),
    labels=np.array([0, 1, 1]),
    channels=8,
    classes=["a", "b"],
    speakers=np.array([2, 0, 1]),
)
CHANGES = {
    "unit": {"unit": np.array([3, 1, 4, 2, 5], np.uint16)},
    "time": {"time": np.array([10, 20, 5, 6, 8], np.int32)},
    "bounds": {"start": np.array([0, 2, 3]), "stop": np.array([2, 3, 5])},
    "label": {"labels": np.array([0, 1, 0])},
    "speaker": {"speakers": np.array([2, 0, 0])},
    "no speakers": {"speakers": None},
    "channels": {"channels": 9},
    "classes": {"classes": ("a", "c")},
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_shows(what):
    assert digest(replace(EVENTS, **CHANGES[what])) != digest(EVENTS)


def test_the_order_of_samples_shows():
    assert digest(EVENTS.select(np.array([2, 1, 0]))) != digest(EVENTS)


def test_where_the_events_lie_does_not():
    turned = EVENTS.select(np.array([2, 1, 0]))
    again = EventSet.from_offsets(
        unit=np.concatenate([turned.sample(index)[1] for index in (2, 1, 0)]),
        time=np.concatenate([turned.sample(index)[0] for index in (2, 1, 0)]),
        offsets=np.array([0, 2, 2, 5]),
        labels=EVENTS.labels,
        channels=8,
        classes=["a", "b"],
        speakers=EVENTS.speakers,
    )
    assert digest(again) == digest(EVENTS) == digest(turned.select(np.array([2, 1, 0])))
