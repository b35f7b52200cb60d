"""Compare queries with all vectors, or with all of some rows: many queries at once by a product of matrices.

A product of matrices says in a few multiplications where each cost is, but for rounding. Rows that may be among the
nearest are compared again, one by one, as ``rerank`` does it: so answers and their order do not depend on how many
queries are asked together.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.simd import lanes_above, lowest_bit
from assocmem._numerics.types import F32, F64, I32, I64, LANES, RAW_KERNEL
from assocmem.search.rerank import COSINE, L2, PRODUCT, compare_row, insert_nearest, rerank_all
from assocmem.search.vector_table import VectorTable, read_rows

MANY = 8
"""Queries from which a product of matrices is quicker: rows are decoded once for all of them."""
BLOCK = 512
"""Rows that are multiplied at a time."""
ROUNDING = 2.0**-24
"""Greatest relative error of an operation with float32."""


@njit(**RAW_KERNEL)
def _floor(costs, n, k, start, slope, error):  # type: ignore[no-untyped-def]
    """Return the score above which a row may be among the k nearest, of which ``n`` are known."""
    if n < k:
        return np.float32(-np.inf)
    return np.float32(start - slope * np.float64(costs[k - 1]) - error)


@njit(**RAW_KERNEL)
def keep_nearest(scores, terms, floors, queries, parts, rows, ids, metric, found, out):  # type: ignore[no-untyped-def]
    """Compare the rows of a block that may be among the nearest.

    ``scores``: float32 (n * m,), products of n queries and m rows, m a multiple of 16; overwritten. ``terms``: (float32
    (m,), float32 (m,)), what a product is multiplied by, and what is then subtracted, inf for rows that do not count.
    ``floors``: (float64 (n,), float, float64 (n,)): a row counts if its score is above the first, less the second times
    the cost of the k-th nearest, less the third. ``found``: int64 (n,), how many are known, updated. The others as for
    ``rerank_all``.
    """
    factors, halves = terms
    starts, slope, errors = floors
    costs, best = out
    count, k = costs.shape
    m = factors.shape[0]
    for i in range(count):
        n = found[i]
        floor = _floor(costs[i], n, k, starts[i], slope, errors[i])
        for at in range(0, m, LANES):
            first = i * m + at
            for lane in range(LANES):
                scores[first + lane] = scores[first + lane] * factors[at + lane] - halves[at + lane]
            mask = lanes_above(scores, first, floor)
            while mask != 0:
                row = np.int64(rows[at + lowest_bit(np.uint64(mask))])
                mask &= mask - 1
                cost = compare_row(queries, i, parts, row, metric)
                if n < k or cost <= costs[i, k - 1]:
                    n = insert_nearest(cost, row, ids, (costs[i], best[i]), k, n)
                    floor = _floor(costs[i], n, k, starts[i], slope, errors[i])
        found[i] = n


def compare_all(
    vectors: VectorTable, q: F32, mean: F32, rows: I32, ids: I64, metric: int, out: tuple[F32, I32]
) -> None:
    """Keep the nearest of some rows, for each query.

    Parameters
    ----------
    vectors : VectorTable
    q : float32 (n, dim)
    mean : float32 (dim,)
        Near the items, for the l2 metric: the nearer, the less is compared twice.
    rows : int32 (m,)
    ids, metric, out
        As for ``rerank_all``.
    """
    queries = vectors.prepare_queries(q, cosine=metric == COSINE)
    if len(q) < MANY:
        rerank_all(queries, vectors.parts, rows, ids, metric, out)
        return
    costs, best = out
    costs[:], best[:] = np.inf, -1
    centre = vectors.widen(mean[None])[0] if metric == L2 else np.zeros(vectors.width, np.float32)
    wide = queries[0] * queries[1][:, None] if metric == COSINE else queries[0] - centre
    squares = np.einsum("ij,ij->i", wide, wide, dtype=np.float64)
    starts, slope = (0.5 * squares, 0.5) if metric == L2 else (np.zeros(len(q)), 1.0)
    found, room = np.zeros(len(q), np.int64), np.empty(len(q) * BLOCK, np.float32)
    for first in range(0, len(rows), BLOCK):
        part = rows[first : first + BLOCK]
        x, terms, longest = block_of(vectors, part, centre, metric)
        floors = starts, slope, errors_of(squares, longest, vectors.width, metric)
        scores = room[: len(q) * len(x)]
        np.matmul(wide, x.T, out=scores.reshape(len(q), len(x)))
        keep_nearest(scores, terms, floors, queries, vectors.parts, part, ids, metric, found, out)


def block_of(vectors: VectorTable, rows: I32, centre: F32, metric: int) -> tuple[F32, tuple[F32, F32], float]:
    """Return rows less the centre, float32 (m, width), their terms, and the greatest squared length."""
    m = -(-len(rows) // LANES) * LANES
    x = np.zeros((m, vectors.width), np.float32)
    read_rows(vectors.parts, rows, False, x[: len(rows)])
    if metric == L2:
        x[: len(rows)] -= centre
    squares = np.einsum("ij,ij->i", x, x)
    factors, halves = np.ones(m, np.float32), np.zeros(m, np.float32)
    if metric == COSINE:
        factors[: len(rows)] /= np.sqrt(squares[: len(rows)])
    elif metric == L2:
        halves = np.float32(0.5) * squares
    halves[len(rows) :] = np.inf
    return x, (factors, halves), float(squares.max())


def errors_of(squares: F64, longest: float, width: int, metric: int) -> F64:
    """Return by how much scores, and the costs that they are held against, may be wrong together, float64 (n,).

    Sums of ``width`` products err by less than their number times ROUNDING times the lengths (Higham, Accuracy and
    Stability of Numerical Algorithms, 3.1); the rest is for lengths, centring and the costs themselves.
    """
    share = 4 * (width + 8) * ROUNDING
    if metric == COSINE:
        return np.full(len(squares), share)
    if metric == PRODUCT:
        return share * np.sqrt(squares * longest) + 1e-30
    return share * (squares + longest) + 1e-30
