"""Sixteen numbers at once, in one fixed order of operations, so that every machine gets the same floats.

Used within kernels; called from Python (kernels with the compiler switched off) they are plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

LANES = 16

_F32 = ir.VectorType(ir.FloatType(), LANES)
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


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    return context.make_array(array_type)(context, builder, array).data


def _row(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    """Address of a row's first number, in a C-contiguous array, and how many numbers there are in a row."""
    struct = context.make_array(array_type)(context, builder, array)
    length = builder.extract_value(struct.shape, 1)
    for axis in range(2, array_type.ndim):
        length = builder.mul(length, builder.extract_value(struct.shape, axis))
    return builder.gep(struct.data, [builder.mul(row, length)]), length


def _sixteen(builder: Any, address: Any, element: Any, align: int) -> Any:
    value = builder.load(builder.bitcast(address, ir.VectorType(element, LANES).as_pointer()))
    value.align = align
    return value


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_F32, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_F32, ir.Undefined), ir.Constant(_I32, [0] * LANES))


def _from_bfloat(builder: Any, shorts: Any) -> Any:
    wide = builder.shl(builder.zext(shorts, _I32), ir.Constant(_I32, [16] * LANES))
    return builder.bitcast(wide, _F32)


@intrinsic
def _lift_block(typing_context, sums, scales, biases, block, terms, scores, at):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        i16, i64 = ir.IntType(16), ir.IntType(64)
        kinds = signature.args
        start = [_data(context, builder, kinds[i], arguments[i]) for i in (0, 1, 2, 4, 5)]
        first = builder.mul(arguments[3], ir.Constant(i64, LANES))
        total = builder.uitofp(_sixteen(builder, start[0], i16, 2), _F32)
        scale = _from_bfloat(builder, _sixteen(builder, builder.gep(start[1], [first]), i16, 2))
        bias = _from_bfloat(builder, _sixteen(builder, builder.gep(start[2], [first]), i16, 2))
        step = _splat(builder, builder.load(start[3]))
        offset = _splat(builder, builder.load(builder.gep(start[3], [ir.Constant(i64, 1)])))
        product = builder.fadd(builder.fmul(total, step), offset)
        score = builder.fadd(builder.fmul(product, scale), bias)
        target = builder.gep(start[4], [arguments[6]])
        builder.store(score, builder.bitcast(target, _F32.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(sums, scales, biases, types.int64, terms, scores, types.int64), generate


@intrinsic
def _lanes_above(typing_context, scores, at, floor):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        start = builder.gep(_data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        above = builder.fcmp_ordered(">", _sixteen(builder, start, ir.FloatType(), 4), _splat(builder, arguments[2]))
        return builder.zext(builder.bitcast(above, ir.IntType(16)), ir.IntType(64))

    return types.int64(scores, types.int64, types.float32), generate


@intrinsic
def _to_entries(typing_context, values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        def all_(value: float) -> Any:
            return ir.Constant(_F32, [value] * LANES)

        source = builder.gep(_data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        target, _ = _row(context, builder, signature.args[3], arguments[3], arguments[4])
        value = builder.fmul(_sixteen(builder, source, ir.FloatType(), 4), _splat(builder, arguments[2]))
        value = builder.fadd(value, all_(64.0))
        value = builder.select(builder.fcmp_ordered(">", value, all_(0.0)), value, all_(0.0))
        value = builder.select(builder.fcmp_ordered("<", value, all_(127.0)), value, all_(127.0))
        whole = builder.trunc(builder.fptosi(value, _I32), ir.VectorType(ir.IntType(8), LANES))
        builder.store(whole, builder.bitcast(target, whole.type.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(values, types.int64, types.float32, tables, types.int64), generate


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


@intrinsic
def _prefetch_row(typing_context, matrix, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        from numba.core import cgutils

        i8, i32, i64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
        start, length = _row(context, builder, signature.args[0], arguments[0], arguments[1])
        size = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
        pointer = builder.bitcast(start, i8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [i8.as_pointer(), i32, i32, i32])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        end = builder.mul(length, ir.Constant(i64, size))
        with cgutils.for_range_slice(builder, ir.Constant(i64, 0), end, ir.Constant(i64, 64), intp=i64) as (at, _):
            # read, keep in every cache, data
            builder.call(fetch, [builder.gep(pointer, [at]), *(ir.Constant(i32, v) for v in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(matrix, types.int64), generate


@overload(prefetch_row)
def _overloaded_prefetch(matrix, row):  # type: ignore[no-untyped-def]
    return lambda matrix, row: _prefetch_row(matrix, row)


def products(query: Any, rows: Any, row: Any) -> tuple[Any, Any]:
    """Return <q, x> and <x, x> of a row, float32. ``query``: float32 (d,); ``rows``: (n, d), d a multiple of 16.

    Rows are float32, uint8, or float16 seen as uint16.
    """
    x = _values(rows, row)
    return _in_order(query * x), _in_order(x * x)


def squared_distance(query: Any, rows: Any, row: Any) -> Any:
    """Return |q - x|^2 of a row, float32; shapes as for ``products``."""
    difference = query - _values(rows, row)
    return _in_order(difference * difference)


def widen_row(rows: Any, row: Any, out: Any) -> None:
    """Copy a row to ``out``, float32 (d,); rows as for ``products``."""
    out[:] = _values(rows, row)


def _values(rows: Any, row: Any) -> Any:
    x = rows[row]
    return (x.view(np.float16) if x.dtype == np.uint16 else x).astype(np.float32)


def _in_order(terms: Any) -> Any:
    sums = np.zeros(LANES, np.float32)
    for start in range(0, len(terms), LANES):
        sums += terms[start : start + LANES]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    return sums[0]


def _load_floats(builder: Any, kind: Any, address: Any) -> Any:
    """Sixteen numbers of a row as floats."""
    if kind.dtype == types.float32:
        return _sixteen(builder, address, ir.FloatType(), 4)
    if kind.dtype == types.uint8:
        return builder.uitofp(_sixteen(builder, address, ir.IntType(8), 1), _F32)
    halves = _sixteen(builder, address, ir.IntType(16), 2)
    return builder.fpext(builder.bitcast(halves, ir.VectorType(ir.HalfType(), LANES)), _F32)


def _add_up(builder: Any, vector: Any) -> Any:
    """Sum of the lanes: halves on halves."""
    while vector.type.count > 1:
        n = vector.type.count // 2
        undefined, index = ir.Constant(vector.type, ir.Undefined), ir.VectorType(ir.IntType(32), n)
        low, high = (
            builder.shuffle_vector(vector, undefined, ir.Constant(index, list(range(at, at + n)))) for at in (0, n)
        )
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


def _over_row(context: Any, builder: Any, signature: Any, arguments: Any, terms: Any) -> list[Any]:
    """Sum what ``terms(query part, row part)`` gives over a row; one sum per term."""
    from numba.core import cgutils

    i64, zero = ir.IntType(64), ir.Constant(_F32, [0.0] * LANES)
    query = _data(context, builder, signature.args[0], arguments[0])
    start, length = _row(context, builder, signature.args[1], arguments[1], arguments[2])
    sums: list[Any] = []
    probe = terms(builder, zero, zero)
    sums.extend(cgutils.alloca_once_value(builder, zero) for _ in probe)
    with cgutils.for_range_slice(builder, ir.Constant(i64, 0), length, ir.Constant(i64, LANES), intp=i64) as (at, _):
        q = _sixteen(builder, builder.gep(query, [at]), ir.FloatType(), 4)
        x = _load_floats(builder, signature.args[1], builder.gep(start, [at]))
        for total, term in zip(sums, terms(builder, q, x), strict=True):
            builder.store(builder.fadd(builder.load(total), term), total)
    return [_add_up(builder, builder.load(total)) for total in sums]


@intrinsic
def _products(typing_context, query, rows, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        def terms(builder, q, x):  # type: ignore[no-untyped-def]
            return builder.fmul(q, x), builder.fmul(x, x)

        values = _over_row(context, builder, signature, arguments, terms)
        return context.make_tuple(builder, signature.return_type, values)

    return types.UniTuple(types.float32, 2)(query, rows, types.int64), generate


@intrinsic
def _squared_distance(typing_context, query, rows, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        def terms(builder, q, x):  # type: ignore[no-untyped-def]
            difference = builder.fsub(q, x)
            return (builder.fmul(difference, difference),)

        return _over_row(context, builder, signature, arguments, terms)[0]

    return types.float32(query, rows, types.int64), generate


@intrinsic
def _widen_row(typing_context, rows, row, out):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        from numba.core import cgutils

        i64 = ir.IntType(64)
        start, length = _row(context, builder, signature.args[0], arguments[0], arguments[1])
        target = _data(context, builder, signature.args[2], arguments[2])
        with cgutils.for_range_slice(builder, ir.Constant(i64, 0), length, ir.Constant(i64, LANES), intp=i64) as (
            at,
            _,
        ):
            x = _load_floats(builder, signature.args[0], builder.gep(start, [at]))
            builder.store(x, builder.bitcast(builder.gep(target, [at]), _F32.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(rows, types.int64, out), generate


@overload(widen_row)
def _overloaded_widen(rows, row, out):  # type: ignore[no-untyped-def]
    return lambda rows, row, out: _widen_row(rows, row, out)


@overload(products)
def _overloaded_products(query, rows, row):  # type: ignore[no-untyped-def]
    return lambda query, rows, row: _products(query, rows, row)


@overload(squared_distance)
def _overloaded_distance(query, rows, row):  # type: ignore[no-untyped-def]
    return lambda query, rows, row: _squared_distance(query, rows, row)
