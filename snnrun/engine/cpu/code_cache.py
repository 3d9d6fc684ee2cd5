"""The cache of compiled code on disk.

numba's own cache looks at one source file only and never finds functions again that were made for a neuron model. Here
the folder is named after the content of all sources of the engine, so it never goes stale. There is a file for each
kernel, types of its arguments and processor: however many processes compile at once, a file holds what its name says.
"""

import hashlib
import logging
import pickle
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching
from numba.core.serialize import dumps

from snnrun.data.cache import folder, write_shared

log = logging.getLogger(__name__)


@cache
def _sources_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _Locator(caching._CacheLocator):
    """Says where a function's compiled code is kept."""

    def get_cache_path(self) -> str:
        python = f"python-{sys.version_info.major}.{sys.version_info.minor}"
        return str(folder() / "engine" / f"{_sources_digest()}-{python}-numba-{numba.__version__}")

    def get_source_stamp(self) -> str:
        return ""

    def get_disambiguator(self) -> str:
        return ""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator":
        return cls()


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = (_Locator,)


class _Files:
    """The files of a kernel, in the place of numba's index and numbered files."""

    def __init__(self, where: Path, name: str) -> None:
        self._where = where
        self._name = name

    def load(self, key: object) -> Any:
        """What was saved under `key`, or None."""
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        return pickle.loads(data)

    def save(self, key: object, data: object) -> None:
        """Keep `data` under `key`, whole or not at all."""
        write_shared(self._path(key), lambda file: file.write(dumps(data)))

    def _path(self, key: object) -> Path:
        return self._where / f"{self._name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"


class CodeCache(caching.FunctionCache):
    """Cache of one kernel. A cache that cannot be read or written costs a compilation, nothing else."""

    _impl_class = _Implementation

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        """`name` is unique within the engine."""
        super().__init__(function)
        self._kernel_name = name
        self._cache_file = _Files(Path(self._impl.locator.get_cache_path()), name)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kept code, or None, and then say that there will be a wait."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception as error:
            log.debug("unreadable compiled code of %s: %s", self._kernel_name, error)
            found = None
        if found is None:
            log.warning("compiling %s of the CPU engine, once on this machine: about 10 s", self._kernel_name)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code; where that is impossible the next process compiles again."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.debug("compiled code of %s not kept: %s", self._kernel_name, error)
