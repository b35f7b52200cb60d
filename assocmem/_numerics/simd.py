"""Processor instructions that Python has no operator for, and sixteen numbers at once in one fixed order of operations.

The order of additions is fixed, so every machine gets the same floats. All functions are used inside kernels; called
from Python (kernels with the compiler switched off) they are plain Python and give the same results.

In this order: single words (popcount, lowest bit, prefetch), blocks of sixteen scores, a query against a stored row,
and bfloat16, the upper half of a float32 (8 bits of precision, the whole range). Stored rows are float32, uint8, or
float16 viewed as uint16, because numba has no arithmetic for float16.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from assocmem._numerics.types import F32, LANES, U16

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_WORD = ir.IntType(64)
_INTS = ir.VectorType(ir.IntType(32), LANES)


# Single words


def popcount(word: Any) -> int:
    """Number of ones of a uint64."""
    return int(word).bit_count()


def lowest_bit(word: Any) -> int:
    """Place of the lowest one of a uint64, 0 to 63; 64 when there is none."""
    value = int(word)
    return (value & -value).bit_length() - 1 if value else 64


def prefetch(words: Any, place: Any) -> None:
    """Ask for ``words[place]``, of a uint64 (n,), and do not wait for it."""


@intrinsic
def _ctpop(typing_context, word):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def _cttz(typing_context, word):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@overload(popcount)
def _popcount(word):  # type: ignore[no-untyped-def]
    return lambda word: _ctpop(word)


@overload(lowest_bit)
def _lowest_bit(word):  # type: ignore[no-untyped-def]
    return lambda word: _cttz(word)


@intrinsic
def _prefetch(typing_context, words, at):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0i8"
        )
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), byte)
        builder.call(fetch, [place, number(0), number(3), number(1)])  # to read, to keep, as data
        return context.get_dummy_value()

    return types.void(words, types.int64), generate


@overload(prefetch)
def _fetch(words, place):  # type: ignore[no-untyped-def]
    return lambda words, place: _prefetch(words, place)


# Blocks of sixteen


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


def _address(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Address of an array's first number."""
    return context.make_array(array_type)(context, builder, array).data


def _row_address(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    """Address of a row's first number, in a C-contiguous array, and how many numbers there are in a row."""
    struct = context.make_array(array_type)(context, builder, array)
    length = builder.extract_value(struct.shape, 1)
    for axis in range(2, array_type.ndim):
        length = builder.mul(length, builder.extract_value(struct.shape, axis))
    return builder.gep(struct.data, [builder.mul(row, length)]), length


def _sixteen(builder: Any, place: Any, element: Any, align: int) -> Any:
    """Load sixteen numbers from a place."""
    value = builder.load(builder.bitcast(place, ir.VectorType(element, LANES).as_pointer()))
    value.align = align
    return value


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_INTS, [0] * LANES))


def _from_bfloat(builder: Any, shorts: Any) -> Any:
    wide = builder.shl(builder.zext(shorts, _INTS), ir.Constant(_INTS, [16] * LANES))
    return builder.bitcast(wide, _FLOATS)


@intrinsic
def _lift_block(typing_context, sums, scales, biases, block, terms, scores, at):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        i16, i64 = ir.IntType(16), ir.IntType(64)
        kinds = signature.args
        start = [_address(context, builder, kinds[i], arguments[i]) for i in (0, 1, 2, 4, 5)]
        first = builder.mul(arguments[3], ir.Constant(i64, LANES))
        total = builder.uitofp(_sixteen(builder, start[0], i16, 2), _FLOATS)
        scale = _from_bfloat(builder, _sixteen(builder, builder.gep(start[1], [first]), i16, 2))
        bias = _from_bfloat(builder, _sixteen(builder, builder.gep(start[2], [first]), i16, 2))
        step = _splat(builder, builder.load(start[3]))
        offset = _splat(builder, builder.load(builder.gep(start[3], [ir.Constant(i64, 1)])))
        product = builder.fadd(builder.fmul(total, step), offset)
        score = builder.fadd(builder.fmul(product, scale), bias)
        target = builder.gep(start[4], [arguments[6]])
        builder.store(score, builder.bitcast(target, _FLOATS.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(sums, scales, biases, types.int64, terms, scores, types.int64), generate


@intrinsic
def _lanes_above(typing_context, scores, at, floor):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        start = builder.gep(_address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        above = builder.fcmp_ordered(">", _sixteen(builder, start, ir.FloatType(), 4), _splat(builder, arguments[2]))
        return builder.zext(builder.bitcast(above, ir.IntType(16)), ir.IntType(64))

    return types.int64(scores, types.int64, types.float32), generate


def _store_entries(context: Any, builder: Any, value: Any, signature: Any, arguments: Any) -> None:
    """Scale, round and clip a vector, and store it as the last two arguments say."""

    def all_(constant: float) -> Any:
        return ir.Constant(_FLOATS, [constant] * LANES)

    target, _ = _row_address(context, builder, signature.args[3], arguments[3], arguments[4])
    value = builder.fadd(builder.fmul(value, _splat(builder, arguments[2])), all_(64.0))
    value = builder.select(builder.fcmp_ordered(">", value, all_(0.0)), value, all_(0.0))
    value = builder.select(builder.fcmp_ordered("<", value, all_(127.0)), value, all_(127.0))
    whole = builder.trunc(builder.fptosi(value, _INTS), ir.VectorType(ir.IntType(8), LANES))
    builder.store(whole, builder.bitcast(target, whole.type.as_pointer())).align = 1


@intrinsic
def _to_entries(typing_context, values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source = builder.gep(_address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        _store_entries(context, builder, _sixteen(builder, source, ir.FloatType(), 4), signature, arguments)
        return context.get_dummy_value()

    return types.void(values, types.int64, types.float32, tables, types.int64), generate


@intrinsic
def _to_signed_entries(typing_context, values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        eight = ir.VectorType(ir.FloatType(), 8)
        source = builder.gep(_address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        value = builder.load(builder.bitcast(source, eight.as_pointer()))
        value.align = 4
        other = builder.fsub(ir.Constant(eight, [-0.0] * 8), value)
        both = builder.shuffle_vector(value, other, ir.Constant(_INTS, list(range(LANES))))
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
        start, length = _row_address(context, builder, signature.args[0], arguments[0], arguments[1])
        size = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
        pointer = builder.bitcast(start, i8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [i8.as_pointer(), i32, i32, i32])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        end = builder.mul(length, ir.Constant(_WORD, size))

        def fetch_all(cache: int) -> None:
            first, line = ir.Constant(_WORD, 0), ir.Constant(_WORD, 64)
            with cgutils.for_range_slice(builder, first, end, line, intp=_WORD) as (at, _):
                # read, into which cache (3 for the first), data
                builder.call(fetch, [builder.gep(pointer, [at]), *(ir.Constant(i32, v) for v in (0, cache, 1))])

        with builder.if_else(builder.icmp_signed(">", end, ir.Constant(_WORD, LONG_ROW))) as (long, short):
            with long:
                fetch_all(2)
            with short:
                fetch_all(3)
        return context.get_dummy_value()

    return types.void(matrix, types.int64), generate


@overload(prefetch_row)
def _overloaded_prefetch(matrix, row):  # type: ignore[no-untyped-def]
    return lambda matrix, row: _prefetch_row(matrix, row)


# A query and a stored row


def products(query: Any, rows: Any, row: Any) -> tuple[Any, Any]:
    """Return <q, x> and <x, x> of a row, float32. ``query``: float32 (d,); ``rows``: (n, d), d a multiple of 16."""
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


class _Row:
    """A stored row, read sixteen numbers at a time."""

    def __init__(self, context: Any, builder: Any, row_type: Any, arguments: Any) -> None:
        self.builder, self.dtype = builder, row_type.dtype
        self.start, self.length = _row_address(context, builder, row_type, *arguments)

    def load(self, at: Any) -> Any:
        """Numbers ``at`` to ``at + 15`` as floats."""
        place = self.builder.gep(self.start, [at])
        if self.dtype == types.float32:
            return _sixteen(self.builder, place, ir.FloatType(), 4)
        if self.dtype == types.uint8:
            return self.builder.uitofp(_sixteen(self.builder, place, ir.IntType(8), 1), _FLOATS)
        halves = ir.VectorType(ir.HalfType(), LANES)
        return self.builder.fpext(
            self.builder.bitcast(_sixteen(self.builder, place, ir.IntType(16), 2), halves), _FLOATS
        )

    def each(self) -> Any:
        """Loop over the places of its parts."""
        first, step = (ir.Constant(_WORD, value) for value in (0, LANES))
        return cgutils.for_range_slice(self.builder, first, self.length, step, intp=_WORD)


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


def _product_terms(builder: Any, q: Any, x: Any) -> tuple[Any, ...]:
    return builder.fmul(q, x), builder.fmul(x, x)


def _distance_terms(builder: Any, q: Any, x: Any) -> tuple[Any, ...]:
    difference = builder.fsub(q, x)
    return (builder.fmul(difference, difference),)


def _over_row(terms: Any, returned: Any) -> Any:
    """Make an intrinsic that sums what ``terms(builder, query part, row part)`` gives over a row, a sum per term."""

    @intrinsic
    def summed(typing_context, query, rows, row):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            zero = ir.Constant(_FLOATS, [0.0] * LANES)
            start = _address(context, builder, signature.args[0], arguments[0])
            stored = _Row(context, builder, signature.args[1], arguments[1:])
            count = len(returned) if isinstance(returned, types.UniTuple) else 1
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(count)]
            with stored.each() as (at, _):
                q = _sixteen(builder, builder.gep(start, [at]), ir.FloatType(), 4)
                for total, term in zip(sums, terms(builder, q, stored.load(at)), strict=True):
                    builder.store(builder.fadd(builder.load(total), term), total)
            values = [_add_up(builder, builder.load(total)) for total in sums]
            return context.make_tuple(builder, signature.return_type, values) if count > 1 else values[0]

        return returned(query, rows, types.int64), generate

    return summed


@intrinsic
def _widen_row(typing_context, rows, row, out):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        stored = _Row(context, builder, signature.args[0], arguments[:2])
        target = _address(context, builder, signature.args[2], arguments[2])
        with stored.each() as (at, _):
            place = builder.bitcast(builder.gep(target, [at]), _FLOATS.as_pointer())
            builder.store(stored.load(at), place).align = 4
        return context.get_dummy_value()

    return types.void(rows, types.int64, out), generate


_products = _over_row(_product_terms, types.UniTuple(types.float32, 2))
_squared_distance = _over_row(_distance_terms, types.float32)


@overload(products)
def _overloaded_products(query, rows, row):  # type: ignore[no-untyped-def]
    return lambda query, rows, row: _products(query, rows, row)


@overload(squared_distance)
def _overloaded_distance(query, rows, row):  # type: ignore[no-untyped-def]
    return lambda query, rows, row: _squared_distance(query, rows, row)


@overload(widen_row)
def _overloaded_widen(rows, row, out):  # type: ignore[no-untyped-def]
    return lambda rows, row, out: _widen_row(rows, row, out)


# bfloat16


def to_bfloat16(values: F32) -> U16:
    """Return the upper half of float32 values, rounded to nearest, ties to even: uint16 of the same shape."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)


def from_bfloat16(values: U16) -> F32:
    """Return float32 values of bfloat16 ones, given as uint16."""
    return np.asarray(values.view(ml_dtypes.bfloat16).astype(np.float32))
