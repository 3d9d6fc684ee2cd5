"""Vector instructions for delayed connections; see `snnrun.engine.cpu.late`."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from snnrun.engine.cpu.simd import PANEL_BYTES, pointer_to, spread

ANY = 4  # alignment of numbers in bytes, of any type


def _vectors_of(context: Any, builder: Any, signature: Any, lanes: int) -> Any:
    """(args, k, place) -> pointer to the vector of `lanes` numbers at `place` of the array that is argument k."""

    def at(args: Any, k: int, place: Any) -> Any:
        kind = signature.args[k]
        vector = ir.VectorType(context.get_value_type(kind.dtype), lanes).as_pointer()
        return builder.bitcast(pointer_to(context, builder, kind, args[k], place), vector)

    return at


def gather_of(lanes: int, sources: int) -> Any:
    """Make the sum of vectors of so many numbers from so many places."""

    @intrinsic
    def gather(typing_context, target, goal, source, places):  # type: ignore[no-untyped-def]
        """target[goal + k] += the sum of source[place + k] over `places`, for k < lanes; both are flat."""

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            at = _vectors_of(context, builder, signature, lanes)
            goal = at(args, 0, args[1])
            terms = [goal, *(at(args, 2, builder.extract_value(args[3], k)) for k in range(sources))]
            values = [builder.load(term, align=ANY) for term in terms]
            while len(values) > 1:
                values = [*values[2:], builder.fadd(values[0], values[1])]
            builder.store(values[0], goal, align=ANY)
            return context.get_dummy_value()

        return types.void(target, types.intp, source, types.UniTuple(types.intp, sources)), generate

    return gather


def scatter_of(lanes: int, goals: int) -> Any:
    """Make the addition of a vector of so many numbers at so many places."""

    @intrinsic
    def scatter(typing_context, target, goals_at, source, place):  # type: ignore[no-untyped-def]
        """target[goal + k] += source[place + k] for one after the other of `goals_at`, and k < lanes; both are flat."""

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            at = _vectors_of(context, builder, signature, lanes)
            value = builder.load(at(args, 2, args[3]), align=ANY)
            for k in range(goals):
                goal = at(args, 0, builder.extract_value(args[1], k))
                builder.store(builder.fadd(builder.load(goal, align=ANY), value), goal, align=ANY)
            return context.get_dummy_value()

        return types.void(target, types.UniTuple(types.intp, goals), source, types.intp), generate

    return scatter


def add_arrivals_of(unrolled: bool) -> Any:
    """Make the weighted sum over arrivals, for all samples of a panel at once."""

    @intrinsic
    def add_arrivals(typing_context, total, at, ahead, step, lanes, lane, offsets, place, flat, weight, count, taps):  # type: ignore[no-untyped-def]
        """total[at + m] += sum over n < count, r < taps of w[n, r] ahead[offsets[n] + step + r, lane + m], for a panel.

        w begins at `weight` in `flat`, the offsets at `place`. Unrolled, taps are 2.
        """
        element = total.dtype
        size = element.bitwidth // 8
        width = PANEL_BYTES // size
        signature = types.void(
            total, types.intp, ahead, types.intp, types.intp, types.intp, offsets, types.intp, flat, types.intp,
            types.intp, types.intp,
        )  # fmt: skip

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            kinds = signature.args
            at, step, lanes, lane, place, weight, count, taps = (args[k] for k in (1, 3, 4, 5, 7, 9, 10, 11))
            vector = ir.VectorType(context.get_value_type(element), width)
            fma = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{width}f{element.bitwidth}"
            )
            goal = builder.bitcast(pointer_to(context, builder, kinds[0], args[0], at), vector.as_pointer())
            arrivals = pointer_to(context, builder, kinds[2], args[2], lane)
            delays = pointer_to(context, builder, kinds[6], args[6], place)
            weights = pointer_to(context, builder, kinds[8], args[8], weight)
            total = cgutils.alloca_once_value(builder, builder.load(goal, align=size))

            def add(n: Any, start: Any, r: Any) -> None:
                scalar = builder.load(builder.gep(weights, [builder.add(builder.mul(n, taps), r)]))
                row = builder.gep(arrivals, [builder.mul(builder.add(start, r), lanes)])
                factor = builder.load(builder.bitcast(row, vector.as_pointer()), align=size)
                builder.store(builder.call(fma, [spread(builder, scalar, vector), factor, builder.load(total)]), total)

            with cgutils.for_range(builder, count) as loop:
                n = loop.index
                start = builder.add(builder.sext(builder.load(builder.gep(delays, [n])), step.type), step)
                if unrolled:
                    for r in range(2):
                        add(n, start, ir.Constant(step.type, r))
                else:
                    with cgutils.for_range(builder, taps) as inner:
                        add(n, start, inner.index)
            builder.store(builder.load(total), goal, align=size)
            return context.get_dummy_value()

        return signature, generate

    return add_arrivals
