"""Kernels of exact search: compare queries with all vectors, or with some.

Costs are squared distances, minus cosine similarities, or minus inner products: the lowest is the nearest. Numbers are
added up in one fixed order, so that a cost depends neither on threads nor on the machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.simd import products, squared_distance
from assocmem._numerics.types import RAW_KERNEL

L2, COSINE, PRODUCT = 0, 1, 2
"""Metrics, as the kernels take them."""
TOGETHER = 8
"""Queries that are compared with a vector together, so that it is read once."""


@njit(**RAW_KERNEL)
def _cost(query, inverse_length, rows, row, metric):  # type: ignore[no-untyped-def]
    if metric == L2:
        return squared_distance(query, rows, row)
    product, square = products(query, rows, row)
    if metric == PRODUCT:
        return -product
    return -min(max(product * inverse_length / np.sqrt(square), np.float32(-1.0)), np.float32(1.0))


@njit(**RAW_KERNEL)
def insert_nearest(cost, row, ids, best, k, n):  # type: ignore[no-untyped-def]
    """Insert a row among the ``n`` best so far, at most ``k``, ties by id; return their new number."""
    costs, rows = best
    id_ = ids[row] if ids.shape[0] else row
    at = n if n < k else k
    while at > 0:
        before = ids[rows[at - 1]] if ids.shape[0] else rows[at - 1]
        if costs[at - 1] < cost or (costs[at - 1] == cost and before < id_):
            break
        if at < k:
            costs[at] = costs[at - 1]
            rows[at] = rows[at - 1]
        at -= 1
    if at < k:
        costs[at] = cost
        rows[at] = row
        n = min(n + 1, k)
    return n


@njit(**RAW_KERNEL)
def compare_row(queries, i, parts, row, metric):  # type: ignore[no-untyped-def]
    """Return the cost of a row for query ``i``; the arguments are those of ``rerank_all``."""
    head, tail = parts
    border = np.int64(head.shape[0])
    if row < border:
        return _cost(queries[0][i], queries[1][i], head, row, metric)
    return _cost(queries[0][i], queries[1][i], tail, row - border, metric)


@njit(**RAW_KERNEL)
def rerank_all(queries, parts, candidates, ids, metric, out):  # type: ignore[no-untyped-def]
    """Compare all queries with the same candidates and keep the nearest.

    ``queries``: (float32 (n, d), inverses of their lengths float32 (n,)); ``parts``: two matrices, the rows of the
    second follow those of the first; ``candidates``: int32 (r,), their rows; ``ids``: int64, of each row, or empty if
    they equal the row numbers; ``metric``: L2, COSINE or PRODUCT; ``out``: (costs float32 (n, k), rows int32 (n, k)),
    filled, the nearest first; inf and -1 if there are fewer.
    """
    costs, rows = out
    count, k = costs.shape
    for first in range(0, count, TOGETHER):
        last = min(first + TOGETHER, count)
        for j in range(candidates.shape[0]):
            row = np.int64(candidates[j])
            n = min(j, k)
            for i in range(first, last):
                cost = compare_row(queries, i, parts, row, metric)
                if n < k or cost <= costs[i, k - 1]:
                    insert_nearest(cost, row, ids, (costs[i], rows[i]), k, n)
    found = min(candidates.shape[0], k)
    for i in range(count):
        for j in range(found, k):
            costs[i, j] = np.float32(np.inf)
            rows[i, j] = -1


@njit(**RAW_KERNEL)
def measure_rows(queries, parts, candidates, metric, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n, r), with the costs of all candidates; the other arguments as for ``rerank_all``."""
    for j in range(candidates.shape[0]):
        row = np.int64(candidates[j])
        for i in range(out.shape[0]):
            out[i, j] = compare_row(queries, i, parts, row, metric)
