"""Candidate pairs: which items may be near copies of each other, in a whole collection, in near-linear time.

Near copies agree in about half of the symbols of their messages, unrelated items in one of a hundred. So this is the
sorted-neighbourhood method (Hernandez & Stolfo, The merge/purge problem, SIGMOD 1995) with several passes: each pass
sorts the items by two symbols, and compares each item with the next few that agree with it in both. The window bounds
the comparisons: a symbol that half of the items share costs no more than any other.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.simd import popcount
from assocmem._numerics.types import F32, I8, I64, KERNEL, U8, Integers, Words
from assocmem.codes.dct_sketches import SKETCH_THRESHOLD, inverse_norms

PASSES = 24
"""Pairs of clusters that the items are sorted by."""
WINDOW = 8
"""Items that each item is compared with in a pass, at most."""
COSINE_THRESHOLD = 0.9
"""Where a sketch is missing, the part of the cosine above this counts three times: copies begin at 0.933."""
LOWEST_OF_FOUR = np.uint64(0x1111111111111111)
"""The lowest bit of each 4-bit symbol."""


class PairFilter(NamedTuple):
    """What pairs of n items must pass before their features are compared."""

    codes: Words
    """uint64 (n, w), 16 winners per word"""
    sketches: I8
    """int8 (n, SKETCH_LENGTH); zeros if there is no sketch"""
    norms: F32
    """float32 (n,): one over the lengths of the sketches, 0 if there is no sketch"""
    required: F32
    """float32 (winners + 1, 2), by the number of common winners: see ``required_similarity``"""


# Kernels


@njit(**KERNEL)
def sort_by_symbol(column, order, out):  # type: ignore[no-untyped-def]
    """Sort rows by one symbol; rows that share it keep their order (a counting sort).

    ``column``: uint8 (n,), a symbol per row; ``order``: int32 (n,), rows; ``out``: int32 (n,), filled.
    """
    ends = np.zeros(257, np.int64)
    for i in range(column.shape[0]):
        ends[column[i] + 1] += 1
    for symbol in range(256):
        ends[symbol + 1] += ends[symbol]
    for i in range(order.shape[0]):
        row = order[i]
        symbol = column[row]
        out[ends[symbol]] = row
        ends[symbol] += 1


@njit(**KERNEL)
def common_winners(codes, i, j):  # type: ignore[no-untyped-def]
    """Count the clusters in which two codes have the same winner. ``codes``: uint64 (n, w), 16 winners per word."""
    common = 0
    for w in range(codes.shape[1]):
        different = codes[i, w] ^ codes[j, w]
        different |= different >> np.uint64(2)
        different |= different >> np.uint64(1)
        common += popcount(~different & LOWEST_OF_FOUR)
    return common


@njit(**KERNEL)
def sketch_similarity(sketches, norms, i, j):  # type: ignore[no-untyped-def]
    """Return the cosine of two sketches, or of one and the mirrored other if that is greater; 0 if one is missing.

    ``sketches``: int8 (n, w), whose second half changes its sign in a mirror; ``norms``: float32 (n,), one over their
    lengths.
    """
    half = sketches.shape[1] // 2
    same, turned = np.int32(0), np.int32(0)
    for k in range(half):
        same += np.int32(sketches[i, k]) * np.int32(sketches[j, k])
    for k in range(half, 2 * half):
        turned += np.int32(sketches[i, k]) * np.int32(sketches[j, k])
    return np.float32(same + abs(turned)) * norms[i] * norms[j]


@njit(**KERNEL)
def pairs_in_window(order, first, second, pair_filter, window, split, out):  # type: ignore[no-untyped-def]
    """Collect the pairs of rows that are near each other in an order, agree in two symbols, and pass the filter.

    ``order``: int32 (n,); ``first``, ``second``: uint8 (n,), the symbols; ``pair_filter``: ``PairFilter``; ``split``:
    if positive, only pairs of a row before it and a row from it on count; ``out``: int64 (n * window,), filled with
    low * n + high. Returns how many there are.
    """
    codes, sketches, norms, required = pair_filter
    n = order.shape[0]
    found = 0
    for k in range(n):
        i = order[k]
        for m in range(k + 1, min(n, k + 1 + window)):
            j = order[m]
            if first[j] != first[i] or second[j] != second[i]:
                break
            if split > 0 and (i < split) == (j < split):
                continue
            common = common_winners(codes, i, j)
            promising = required[common, 0] <= 0.0 or (norms[i] * norms[j] == 0.0 and required[common, 1] <= 0.0)
            if not promising and required[common, 0] <= 1.0:
                promising = sketch_similarity(sketches, norms, i, j) >= required[common, 0]
            if promising:
                out[found] = min(i, j) * np.int64(n) + max(i, j)
                found += 1
    return found


# Filtering and collecting


def required_similarity(winners: int, least: float) -> F32:
    """Return how similar the sketches of a pair must be, by the common winners of its codes, to be a candidate.

    Parameters
    ----------
    winners : int
        Clusters of a code.
    least : float
        Similarity that the pair must reach in the end.

    Returns
    -------
    float32 (winners + 1, 2)
        Column 0: the least similarity of the sketches with which the pair may reach ``least``; 0 if no similarity is
        needed, more than 1 if none is enough. Column 1: 0 if the pair may reach it without sketches, else 2.

    Notes
    -----
    Measured on 120,000 pairs of photographs and their copies: of pairs that share a part s of their winners, 99% have
    a cosine below 1.02 - 0.35 (1 - s)^2. Features whose mean was not subtracted are further below.
    """
    share = np.arange(winners + 1) / winners
    cosine = np.minimum(1, 1.02 - 0.35 * (1 - share) ** 2)
    lacking = least - cosine
    with_sketch = np.where(lacking <= 0, 0, SKETCH_THRESHOLD + lacking)
    alone = np.where(cosine + 2 * np.maximum(0, cosine - COSINE_THRESHOLD) >= least, 0, 2)
    return np.stack([with_sketch, alone], axis=1).astype(np.float32)


def make_filter(codes: U8, sketches: I8, least: float) -> PairFilter:
    """Return the filter for pairs that must reach a similarity of ``least``.

    Parameters
    ----------
    codes : uint8 (n, b)
        Two winners per byte.
    sketches : int8 (n, SKETCH_LENGTH)
        Zeros if there is no sketch.
    least : float
    """
    n, size = codes.shape
    words = np.zeros((n, -(-size // 8)), np.uint64)
    words.view(np.uint8)[:, :size] = codes
    required = required_similarity(2 * size, least)
    padding = 16 * words.shape[1] - 2 * size  # winners that any two items have in common
    required = np.concatenate([np.repeat(required[:1], padding, axis=0), required])
    return PairFilter(words, sketches, inverse_norms(sketches), required)


def candidate_pairs(
    messages: Integers, pair_filter: PairFilter, *, split: int = 0, passes: int = PASSES, window: int = WINDOW
) -> I64:
    """Return the pairs of items that share two symbols, are near each other in that order, and pass the filter.

    Parameters
    ----------
    messages : array of int, shape (n, clusters)
        Values 0 to 255, at least two clusters.
    pair_filter : PairFilter
        Of the same items.
    split : int
        If positive, only pairs of a row before it and a row from it on: one collection against another.
    passes, window : int
        See ``PASSES``, ``WINDOW``.

    Returns
    -------
    int64 (m,)
        first * n + second, first < second, ascending, each once.
    """
    n, clusters = messages.shape
    columns = np.ascontiguousarray(messages.T, dtype=np.uint8)
    found = np.empty(n * window, np.int64)
    start, order, spare = np.arange(n, dtype=np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    parts = []
    for a, b, c in _sort_keys(clusters, passes):
        # Items that agree in two symbols are sorted by a third, which decides where the window cuts.
        sort_by_symbol(columns[c], start, order)
        sort_by_symbol(columns[b], order, spare)
        sort_by_symbol(columns[a], spare, order)
        count = pairs_in_window(order, columns[a], columns[b], pair_filter, window, split, found)
        parts.append(sorted_unique(found[:count]))
    return sorted_unique(np.concatenate(parts))


def sorted_unique(values: I64) -> I64:
    """Return the values in ascending order, each once. ``numpy.unique`` hashes them, which takes ten times as long."""
    ordered = np.sort(values)
    return ordered[np.flatnonzero(np.diff(ordered, prepend=-1))]


def _sort_keys(clusters: int, passes: int) -> list[tuple[int, int, int]]:
    """Return pairs of clusters, spread evenly over all pairs, each with a third cluster."""
    pairs = sorted(combinations(range(clusters), 2), key=lambda pair: (pair[1] - pair[0], pair))
    picked = sorted(set(np.linspace(0, len(pairs) - 1, min(passes, len(pairs))).astype(int).tolist()))
    return [(a, b, next(c for c in range(b + 1, b + 4) if c % clusters not in (a, b) or clusters < 3) % clusters)
            for a, b in (pairs[i] for i in picked)]  # fmt: skip
