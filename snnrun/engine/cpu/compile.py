"""Compilation of the engine's loops by numba."""

import itertools
import os
import secrets
from collections.abc import Callable
from typing import Any

import numba
from numba import types
from numba.core import cgutils
from numba.core.bytecode import FunctionIdentity
from numba.extending import intrinsic

from snnrun.engine.cpu.code_cache import CodeCache

# Products and sums may be fused, and -0 be 0; no reordering, so that a spike falls as in the reference engine.
FASTMATH = {"contract", "nsz"}


def _count_from_anywhere() -> None:
    """Let no other process give the names of functions that this one will.

    numba tells functions of one name apart by a count, from 1 in every process. Kernels that were compiled in different
    processes would then have symbols in common, and the first to be loaded would be run in the place of the second.
    """
    FunctionIdentity._unique_ids = itertools.count(secrets.randbits(60))


_count_from_anywhere()
os.register_at_fork(after_in_child=_count_from_anywhere)


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
        dispatcher._cache = CodeCache(function, name)
        return dispatcher

    return decorate
