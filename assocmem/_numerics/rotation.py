"""A pseudo-random rotation in O(N log N): random signs, then a Walsh-Hadamard transform, a few times.

Each number of a result is one addition or subtraction of the same two numbers, whatever the vector width of the
processor. So codes that are made from rotated vectors are equal on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from assocmem._numerics.types import F32, KERNEL, LANES
from assocmem.errors import InputError


def transform_short(a: Any, at: int) -> None:
    """Walsh-Hadamard transform of ``a[at : at + 16]`` in place, in one register; ``a``: float32 (n,)."""
    stride = 1
    while stride < LANES:
        for k in range(at, at + LANES):
            if not (k - at) & stride:
                a[k], a[k + stride] = a[k] + a[k + stride], a[k] - a[k + stride]
        stride *= 2


@intrinsic
def _transform_short(typing_context, a, at):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.FloatType(), LANES)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        x = builder.load(address)
        x.align = 4
        for stride in (1, 2, 4, 8):
            swap = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [i ^ stride for i in range(LANES)])
            signs = ir.Constant(vector, [-1.0 if i & stride else 1.0 for i in range(LANES)])
            swapped = builder.shuffle_vector(x, ir.Constant(vector, ir.Undefined), swap)
            x = builder.fadd(swapped, builder.fmul(x, signs))
        builder.store(x, address).align = 4
        return context.get_dummy_value()

    return types.void(a, types.int64), generate


@overload(transform_short)
def _compiled_transform_short(a, at):  # type: ignore[no-untyped-def]
    return lambda a, at: _transform_short(a, at)


@njit(**KERNEL)
def hadamard(a):  # type: ignore[no-untyped-def]
    """Walsh-Hadamard transform in place, unnormalised. ``a``: float32 (2**m,).

    Short strides are done in registers, the others two at a time, because loads and stores limit the speed.
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


@njit(**KERNEL)
def _sum_of_squares(x):  # type: ignore[no-untyped-def]
    """Return the sum of squares, float64. Four running sums do not wait for each other; their order is fixed."""
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


@njit(**KERNEL)
def rotate_rows(x, mean, signs, out):  # type: ignore[no-untyped-def]
    """Scale rows to unit length, subtract the mean, rotate.

    ``x``: float32 (n, d); ``mean``: float32 (d,); ``signs``: float32 (rounds, N), entries +-1/sqrt(N);
    ``out``: float32 (n, N), N a power of two, at least d. A row of zeros stays zero until the mean is subtracted.
    """
    n, d = x.shape
    for i in range(n):
        squares = _sum_of_squares(x[i])
        scale = np.float32(1.0 / np.sqrt(squares)) if squares > 0.0 else np.float32(0.0)
        row = out[i]
        for k in range(d):
            row[k] = x[i, k] * scale - mean[k]
        _rotate(row, d, signs)


@njit(**KERNEL)
def rotate_differences(x, mean, signs, out):  # type: ignore[no-untyped-def]
    """Subtract the mean and rotate, without scaling; shapes as for ``rotate_rows``, but rows of x may be longer."""
    d = mean.shape[0]
    for i in range(x.shape[0]):
        row = out[i]
        for k in range(d):
            row[k] = x[i, k] - mean[k]
        _rotate(row, d, signs)


@njit(**KERNEL)
def centre_rows(x, mean, unit, out):  # type: ignore[no-untyped-def]
    """Subtract the mean, from rows of unit length if ``unit`` is true; ``x``, ``out``: float32 (n, d)."""
    for i in range(x.shape[0]):
        scale = np.float32(1.0)
        if unit:
            squares = _sum_of_squares(x[i])
            scale = np.float32(1.0 / np.sqrt(squares)) if squares > 0.0 else np.float32(0.0)
        for k in range(x.shape[1]):
            out[i, k] = x[i, k] * scale - mean[k]


@njit(**KERNEL)
def _sum_in_lanes(row, d, sums):  # type: ignore[no-untyped-def]
    """Return the sum of the squares of the first ``d`` numbers, in sixteen running sums, float64 (16,)."""
    sums[:] = 0.0
    whole = d - d % LANES
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            value = np.float64(row[start + lane])
            sums[lane] += value * value
    for k in range(whole, d):
        sums[0] += np.float64(row[k]) * np.float64(row[k])
    return sums.sum()


@njit(**KERNEL)
def centre_queries(x, mean, unit, out, inverses, halves):  # type: ignore[no-untyped-def]
    """Subtract the mean, from rows of unit length if ``unit`` is true, and measure.

    ``x``: float32 (n, d); ``out``: float32 (n, w), zeros beyond d; ``inverses``: float32 (n,), of the lengths of x, 1
    unless ``unit``; ``halves``: float32 (n,), of the squared lengths of ``out``. The last three are filled. The sums
    may differ from those of stored rows in their last digits, because a query is not stored.
    """
    n, d = x.shape
    sums = np.empty(LANES, np.float64)
    for i in range(n):
        scale = np.float32(1.0)
        if unit:
            scale = np.float32(1.0 / max(np.sqrt(_sum_in_lanes(x[i], d, sums)), 1e-30))
        inverses[i] = scale
        row = out[i]
        for k in range(d):
            row[k] = x[i, k] * scale - mean[k]
        for k in range(d, row.shape[0]):
            row[k] = np.float32(0.0)
        halves[i] = np.float32(0.5 * _sum_in_lanes(row, d, sums))


@njit(**KERNEL)
def _rotate(row, d, signs):  # type: ignore[no-untyped-def]
    """Rotate a row of N values in place; only the first ``d`` are read, the others count as zero."""
    width = row.shape[0]
    for k in range(d, width):
        row[k] = np.float32(0.0)
    for r in range(signs.shape[0]):
        for k in range(width):
            row[k] *= signs[r, k]
        hadamard(row)


def make_signs(width: int, rounds: int, seed: int) -> F32:
    """Return random signs, float32 (rounds, width), entries +-1/sqrt(width).

    They are made of the raw output of PCG64, a stream that numpy promises to keep.
    """
    raw = np.random.PCG64(seed).random_raw(rounds * width)
    signs = np.where(raw >> np.uint64(63), np.float32(1), np.float32(-1)).reshape(rounds, width)
    return np.asarray(signs / np.float32(np.sqrt(width)), dtype=np.float32)


def next_power_of_two(n: int) -> int:
    """Return the least power of two that is at least ``n``, for n >= 1."""
    return 1 << (n - 1).bit_length()


def as_matrix(x: npt.ArrayLike, dim: int, what: str) -> F32:
    """Convert finite numbers of any dtype to C-contiguous float32 (n, dim); one vector becomes a row.

    Raises
    ------
    InputError
        No numbers, another shape, NaN or infinity. ``what`` names the argument in the message.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{what}: expected numbers, found dtype {array.dtype}")
    matrix = np.atleast_2d(array)
    if matrix.ndim != 2 or matrix.shape[1] != dim:
        raise InputError(f"{what}: expected shape (n, {dim}), found {array.shape}")
    matrix = np.ascontiguousarray(matrix, dtype=np.float32)
    if not np.isfinite(matrix).all():
        raise InputError(f"{what}: expected finite numbers, found NaN or infinity; leave such rows out")
    return matrix


class Rotation:
    """Scale vectors to unit length if asked, subtract a mean, and rotate them.

    Parameters
    ----------
    dim : int
    width : int
        Axes after the rotation, a power of two, at least ``dim``.
    unit : bool
        Scale to unit length first: the order by distance is then the order by cosine similarity.
    mean : array, shape (dim,), optional
        Subtracted after scaling. The nearer it is to the data's mean, the better are codes of the rotated vectors.
    seed : int

    Raises
    ------
    InputError
        A mean of another shape, or with numbers that are not finite.
    """

    ROUNDS = 2  # in measurements a third round changed nothing

    def __init__(self, dim: int, width: int, *, unit: bool, mean: npt.ArrayLike | None = None, seed: int = 0) -> None:
        self.dim, self.width, self.unit, self.seed = dim, width, unit, seed
        self.mean: F32 = np.zeros(dim, np.float32) if mean is None else as_matrix(mean, dim, "mean")[0].copy()
        self._signs = make_signs(width, self.ROUNDS, seed)

    def __call__(self, x: F32, *, unit: bool | None = None) -> F32:
        """Rotate C-contiguous float32 (n, dim) -> float32 (n, width); ``unit`` overrides the rotation's own.

        Without scaling, rows may be longer than ``dim``: the rest is not read.
        """
        out = np.empty((len(x), self.width), np.float32)
        rotate = rotate_rows if (self.unit if unit is None else unit) else rotate_differences
        rotate(x, self.mean, self._signs, out)
        return out


def unit_rows(x: F32) -> F32:
    """Return rows scaled to length 1, float32 (n, d); rows of zeros stay zeros."""
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    return np.asarray(x / np.maximum(lengths, 1e-30)[:, None], dtype=np.float32)


def inner_products(x: F32, y: F32) -> F32:
    """Return the inner products of all rows, float32 (n, d) and (m, d) -> (n, m).

    A single row takes two thirds of the time of the general product.
    """
    return (y @ x[0])[None, :] if len(x) == 1 else x @ y.T
