"""Machine instructions that Python has no operator for: counting a word's ones, finding its lowest one, and fetching
a word into the cache before it is needed.

Called from a kernel they become one instruction each; called from Python (kernels with the compiler switched off) they
are plain Python.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload


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
def _prefetch(typing_context, words, place):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0i8"
        )
        address = builder.bitcast(builder.gep(array.data, [arguments[1]]), byte)
        builder.call(fetch, [address, number(0), number(3), number(1)])  # to read, to keep, as data
        return context.get_dummy_value()

    return types.void(words, types.int64), generate


@overload(prefetch)
def _fetch(words, place):  # type: ignore[no-untyped-def]
    return lambda words, place: _prefetch(words, place)
