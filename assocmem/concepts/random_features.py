"""Random Fourier features: vectors -> cosines and sines of pseudo-random projections, rounded to bytes.

Inner products of such features approximate a Gaussian kernel (Rahimi & Recht, NIPS 2007), with orthogonal directions
better than with independent ones (Yu et al., Orthogonal Random Features, NIPS 2016). As bytes their sums of products
are whole numbers, which no order of adding changes. Every value comes from the same operations on every machine.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from assocmem._numerics.rotation import make_signs, next_power_of_two, rotate_differences
from assocmem._numerics.types import F32, I8

WAVES = 2048
"""Directions; each gives a cosine and a sine."""
TOP = 127
"""What 1 becomes."""
_ROUNDS = 3  # two leave directions of sparse vectors too alike

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_options)
def _sine(u):  # type: ignore[no-untyped-def]
    """Sine of u turns, -1/4 <= u <= 1/4, to 4e-6: Taylor's series, as no library's sine is the same everywhere."""
    x = u * np.float32(2.0 * math.pi)
    square = x * x
    tail = np.float32(1.0 / 362880.0) * square - np.float32(1.0 / 5040.0)
    tail = tail * square + np.float32(1.0 / 120.0)
    tail = tail * square - np.float32(1.0 / 6.0)
    return x + x * square * tail


@njit(**_options)
def fill_waves(projections, per_turn, out):  # type: ignore[no-untyped-def]
    """Cosines and sines of projections, times 127 and rounded.

    ``projections``: float32 (n, w); ``per_turn``: float32, turns per unit of a projection; ``out``: int8 (n, 2 w),
    filled: the cosines, then the sines.
    """
    n, width = projections.shape
    quarter, half, top = np.float32(0.25), np.float32(0.5), np.float32(TOP)
    for i in range(n):
        row = projections[i]
        for k in range(width):
            turns = row[k] * per_turn
            turns -= np.rint(turns)
            height = abs(turns)
            folded = turns if height <= quarter else (half if turns > np.float32(0.0) else -half) - turns
            out[i, k] = np.int8(np.rint(top * _sine(quarter - height)))
            out[i, width + k] = np.int8(np.rint(top * _sine(folded)))


class RandomWaves:
    """Features whose inner products are about ``127**2 * WAVES * exp(-|x - y|**2 / width)``.

    Parameters
    ----------
    dim : int
        Length of a vector.
    seed : int
        Chooses the directions.
    """

    SIZE = 2 * WAVES
    """Length of a feature."""

    def __init__(self, dim: int, seed: int = 0) -> None:
        self.dim = dim
        self._axes = next_power_of_two(max(16, dim))
        turns = max(1, WAVES // self._axes)
        self._signs = [make_signs(self._axes, _ROUNDS, seed + 7919 * (turn + 1)) for turn in range(turns)]
        self._mean: F32 = np.zeros(dim, np.float32)

    def __call__(self, x: F32, width: float) -> I8:
        """Return int8 (n, SIZE) for C-contiguous float32 (n, dim); ``width``: the squared distance of likeness 1/e."""
        projections = np.empty((len(x), WAVES), np.float32)
        rotated = np.empty((len(x), self._axes), np.float32)
        for turn, signs in enumerate(self._signs):
            rotate_differences(x, self._mean, signs, rotated)
            start = turn * self._axes
            projections[:, start : start + self._axes] = rotated[:, :WAVES]
        out = np.empty((len(x), self.SIZE), np.int8)
        # A projection on a random direction of length 1 is one of a Gaussian vector, times sqrt(axes).
        per_turn = math.sqrt(2.0 * self._axes / width) / (2.0 * math.pi)
        fill_waves(projections, np.float32(per_turn), out)
        return out
