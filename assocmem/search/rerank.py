"""Kernels of exact search: compare queries with all vectors, with some, or with those that balls do not rule out.

Costs are squared distances, minus cosine similarities, or minus inner products: the lowest is the nearest. Numbers are
added up in one fixed order, so that a cost depends neither on threads nor on the machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.simd import products, scaled_distance, squared_distance
from assocmem._numerics.types import RAW_KERNEL
from assocmem.search.pool_kernels import POOL_ITEMS
from assocmem.search.probing import L2, PRODUCT

TOGETHER = 8
"""Queries that are compared with a vector together, so that it is read once."""
BUCKETS = 64
"""Buckets of equal width into which pools are sorted."""


@njit(**RAW_KERNEL)
def _cost(query, inverse_length, rows, row, metric):  # type: ignore[no-untyped-def]
    if metric == L2:
        return squared_distance(query, rows, row)
    product, square = products(query, rows, row)
    if metric == PRODUCT:
        return -product
    return -min(max(product * inverse_length / np.sqrt(square), np.float32(-1.0)), np.float32(1.0))


@njit(**RAW_KERNEL)
def _insert(cost, row, ids, best, k, n):  # type: ignore[no-untyped-def]
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
def _compare(queries, i, parts, row, metric):  # type: ignore[no-untyped-def]
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
                cost = _compare(queries, i, parts, row, metric)
                if n < k or cost <= costs[i, k - 1]:
                    _insert(cost, row, ids, (costs[i], rows[i]), k, n)
    found = min(candidates.shape[0], k)
    for i in range(count):
        costs[i, found:] = np.float32(np.inf)
        rows[i, found:] = -1


@njit(**RAW_KERNEL)
def measure_rows(queries, parts, candidates, metric, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n, r), with the costs of all candidates; the other arguments as for ``rerank_all``."""
    for j in range(candidates.shape[0]):
        row = np.int64(candidates[j])
        for i in range(out.shape[0]):
            out[i, j] = _compare(queries, i, parts, row, metric)


# Few dimensions: pools as balls


@njit(**RAW_KERNEL)
def _least_cost(stored, queries, i, pool, slack, metric):  # type: ignore[no-untyped-def]
    """Return a cost that no item of a pool is below: the ball about its centre holds them all."""
    values, scale = stored.centre_values, stored.centre_scales[pool]
    radius = np.float64(stored.radii[pool]) + slack
    if metric == PRODUCT:
        product, _ = products(queries.vectors[i], values, pool)
        reach = radius / np.float64(queries.inverse_lengths[i])
        return np.float64(queries.offsets[i]) - np.float64(product) * np.float64(scale) - reach * 1.0001 - slack
    distance = np.sqrt(np.float64(scaled_distance(queries.centred[i], values, pool, scale)))
    nearest = max(distance * 0.99999 - radius, 0.0)
    return nearest * nearest if metric == L2 else 0.5 * nearest * nearest - 1.0


@njit(**RAW_KERNEL)
def _entry(value, count):  # type: ignore[no-untyped-def]
    """Return the whole part of a value as an index below ``count``; 0 for what is not a number."""
    return np.int64(min(value, count - 1.0)) if value >= 1.0 else np.int64(0)


@njit(**RAW_KERNEL)
def _sort_pools(pools, bounds, limit, order, starts):  # type: ignore[no-untyped-def]
    """Fill ``order`` with the pools whose bounds do not exceed a limit, in about their order; return their number."""
    low, high, n = np.inf, -np.inf, 0
    for j in range(pools.shape[0]):
        if bounds[j] <= limit:
            low, high, n = min(low, bounds[j]), max(high, bounds[j]), n + 1
    per_unit = (BUCKETS - 1) / max(high - low, 1e-300)
    starts[:] = 0
    for j in range(pools.shape[0]):
        if bounds[j] <= limit:
            starts[_entry((bounds[j] - low) * per_unit, BUCKETS) + 1] += 1
    for bucket in range(BUCKETS):
        starts[bucket + 1] += starts[bucket]
    for j in range(pools.shape[0]):
        if bounds[j] <= limit:
            mine = _entry((bounds[j] - low) * per_unit, BUCKETS)
            order[starts[mine]] = j
            starts[mine] += 1
    return n


@njit(**RAW_KERNEL)
def _compare_pool(stored, queries, i, pool, n, metric, best):  # type: ignore[no-untyped-def]
    """Compare a query with the items of a pool; return how many are the best so far, and how many were compared."""
    costs, rows, k = best
    compared = 0
    for at in range(POOL_ITEMS * pool, POOL_ITEMS * pool + stored.items.sizes[pool]):
        row = np.int64(stored.items.members[at])
        if stored.allowed.shape[0] and not stored.allowed[row]:
            continue
        parts, both = (stored.head, stored.tail), (queries.vectors, queries.inverse_lengths)
        cost = _compare(both, i, parts, row, metric)
        compared += 1
        if n < k or cost <= costs[k - 1]:
            n = _insert(cost, row, stored.ids, (costs, rows), k, n)
    return n, compared


@njit(**RAW_KERNEL)
def search_balls(stored, queries, slacks, metric, scratch, out):  # type: ignore[no-untyped-def]
    """Compare queries with the items of all pools whose balls are near enough: exact, and quick in few dimensions.

    ``stored``, ``queries``, ``metric``: as for ``probe``; ``slacks``: float64 (n,), how far rounding may move a vector;
    ``scratch``: (int32 pools in use (p,), float64 (p,), int32 (p,), int64 (BUCKETS + 1,)); ``out``: (costs float32
    (n, k), rows int32 (n, k), int64 (n,)), filled as by ``rerank_all``; the last with the number of comparisons.
    """
    costs, rows, compared = out
    pools, bounds, order, starts = scratch
    k = costs.shape[1]
    for i in range(costs.shape[0]):
        nearest = 0
        for j in range(pools.shape[0]):
            bounds[j] = _least_cost(stored, queries, i, np.int64(pools[j]), slacks[i], metric)
            if bounds[j] < bounds[nearest]:
                nearest = j
        best = (costs[i], rows[i], k)
        n, compared[i] = _compare_pool(stored, queries, i, np.int64(pools[nearest]), 0, metric, best)
        bounds[nearest] = np.inf
        limit = np.float64(costs[i, k - 1]) if n == k else 1e300
        for j in range(_sort_pools(pools, bounds, limit, order, starts)):
            if n < k or bounds[order[j]] <= np.float64(costs[i, k - 1]):
                n, more = _compare_pool(stored, queries, i, np.int64(pools[order[j]]), n, metric, best)
                compared[i] += more
        costs[i, n:] = np.float32(np.inf)
        rows[i, n:] = -1
