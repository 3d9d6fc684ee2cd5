"""Downloads that can be trusted: resumed where they broke off, checked before anything is moved into place."""

import functools
import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO, TextIO

from snnrun.data.downloads import DOWNLOADS, Download
from snnrun.data.locate import root_of
from snnrun.errors import RunError, UserError
from snnrun.registry import did_you_mean

Report = Callable[[str, int, int | None], None]
"""Told of progress: name of the file, bytes so far, bytes in all or None where the server does not say."""

ATTEMPTS = 3  # at each place; each goes on where the last broke off
STALL_S = 30.0  # without a byte, after which an attempt is given up
_BLOCK = 1 << 17
_RANGE_NOT_SATISFIABLE = 416


class _FailedError(Exception):
    """One attempt failed; the next may not."""


class Told:
    """Reports progress to a person: a line kept up to date on a terminal, elsewhere one for each tenth."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ("", -1)

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Tell that `done` of `total` bytes of `name` are there."""
        terminal = self._stream.isatty()
        step = done * (100 if terminal else 10) // total if total else done // (1 << 20 if terminal else 1 << 25)
        if (name, step) == self._last:
            return
        self._last = (name, step)
        size = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"
        finished = total is not None and done >= total
        start, end = ("\r", "\n" if finished else "") if terminal else ("", "\n")
        print(f"{start}{name}: {size}", end=end, file=self._stream, flush=True)


def fetch(download: Download, folder: Path, report: Report) -> Path:
    """Bring one file into `folder`, unpacked if it is an archive; what is there already is left alone.

    Proxies are taken from the environment (http_proxy, https_proxy, no_proxy).

    Returns:
        The file, or the folder that the archive unpacked into.

    Raises:
        UserError: the archive holds what it should not.
        RunError: no place gave the right file, or it could not be written; tells what to bring from where.
    """
    target = folder / (download.folder or download.name)
    if target.exists():
        return target
    part = folder / f"{download.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _bring(download, part, report)
        if download.folder is None:
            os.replace(part, target)
        else:
            unpack_archive(part, target)
            part.unlink()
    except OSError as error:
        raise RunError(f"{part}: cannot be written ({error.strerror or error})") from None
    return target


def fetch_all(name: str, root: str | None, report: Report) -> list[Path]:
    """Bring all files of data set `name` into folder `root` (None: where `dataset.root=null` looks); return them.

    Raises UserError where there is nothing to fetch for it, and what `fetch` raises.
    """
    if name not in DOWNLOADS:
        raise UserError(
            f"{name}: there is nothing to fetch; one of {', '.join(DOWNLOADS)}{did_you_mean(name, DOWNLOADS)}"
        )
    folder = root_of(name, root)
    return [fetch(download, folder, report) for download in DOWNLOADS[name]]


def _bring(download: Download, part: Path, report: Report) -> None:
    """Leave the checked file at `part`."""
    failures = []
    for url in download.urls:
        for _ in range(ATTEMPTS):
            resumed = part.exists()
            try:
                _attempt(url, part, lambda done, total: report(download.name, done, total))
                _check(part, download.md5)
                return
            except _FailedError as failure:
                failures.append(f"{url}: {failure}")
            if not resumed and not part.exists():
                break  # it gave a whole file, and a wrong one
    reasons = "; ".join(dict.fromkeys(failures))
    raise RunError(
        f"{download.name} could not be fetched ({reasons}); on a machine with a network bring {download.urls[0]} "
        f"and put it {'unpacked ' if download.folder else ''}into {part.parent}"
    )


def _attempt(url: str, part: Path, report: Callable[[int, int | None], None]) -> None:
    """Add to `part` what it lacks; raises _FailedError where the file is not whole after it."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "snnrun"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.build_opener().open(request, timeout=STALL_S) as response:
            start, total = _place(response, have)
            with open(part, "r+b" if start else "wb") as file:
                file.seek(start)
                done = _copy(response, file, start, total, report)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            return  # the file is whole already, or longer than it should be: the checksum tells
        raise _FailedError(f"the server says {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _FailedError(str(error.reason)) from None
    except (TimeoutError, HTTPException, ConnectionError) as error:
        raise _FailedError(str(error) or type(error).__name__) from None
    if total is not None and done != total:
        raise _FailedError(f"broke off after {done} of {total} bytes")


def _place(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the bytes of the answer belong, and how many the file has in all."""
    length = response.headers.get("Content-Length")
    size = int(length) if length and length.isdecimal() else None
    if response.status != 206:
        return 0, size  # the server does not know ranges and sends it all
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    first, _, whole = span.partition("/")
    if unit != "bytes" or first.partition("-")[0] != str(have):
        raise _FailedError(f"the server sent another part than asked for ({span or 'none'})")
    return have, int(whole) if whole.isdecimal() else None


def _copy(
    response: HTTPResponse,
    file: IO[bytes],
    done: int,
    total: int | None,
    report: Callable[[int, int | None], None],
) -> int:
    """Write what arrives, at once, so that nothing is lost when the next byte does not; returns the size so far."""
    while True:
        try:
            block = response.read1(_BLOCK)
        except (OSError, HTTPException) as error:
            raise _FailedError(f"broke off after {done} bytes ({error})") from None
        if not block:
            return done
        file.write(block)
        done += len(block)
        report(done, total)


def _check(part: Path, md5: str | None) -> None:
    """Delete the file and raise _FailedError unless it has the checksum."""
    with open(part, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 is not None and found != md5:
        part.unlink()
        raise _FailedError(f"a wrong file, its MD5 is {found} and not {md5}")


def unpack_archive(archive: Path, target: Path) -> None:
    """Unpack from a .zip or .tar.gz the folder that has the name of `target`, which appears whole or not at all.

    Raises:
        UserError: the archive is none, has no such folder, or a name in it leads out of it.
    """
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        inside = Path(scratch) / target.name
        try:
            for name, content in _members(archive):
                _unpack_member(archive, name, content, inside)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
            raise UserError(f"{archive}: damaged, or no .zip or .tar.gz ({error}); delete it and try again") from None
        if not inside.exists():
            raise UserError(f"{archive}: holds no folder {target.name}")
        os.replace(inside, target)


_Open = Callable[[], IO[bytes] | None]


def _members(archive: Path) -> Iterator[tuple[str, _Open]]:
    """Names of the files in an archive, each with what opens it; None is opened for a link."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                if not member.is_dir():
                    yield member.filename, functools.partial(packed.open, member)
        return
    with tarfile.open(archive) as tape:
        for entry in tape:
            if not entry.isdir():
                yield entry.name, functools.partial(tape.extractfile, entry) if entry.isfile() else _no_file


def _no_file() -> None:
    return None


def _unpack_member(archive: Path, name: str, content: _Open, inside: Path) -> None:
    """Write one member below `inside`, if it belongs to the folder of that name."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise UserError(f"{archive}: holds the name {name!r}, which leads out of it; nothing was unpacked")
    if inside.name not in path.parts[:-1]:
        return
    source = content()
    if source is None:
        raise UserError(f"{archive}: {name!r} is no plain file; nothing was unpacked")
    target = inside.joinpath(*path.parts[path.parts.index(inside.name) + 1 :])
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, open(target, "wb") as file:
        shutil.copyfileobj(source, file)
