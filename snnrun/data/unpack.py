"""Packed files (.gz, .xz, .zip) made plain for a reader that needs a file on the disk."""

import contextlib
import gzip
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from snnrun.errors import RunError, UserError

_BLOCK = 1 << 20
_BAD_PACKING = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The plain file: `path` itself, or a temporary copy where its first bytes say that it is packed.

    Raises:
        UserError: the packed data is damaged or cut short, or a .zip holds more than one file.
        RunError: there is no room for the temporary copy.
    """
    with contextlib.ExitStack() as stack:
        try:
            packed = _open_packed(path, stack)
        except (OSError, *_BAD_PACKING) as error:
            raise UserError(f"{path}: cannot be unpacked ({error})") from None
        if packed is None:
            yield path
            return
        plain = stack.enter_context(tempfile.NamedTemporaryFile(prefix="snnrun-", suffix=".plain"))
        _copy(packed, plain, path)
        yield Path(plain.name)


def _open_packed(path: Path, stack: contextlib.ExitStack) -> _Readable | None:
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return stack.enter_context(gzip.open(path, "rb"))
    if start == b"\xfd7zXZ\x00":
        return stack.enter_context(lzma.open(path, "rb"))
    if not start.startswith(b"PK\x03\x04"):
        return None
    archive = stack.enter_context(zipfile.ZipFile(path))
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise zipfile.BadZipFile(f"the archive holds {len(members)} files; expected one")
    return stack.enter_context(archive.open(members[0]))


def _copy(packed: _Readable, plain: IO[bytes], path: Path) -> None:
    while True:
        try:
            block = packed.read(_BLOCK)
        except (OSError, *_BAD_PACKING) as error:
            raise UserError(f"{path}: is damaged or cut short ({error})") from None
        try:
            plain.write(block)
            plain.flush()
        except OSError as error:
            folder = Path(plain.name).parent
            raise RunError(f"{path}: cannot be unpacked into {folder} ({error.strerror})") from None
        if not block:
            return
