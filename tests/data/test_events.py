"""What a set of events promises, and what it refuses."""

import numpy as np
import pytest

from snnrun.data.events import EventSet
from snnrun.errors import UserError


def make(**changed):
    usual = {
        "unit": [0, 1, 2],
        "time": [10, 20, 5],
        "offsets": [0, 2, 3],
        "labels": [0, 1],
        "speakers": [4, 5],
        "channels": 3,
        "classes": ["no", "yes"],
    }
    return EventSet.from_offsets(**(usual | changed))


def test_select_keeps_the_events_of_each_sample_and_copies_none():
    events = make()
    part = events.select(np.array([1]))
    assert len(part) == 1
    assert part.sample(0)[0].tolist() == [5]
    assert part.sample(0)[1].tolist() == [2]
    assert part.labels.tolist() == [1]
    assert part.speakers.tolist() == [5]
    assert np.shares_memory(part.time, events.time)


def test_an_event_takes_at_most_8_bytes():
    assert make().nbytes == 6 * 3
    assert make(channels=70_000).nbytes == 8 * 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": [0, 2]}, "label 2 of sample 1 is out of range; there are 2 classes"),
        ({"labels": [-1, 1]}, "label -1 of sample 0"),
        ({"channels": 2}, "unit 2 is out of range; there are 2 channels, so units are 0 to 1"),
        ({"time": [20, 10, 5]}, "times of sample 0 are not sorted"),
        ({"speakers": [1]}, "2 samples but 1 speakers"),
        ({"offsets": [0, 3]}, "1 samples of spikes but 2 labels"),
        ({"offsets": [0, 2, 4]}, "do not fit"),
        ({"time": [1, 2]}, "do not fit"),
        ({"labels": [], "offsets": [0], "speakers": []}, "holds no samples"),
    ],
)
def test_a_broken_promise_is_refused(changed, message):
    with pytest.raises(UserError, match=f"^a.h5: .*{message}"):
        make(**changed).check("a.h5")


def test_a_good_set_passes():
    make().check("a.h5")
    make(speakers=None).check("a.h5")
