"""Compilation of the engine's loops by numba, and the cache of compiled code on disk.

numba's own cache looks at one source file only and never finds functions again that were made for a neuron model. Here
the folder is named after the content of all sources of the engine, so it never goes stale, an entry after the model.
"""

import hashlib
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core import caching, cgutils
from numba.extending import intrinsic

from snnrun.data.cache import folder

log = logging.getLogger(__name__)

# Products and sums may be fused, and -0 be 0; no reordering, so that a spike falls as in the reference engine.
FASTMATH = {"contract", "nsz"}


def row_function(function: Callable[..., Any]) -> Any:
    """Compile a loop over the neurons of rows that do not overlap.

    Without that promise to LLVM it would have to compare too many addresses and not use vectors. numba knows the flag
    but gives no option for it.
    """
    dispatcher = inner_function(function)
    dispatcher._compiler._customize_flags = _promise_separate
    return dispatcher


def _promise_separate(flags: Any) -> Any:
    flags.noalias = True
    return flags


def inner_function(function: Callable[..., Any]) -> Any:
    """Compile a function that other compiled functions call."""
    return numba.njit(function, nogil=True, fastmath=FASTMATH, error_model="numpy")


@intrinsic
def unowned(typing_context, values):  # type: ignore[no-untyped-def]
    """The same tuple of values, with arrays that do not count who holds them.

    A view of a row would else be counted in and out in one atomic operation each, which takes as long as adding it.
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        result = args[0]
        for k, kind in enumerate(signature.args[0]):
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, builder.extract_value(result, k))
                array.meminfo = cgutils.get_null_value(array.meminfo.type)
                array.parent = cgutils.get_null_value(array.parent.type)
                result = builder.insert_value(result, array._getvalue(), k)
        return result

    return values(values), generate


def kernel(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that Python calls, and keep the code on disk under `name`, unique within the engine.

    Python holds its arrays while it runs; it must not return one of them.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        inner = inner_function(function)
        dispatcher = inner_function(lambda *values: inner(*unowned(values)))
        dispatcher._cache = _Cache(function, name)
        return dispatcher

    return decorate


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


class _Cache(caching.FunctionCache):
    """Cache of one kernel. A cache that cannot be read or written costs a compilation, nothing else."""

    _impl_class = _Implementation

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        super().__init__(function)
        self._kernel_name = name
        self._cache_file = caching.IndexDataCacheFile(self._impl.locator.get_cache_path(), name, "")

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kept code, or None, and then say that there will be a wait."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception as error:
            log.debug("unreadable compiled code of %s: %s", self._kernel_name, error)
            found = None
            with suppress(OSError):
                self._cache_file.flush()  # an empty list of what is kept, in place of the damaged one
        if found is None:
            log.warning("compiling %s of the CPU engine, once on this machine: about 10 s", self._kernel_name)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code; where that is impossible the next process compiles again."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.debug("compiled code of %s not kept: %s", self._kernel_name, error)
