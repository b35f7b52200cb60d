"""Random Fourier features: cosines and sines of pseudo-random projections of a vector, rounded to bytes.

Their inner products approximate a Gaussian kernel (Rahimi & Recht, NIPS 2007), with orthogonal directions better than
with independent ones (Yu et al., Orthogonal Random Features, NIPS 2016). Sums of products of bytes are whole numbers,
so they do not depend on the order of addition, and every feature comes from the same operations on every machine.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from assocmem._numerics.rotation import make_signs, next_power_of_two, rotate_differences
from assocmem._numerics.types import F32, F64, I8, KERNEL

FREQUENCIES = 2048
"""Directions of projection, each with a random frequency; each gives a cosine and a sine."""
AMPLITUDE = 127
"""The byte that stands for a cosine or sine of 1."""
EXACT = 2**24 // AMPLITUDE**2
"""Products of bytes that float32 can add without rounding."""
_ROUNDS = 3  # after two, directions of sparse vectors are still too similar


@njit(**KERNEL)
def _sine(u):  # type: ignore[no-untyped-def]
    """Sine of u turns, -1/4 <= u <= 1/4, to 4e-6.

    A Taylor series, because the sines of libraries differ between machines.
    """
    x = u * np.float32(2.0 * math.pi)
    square = x * x
    tail = np.float32(1.0 / 362880.0) * square - np.float32(1.0 / 5040.0)
    tail = tail * square + np.float32(1.0 / 120.0)
    tail = tail * square - np.float32(1.0 / 6.0)
    return x + x * square * tail


@njit(**KERNEL)
def fill_features(projections, per_turn, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with cosines, then sines, of projections, times 127 and rounded.

    ``projections``: float32 (n, m); ``per_turn``: float32, turns per unit of a projection; ``out``: int8 (n, 2 m).
    """
    n, width = projections.shape
    quarter, half, top = np.float32(0.25), np.float32(0.5), np.float32(AMPLITUDE)
    for i in range(n):
        row = projections[i]
        for k in range(width):
            turns = row[k] * per_turn
            turns -= np.rint(turns)
            height = abs(turns)
            folded = turns if height <= quarter else (half if turns > np.float32(0.0) else -half) - turns
            out[i, k] = np.int8(np.rint(top * _sine(quarter - height)))
            out[i, width + k] = np.int8(np.rint(top * _sine(folded)))


class RandomFourierFeatures:
    """Features whose inner products are about ``squared_length(size) * exp(-|x - y|**2 / width)``.

    Parameters
    ----------
    dim : int
        Length of a vector.
    seed : int
        Chooses the directions.

    Attributes
    ----------
    size : int
        Length of a feature, twice the number of frequencies.
    """

    def __init__(self, dim: int, seed: int = 0) -> None:
        self.dim, self.size = dim, 2 * FREQUENCIES
        self._axes = next_power_of_two(max(16, dim))
        rotations = max(1, FREQUENCIES // self._axes)
        self._signs = [make_signs(self._axes, _ROUNDS, seed + 7919 * (number + 1)) for number in range(rotations)]
        self._mean: F32 = np.zeros(dim, np.float32)

    def __call__(self, x: F32, width: float) -> I8:
        """Return features, int8 (n, size), of C-contiguous float32 (n, dim).

        ``width`` is the squared distance at which the kernel falls to 1/e.
        """
        frequencies = self.size // 2
        projections = np.empty((len(x), frequencies), np.float32)
        rotated = np.empty((len(x), self._axes), np.float32)
        for number, signs in enumerate(self._signs):
            rotate_differences(x, self._mean, signs, rotated)
            start = number * self._axes
            projections[:, start : start + self._axes] = rotated[:, :frequencies]
        out = np.empty((len(x), self.size), np.int8)
        # A projection on a random direction of length 1 is that of a Gaussian vector, times sqrt(axes).
        per_turn = math.sqrt(2.0 * self._axes / width) / (2.0 * math.pi)
        fill_features(projections, np.float32(per_turn), out)
        return out


def squared_length(size: int) -> float:
    """Return about what the inner product of a feature with itself is: each pair of cosine and sine adds 127**2."""
    return AMPLITUDE**2 * size / 2


def products(a: I8 | F32, b: I8 | F32) -> F64:
    """Return the inner products of rows of bytes, (n, d) and (m, d) -> float64 (n, m): exact, in any order of addition.

    Bytes may be stored as float32.
    """
    out = np.zeros((len(a), len(b)))
    for start in range(0, a.shape[1], EXACT):
        part = slice(start, start + EXACT)
        out += a[:, part].astype(np.float32, copy=False) @ b[:, part].astype(np.float32, copy=False).T
    return out
