"""A pseudo-random rotation in O(N log N): random signs, then a Walsh-Hadamard transform, a few times.

Arrays in, arrays out. Every number comes from one addition or subtraction of the same two numbers whatever the vector
width, so codes made from it are equal on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from assocmem._numerics.types import F32

SHORT = 16
"""Floats that are transformed in a register."""

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


def transform_short(a: Any, at: int) -> None:
    """Walsh-Hadamard transform of ``a[at : at + 16]`` in place; ``a``: float32 (n,)."""
    stride = 1
    while stride < SHORT:
        for k in range(at, at + SHORT):
            if not (k - at) & stride:
                a[k], a[k + stride] = a[k] + a[k + stride], a[k] - a[k + stride]
        stride *= 2


@intrinsic
def _transform_short(typing_context, a, at):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.FloatType(), SHORT)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        x = builder.load(place)
        x.align = 4
        for stride in (1, 2, 4, 8):
            swap = ir.Constant(ir.VectorType(ir.IntType(32), SHORT), [i ^ stride for i in range(SHORT)])
            signs = ir.Constant(vector, [-1.0 if i & stride else 1.0 for i in range(SHORT)])
            swapped = builder.shuffle_vector(x, ir.Constant(vector, ir.Undefined), swap)
            x = builder.fadd(swapped, builder.fmul(x, signs))
        builder.store(x, place).align = 4
        return context.get_dummy_value()

    return types.void(a, types.int64), generate


@overload(transform_short)
def _overloaded(a, at):  # type: ignore[no-untyped-def]
    return lambda a, at: _transform_short(a, at)


@njit(**_options)
def hadamard(a):  # type: ignore[no-untyped-def]
    """Walsh-Hadamard transform in place, unnormalised. ``a``: array of float32, shape (2**m,).

    Short strides in registers, then two strides per pass, as a pass is bound by loads and stores.
    """
    n = a.shape[0]
    h = 1
    if n >= 16:
        for at in range(0, n, 16):
            transform_short(a, at)
        h = 16
    while 4 * h <= n:
        for start in range(0, n, 4 * h):
            w = a[start : start + h]
            x = a[start + h : start + 2 * h]
            y = a[start + 2 * h : start + 3 * h]
            z = a[start + 3 * h : start + 4 * h]
            for j in range(h):
                p = w[j] + x[j]
                q = w[j] - x[j]
                r = y[j] + z[j]
                s = y[j] - z[j]
                w[j] = p + r
                x[j] = q + s
                y[j] = p - r
                z[j] = q - s
        h *= 4
    if h < n:
        low = a[:h]
        high = a[h:]
        for j in range(h):
            p = low[j]
            q = high[j]
            low[j] = p + q
            high[j] = p - q


@njit(**_options)
def _sum_of_squares(x):  # type: ignore[no-untyped-def]
    """Return it in float64. Four running sums, as one would wait for itself; in a fixed order."""
    n = x.shape[0]
    whole = n - n % 4
    s0 = s1 = s2 = s3 = np.float64(0.0)
    for k in range(0, whole, 4):
        s0 += np.float64(x[k]) * np.float64(x[k])
        s1 += np.float64(x[k + 1]) * np.float64(x[k + 1])
        s2 += np.float64(x[k + 2]) * np.float64(x[k + 2])
        s3 += np.float64(x[k + 3]) * np.float64(x[k + 3])
    for k in range(whole, n):
        s0 += np.float64(x[k]) * np.float64(x[k])
    return (s0 + s1) + (s2 + s3)


@njit(**_options)
def rotate_rows(x, mean, signs, out):  # type: ignore[no-untyped-def]
    """Scale rows to unit length, subtract the mean, rotate.

    ``x``: float32 (n, d); ``mean``: float32 (d,); ``signs``: float32 (rounds, N), entries +-1/sqrt(N);
    ``out``: float32 (n, N), N a power of two >= d. A zero row stays the zero vector before the mean is taken off.
    """
    n, d = x.shape
    for i in range(n):
        squares = _sum_of_squares(x[i])
        scale = np.float32(1.0 / np.sqrt(squares)) if squares > 0.0 else np.float32(0.0)
        row = out[i]
        for k in range(d):
            row[k] = x[i, k] * scale - mean[k]
        _turn(row, d, signs)


@njit(**_options)
def rotate_differences(x, mean, signs, out):  # type: ignore[no-untyped-def]
    """Subtract the mean and rotate, without scaling; shapes as for ``rotate_rows``."""
    n, d = x.shape
    for i in range(n):
        row = out[i]
        for k in range(d):
            row[k] = x[i, k] - mean[k]
        _turn(row, d, signs)


@njit(**_options)
def _turn(row, d, signs):  # type: ignore[no-untyped-def]
    """Rotate the first ``d`` values of a row of N in place, the others taken as zero."""
    width = row.shape[0]
    for k in range(d, width):
        row[k] = np.float32(0.0)
    for r in range(signs.shape[0]):
        for k in range(width):
            row[k] *= signs[r, k]
        hadamard(row)


def make_signs(width: int, rounds: int, seed: int) -> F32:
    """Return float32 (rounds, width), entries +-1/sqrt(width). Raw PCG64 output is a stream numpy promises to keep."""
    raw = np.random.PCG64(seed).random_raw(rounds * width)
    signs = np.where(raw >> np.uint64(63), np.float32(1), np.float32(-1)).reshape(rounds, width)
    return np.asarray(signs / np.float32(np.sqrt(width)), dtype=np.float32)


def next_power_of_two(n: int) -> int:
    """Return the least power of two that is no less than ``n``, for n >= 1."""
    return 1 << (n - 1).bit_length()


def unit_rows(x: F32) -> F32:
    """Return rows scaled to length 1, float32 (n, d); rows of zeros stay zeros."""
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    return np.asarray(x / np.maximum(lengths, 1e-30)[:, None], dtype=np.float32)


def inner_products(x: F32, y: F32) -> F32:
    """Return the inner products of all rows, float32 (n, d) and (m, d) -> (n, m).

    A single row takes two thirds of the time of the general product.
    """
    return (y @ x[0])[None, :] if len(x) == 1 else x @ y.T
