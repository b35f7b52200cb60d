"""Sums over the codes of sixteen items at once: 4-bit symbols are looked up by the processor's byte shuffle.

A block stores the codes of 16 items, byte by byte: uint8 (code_bytes, 16). A shuffle looks 16 symbols up in a table of
16 bytes; wider registers take two or four bytes of each code at once, each with its own table. The sums are integers
of 16 bits, so every register width gives the same ones, and so does the plain loop, for processors without a shuffle.

The technique is that of Andre, Kermarrec and Le Scouarnec (Cache locality is not enough, VLDB 2015), who made it for
product quantization; FAISS calls it fast scan.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, overload

from assocmem._numerics.types import LANES

TABLE_TOP = 127
"""Greatest entry of a table: the sum of two entries fits into a byte, which saves half of the widening."""

INSTRUCTIONS = {
    "avx512bw": (64, "llvm.x86.avx512.pshuf.b.512"),
    "avx2": (32, "llvm.x86.avx2.pshuf.b"),
    "ssse3": (16, "llvm.x86.ssse3.pshuf.b.128"),
    "neon": (16, "llvm.aarch64.neon.tbl1.v16i8"),
}
"""Processor feature -> bytes per register, and LLVM's name of the shuffle; the widest first."""


def sum_block(codes: Any, block: Any, tables: Any, sums: Any) -> None:
    """Look up the symbols of the 16 items of a block, and add the entries.

    ``codes``: uint8 (blocks, b, 16), b a multiple of 4, at most 256; the even cluster is in the low half of a byte.
    ``tables``: uint8 (2, b, 16), for the even and the odd clusters, entries at most ``TABLE_TOP``. ``sums``: uint16
    (16,), filled.
    """
    for lane in range(LANES):
        total = 0
        for b in range(codes.shape[1]):
            byte = codes[block, b, lane]
            total += int(tables[0, b, byte & 15]) + int(tables[1, b, byte >> 4])
        sums[lane] = total


# Choosing the instruction


def best_instruction(features: str) -> str | None:
    """Return the widest shuffle among LLVM's comma-separated processor features; None if there is none."""
    offered = set(features.split(","))
    return next((name for name in INSTRUCTIONS if f"+{name}" in offered), None)


def compile_with(function: Any, instruction: str | None) -> None:
    """Let kernels that call ``function``, a copy of ``sum_block``, use an instruction; None keeps the plain loop."""
    if instruction is None:
        overload(function)(lambda codes, block, tables, sums: function)
        return
    width, name = INSTRUCTIONS[instruction]
    shuffled = make_sum_block(width, name)

    def compiled(codes, block, tables, sums):  # type: ignore[no-untyped-def]
        return lambda codes, block, tables, sums: shuffled(codes, block, tables, sums)

    overload(function)(compiled)


# Code generation


def _byte_address(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Return the address of the byte at an offset from an array's first."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [offset])


def _load(builder: Any, address: Any, vector: Any) -> Any:
    value = builder.load(builder.bitcast(address, vector.as_pointer()))
    value.align = 1
    return value


def _all(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def _fold(builder: Any, vector: Any) -> Any:
    """Add the 128-bit parts of a vector of 16-bit sums: <8 x i16>."""
    undefined = ir.Constant(vector.type, ir.Undefined)
    choose = ir.VectorType(ir.IntType(32), 8)
    parts = [
        builder.shuffle_vector(vector, undefined, ir.Constant(choose, list(range(at, at + 8))))
        for at in range(0, vector.type.count, 8)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = builder.add(total, part)
    return total


def make_sum_block(width: int, name: str) -> Any:
    """Return the intrinsic for registers of ``width`` bytes and the shuffle that LLVM calls ``name``."""

    @intrinsic
    def sums_of_block(typing_context, codes, block, tables, sums):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            i8, i16, i64 = ir.IntType(8), ir.IntType(16), ir.IntType(64)
            bytes_, halves = ir.VectorType(i8, width), ir.VectorType(i16, width // 2)
            shuffle = cgutils.get_or_insert_function(builder.module, ir.FunctionType(bytes_, [bytes_, bytes_]), name)
            codes_type, _, tables_type, sums_type = signature.args
            code_bytes = builder.extract_value(context.make_array(codes_type)(context, builder, arguments[0]).shape, 1)
            plane = builder.mul(code_bytes, ir.Constant(i64, LANES))
            first = _byte_address(context, builder, codes_type, arguments[0], builder.mul(arguments[1], plane))
            low_tables = _byte_address(context, builder, tables_type, arguments[2], ir.Constant(i64, 0))
            high_tables = builder.gep(low_tables, [plane])
            even = cgutils.alloca_once_value(builder, _all(halves, 0))
            odd = cgutils.alloca_once_value(builder, _all(halves, 0))
            with cgutils.for_range_slice(builder, ir.Constant(i64, 0), plane, ir.Constant(i64, width), intp=i64) as (
                at,
                _,
            ):
                code = _load(builder, builder.gep(first, [at]), bytes_)
                low = builder.and_(code, _all(bytes_, 15))
                shifted = builder.lshr(builder.bitcast(code, halves), _all(halves, 4))
                high = builder.and_(builder.bitcast(shifted, bytes_), _all(bytes_, 15))
                found = [
                    builder.call(shuffle, [_load(builder, builder.gep(table, [at]), bytes_), symbols])
                    for table, symbols in ((low_tables, low), (high_tables, high))
                ]
                pairs = builder.bitcast(builder.add(*found), halves)
                # Each half-word has the byte of an even item below that of an odd item. ``even`` adds up both; the
                # odd items' part is subtracted after the loop.
                builder.store(builder.add(builder.load(even), pairs), even)
                builder.store(builder.add(builder.load(odd), builder.lshr(pairs, _all(halves, 8))), odd)
            above = builder.shl(builder.load(odd), _all(halves, 8))
            builder.store(builder.sub(builder.load(even), above), even)
            evens, odds = _fold(builder, builder.load(even)), _fold(builder, builder.load(odd))
            order = [k for pair in zip(range(8), range(8, 16), strict=True) for k in pair]
            both = builder.shuffle_vector(evens, odds, ir.Constant(ir.VectorType(ir.IntType(32), 16), order))
            target = _byte_address(context, builder, sums_type, arguments[3], ir.Constant(i64, 0))
            builder.store(both, builder.bitcast(target, both.type.as_pointer())).align = 1
            return context.get_dummy_value()

        return types.void(codes, types.int64, tables, sums), generate

    return sums_of_block


HOST_INSTRUCTION = best_instruction(get_host_cpu_features())
"""The shuffle of this machine, as numba compiles for it; None if there is none."""

compile_with(sum_block, HOST_INSTRUCTION)
