"""Pairs of items that share symbols: who may be a near copy of whom, in a whole collection, in near-linear time.

Near copies agree in about half of the symbols of their messages, unlike items in one of a hundred. So the items are
sorted by two of their symbols, once for each of many pairs of clusters, and each item is held against the next few
that agree with it in both. How few is the cap: a symbol that half of the items share costs no more than any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.simd import popcount
from assocmem._numerics.types import F32, I8, I64, U8, Words
from assocmem.codes.dct_sketches import SKETCH_FROM, scales_of

Symbols = npt.NDArray[np.integer[Any]]

TABLES = 24
"""Pairs of clusters that the items are sorted by."""
WINDOW = 8
"""Items that one is held against, in each order, at most."""
COSINE_FROM = 0.9
"""Where there are no sketches, what the cosine exceeds this by counts three times: copies begin at 0.933."""
LOWEST_OF_FOUR = np.uint64(0x1111111111111111)

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_options)
def sort_by_symbol(column, order, out):  # type: ignore[no-untyped-def]
    """Sort rows by one symbol, keeping the order of those that share it.

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


@njit(**_options)
def common_winners(codes, i, j):  # type: ignore[no-untyped-def]
    """Count the clusters in which two codes have the same winner. ``codes``: uint64 (n, w), 16 winners to a word."""
    common = 0
    for w in range(codes.shape[1]):
        different = codes[i, w] ^ codes[j, w]
        different |= different >> np.uint64(2)
        different |= different >> np.uint64(1)
        common += popcount(~different & LOWEST_OF_FOUR)
    return common


@njit(**_options)
def sketch_likeness(sketches, scales, i, j):  # type: ignore[no-untyped-def]
    """Cosine of two sketches, of one mirrored if that is more alike; 0 where one is missing.

    ``sketches``: int8 (n, w), the second half changes its sign in a mirror; ``scales``: float32 (n,).
    """
    half = sketches.shape[1] // 2
    same, turned = np.int32(0), np.int32(0)
    for k in range(half):
        same += np.int32(sketches[i, k]) * np.int32(sketches[j, k])
    for k in range(half, 2 * half):
        turned += np.int32(sketches[i, k]) * np.int32(sketches[j, k])
    return np.float32(same + abs(turned)) * scales[i] * scales[j]


@njit(**_options)
def join_sorted(order, first, second, screen, window, split, out):  # type: ignore[no-untyped-def]
    """Collect pairs of rows that are near each other in an order, agree in two symbols, and pass the screen.

    ``order``: int32 (n,); ``first``, ``second``: uint8 (n,), the symbols; ``screen``: codes, uint64 (n, w), sketches
    and scales, and demand, float32 (winners + 1, 2); ``split``: the first row of the other side, where only pairs
    across count, else 0; ``out``: int64 (n * window,), filled with low * n + high. Returns how many.
    """
    codes, sketches, scales, demand = screen
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
            promising = demand[common, 0] <= 0.0 or (scales[i] * scales[j] == 0.0 and demand[common, 1] <= 0.0)
            if not promising and demand[common, 0] <= 1.0:
                promising = sketch_likeness(sketches, scales, i, j) >= demand[common, 0]
            if promising:
                out[found] = min(i, j) * np.int64(n) + max(i, j)
                found += 1
    return found


def demanded(winners: int, least: float) -> F32:
    """How alike the sketches of a pair must be, given the common winners of its codes, to be worth a closer look.

    Parameters
    ----------
    winners : int
        Clusters of a code.
    least : float
        Likeness that is looked for.

    Returns
    -------
    float32 (winners + 1, 2)
        Column 0: the sketches' likeness from which the pair may reach ``least``; 0 if any will do, more than 1 if
        none. Column 1: 0 if it may without sketches, else 2.

    Notes
    -----
    Measured on 120,000 pairs of photographs and their copies: of pairs with a share s of winners in common, 99% have
    a cosine below 1.02 - 0.35 (1 - s)^2. Features whose mean is not taken off stay further below.
    """
    share = np.arange(winners + 1) / winners
    cosine = np.minimum(1, 1.02 - 0.35 * (1 - share) ** 2)
    lacking = least - cosine
    with_sketch = np.where(lacking <= 0, 0, SKETCH_FROM + lacking)
    alone = np.where(cosine + 2 * np.maximum(0, cosine - COSINE_FROM) >= least, 0, 2)
    return np.stack([with_sketch, alone], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Screen:
    """What candidates of n items are screened by before their features are looked at."""

    codes: U8
    """uint8 (n, b), two winners to a byte"""
    sketches: I8
    """int8 (n, LENGTH); a row of zeros where there is none"""

    def prepared(self, least: float) -> tuple[Words, I8, F32, F32]:
        """As ``join_sorted`` takes it: codes in whole words, sketches, scales, demand."""
        n, size = self.codes.shape
        words = np.zeros((n, -(-size // 8)), np.uint64)
        words.view(np.uint8)[:, :size] = self.codes
        demand = demanded(2 * size, least)
        padding = 16 * words.shape[1] - 2 * size  # winners that any two have in common
        demand = np.concatenate([np.repeat(demand[:1], padding, axis=0), demand])
        return words, self.sketches, scales_of(self.sketches), demand


def candidate_pairs(
    symbols: Symbols, screen: Screen, least: float, *, split: int = 0, tables: int = TABLES, window: int = WINDOW
) -> I64:
    """Return the pairs of items that share two symbols, come to lie near each other, and pass the screen.

    Parameters
    ----------
    symbols : array of int, shape (n, clusters)
        Messages, values 0 to 255, at least two symbols each.
    screen : Screen
        Of the same items.
    least : float
        Likeness that is looked for.
    split : int
        With a positive one, only pairs of one row before it and one from it on: one collection against another.
    tables, window : int
        See ``TABLES``, ``WINDOW``.

    Returns
    -------
    int64 (m,)
        first * n + second, first < second, ascending, each once.
    """
    n, clusters = symbols.shape
    columns = np.ascontiguousarray(symbols.T, dtype=np.uint8)
    prepared = screen.prepared(least)
    found = np.empty(n * window, np.int64)
    start, order, spare = np.arange(n, dtype=np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    parts = []
    for a, b, c in _orders(clusters, tables):
        # Those that agree in two symbols stand together, sorted by a third: it decides where the window cuts.
        sort_by_symbol(columns[c], start, order)
        sort_by_symbol(columns[b], order, spare)
        sort_by_symbol(columns[a], spare, order)
        count = join_sorted(order, columns[a], columns[b], prepared, window, split, found)
        parts.append(distinct(found[:count]))
    return distinct(np.concatenate(parts))


def distinct(values: I64) -> I64:
    """Values in ascending order, each once. ``numpy.unique`` takes a hash table, ten times as long."""
    ordered = np.sort(values)
    return ordered[np.flatnonzero(np.diff(ordered, prepend=-1))]


def _orders(clusters: int, tables: int) -> list[tuple[int, int, int]]:
    """Pairs of clusters, spread evenly over all there are, with a third for each."""
    pairs = sorted(combinations(range(clusters), 2), key=lambda pair: (pair[1] - pair[0], pair))
    picked = sorted(set(np.linspace(0, len(pairs) - 1, min(tables, len(pairs))).astype(int).tolist()))
    return [(a, b, next(c for c in range(b + 1, b + 4) if c % clusters not in (a, b) or clusters < 3) % clusters)
            for a, b in (pairs[i] for i in picked)]  # fmt: skip
