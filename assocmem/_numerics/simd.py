"""Processor instructions for kernels: bit counts, prefetching, and sixteen numbers at once in a fixed order.

The order of additions is fixed, so every machine gets the same floats. Every function is meant to be called inside a
kernel. Each has a plain Python body, which says what it computes and runs when the compiler is switched off, and an
intrinsic, which is what a compiled kernel gets. Both give the same results.

Stored rows are float32, uint8, or float16 viewed as uint16, because numba has no arithmetic for float16. bfloat16 is
the upper half of a float32: 8 bits of precision, the whole range.
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

CHAINS = 4
"""Running sums of sixteen numbers each, over a row."""
LONG_ROW = 1024
"""Bytes above which a row is prefetched into the second-level cache. The first-level cache can wait for few lines at
once: long rows that leave it free save a third of the time. Short rows that are not in it take twice the time."""

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_WORD = ir.IntType(64)


# Code generation shared by the intrinsics below


def _address(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Return the address of an array's first number."""
    return context.make_array(array_type)(context, builder, array).data


def _row_address(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    """Return the address of a row's first number in a C-contiguous array, and the count of numbers per row."""
    struct = context.make_array(array_type)(context, builder, array)
    length = builder.extract_value(struct.shape, 1)
    for axis in range(2, array_type.ndim):
        length = builder.mul(length, builder.extract_value(struct.shape, axis))
    return builder.gep(struct.data, [builder.mul(row, length)]), length


def _load_lanes(builder: Any, address: Any, element: Any, align: int) -> Any:
    """Load sixteen numbers."""
    value = builder.load(builder.bitcast(address, ir.VectorType(element, LANES).as_pointer()))
    value.align = align
    return value


def _broadcast(builder: Any, value: Any) -> Any:
    """Return a vector of sixteen times the same float."""
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_INTS, [0] * LANES))


def _sum_lanes(builder: Any, vector: Any) -> Any:
    """Return the sum of a vector: its upper half is added to its lower half until one number is left."""
    while vector.type.count > 1:
        n = vector.type.count // 2
        undefined, index = ir.Constant(vector.type, ir.Undefined), ir.VectorType(ir.IntType(32), n)
        low, high = (
            builder.shuffle_vector(vector, undefined, ir.Constant(index, list(range(at, at + n)))) for at in (0, n)
        )
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


# Single words


def popcount(word: Any) -> int:
    """Return the number of ones in a uint64."""
    return int(word).bit_count()


@intrinsic
def _popcount(typing_context, word):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@overload(popcount)
def _compiled_popcount(word):  # type: ignore[no-untyped-def]
    return lambda word: _popcount(word)


def lowest_bit(word: Any) -> int:
    """Return the position of the lowest one in a uint64, 0 to 63; 64 for zero."""
    value = int(word)
    return (value & -value).bit_length() - 1 if value else 64


@intrinsic
def _lowest_bit(typing_context, word):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@overload(lowest_bit)
def _compiled_lowest_bit(word):  # type: ignore[no-untyped-def]
    return lambda word: _lowest_bit(word)


# Prefetching


def prefetch(words: Any, at: Any) -> None:
    """Ask for ``words[at]``, of a uint64 (n,), without waiting for it."""


@intrinsic
def _prefetch(typing_context, words, at):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0i8"
        )
        address = builder.bitcast(builder.gep(array.data, [arguments[1]]), byte)
        builder.call(fetch, [address, number(0), number(3), number(1)])  # for reading, first-level cache, data
        return context.get_dummy_value()

    return types.void(words, types.int64), generate


@overload(prefetch)
def _compiled_prefetch(words, at):  # type: ignore[no-untyped-def]
    return lambda words, at: _prefetch(words, at)


def prefetch_row(matrix: Any, row: Any) -> None:
    """Ask for a row of an array that is read soon, without waiting for it."""


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
                # for reading, into this cache (3 is the first level), data
                builder.call(fetch, [builder.gep(pointer, [at]), *(ir.Constant(i32, v) for v in (0, cache, 1))])

        with builder.if_else(builder.icmp_signed(">", end, ir.Constant(_WORD, LONG_ROW))) as (long, short):
            with long:
                fetch_all(2)
            with short:
                fetch_all(3)
        return context.get_dummy_value()

    return types.void(matrix, types.int64), generate


@overload(prefetch_row)
def _compiled_prefetch_row(matrix, row):  # type: ignore[no-untyped-def]
    return lambda matrix, row: _prefetch_row(matrix, row)


# Blocks of sixteen scores


def score_block(sums: Any, scales: Any, biases: Any, block: Any, terms: Any, scores: Any, at: int) -> None:
    """Turn the sums of a block into scores: ``(sum * terms[0] + terms[1]) * scale + bias``.

    ``sums``: uint16 (16,); ``scales``, ``biases``: uint16 (blocks, 16), bfloat16; ``terms``: float32 (2,); ``scores``:
    float32, filled from ``at`` to ``at + 15``.
    """
    for lane in range(LANES):
        scale, bias = (
            (np.asarray(short[block, lane], np.uint32) << np.uint32(16)).view(np.float32) for short in (scales, biases)
        )
        scores[at + lane] = (np.float32(sums[lane]) * terms[0] + terms[1]) * scale + bias


def _widen_bfloat16(builder: Any, shorts: Any) -> Any:
    wide = builder.shl(builder.zext(shorts, _INTS), ir.Constant(_INTS, [16] * LANES))
    return builder.bitcast(wide, _FLOATS)


@intrinsic
def _score_block(typing_context, sums, scales, biases, block, terms, scores, at):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        i16, i64 = ir.IntType(16), ir.IntType(64)
        kinds = signature.args
        start = [_address(context, builder, kinds[i], arguments[i]) for i in (0, 1, 2, 4, 5)]
        first = builder.mul(arguments[3], ir.Constant(i64, LANES))
        total = builder.uitofp(_load_lanes(builder, start[0], i16, 2), _FLOATS)
        scale = _widen_bfloat16(builder, _load_lanes(builder, builder.gep(start[1], [first]), i16, 2))
        bias = _widen_bfloat16(builder, _load_lanes(builder, builder.gep(start[2], [first]), i16, 2))
        step = _broadcast(builder, builder.load(start[3]))
        offset = _broadcast(builder, builder.load(builder.gep(start[3], [ir.Constant(i64, 1)])))
        product = builder.fadd(builder.fmul(total, step), offset)
        score = builder.fadd(builder.fmul(product, scale), bias)
        target = builder.gep(start[4], [arguments[6]])
        builder.store(score, builder.bitcast(target, _FLOATS.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(sums, scales, biases, types.int64, terms, scores, types.int64), generate


@overload(score_block)
def _compiled_score_block(sums, scales, biases, block, terms, scores, at):  # type: ignore[no-untyped-def]
    return lambda sums, scales, biases, block, terms, scores, at: _score_block(
        sums, scales, biases, block, terms, scores, at
    )


def lanes_above(scores: Any, at: int, floor: Any) -> int:
    """Return which of ``scores[at : at + 16]``, float32, are above ``floor``: bit i of the result is for score i."""
    return sum(int(scores[at + lane] > floor) << lane for lane in range(LANES))


@intrinsic
def _lanes_above(typing_context, scores, at, floor):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        start = builder.gep(_address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        lanes = _load_lanes(builder, start, ir.FloatType(), 4)
        above = builder.fcmp_ordered(">", lanes, _broadcast(builder, arguments[2]))
        return builder.zext(builder.bitcast(above, ir.IntType(16)), ir.IntType(64))

    return types.int64(scores, types.int64, types.float32), generate


@overload(lanes_above)
def _compiled_lanes_above(scores, at, floor):  # type: ignore[no-untyped-def]
    return lambda scores, at, floor: _lanes_above(scores, at, floor)


# Lookup tables of a query


def quantize(values: Any, at: Any, per_step: Any, tables: Any, row: Any) -> None:
    """Round ``values[at : at + 16] * per_step + 63.5``, clipped to 0 to 127, into a row of uint8 (n, 16)."""
    for lane in range(LANES):
        entry = values[at + lane] * per_step + np.float32(64.0)
        tables[row, lane] = int(min(max(entry, np.float32(0.0)), np.float32(127.0)))


def quantize_signed(values: Any, at: Any, per_step: Any, tables: Any, row: Any) -> None:
    """Do the same for eight values, followed by these values with the opposite sign."""
    both = [values[at + lane] for lane in range(8)] + [-values[at + lane] for lane in range(8)]
    quantize(both, 0, per_step, tables, row)


def _store_quantized(context: Any, builder: Any, value: Any, signature: Any, arguments: Any) -> None:
    """Scale, round and clip a vector; ``arguments`` are those of ``quantize``."""

    def all_(constant: float) -> Any:
        return ir.Constant(_FLOATS, [constant] * LANES)

    target, _ = _row_address(context, builder, signature.args[3], arguments[3], arguments[4])
    value = builder.fadd(builder.fmul(value, _broadcast(builder, arguments[2])), all_(64.0))
    value = builder.select(builder.fcmp_ordered(">", value, all_(0.0)), value, all_(0.0))
    value = builder.select(builder.fcmp_ordered("<", value, all_(127.0)), value, all_(127.0))
    whole = builder.trunc(builder.fptosi(value, _INTS), ir.VectorType(ir.IntType(8), LANES))
    builder.store(whole, builder.bitcast(target, whole.type.as_pointer())).align = 1


@intrinsic
def _quantize(typing_context, values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source = builder.gep(_address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        _store_quantized(context, builder, _load_lanes(builder, source, ir.FloatType(), 4), signature, arguments)
        return context.get_dummy_value()

    return types.void(values, types.int64, types.float32, tables, types.int64), generate


@overload(quantize)
def _compiled_quantize(values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    return lambda values, at, per_step, tables, row: _quantize(values, at, per_step, tables, row)


@intrinsic
def _quantize_signed(typing_context, values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        eight = ir.VectorType(ir.FloatType(), 8)
        source = builder.gep(_address(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        value = builder.load(builder.bitcast(source, eight.as_pointer()))
        value.align = 4
        other = builder.fsub(ir.Constant(eight, [-0.0] * 8), value)
        both = builder.shuffle_vector(value, other, ir.Constant(_INTS, list(range(LANES))))
        _store_quantized(context, builder, both, signature, arguments)
        return context.get_dummy_value()

    return types.void(values, types.int64, types.float32, tables, types.int64), generate


@overload(quantize_signed)
def _compiled_quantize_signed(values, at, per_step, tables, row):  # type: ignore[no-untyped-def]
    return lambda values, at, per_step, tables, row: _quantize_signed(values, at, per_step, tables, row)


# A query and a stored row


def products(query: Any, rows: Any, row: Any) -> tuple[Any, Any]:
    """Return <q, x> and <x, x> for a row x, float32. ``query``: float32 (d,); ``rows``: (n, d), d a multiple of 16."""
    x = _plain_row(rows, row)
    return _plain_sum(query * x), _plain_sum(x * x)


def squared_distance(query: Any, rows: Any, row: Any) -> Any:
    """Return |q - x|^2 for a row x, float32; shapes as for ``products``."""
    difference = query - _plain_row(rows, row)
    return _plain_sum(difference * difference)


def scaled_distance(query: Any, rows: Any, row: Any, scale: Any) -> Any:
    """Return |q - scale * x|^2 for a row x, float32; ``scale``: float32; other shapes as for ``products``."""
    difference = query - _plain_row(rows, row) * np.float32(scale)
    return _plain_sum(difference * difference)


def widen_row(rows: Any, row: Any, out: Any) -> None:
    """Copy a row to ``out``, float32 (d,); ``rows`` as for ``products``."""
    out[:] = _plain_row(rows, row)


def _plain_row(rows: Any, row: Any) -> Any:
    x = rows[row]
    return (x.view(np.float16) if x.dtype == np.uint16 else x).astype(np.float32)


def _plain_sum(terms: Any) -> Any:
    """Add as the intrinsics do: four times sixteen running sums, then halves."""
    parts = np.zeros((CHAINS, LANES), np.float32)
    whole = len(terms) - len(terms) % (CHAINS * LANES)
    for start in range(0, whole, CHAINS * LANES):
        parts += terms[start : start + CHAINS * LANES].reshape(CHAINS, LANES)
    for start in range(whole, len(terms), LANES):
        parts[0] += terms[start : start + LANES]
    sums = (parts[0] + parts[1]) + (parts[2] + parts[3])
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    return sums[0]


class _Row:
    """Code that reads a stored row, sixteen numbers at a time."""

    def __init__(self, context: Any, builder: Any, row_type: Any, arguments: Any) -> None:
        self.builder, self.dtype = builder, row_type.dtype
        self.start, self.length = _row_address(context, builder, row_type, *arguments)

    def load(self, at: Any) -> Any:
        """Load numbers ``at`` to ``at + 15`` as floats."""
        address = self.builder.gep(self.start, [at])
        if self.dtype == types.float32:
            return _load_lanes(self.builder, address, ir.FloatType(), 4)
        if self.dtype == types.uint8:
            return self.builder.uitofp(_load_lanes(self.builder, address, ir.IntType(8), 1), _FLOATS)
        halves = ir.VectorType(ir.HalfType(), LANES)
        return self.builder.fpext(
            self.builder.bitcast(_load_lanes(self.builder, address, ir.IntType(16), 2), halves), _FLOATS
        )

    def each(self, first: Any = None, last: Any = None, step: int = LANES) -> Any:
        """Loop over the positions of its parts, from the first to the last."""
        first = ir.Constant(_WORD, 0) if first is None else first
        last = self.length if last is None else last
        return cgutils.for_range_slice(self.builder, first, last, ir.Constant(_WORD, step), intp=_WORD)


def _sum_row(context: Any, builder: Any, signature: Any, arguments: Any, terms: Any) -> Any:
    """Sum each of ``terms(builder, part of the query, part of the row, scalars)`` over a row."""
    zero = ir.Constant(_FLOATS, [0.0] * LANES)
    start = _address(context, builder, signature.args[0], arguments[0])
    stored = _Row(context, builder, signature.args[1], arguments[1:3])
    scalars = [_broadcast(builder, scalar) for scalar in arguments[3:]]
    count = len(signature.return_type) if isinstance(signature.return_type, types.UniTuple) else 1
    # A single chain of sums would wait for each addition before it begins the next.
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(count)] for _ in range(CHAINS)]

    def add(at: Any, chain: int) -> None:
        q = _load_lanes(builder, builder.gep(start, [at]), ir.FloatType(), 4)
        for total, term in zip(sums[chain], terms(builder, q, stored.load(at), *scalars), strict=True):
            builder.store(builder.fadd(builder.load(total), term), total)

    whole = builder.and_(stored.length, ir.Constant(_WORD, -CHAINS * LANES))
    with stored.each(last=whole, step=CHAINS * LANES) as (at, _):
        for chain in range(CHAINS):
            add(builder.add(at, ir.Constant(_WORD, chain * LANES)), chain)
    with stored.each(first=whole) as (at, _):
        add(at, 0)
    values = []
    for j in range(count):
        one, two, three, four = (builder.load(chain[j]) for chain in sums)
        values.append(_sum_lanes(builder, builder.fadd(builder.fadd(one, two), builder.fadd(three, four))))
    return context.make_tuple(builder, signature.return_type, values) if count > 1 else values[0]


def _product_terms(builder: Any, q: Any, x: Any) -> tuple[Any, ...]:
    return builder.fmul(q, x), builder.fmul(x, x)


def _distance_terms(builder: Any, q: Any, x: Any) -> tuple[Any, ...]:
    difference = builder.fsub(q, x)
    return (builder.fmul(difference, difference),)


def _scaled_terms(builder: Any, q: Any, x: Any, scale: Any) -> tuple[Any, ...]:
    return _distance_terms(builder, q, builder.fmul(x, scale))


@intrinsic
def _products(typing_context, query, rows, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _sum_row(context, builder, signature, arguments, _product_terms)

    return types.UniTuple(types.float32, 2)(query, rows, types.int64), generate


@intrinsic
def _squared_distance(typing_context, query, rows, row):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _sum_row(context, builder, signature, arguments, _distance_terms)

    return types.float32(query, rows, types.int64), generate


@intrinsic
def _scaled_distance(typing_context, query, rows, row, scale):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _sum_row(context, builder, signature, arguments, _scaled_terms)

    return types.float32(query, rows, types.int64, types.float32), generate


@overload(products)
def _compiled_products(query, rows, row):  # type: ignore[no-untyped-def]
    return lambda query, rows, row: _products(query, rows, row)


@overload(squared_distance)
def _compiled_squared_distance(query, rows, row):  # type: ignore[no-untyped-def]
    return lambda query, rows, row: _squared_distance(query, rows, row)


@overload(scaled_distance)
def _compiled_scaled_distance(query, rows, row, scale):  # type: ignore[no-untyped-def]
    return lambda query, rows, row, scale: _scaled_distance(query, rows, row, scale)


@intrinsic
def _widen_row(typing_context, rows, row, out):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        stored = _Row(context, builder, signature.args[0], arguments[:2])
        target = _address(context, builder, signature.args[2], arguments[2])
        with stored.each() as (at, _):
            address = builder.bitcast(builder.gep(target, [at]), _FLOATS.as_pointer())
            builder.store(stored.load(at), address).align = 4
        return context.get_dummy_value()

    return types.void(rows, types.int64, out), generate


@overload(widen_row)
def _compiled_widen_row(rows, row, out):  # type: ignore[no-untyped-def]
    return lambda rows, row, out: _widen_row(rows, row, out)


# bfloat16


def to_bfloat16(values: F32) -> U16:
    """Return the upper half of float32 values, rounded to nearest, ties to even: uint16 of the same shape."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)


def from_bfloat16(values: U16) -> F32:
    """Return the float32 values of bfloat16 values that are given as uint16."""
    return np.asarray(values.view(ml_dtypes.bfloat16).astype(np.float32))
