"""Bit matrices, the primitive of every memory: set bits to write, combine or count rows to read.

A bit matrix is uint64 (rows, words), C-contiguous. Column j of a row is bit ``j % 64`` of its word ``j // 64``; the
bits behind the last column are zero. Matrices may be read-only or memory-mapped: kernels write only to the arrays that
their docstrings call filled or changed. Several sets of rows are given in one array: set i is
``rows[sets[i] : sets[i + 1]]``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.simd import lowest_bit, popcount
from assocmem._numerics.types import KERNEL, Words

WORD = 64
"""Bits per word."""
TILE = 64
"""Words of a row that are counted at a time: eight lines and eight planes of it fit into the first-level cache."""
LOW_BITS = np.uint64(0x0101010101010101)
"""The lowest bit of each byte."""
ONE = np.uint64(1)


def words_for(columns: int) -> int:
    """Return the number of words of a row with this many columns."""
    return -(-columns // WORD)


def empty_matrix(rows: int, columns: int) -> Words:
    """Return a bit matrix of zeros; the system allocates a page of it when it is first written to."""
    return np.zeros((rows, words_for(columns)), np.uint64)


@njit(**KERNEL)
def set_bits(matrix, rows, columns):  # type: ignore[no-untyped-def]
    """Set bit (rows[i], columns[i]) for every i.

    ``matrix``: uint64 (r, w), changed; ``rows``, ``columns``: int64 (n,).
    """
    for i in range(rows.shape[0]):
        column = columns[i]
        matrix[rows[i], column >> 6] |= np.uint64(1) << np.uint64(column & 63)


# Counting rows


@njit(**KERNEL)
def full_add(a, b, c):  # type: ignore[no-untyped-def]
    """Add three words bit by bit; returns the sums' bits and the carries. Five operations."""
    x = a ^ b
    return x ^ c, (a & b) | (x & c)


@njit(**KERNEL)
def add_lines(planes, lines, width):  # type: ignore[no-untyped-def]
    """Add eight lines of bits to bit-sliced counters: bit p of the count of column j is bit j of ``planes[p]``.

    ``planes``: uint64 (8, t), changed; ``lines``: uint64 (8, t); only the first ``width`` words are used. Seven full
    adders, written out, turn eight lines into one carry of weight 8: a line costs six operations per word instead of
    sixteen.
    """
    for j in range(width):
        p0, two0 = full_add(planes[0, j], lines[0, j], lines[1, j])
        p0, two1 = full_add(p0, lines[2, j], lines[3, j])
        p0, two2 = full_add(p0, lines[4, j], lines[5, j])
        planes[0, j], two3 = full_add(p0, lines[6, j], lines[7, j])
        p1, four0 = full_add(planes[1, j], two0, two1)
        planes[1, j], four1 = full_add(p1, two2, two3)
        planes[2, j], carry = full_add(planes[2, j], four0, four1)
        p3, p4, p5, p6 = planes[3, j], planes[4, j], planes[5, j], planes[6, j]
        planes[3, j] = p3 ^ carry
        carry &= p3
        planes[4, j] = p4 ^ carry
        carry &= p4
        planes[5, j] = p5 ^ carry
        carry &= p5
        planes[6, j] = p6 ^ carry
        planes[7, j] |= carry & p6


@njit(**KERNEL)
def unpack_planes(planes, spread, width, counts):  # type: ignore[no-untyped-def]
    """Add bit-sliced counters to plain ones, and set them to zero.

    ``planes``: uint64 (8, t), changed; ``spread``: uint64 (8, t), scratch; ``counts``: uint16 (m,), m <= 64 * width,
    changed. A shift by s brings the counts of columns s, s + 8, ... s + 56 of a word into its eight bytes at once.
    """
    for s in range(8):
        shift = np.uint64(s)
        for j in range(width):
            total = np.uint64(0)
            for p in range(8):
                total |= ((planes[p, j] >> shift) & LOW_BITS) << np.uint64(p)
            spread[s, j] = total
    for p in range(8):
        for j in range(width):
            planes[p, j] = np.uint64(0)
    for j in range(width):
        for k in range(8):
            first = 64 * j + 8 * k
            for s in range(min(8, counts.shape[0] - first)):
                counts[first + s] += np.uint16((spread[s, j] >> np.uint64(8 * k)) & np.uint64(255))


# In one function, because a call per group costs 2% to 10% of the time.
@njit(**KERNEL)
def count_rows(matrix, rows, groups, sets, counts):  # type: ignore[no-untyped-def]  # noqa: C901
    """Count, for each set and column, the groups of the set in which any row has a one in that column.

    Group g is ``rows[groups[g] : groups[g + 1]]``, and set i is the groups ``sets[i]`` to ``sets[i + 1] - 1``. With
    groups of one row each, rows are counted. A set has at most 65,535 groups; every group has a row.
    ``matrix``: uint64 (r, w); ``rows``, ``groups``, ``sets``: int64; ``counts``: uint16 (n, columns), filled.
    """
    planes = np.zeros((8, TILE), np.uint64)
    lines = np.zeros((8, TILE), np.uint64)
    for i in range(counts.shape[0]):
        for j in range(counts.shape[1]):
            counts[i, j] = np.uint16(0)
        for tile in range(0, matrix.shape[1], TILE):
            width = min(TILE, matrix.shape[1] - tile)
            part = counts[i, 64 * tile : 64 * (tile + width)]
            line = 0
            counted = 0
            for g in range(sets[i], sets[i + 1]):
                row = rows[groups[g]]
                for j in range(width):
                    lines[line, j] = matrix[row, tile + j]
                for k in range(groups[g] + 1, groups[g + 1]):
                    row = rows[k]
                    for j in range(width):
                        lines[line, j] |= matrix[row, tile + j]
                line += 1
                if line == 8:
                    line = 0
                    add_lines(planes, lines, width)
                    counted += 8
                    if counted == 248:  # eight more would not fit into eight planes
                        unpack_planes(planes, lines, width, part)
                        counted = 0
            for k in range(line, 8):
                for j in range(width):
                    lines[k, j] = np.uint64(0)
            if line > 0:
                add_lines(planes, lines, width)
            unpack_planes(planes, lines, width, part)


# Single rows


@njit(**KERNEL)
def count_ones(matrix, counts):  # type: ignore[no-untyped-def]
    """Count the ones of each row. ``matrix``: uint64 (r, w); ``counts``: int64 (r,), filled."""
    for r in range(matrix.shape[0]):
        total = 0
        for j in range(matrix.shape[1]):
            total += popcount(matrix[r, j])
        counts[r] = total


@njit(**KERNEL)
def list_ones(matrix, starts, columns):  # type: ignore[no-untyped-def]
    """List the columns of each row's ones, ascending, row after row.

    ``matrix``: uint64 (r, w); ``starts``: int64 (r,), where each row's columns begin; ``columns``: int64, filled.
    """
    for r in range(matrix.shape[0]):
        place = starts[r]
        for j in range(matrix.shape[1]):
            word = matrix[r, j]
            while word != np.uint64(0):
                columns[place] = 64 * j + lowest_bit(word)
                place += 1
                word &= word - ONE


@njit(**KERNEL)
def transpose(matrix, out):  # type: ignore[no-untyped-def]
    """Swap rows and columns. ``matrix``: uint64 (r, w); ``out``: uint64 (c, ceil(r / 64)) with c <= 64 * w, filled.

    Blocks of 64 x 64 bits are transposed by exchanging halves, quarters, ... (Warren, Hacker's Delight, 7-3).
    """
    block = np.empty(64, np.uint64)
    for j in range(matrix.shape[1]):
        for k in range(out.shape[1]):
            for i in range(64):
                block[i] = matrix[64 * k + i, j] if 64 * k + i < matrix.shape[0] else np.uint64(0)
            half = 32
            mask = np.uint64(0x00000000FFFFFFFF)
            while half > 0:
                shift = np.uint64(half)
                for i in range(64):
                    if i & half == 0:
                        swapped = ((block[i] >> shift) ^ block[i + half]) & mask
                        block[i] ^= swapped << shift
                        block[i + half] ^= swapped
                half >>= 1
                mask ^= mask << np.uint64(half)
            for i in range(min(64, out.shape[0] - 64 * j)):
                out[64 * j + i, k] = block[i]


@njit(**KERNEL)
def top_scores(scores, values, columns):  # type: ignore[no-untyped-def]
    """Find the k highest scores of each row that are above zero, highest first; the lower of equal columns goes first.

    ``scores``: uint16 (n, m); ``values``: uint16 (n, k) and ``columns``: int64 (n, k), filled, padded with 0 and -1.
    """
    k = columns.shape[1]
    for i in range(scores.shape[0]):
        for j in range(k):
            values[i, j] = 0
            columns[i, j] = -1
        for column in range(scores.shape[1]):
            score = scores[i, column]
            if score > values[i, k - 1]:
                place = k - 1
                while place > 0 and score > values[i, place - 1]:
                    values[i, place] = values[i, place - 1]
                    columns[i, place] = columns[i, place - 1]
                    place -= 1
                values[i, place] = score
                columns[i, place] = column
