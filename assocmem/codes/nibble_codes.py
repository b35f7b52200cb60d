"""Nibble codes: vectors become 4-bit symbols with a scale, so that a sum of table entries estimates a distance.

A cluster is a block of axes of a pseudo-random rotation. Its 16 units are fixed prototypes of that block, the same for
all clusters and all data, so nothing is trained:

==== ===========================================================================================
axes units of a cluster
==== ===========================================================================================
16   the axes; the greatest wins
8    the axes with two signs; the greatest magnitude wins
4    the patterns of signs
2    the pairs of 4 levels per axis, the best for a normal distribution (Max 1960, table I)
1    16 levels, likewise
==== ===========================================================================================

Let ``e`` be the winners' prototypes and ``r`` the rotated difference to the mean. The product of ``r`` and a query
``q`` is estimated by ``s * <q, e>`` with ``s = |r|^2 / <r, e>``: exact for q = r, and unbiased under random rotation
(Gao & Long, RaBitQ, SIGMOD 2024). A score is ``s * <q, e> - |r|^2 / 2``: highest where the distance is least.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.byte_shuffle import TABLE_TOP
from assocmem._numerics.simd import quantize, quantize_signed
from assocmem._numerics.types import F32, KERNEL, MAXIMUM_KERNEL, U8
from assocmem.codes.winner_codes import UNITS
from assocmem.errors import InputError

FOUR_LEVELS = np.array([-1.510, -0.4528, 0.4528, 1.510], np.float32)
_UPPER_LEVELS = np.array([0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733], np.float32)
SIXTEEN_LEVELS = np.concatenate([-_UPPER_LEVELS[::-1], _UPPER_LEVELS])


# Units


@njit(**KERNEL)
def _axes(width, clusters):  # type: ignore[no-untyped-def]
    """Return the axes per cluster: the greatest of 16, 8, 4, 2 and 1 for which there are enough axes."""
    axes = 16
    while axes > 1 and axes * clusters > width:
        axes >>= 1
    return axes


@njit(**KERNEL)
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


@njit(**KERNEL)
def _level(value, borders):  # type: ignore[no-untyped-def]
    """Return the number of the nearest level, which is the number of borders below the value."""
    n = 0
    for k in range(borders.shape[0]):
        n += value > borders[k]
    return n


@njit(**KERNEL)
def _winner(block, axes, borders):  # type: ignore[no-untyped-def]
    """Return the winning unit of a block of axes; ``borders``: float32 (levels - 1,), midpoints between levels."""
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


# Codes of items


@njit(**KERNEL)
def encode_rows(rotated, levels, codes, scales, squares):  # type: ignore[no-untyped-def]
    """Find the winners, packed two to a byte, the even cluster in the low half, and the terms of the estimate.

    ``rotated``: float32 (n, N); ``levels``: float32, for the number of axes per cluster; ``codes``: uint8 (n, b);
    ``scales``: float32 (n,), |r|^2 / <r, e>; ``squares``: float32 (n,), |r|^2. The last three are filled.
    """
    n, width = rotated.shape
    axes = _axes(width, 2 * codes.shape[1])
    units = _prototypes(axes, levels)
    midpoints = (levels[:-1] + levels[1:]) * np.float32(0.5)
    borders = np.empty_like(midpoints)
    sums = np.empty(16, np.float32)  # sixteen running sums, because a single one would wait for itself
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


@njit(**KERNEL)
def estimate_centres(codes, levels, scales, centres, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n,), with what codes say of the products of what they encode with other vectors.

    ``codes``: uint8 (n, b); ``levels``, ``scales``: of ``encode_rows``; ``centres``: rotated vectors, float32 (n, N).
    """
    axes = _axes(centres.shape[1], 2 * codes.shape[1])
    units = _prototypes(axes, levels)
    for i in range(codes.shape[0]):
        product = np.float32(0.0)
        for b in range(codes.shape[1]):
            for half in range(2):
                winner = (codes[i, b] >> (4 * half)) & 15
                first = (2 * b + half) * axes
                for k in range(axes):
                    product += centres[i, first + k] * units[winner, k]
        out[i] = scales[i] * product


@njit(**KERNEL)
def decode_rows(codes, levels, scales, squares, out):  # type: ignore[no-untyped-def]
    """Decode to the vector along the winners' prototypes that is nearest to what was encoded, ``e * <r, e> / |e|^2``.

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


# Tables of queries


@njit(**MAXIMUM_KERNEL)
def _greatest(row, axes, levels):  # type: ignore[no-untyped-def]
    """Return the greatest magnitude that the product with a unit of any cluster can have."""
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


@njit(**KERNEL)
def _unit_products(row, axes, units, values):  # type: ignore[no-untyped-def]
    """Multiply a query with every unit of every cluster; ``values``: float32 (16 * clusters,), filled."""
    for c in range(values.shape[0] >> 4):
        for u in range(16):
            values[16 * c + u] = row[c * axes] * units[u, 0]
        for k in range(1, axes):
            for u in range(16):
                values[16 * c + u] += row[c * axes + k] * units[u, k]


@njit(**KERNEL)
def fill_tables(rotated, levels, tables, terms):  # type: ignore[no-untyped-def]
    """Quantize what each unit adds to a query's product, in steps of one size; TABLE_TOP / 2 stands for zero.

    ``rotated``: float32 (n, N); ``tables``: uint8 (n, 2, b, 16), filled with 0 to TABLE_TOP; ``terms``: float32 (n, 2),
    filled with the step and the offset: <q, e> is about ``step * sum of entries + offset``.
    """
    clusters = 2 * tables.shape[2]
    axes = _axes(rotated.shape[1], clusters)
    units = _prototypes(axes, levels)
    middle = np.float32(TABLE_TOP) * np.float32(0.5)
    values = np.empty(16 * clusters, np.float32)
    rows = tables.reshape(tables.size // 16, 16)  # slicing per cluster would cost more than filling its entries
    for i in range(rotated.shape[0]):
        row = rotated[i, : clusters * axes]
        top = _greatest(row, axes, levels)
        step = top / middle if top > np.float32(0.0) else np.float32(1.0)
        per_step = np.float32(1.0) / step
        first = i * clusters  # row of the table of cluster 0; tables of odd clusters follow those of all even ones
        other = first + (clusters >> 1)
        if axes == 8:
            for b in range(clusters >> 1):
                quantize_signed(row, 16 * b, per_step, rows, first + b)
                quantize_signed(row, 16 * b + 8, per_step, rows, other + b)
        else:
            if axes == 16:
                values = row
            else:
                _unit_products(row, axes, units, values)
            for b in range(clusters >> 1):
                quantize(values, 32 * b, per_step, rows, first + b)
                quantize(values, 32 * b + 16, per_step, rows, other + b)
        terms[i, 0] = step
        terms[i, 1] = -middle * step * np.float32(clusters)


class NibbleCoder:
    """Encoder of rotated vectors, and maker of tables for rotated queries.

    Parameters
    ----------
    width : int
        Axes of a rotated vector, a power of two.
    clusters : int
        A multiple of 8, from 8 to 512 and at most ``width``; a code takes half as many bytes.

    Raises
    ------
    InputError
        Impossible clusters.
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

    def products(self, codes: U8, scales: F32, rotated: F32) -> F32:
        """Return estimates of the products of encoded vectors with as many others, float32 (n, width) -> (n,)."""
        out = np.empty(len(codes), np.float32)
        estimate_centres(codes, self.levels, scales, rotated, out)
        return out

    def decode(self, codes: U8, scales: F32, squares: F32) -> F32:
        """Return approximations of the vectors that were encoded, float32 (n, width)."""
        out = np.empty((len(codes), self.width), np.float32)
        decode_rows(codes, self.levels, scales, squares, out)
        return out

    def tables(self, rotated: F32) -> tuple[U8, F32]:
        """Return tables uint8 (n, 2, code_bytes, 16) and terms float32 (n, 2), for ``sum_block``."""
        tables = np.empty((len(rotated), 2, self.code_bytes, UNITS), np.uint8)
        terms = np.empty((len(rotated), 2), np.float32)
        fill_tables(rotated, self.levels, tables, terms)
        return tables, terms
