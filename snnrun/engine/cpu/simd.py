"""What the engine needs of the processor's vectors that plain loops do not give: LLVM instructions."""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# A panel is as many numbers as fill 64 bytes: one register of AVX-512, two of AVX, four of NEON.
PANEL_BYTES = 64
# Rows are padded to a multiple of so many numbers, whole panels of any type.
LANES = 16
_features = binding.get_host_cpu_features() if binding.get_process_triple().startswith(("x86", "i")) else {}
REGISTER_BYTES = 64 if _features.get("avx512f") else 32 if _features.get("avx") else 16
# Rows of a tile: 16 sums in registers for AVX-512 (of 32), 12 for AVX (of 16), 16 for others of 32.
TILE_ROWS = 16 if REGISTER_BYTES == 64 else 4
# Columns of a tile: with AVX 12 sums, as 8 would have to follow one another without a gap.
TILE_BYTES = 96 if REGISTER_BYTES == 32 else PANEL_BYTES


def pointer_to(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Pointer to the element `offset` of a contiguous array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


def _lanes(numbers: range) -> Any:
    """Which lanes a shuffle takes."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


def spread(builder: Any, scalar: Any, vector: Any) -> Any:
    """A vector with the scalar in every lane."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


def tile_of(vectors: int) -> Any:
    """Make the product of a tile of TILE_ROWS rows and as many columns as fill so many vectors."""

    @intrinsic
    def multiply(typing_context, a, a_start, a_stride, b, b_start, c, c_start, c_stride, depth, accumulate):  # type: ignore[no-untyped-def]
        """c[m, n] = (c[m, n] if accumulate else 0) + sum over k < depth of a[m, k] b[k, n], for one tile.

        Its sums stay in registers. a, b, c are flat contiguous arrays; the tile begins at the element `*_start`, rows
        of a and c are `*_stride` elements apart, those of b as many as the tile has columns.
        """
        element = a.dtype
        signature = types.void(
            a, types.intp, types.intp, b, types.intp, c, types.intp, types.intp, types.intp, types.boolean
        )
        size = element.bitwidth // 8
        lanes = REGISTER_BYTES // size

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            a_row = pointer_to(context, builder, signature.args[0], args[0], args[1])
            b_row = pointer_to(context, builder, signature.args[3], args[3], args[4])
            c_row = pointer_to(context, builder, signature.args[5], args[5], args[6])
            a_stride, c_stride, depth, accumulate = args[2], args[7], args[8], args[9]
            number = lambda k: ir.Constant(depth.type, k)  # noqa: E731
            vector = ir.VectorType(context.get_value_type(element), lanes)
            fma = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f{element.bitwidth}"
            )

            def at(row: Any, offset: Any) -> Any:
                return builder.bitcast(builder.gep(row, [offset]), vector.as_pointer())

            places = [
                at(c_row, builder.add(builder.mul(c_stride, number(m)), number(v * lanes)))
                for m in range(TILE_ROWS) for v in range(vectors)
            ]  # fmt: skip
            # Variables on the stack that LLVM turns into registers, since every index into them is a constant.
            sums = [cgutils.alloca_once(builder, vector) for _ in places]
            with builder.if_else(accumulate) as (then, otherwise):
                with then:
                    for place, total in zip(places, sums, strict=True):
                        builder.store(builder.load(place, align=size), total)
                with otherwise:
                    for total in sums:
                        builder.store(ir.Constant(vector, [0.0] * lanes), total)
            with cgutils.for_range(builder, depth) as loop:
                k = loop.index
                panel = builder.mul(k, number(vectors * lanes))
                factors = [
                    builder.load(at(b_row, builder.add(panel, number(v * lanes))), align=size) for v in range(vectors)
                ]
                for m in range(TILE_ROWS):
                    scalar = builder.load(builder.gep(a_row, [builder.add(builder.mul(a_stride, number(m)), k)]))
                    factor = spread(builder, scalar, vector)
                    for v in range(vectors):
                        total = sums[m * vectors + v]
                        builder.store(builder.call(fma, [factor, factors[v], builder.load(total)]), total)
            for place, total in zip(places, sums, strict=True):
                builder.store(builder.load(total), place, align=size)
            return context.get_dummy_value()

        return signature, generate

    return multiply


def bits_of(comparison: str, absolute: bool) -> Any:
    """Make the comparison of a panel with a bound, of its numbers or of their absolute values."""

    @intrinsic
    def bits(typing_context, x, start, bound):  # type: ignore[no-untyped-def]
        """Integer whose bit k says how x[start + k] compares with `bound`, for one panel; x is flat and contiguous."""
        element = x.dtype
        lanes = PANEL_BYTES * 8 // element.bitwidth

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            vector = ir.VectorType(context.get_value_type(element), lanes)
            place = pointer_to(context, builder, signature.args[0], args[0], args[1])
            values = builder.load(builder.bitcast(place, vector.as_pointer()), align=element.bitwidth // 8)
            if absolute:
                name = f"llvm.fabs.v{lanes}f{element.bitwidth}"
                size = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), name)
                values = builder.call(size, [values])
            found = builder.fcmp_ordered(comparison, values, spread(builder, args[2], vector))
            return builder.zext(builder.bitcast(found, ir.IntType(lanes)), ir.IntType(64))

        return types.uint64(x, types.intp, element), generate

    return bits


@intrinsic
def dot(typing_context, a, a_start, b, b_start, panels):  # type: ignore[no-untyped-def]
    """Sum of a[a_start + k] b[b_start + k] over so many panels; a and b are flat and contiguous.

    A sum for every lane, and then over the lanes in halves.
    """
    element = a.dtype
    lanes = PANEL_BYTES * 8 // element.bitwidth

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(context.get_value_type(element), lanes)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f{element.bitwidth}"
        )
        a_row = pointer_to(context, builder, signature.args[0], args[0], args[1])
        b_row = pointer_to(context, builder, signature.args[2], args[2], args[3])
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * lanes))
        with cgutils.for_range(builder, args[4]) as loop:
            offset = builder.mul(loop.index, ir.Constant(loop.index.type, lanes))
            pair = [
                builder.load(
                    builder.bitcast(builder.gep(row, [offset]), vector.as_pointer()), align=element.bitwidth // 8
                )
                for row in (a_row, b_row)
            ]
            builder.store(builder.call(fma, [*pair, builder.load(total)]), total)
        result = builder.load(total)
        while lanes_left := result.type.count // 2:
            low = builder.shuffle_vector(result, result, _lanes(range(lanes_left)))
            high = builder.shuffle_vector(result, result, _lanes(range(lanes_left, 2 * lanes_left)))
            result = builder.fadd(low, high)
        return builder.extract_element(result, ir.Constant(ir.IntType(32), 0))

    return element(a, types.intp, b, types.intp, types.intp), generate


@intrinsic
def add_four_dots(typing_context, c, c_start, a, a_start, b, b_start, depth, row, first, panels):  # type: ignore[no-untyped-def]
    """c[c_start + n] += sum over k of a[a_start + k] b[b_start + n * depth + k], for n = row[first] ... row[first + 3].

    The sums go over so many panels; c, a and b are flat and contiguous. Four sums for each lane, then over the lanes of
    all four together.
    """
    element = a.dtype
    lanes, size = PANEL_BYTES * 8 // element.bitwidth, element.bitwidth // 8
    signature = types.void(
        c, types.intp, a, types.intp, b, types.intp, types.intp, row, types.intp, types.intp
    )  # fmt: skip

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(context.get_value_type(element), lanes)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f{element.bitwidth}"
        )
        number = lambda k: ir.Constant(args[8].type, k)  # noqa: E731
        goal = pointer_to(context, builder, signature.args[0], args[0], args[1])
        a_row = pointer_to(context, builder, signature.args[2], args[2], args[3])
        table = pointer_to(context, builder, signature.args[4], args[4], args[5])
        places = [
            builder.zext(
                builder.load(pointer_to(context, builder, signature.args[7], args[7], builder.add(args[8], number(j)))),
                args[8].type,
            )
            for j in range(4)
        ]
        rows = [builder.gep(table, [builder.mul(place, args[6])]) for place in places]
        totals = [cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * lanes)) for _ in rows]

        def load(row: Any, offset: Any) -> Any:
            return builder.load(builder.bitcast(builder.gep(row, [offset]), vector.as_pointer()), align=size)

        with cgutils.for_range(builder, args[9]) as loop:
            offset = builder.mul(loop.index, number(lanes))
            factor = load(a_row, offset)
            for row, total in zip(rows, totals, strict=True):
                builder.store(builder.call(fma, [factor, load(row, offset), builder.load(total)]), total)

        def take(x: Any, y: Any, lanes: list[int]) -> Any:
            return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))

        def add_halves(x: Any, y: Any, parts: int) -> Any:
            """Of vectors of so many parts: the sum of the halves of each part of x, then of those of y."""
            part = x.type.count // parts
            lower = [part * k + lane for k in range(parts) for lane in range(part // 2)]
            lower += [x.type.count + lane for lane in lower]
            return builder.fadd(take(x, y, lower), take(x, y, [lane + part // 2 for lane in lower]))

        sums = [builder.load(total) for total in totals]
        result = add_halves(add_halves(sums[0], sums[1], 1), add_halves(sums[2], sums[3], 1), 2)
        while (part := result.type.count // 4) > 1:
            lower = [part * k + lane for k in range(4) for lane in range(part // 2)]
            result = builder.fadd(
                take(result, result, lower), take(result, result, [lane + part // 2 for lane in lower])
            )
        for j, place in enumerate(places):
            target = builder.gep(goal, [place])
            total = builder.extract_element(result, ir.Constant(ir.IntType(32), j))
            builder.store(builder.fadd(builder.load(target), total), target)
        return context.get_dummy_value()

    return signature, generate


def gather_of(panels: int) -> Any:
    """Make the sum of parts of rows, so many panels wide, that stays in registers until all rows are added."""

    @intrinsic
    def gather(typing_context, total, total_start, table, table_start, stride, row, first, last):  # type: ignore[no-untyped-def]
        """total[total_start + n] += sum over first <= e < last of table[table_start + row[e] * stride + n].

        n goes over the panels; total and table are flat and contiguous.
        """
        element = total.dtype
        signature = types.void(total, types.intp, table, types.intp, types.intp, row, types.intp, types.intp)
        size = element.bitwidth // 8
        lanes = REGISTER_BYTES // size
        vectors = panels * PANEL_BYTES // REGISTER_BYTES

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            base = pointer_to(context, builder, signature.args[2], args[2], args[3])
            vector = ir.VectorType(context.get_value_type(element), lanes)

            def at(row: Any, v: int) -> Any:
                return builder.bitcast(builder.gep(row, [ir.Constant(args[1].type, v * lanes)]), vector.as_pointer())

            goal = pointer_to(context, builder, signature.args[0], args[0], args[1])
            places = [at(goal, v) for v in range(vectors)]
            sums = [cgutils.alloca_once_value(builder, builder.load(place, align=size)) for place in places]
            with cgutils.for_range(builder, args[7], start=args[6]) as loop:
                index = builder.load(pointer_to(context, builder, signature.args[5], args[5], loop.index))
                source = builder.gep(base, [builder.mul(builder.sext(index, args[4].type), args[4])])
                for v, total in enumerate(sums):
                    value = builder.load(at(source, v), align=size)
                    builder.store(builder.fadd(builder.load(total), value), total)
            for place, total in zip(places, sums, strict=True):
                builder.store(builder.load(total), place, align=size)
            return context.get_dummy_value()

        return signature, generate

    return gather


@intrinsic
def trailing_zeros(typing_context, bits):  # type: ignore[no-untyped-def]
    """Number of the lowest bit of a uint64 that is set; undefined for 0."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), generate


@intrinsic
def power_of_two(typing_context, exponent):  # type: ignore[no-untyped-def]
    """2 ** exponent for a whole number in floating point that has a normal result, made from its bits."""
    mantissa, bias = (23, 127) if exponent is types.float32 else (52, 1023)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        integer = ir.IntType(exponent.bitwidth)
        whole = builder.fptosi(args[0], integer)
        bits = builder.shl(builder.add(whole, ir.Constant(integer, bias)), ir.Constant(integer, mantissa))
        return builder.bitcast(bits, args[0].type)

    return exponent(exponent), generate
