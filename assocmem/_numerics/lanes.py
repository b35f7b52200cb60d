"""Sixteen numbers at once, in one fixed order of operations, so that every machine gets the same floats.

Used within kernels; called from Python (kernels with the compiler switched off) they are plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

LANES = 16

F32X16 = ir.VectorType(ir.FloatType(), LANES)
I64 = ir.IntType(64)
_I32 = ir.VectorType(ir.IntType(32), LANES)


def lift_block(sums: Any, scales: Any, biases: Any, block: Any, terms: Any, scores: Any, at: int) -> None:
    """Sums of a block -> scores: ``(sum * terms[0] + terms[1]) * scale + bias``.

    ``sums``: uint16 (16,); ``scales``, ``biases``: uint16 (blocks, 16), bfloat16; ``terms``: float32 (2,); ``scores``:
    float32, filled from ``at`` to ``at + 15``.
    """
    for lane in range(LANES):
        scale, bias = (
            (np.asarray(short[block, lane], np.uint32) << np.uint32(16)).view(np.float32) for short in (scales, biases)
        )
        scores[at + lane] = (np.float32(sums[lane]) * terms[0] + terms[1]) * scale + bias


def lanes_above(scores: Any, at: int, floor: Any) -> int:
    """Which of ``scores[at : at + 16]``, float32, are above ``floor``: a word of 16 bits, the first one lowest."""
    return sum(int(scores[at + lane] > floor) << lane for lane in range(LANES))


def to_entries(values: Any, at: Any, per_step: Any, tables: Any, row: Any) -> None:
    """Round ``values[at : at + 16] * per_step + 63.5``, clipped to 0 to 127, into a row of uint8 (n, 16)."""
    for lane in range(LANES):
        entry = values[at + lane] * per_step + np.float32(64.0)
        tables[row, lane] = int(min(max(entry, np.float32(0.0)), np.float32(127.0)))


def to_signed_entries(values: Any, at: Any, per_step: Any, tables: Any, row: Any) -> None:
    """Do the same for eight values and then for what they are with the other sign."""
    both = [values[at + lane] for lane in range(8)] + [-values[at + lane] for lane in range(8)]
    to_entries(both, 0, per_step, tables, row)


def address(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Address of an array's first number."""
    return context.make_array(array_type)(context, builder, array).data


def row_address(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    """Address of a row's first number, in a C-contiguous array, and how many numbers there are in a row."""
    struct = context.make_array(array_type)(context, builder, array)
    length = builder.extract_value(struct.shape, 1)
    for axis in range(2, array_type.ndim):
        length = builder.mul(length, builder.extract_value(struct.shape, axis))
    return builder.gep(struct.data, [builder.mul(row, length)]), length


def sixteen(builder: Any, place: Any, element: Any, align: int) -> Any:
    """Load sixteen numbers from a place."""
    value = builder.load(builder.bitcast(place, ir.VectorType(element, LANES).as_pointer()))
    value.align = align
    return value


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(F32X16, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(F32X16, ir.Undefined), ir.Constant(_I32, [0] * LANES))


def _from_bfloat(builder: Any, shorts: Any) -> Any:
    wide = builder.shl(builder.zext(shorts, _I32), ir.Constant(_I32, [16] * LANES))
    return builder.bitcast(wide, F32X16)


@intrinsic
def _lift_block(typing_context, sums, scales, biases, block, terms, scores, at):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        i16, i64 = ir.IntType(16), ir.IntType(64)
        kinds = signature.args
        start = [address(context, builder, kinds[i], arguments[i]) for i in (0, 1, 2, 4, 5)]
        first = builder.mul(arguments[3], ir.Constant(i64, LANES))
        total = builder.uitofp(sixteen(builder, start[0], i16, 2), F32X16)
        scale = _from_bfloat(builder, sixteen(builder, builder.gep(start[1], [first]), i16, 2))
        bias = _from_bfloat(builder, sixteen(builder, builder.gep(start[2], [first]), i16, 2))
        step = _splat(builder, builder.load(start[3]))
        offset = _splat(builder, builder.load(builder.gep(start[3], [ir.Constant(i64, 1)])))
        product = builder.fadd(builder.fmul(total, step), offset)
        score = builder.fadd(builder.fmul(product, scale), bias)
        target = builder.gep(start[4], [arguments[6]])
        builder.store(score, builder.bitcast(target, F32X16.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(sums, scales, biases, types.int64, terms, scores, types.int64), generate


@intrinsic
def _lanes_above(typing_context, scores, at, floor):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        start = builder.gep(address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        above = builder.fcmp_ordered(">", sixteen(builder, start, ir.FloatType(), 4), _splat(builder, arguments[2]))
        return builder.zext(builder.bitcast(above, ir.IntType(16)), ir.IntType(64))

    return types.int64(scores, types.int64, types.float32), generate


def _store_entries(context: Any, builder: Any, value: Any, signature: Any, arguments: Any) -> None:
    """Scale, round and clip a vector, and store it as the last two arguments say."""

    def all_(constant: float) -> Any:
        return ir.Constant(F32X16, [constant] * LANES)

    target, _ = row_address(context, builder, signature.args[3], arguments[3], arguments[4])
    value = builder.fadd(builder.fmul(value, _splat(builder, arguments[2])), all_(64.0))
    value = builder.select(builder.fcmp_ordered(">", value, all_(0.0)), value, all_(0.0))
    value = builder.select(builder.fcmp_ordered("<", value, all_(127.0)), value, all_(127.0))
    whole = builder.trunc(builder.fptosi(value, _I32), ir.VectorType(ir.IntType(8), LANES))
    builder.store(whole, builder.bitcast(target, whole.type.as_pointer())).align = 1


@intrinsic
def _to_entries(typing_context, values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source = builder.gep(address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        _store_entries(context, builder, sixteen(builder, source, ir.FloatType(), 4), signature, arguments)
        return context.get_dummy_value()

    return types.void(values, types.int64, types.float32, tables, types.int64), generate


@intrinsic
def _to_signed_entries(typing_context, values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        eight = ir.VectorType(ir.FloatType(), 8)
        source = builder.gep(address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        value = builder.load(builder.bitcast(source, eight.as_pointer()))
        value.align = 4
        other = builder.fsub(ir.Constant(eight, [-0.0] * 8), value)
        both = builder.shuffle_vector(value, other, ir.Constant(_I32, list(range(LANES))))
        _store_entries(context, builder, both, signature, arguments)
        return context.get_dummy_value()

    return types.void(values, types.int64, types.float32, tables, types.int64), generate


@overload(to_signed_entries)
def _overloaded_signed(values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    return lambda values, at, per_step, tables, row: _to_signed_entries(values, at, per_step, tables, row)


@overload(to_entries)
def _overloaded_entries(values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    return lambda values, at, per_step, tables, row: _to_entries(values, at, per_step, tables, row)


@overload(lift_block)
def _overloaded_lift(sums, scales, biases, block, terms, scores, at):  # type: ignore[no-untyped-def]
    return lambda sums, scales, biases, block, terms, scores, at: _lift_block(
        sums, scales, biases, block, terms, scores, at
    )


@overload(lanes_above)
def _overloaded_above(scores, at, floor):  # type: ignore[no-untyped-def]
    return lambda scores, at, floor: _lanes_above(scores, at, floor)


def prefetch_row(matrix: Any, row: Any) -> None:
    """Ask for a row of an array to be brought near, as it is soon to be read."""


LONG_ROW = 1024
"""Bytes above which a row is brought into the second cache: the first has few places to wait for memory in, and a
third of the time goes when a long row does not take them all (and twice the time when a short one is not in it)."""


@intrinsic
def _prefetch_row(typing_context, matrix, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        i8, i32 = ir.IntType(8), ir.IntType(32)
        start, length = row_address(context, builder, signature.args[0], arguments[0], arguments[1])
        size = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
        pointer = builder.bitcast(start, i8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [i8.as_pointer(), i32, i32, i32])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        end = builder.mul(length, ir.Constant(I64, size))

        def fetch_all(cache: int) -> None:
            first, line = ir.Constant(I64, 0), ir.Constant(I64, 64)
            with cgutils.for_range_slice(builder, first, end, line, intp=I64) as (at, _):
                # read, into which cache (3 for the first), data
                builder.call(fetch, [builder.gep(pointer, [at]), *(ir.Constant(i32, v) for v in (0, cache, 1))])

        with builder.if_else(builder.icmp_signed(">", end, ir.Constant(I64, LONG_ROW))) as (long, short):
            with long:
                fetch_all(2)
            with short:
                fetch_all(3)
        return context.get_dummy_value()

    return types.void(matrix, types.int64), generate


@overload(prefetch_row)
def _overloaded_prefetch(matrix, row):  # type: ignore[no-untyped-def]
    return lambda matrix, row: _prefetch_row(matrix, row)
