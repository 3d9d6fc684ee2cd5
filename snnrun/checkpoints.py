"""Checkpoints: what torch.save writes, with a checksum as the comment of the zip archive.

A comment belongs to the zip format, so `torch.load` and `unzip` read the file as they would without it; and unlike a
file beside the checkpoint, it can never be of another moment than the checkpoint itself.
"""

import hashlib
import io
import itertools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snnrun.atomic import keep_as, write_atomically, write_errors
from snnrun.errors import RunError, UserError

if TYPE_CHECKING:
    import torch

PREFIX = b"sha256:"
COMMENT_BYTES = len(PREFIX) + 2 * hashlib.sha256().digest_size
DAMAGED = ".damaged"
Name = Literal["last", "previous", "best"]


class Checkpoints:
    """The checkpoints of a run: last.pt, previous.pt (the one before it) and best.pt, in one folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist before the first checkpoint is written."""
        self.folder = folder

    def save_last(self, state: Mapping[str, Any]) -> None:
        """Write last.pt; what it was becomes previous.pt. One of them is whole at any moment. Raises RunError."""
        data = pack(state)
        if self.path("last").exists():
            keep_as(self.path("last"), self.path("previous"))
        write_atomically(self.path("last"), data)

    def save_best(self, state: Mapping[str, Any]) -> None:
        """Write best.pt. Raises RunError."""
        write_atomically(self.path("best"), pack(state))

    def load(self, name: Name, device: "torch.device | str" = "cpu") -> dict[str, Any]:
        """Return the state in `name`.pt with its tensors on `device`.

        Raises:
            UserError: there is no such checkpoint.
            RunError: it is damaged, or holds more than plain data.
        """
        path = self.path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"{self.folder.parent} has no checkpoint {name!r}") from None
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from None
        return unpack(data, str(path), device)

    def newest(self) -> tuple[dict[str, Any] | None, str | None]:
        """Return the state to go on from, None if there is none, and a warning if it is not that of last.pt.

        A last.pt that is damaged is set aside as last.pt.damaged, and previous.pt takes its place.

        Raises:
            RunError: there are checkpoints, but none that is whole.
        """
        last, previous = self.path("last"), self.path("previous")
        if not last.exists():
            if not previous.exists():
                return None, None
            keep_as(previous, last)
        try:
            return self.load("last"), None
        except RunError as error:
            try:
                state = self.load("previous")
            except UserError:
                raise RunError(f"{error}; there is no checkpoint before it") from None
            except RunError as also:
                raise RunError(f"{error}; {also}") from None
            aside = _free(last.with_name(last.name + DAMAGED))
            with write_errors(aside):
                os.replace(last, aside)
            keep_as(previous, last)
            return state, f"{error}; it is kept as {aside.name}, and the one before, {previous.name}, is used"

    def path(self, name: Name) -> Path:
        """Where a checkpoint is, or would be."""
        return self.folder / f"{name}.pt"


def _canonical(value: Any) -> Any:
    """A copy in which equal strings are one object and no container is in two places: pickle writes identities too."""
    if isinstance(value, Mapping):
        return {_canonical(key): _canonical(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_canonical, value))
    return sys.intern(value) if type(value) is str else value


def _free(path: Path) -> Path:
    """Return `path`, or with the first number at its end that makes it a new name."""
    names = itertools.chain([path], (path.with_name(f"{path.name}{number}") for number in itertools.count(2)))
    return next(name for name in names if not name.exists())


def pack(state: Mapping[str, Any]) -> bytes:
    """Serialise `state`: tensors, numbers, strings, and lists and dicts of them (what `weights_only` lets in).

    Equal states give equal bytes.
    """
    import torch

    buffer = io.BytesIO()
    torch.save(_canonical(state), buffer)
    archive = buffer.getbuffer()
    # A zip archive without a comment ends with the two bytes of the comment's length.
    content = bytes(archive[:-2]) + COMMENT_BYTES.to_bytes(2, "little")
    return content + PREFIX + hashlib.sha256(content).hexdigest().encode()


def unpack(data: bytes, source: str, device: "torch.device | str" = "cpu") -> dict[str, Any]:
    """Return the state in `data`, its tensors on `device`; no code in the file is ever run.

    Args:
        data: what `pack` returned.
        source: where it comes from, for the messages.
        device: where the tensors go.

    Raises:
        RunError: the data are cut short or changed, or hold objects that are no plain data.
    """
    import torch

    content, comment = data[:-COMMENT_BYTES], data[-COMMENT_BYTES:]
    if comment != PREFIX + hashlib.sha256(content).hexdigest().encode():
        raise RunError(f"checkpoint {source} is damaged: its checksum does not fit its content")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    except Exception as error:  # torch raises several kinds for a pickle that it refuses
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunError(f"checkpoint {source} cannot be loaded as plain data: {reason}") from None
    return state
