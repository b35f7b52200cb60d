"""Two machine instructions that Python has no operator for: counting a word's ones, and finding its lowest one.

Called from a kernel they become one instruction each; called from Python (kernels with the compiler switched off) they
are plain Python.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload


def popcount(word: Any) -> int:
    """Number of ones of a uint64."""
    return int(word).bit_count()


def lowest_bit(word: Any) -> int:
    """Place of the lowest one of a uint64, 0 to 63; 64 when there is none."""
    value = int(word)
    return (value & -value).bit_length() - 1 if value else 64


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
