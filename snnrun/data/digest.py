"""A fingerprint of a loaded data set: the same samples give the same one, wherever their files lie."""

import hashlib

from snnrun.data.dataset import Dataset
from snnrun.data.events import EventSet


def digests(data: Dataset) -> dict[str, str]:
    """Return the fingerprint of each part, by name."""
    return {name: digest(part) for name, part in data.parts().items()}


def digest(events: EventSet) -> str:
    """Return a hash (SHA-256, hexadecimal) of all that training can see of `events`, order included."""
    found = hashlib.sha256()
    found.update(repr((len(events), events.channels, events.classes)).encode())
    for numbers in (events.labels, events.counts, events.speakers):
        found.update(b"" if numbers is None else numbers.tobytes())
    for part in events.pieces():
        for index in range(len(part)):
            for values in part.sample(index):
                found.update(values.data)
    return found.hexdigest()
