"""A query against a stored vector, sixteen numbers at a time, in one fixed order of additions.

Stored vectors are float32, uint8, or float16 seen as uint16, as numba has no arithmetic for halves.

Used within kernels; called from Python (kernels with the compiler switched off) they are plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from assocmem._numerics.lanes import F32X16, LANES, address, row_address, sixteen
from assocmem._numerics.types import I64


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
        self.start, self.length = row_address(context, builder, row_type, *arguments)

    def load(self, at: Any) -> Any:
        """Numbers ``at`` to ``at + 15`` as floats."""
        place = self.builder.gep(self.start, [at])
        if self.dtype == types.float32:
            return sixteen(self.builder, place, ir.FloatType(), 4)
        if self.dtype == types.uint8:
            return self.builder.uitofp(sixteen(self.builder, place, ir.IntType(8), 1), F32X16)
        halves = ir.VectorType(ir.HalfType(), LANES)
        return self.builder.fpext(self.builder.bitcast(sixteen(self.builder, place, ir.IntType(16), 2), halves), F32X16)

    def each(self) -> Any:
        """Loop over the places of its parts."""
        first, step = (ir.Constant(I64, value) for value in (0, LANES))
        return cgutils.for_range_slice(self.builder, first, self.length, step, intp=I64)


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
            zero = ir.Constant(F32X16, [0.0] * LANES)
            start = address(context, builder, signature.args[0], arguments[0])
            stored = _Row(context, builder, signature.args[1], arguments[1:])
            count = len(returned) if isinstance(returned, types.UniTuple) else 1
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(count)]
            with stored.each() as (at, _):
                q = sixteen(builder, builder.gep(start, [at]), ir.FloatType(), 4)
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
        target = address(context, builder, signature.args[2], arguments[2])
        with stored.each() as (at, _):
            place = builder.bitcast(builder.gep(target, [at]), F32X16.as_pointer())
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
