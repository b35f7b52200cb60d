"""Sums over sixteen codes: the shuffles of all processors give the sums of the plain loop."""

from __future__ import annotations

import types

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numba import njit
from numba import types as kinds
from numba.core.codegen import get_host_cpu_features
from numba.core.registry import cpu_target

from assocmem._numerics import byte_shuffle as shuffle
from tests import naive_index
from tests.strategies import PLAIN

CODE_BYTES = [4, 8, 12, 32, 64, 252, 256]
compiled = pytest.mark.skipif(PLAIN, reason="compiles")


def case(seed, code_bytes, top=shuffle.TABLE_TOP):
    """Three blocks, and tables with entries up to ``top``."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (3, code_bytes, 16)).astype(np.uint8)
    return codes, rng.integers(0, top + 1, (2, code_bytes, 16)).astype(np.uint8)


def summed_by(function, codes, tables):
    sums = np.full((3, 16), 7, np.uint16)
    for block in range(3):
        function(codes, block, tables, sums[block])
    return sums.tolist()


def expected(codes, tables):
    return [naive_index.block_sums(block, tables) for block in codes]


@pytest.mark.parametrize("code_bytes", CODE_BYTES)
def test_the_plain_loop_equals_the_oracle(code_bytes):
    codes, tables = case(code_bytes, code_bytes)
    assert summed_by(shuffle.sum_block, codes, tables) == expected(codes, tables)


@compiled
@pytest.mark.parametrize("instruction", [*shuffle.INSTRUCTIONS, None])
def test_every_shuffle_of_this_machine_gives_the_same_sums(instruction):
    if instruction and f"+{instruction}" not in get_host_cpu_features().split(","):
        pytest.skip(f"a processor without {instruction}")
    plain = types.FunctionType(shuffle.sum_block.__code__, vars(shuffle), "sum_block")
    shuffle.compile_with(plain, instruction)

    @njit
    def run(codes, block, tables, sums):
        plain(codes, block, tables, sums)

    for code_bytes in CODE_BYTES:
        codes, tables = case(code_bytes + 1, code_bytes)
        assert summed_by(run, codes, tables) == expected(codes, tables)
    codes, tables = case(0, 256)
    tables[:] = shuffle.TABLE_TOP  # the greatest sum of the longest code fits
    assert summed_by(run, codes, tables) == [[512 * shuffle.TABLE_TOP] * 16] * 3


@compiled
def test_the_chosen_shuffle_gives_the_same_sums():
    function = shuffle.sum_block

    @njit
    def run(codes, block, tables, sums):
        function(codes, block, tables, sums)

    codes, tables = case(3, 64)
    assert summed_by(run, codes, tables) == expected(codes, tables)


@pytest.mark.parametrize(
    ("instruction", "triple", "mnemonic", "register"),
    [
        ("avx512bw", "x86_64-unknown-linux-gnu", "vpshufb", "%zmm"),
        ("avx2", "x86_64-unknown-linux-gnu", "vpshufb", "%ymm"),
        ("ssse3", "x86_64-unknown-linux-gnu", "pshufb", "%xmm"),
        ("neon", "aarch64-unknown-linux-gnu", "tbl", ".16b"),
    ],
)
def test_every_shuffle_is_compiled_to_its_instruction(instruction, triple, mnemonic, register):
    """Also those that this machine does not have: the code is compiled for them, but not run."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    context = cpu_target.target_context
    context.refresh()
    arguments = kinds.uint8[:, :, ::1], kinds.int64, kinds.uint8[:, :, ::1], kinds.uint16[::1]
    width, name = shuffle.INSTRUCTIONS[instruction]
    made = shuffle.make_sum_block(width, name)
    signature, generate = made._defn(cpu_target.typing_context, *arguments)
    module = ir.Module()
    shape = ir.FunctionType(ir.VoidType(), [context.get_value_type(kind) for kind in arguments])
    function = ir.Function(module, shape, "sums")
    builder = ir.IRBuilder(function.append_basic_block())
    generate(context, builder, signature, function.args)
    builder.ret_void()
    target = llvm.Target.from_triple(triple).create_target_machine(features=f"+{instruction}", opt=2)
    assembly = target.emit_assembly(llvm.parse_assembly(str(module)))
    shuffles = [line for line in assembly.splitlines() if line.split()[:1] == [mnemonic]]
    assert len(shuffles) >= 2  # for the even and the odd clusters
    assert all(register in line for line in shuffles[:2])


@pytest.mark.parametrize(
    ("features", "best"),
    [
        ("+ssse3,+avx2,+avx512bw", "avx512bw"),
        ("+ssse3,+avx2,-avx512bw", "avx2"),
        ("+avx,+ssse3", "ssse3"),
        ("+neon,+fp16", "neon"),
        ("-ssse3,+sse2", None),
        ("", None),
    ],
)
def test_the_widest_shuffle_available_is_chosen(features, best):
    assert shuffle.best_instruction(features) == best
