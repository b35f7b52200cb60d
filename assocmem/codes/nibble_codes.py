"""Feature vectors -> 4-bit symbols with a length and an offset, so that a sum of table entries estimates a distance.

A cluster is a block of axes of a pseudo-random rotation and its 16 units are fixed prototypes of that block, the same
for all clusters and all data, so there is nothing to train:

==== ===========================================================================================
axes units of a cluster
==== ===========================================================================================
16   the axes; the greatest wins
8    the axes with two signs; the greatest magnitude wins
4    the patterns of signs
2    the pairs of 4 levels per axis, the best for a normal distribution (Max 1960, table I)
1    16 levels, likewise
==== ===========================================================================================

With ``e`` the winners' prototypes and ``r`` the rotated difference to the mean, the product of ``r`` and a query ``q``
is estimated by ``s * <q, e>`` with ``s = |r|^2 / <r, e>``: exact where q = r, unbiased under random rotation (Gao &
Long, RaBitQ, SIGMOD 2024). A score is ``s * <q, e> - |r|^2 / 2``: highest where the distance is least.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.byte_shuffle import TABLE_TOP
from assocmem._numerics.rotation import make_signs, rotate_differences, rotate_rows
from assocmem._numerics.simd import to_entries, to_signed_entries
from assocmem._numerics.types import F32, U8
from assocmem.codes.winner_codes import UNITS, as_matrix
from assocmem.errors import InputError

FOUR_LEVELS = np.array([-1.510, -0.4528, 0.4528, 1.510], np.float32)
SIXTEEN_LEVELS = np.array([0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733], np.float32)
SIXTEEN_LEVELS = np.concatenate([-SIXTEEN_LEVELS[::-1], SIXTEEN_LEVELS])

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}
_no_nan = {**_options, "fastmath": {"nnan", "nsz"}}  # a greatest value may be looked for in any order


@njit(**_options)
def _axes(width, clusters):  # type: ignore[no-untyped-def]
    """Axes of a cluster: the most of 16, 8, 4, 2 and 1 that there are enough of."""
    axes = 16
    while axes > 1 and axes * clusters > width:
        axes >>= 1
    return axes


@njit(**_options)
def _prototypes(axes, levels):  # type: ignore[no-untyped-def]
    """Return the units of a cluster, float32 (16, axes)."""
    units = np.zeros((16, axes), np.float32)
    for u in range(16):
        if axes == 16:
            units[u, u] = np.float32(1.0)
        elif axes == 8:
            units[u, u & 7] = np.float32(1.0) if u < 8 else np.float32(-1.0)
        elif axes == 4:
            for k in range(4):
                units[u, k] = np.float32(-1.0) if (u >> k) & 1 else np.float32(1.0)
        elif axes == 2:
            units[u, 0] = levels[u & 3]
            units[u, 1] = levels[u >> 2]
        else:
            units[u, 0] = levels[u]
    return units


@njit(**_options)
def _level(value, borders):  # type: ignore[no-untyped-def]
    """Number of the nearest level: how many borders lie below."""
    n = 0
    for k in range(borders.shape[0]):
        n += value > borders[k]
    return n


@njit(**_options)
def _winner(block, axes, borders):  # type: ignore[no-untyped-def]
    """Winning unit of a block of axes; ``borders``: midpoints of levels, float32 (number of levels - 1,)."""
    if axes <= 2:
        winner = _level(block[0], borders)
        return winner if axes == 1 else winner + 4 * _level(block[1], borders)
    winner = 0
    if axes == 4:
        for k in range(4):
            winner |= (1 if block[k] < np.float32(0.0) else 0) << k
        return winner
    best = np.float32(-np.inf)
    for k in range(axes):
        value = block[k]
        height = value if axes == 16 or value > np.float32(0.0) else -value
        if height > best:
            best = height
            winner = k if axes == 16 or value > np.float32(0.0) else k + 8
    return winner


@njit(**_options)
def encode_rows(rotated, levels, codes, scales, squares):  # type: ignore[no-untyped-def]
    """Winners, packed two to a byte, the even cluster in the low half, with what an estimate needs beside them.

    ``rotated``: float32 (n, N); ``levels``: float32, of this number of axes; ``codes``: uint8 (n, b); ``scales``:
    float32 (n,), |r|^2 / <r, e>; ``squares``: float32 (n,), |r|^2; all three are filled.
    """
    n, width = rotated.shape
    axes = _axes(width, 2 * codes.shape[1])
    units = _prototypes(axes, levels)
    midpoints = (levels[:-1] + levels[1:]) * np.float32(0.5)
    borders = np.empty_like(midpoints)
    sums = np.empty(16, np.float32)  # side by side, because one sum would wait for itself
    for i in range(n):
        row = rotated[i]
        sums[:] = np.float32(0.0)
        for start in range(0, width, 16):
            for k in range(16):
                sums[k] += row[start + k] * row[start + k]
        square = np.float32(0.0)
        for k in range(16):
            square += sums[k]
        unit = np.sqrt(square / np.float32(width)) + np.float32(1e-30)  # one standard deviation
        for k in range(midpoints.shape[0]):
            borders[k] = midpoints[k] * unit
        product = np.float32(0.0)
        for b in range(codes.shape[1]):
            byte = 0
            for half in range(2):
                block = row[(2 * b + half) * axes : (2 * b + half + 1) * axes]
                winner = _winner(block, axes, borders)
                byte |= winner << (4 * half)
                for k in range(axes):
                    product += block[k] * units[winner, k]
            codes[i, b] = byte
        scales[i] = square / product if product > np.float32(0.0) else np.float32(0.0)
        squares[i] = square


@njit(**_no_nan)
def _greatest(row, axes, levels):  # type: ignore[no-untyped-def]
    """Greatest magnitude that a unit of any cluster can have."""
    top = np.float32(0.0)
    reach = levels[levels.shape[0] - 1]
    if axes >= 8:
        for k in range(row.shape[0]):
            top = max(top, abs(row[k]))
    elif axes == 4:
        for k in range(0, row.shape[0], 4):
            top = max(top, abs(row[k]) + abs(row[k + 1]) + abs(row[k + 2]) + abs(row[k + 3]))
    elif axes == 2:
        for k in range(0, row.shape[0], 2):
            top = max(top, reach * (abs(row[k]) + abs(row[k + 1])))
    else:
        for k in range(row.shape[0]):
            top = max(top, reach * abs(row[k]))
    return top


@njit(**_options)
def _spell_units(row, axes, units, values):  # type: ignore[no-untyped-def]
    """Product of a query with every unit of every cluster, ``values``: float32 (16 * clusters,), filled."""
    for c in range(values.shape[0] >> 4):
        for u in range(16):
            values[16 * c + u] = row[c * axes] * units[u, 0]
        for k in range(1, axes):
            for u in range(16):
                values[16 * c + u] += row[c * axes + k] * units[u, k]


@njit(**_options)
def fill_tables(rotated, levels, tables, terms):  # type: ignore[no-untyped-def]
    """What each unit adds to a query's product, in steps of one size, TABLE_TOP / 2 for nothing.

    ``rotated``: float32 (n, N); ``tables``: uint8 (n, 2, b, 16), filled with 0 to TABLE_TOP; ``terms``: float32 (n, 2),
    filled with the step and the offset: <q, e> is about ``step * sum of entries + offset``.
    """
    clusters = 2 * tables.shape[2]
    axes = _axes(rotated.shape[1], clusters)
    units = _prototypes(axes, levels)
    middle = np.float32(TABLE_TOP) * np.float32(0.5)
    values = np.empty(16 * clusters, np.float32)
    rows = tables.reshape(tables.size // 16, 16)  # a slice per cluster would cost more than its entries
    for i in range(rotated.shape[0]):
        row = rotated[i, : clusters * axes]
        top = _greatest(row, axes, levels)
        step = top / middle if top > np.float32(0.0) else np.float32(1.0)
        per_step = np.float32(1.0) / step
        first = i * clusters  # row of the table of cluster 0; the odd ones' follow on all even ones'
        other = first + (clusters >> 1)
        if axes == 8:
            for b in range(clusters >> 1):
                to_signed_entries(row, 16 * b, per_step, rows, first + b)
                to_signed_entries(row, 16 * b + 8, per_step, rows, other + b)
        else:
            if axes == 16:
                values = row
            else:
                _spell_units(row, axes, units, values)
            for b in range(clusters >> 1):
                to_entries(values, 32 * b, per_step, rows, first + b)
                to_entries(values, 32 * b + 16, per_step, rows, other + b)
        terms[i, 0] = step
        terms[i, 1] = -middle * step * np.float32(clusters)


@njit(**_options)
def decode_rows(codes, levels, scales, squares, out):  # type: ignore[no-untyped-def]
    """Vectors nearest to what was encoded, of those along the winners' prototypes: ``e * <r, e> / |e|^2``.

    ``codes``: uint8 (n, b); ``scales``, ``squares``: float32 (n,), of ``encode_rows``; ``out``: float32 (n, N), filled.
    """
    n, width = out.shape
    axes = _axes(width, 2 * codes.shape[1])
    units = _prototypes(axes, levels)
    for i in range(n):
        out[i, :] = np.float32(0.0)
        length = np.float32(0.0)
        for c in range(2 * codes.shape[1]):
            winner = (codes[i, c >> 1] >> (4 * (c & 1))) & 15
            for k in range(axes):
                value = units[winner, k]
                out[i, c * axes + k] = value
                length += value * value
        product = squares[i] / scales[i] if scales[i] > np.float32(0.0) else np.float32(0.0)
        factor = product / length
        for k in range(width):
            out[i, k] *= factor


class Rotation:
    """What queries and items go through before anything else: scale (cosine), subtract a mean, rotate.

    Parameters
    ----------
    dim : int
    width : int
        Axes after rotation, a power of two, at least ``dim``.
    unit : bool
        Scale to unit length first: then the order by distance is that by cosine similarity.
    mean : array, shape (dim,), optional
        Subtracted after that; the nearer to the data's, the better the codes.
    seed : int
    """

    ROUNDS = 2  # a third measures alike

    def __init__(self, dim: int, width: int, *, unit: bool, mean: npt.ArrayLike | None = None, seed: int = 0) -> None:
        self.dim, self.width, self.unit, self.seed = dim, width, unit, seed
        self.mean: F32 = np.zeros(dim, np.float32) if mean is None else as_matrix(mean, dim, "mean")[0].copy()
        self._signs = make_signs(width, self.ROUNDS, seed)

    def __call__(self, x: F32, *, unit: bool | None = None) -> F32:
        """Rotate C-contiguous float32 (n, dim) -> float32 (n, width); ``unit`` overrides the rotation's own."""
        out = np.empty((len(x), self.width), np.float32)
        rotate = rotate_rows if (self.unit if unit is None else unit) else rotate_differences
        rotate(x, self.mean, self._signs, out)
        return out


class SymbolCoder:
    """Codes of rotated vectors, and tables of rotated queries.

    Parameters
    ----------
    width : int
        Axes of a rotated vector, a power of two.
    clusters : int
        A multiple of 8, 8 to 512; a code takes half as many bytes. More than ``width`` cannot be.
    """

    def __init__(self, width: int, clusters: int) -> None:
        if clusters % 8 or not 8 <= clusters <= min(512, max(8, width)):
            raise InputError(f"clusters: expected a multiple of 8 from 8 to {min(512, width)}, found {clusters}")
        self.width, self.clusters, self.code_bytes = width, clusters, clusters // 2
        self.axes = min(UNITS, width // clusters)
        if self.axes not in (1, 2, 4, 8, 16):
            raise InputError(f"clusters: expected a power of two (or fewer than {width // 16}), found {clusters}")
        self.levels = SIXTEEN_LEVELS if self.axes == 1 else FOUR_LEVELS

    def encode(self, rotated: F32) -> tuple[U8, F32, F32]:
        """Return codes uint8 (n, code_bytes), scales and squared lengths float32 (n,)."""
        n = len(rotated)
        codes = np.empty((n, self.code_bytes), np.uint8)
        scales, squares = np.empty(n, np.float32), np.empty(n, np.float32)
        encode_rows(rotated, self.levels, codes, scales, squares)
        return codes, scales, squares

    def decode(self, codes: U8, scales: F32, squares: F32) -> F32:
        """Return vectors float32 (n, width) that stand for what was encoded."""
        out = np.empty((len(codes), self.width), np.float32)
        decode_rows(codes, self.levels, scales, squares, out)
        return out

    def tables(self, rotated: F32) -> tuple[U8, F32]:
        """Return tables uint8 (n, 2, code_bytes, 16) and terms float32 (n, 2), for ``shuffle.sum_block``."""
        tables = np.empty((len(rotated), 2, self.code_bytes, UNITS), np.uint8)
        terms = np.empty((len(rotated), 2), np.float32)
        fill_tables(rotated, self.levels, tables, terms)
        return tables, terms
