"""Checkpoints as bytes: what torch.save writes, with a checksum as the comment of the zip archive.

A comment belongs to the zip format, so `torch.load` and `unzip` read the file as they would without it; and unlike a
file beside the checkpoint, it can never be of another moment than the checkpoint itself.
"""

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snnrun.errors import RunError

if TYPE_CHECKING:
    import torch

PREFIX = b"sha256:"
COMMENT_BYTES = len(PREFIX) + 2 * hashlib.sha256().digest_size


def pack(state: Mapping[str, Any]) -> bytes:
    """Serialise `state`: tensors, numbers, strings, and lists and dicts of them (what `weights_only` lets in)."""
    import torch

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
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
