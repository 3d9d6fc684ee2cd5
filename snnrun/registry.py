"""Tables from a name on the command line to the thing it selects."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from snnrun.errors import UserError

Item = TypeVar("Item")


def nearest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """Return the known name that `name` most likely stands for, or None if none is `alike` (0 to 1) enough."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=alike)
    return matches[0] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" for the nearest known name, or nothing."""
    match = nearest(name, known)
    return f" (did you mean {match}?)" if match else ""


class Registry(Generic[Item]):
    """Name -> item, filled by the decorator `register`, in the order of registration.

    >>> neurons: Registry[type] = Registry("neuron")
    >>> @neurons.register("lif")
    ... class Lif: ...
    >>> neurons["lif"] is Lif
    True
    """

    def __init__(self, kind: str) -> None:
        """`kind` is what the items are called in messages: "neuron", "surrogate"."""
        self.kind = kind
        self._items: dict[str, Item] = {}

    def register(self, name: str) -> Callable[[Item], Item]:
        """Return a decorator that adds an item under `name`. Raises UserError if the name is taken."""

        def add(item: Item) -> Item:
            if name in self._items:
                raise UserError(f"{self.kind} {name!r} is registered already")
            self._items[name] = item
            return item

        return add

    def remove(self, name: str) -> None:
        """Take an item away again."""
        del self._items[name]

    def __getitem__(self, name: str) -> Item:
        """Return the item; raises UserError that lists the names and the nearest one."""
        try:
            return self._items[name]
        except KeyError:
            raise UserError(
                f"{name!r}: no such {self.kind}{did_you_mean(name, self._items)}; allowed are {', '.join(self._items)}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
