"""Kernels that compare queries with stored vectors: with all of them, or with the candidates of the best codes.

Both metrics are costs here, the lowest is the nearest: the squared distance, or minus the cosine similarity. Numbers
are added up in one fixed order, so that a cost depends neither on threads nor on the machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.simd import prefetch_row, products, squared_distance
from assocmem._numerics.types import KERNEL

SCORE_BUCKETS = 64
"""Buckets of equal width into which the scores of candidates are sorted."""
MIN_COMPARED = 8
"""Candidates that are compared before the errors of their scores are estimated from them."""


@njit(**KERNEL)
def _cost(query, inverse_length, rows, row, cosine):  # type: ignore[no-untyped-def]
    if not cosine:
        return squared_distance(query, rows, row)
    product, square = products(query, rows, row)
    return -min(max(product * inverse_length / np.sqrt(square), np.float32(-1.0)), np.float32(1.0))


@njit(**KERNEL)
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


@njit(**KERNEL)
def _compare(queries, i, parts, row, cosine):  # type: ignore[no-untyped-def]
    head, tail = parts
    border = np.int64(head.shape[0])
    if row < border:
        return _cost(queries[0][i], queries[1][i], head, row, cosine)
    return _cost(queries[0][i], queries[1][i], tail, row - border, cosine)


@njit(**KERNEL)
def _prefetch(parts, row):  # type: ignore[no-untyped-def]
    head, tail = parts
    border = np.int64(head.shape[0])
    if row < border:
        prefetch_row(head, row)
    else:
        prefetch_row(tail, row - border)


@njit(**KERNEL)
def rerank_all(queries, parts, candidates, ids, cosine, out):  # type: ignore[no-untyped-def]
    """Compare all queries with the same candidates and keep the nearest.

    ``queries``: (float32 (n, d), inverses of their lengths float32 (n,)); ``parts``: two matrices, the rows of the
    second follow those of the first; ``candidates``: int32 (r,), their rows; ``ids``: int64, of each row, or empty if
    they equal the row numbers; ``out``: (costs float32 (n, k), rows int32 (n, k)), filled, the nearest first; inf and
    -1 if there are fewer.
    """
    costs, rows = out
    k = costs.shape[1]
    for i in range(costs.shape[0]):
        n = 0
        for j in range(candidates.shape[0]):
            row = np.int64(candidates[j])
            cost = _compare(queries, i, parts, row, cosine)
            if n < k or cost <= costs[i, k - 1]:
                n = _insert(cost, row, ids, (costs[i], rows[i]), k, n)
        costs[i, n:] = np.float32(np.inf)
        rows[i, n:] = -1


@njit(**KERNEL)
def sort_by_score(found, size, ordered, starts):  # type: ignore[no-untyped-def]
    """Sort scores and slots into buckets, the highest scores first; within a bucket, the order stays.

    ``found``, ``ordered``: (float32, int32), of which the first ``size`` count; ``starts``: int32 (SCORE_BUCKETS + 1,),
    scratch.
    """
    scores, slots = found
    high = low = scores[0]
    for j in range(size):
        high = max(high, scores[j])
        low = min(low, scores[j])
    per_unit = np.float32(SCORE_BUCKETS - 1) / max(high - low, np.float32(1e-30))
    starts[:] = 0
    for j in range(size):
        starts[np.int32((high - scores[j]) * per_unit) + 1] += 1
    for bucket in range(SCORE_BUCKETS):
        starts[bucket + 1] += starts[bucket]
    for j in range(size):
        mine = np.int32((high - scores[j]) * per_unit)
        at = starts[mine]
        starts[mine] += 1
        ordered[0][at] = scores[j]
        ordered[1][at] = slots[j]


@njit(**KERNEL)
def rerank_promising(queries, parts, found, members, ids, cosine, caution, out):  # type: ignore[no-untyped-def]
    """Compare each query with its candidates, the best score first, as long as a candidate may be among the nearest.

    A score is minus half the squared distance, except for a number that depends on the query alone and for an error.
    The errors are estimated from the candidates that have been compared. The comparisons end at the first candidate
    that would not be among the k nearest even if its score were too low by ``caution`` standard deviations of them.

    ``found``: (scores float32 (n, r), slots int32 (n, r), numbers of candidates int64 (n,)); the last are overwritten
    with the numbers of candidates that were compared. ``members``: int32, row in each slot. For the others see
    ``rerank_all``.
    """
    costs, rows = out
    k = costs.shape[1]
    factor = np.float64(1.0) if cosine else np.float64(2.0)  # -cosine is half the squared distance of unit vectors
    scores, slots = np.empty(found[0].shape[1], np.float32), np.empty(found[0].shape[1], np.int32)
    starts = np.empty(SCORE_BUCKETS + 1, np.int32)
    for i in range(costs.shape[0]):
        size = found[2][i]
        if size:
            sort_by_score((found[0][i], found[1][i]), size, (scores, slots), starts)
        n, compared = 0, 0
        shift = total = squares = 0.0
        limit = np.float64(-np.inf)
        for j in range(size):
            if j + 2 < size:
                _prefetch(parts, np.int64(members[slots[j + 2]]))
            row = np.int64(members[slots[j]])
            score = np.float64(scores[j])
            if score < limit:
                break
            cost = _compare(queries, i, parts, row, cosine)
            if n < k or cost <= costs[i, k - 1]:
                n = _insert(cost, row, ids, (costs[i], rows[i]), k, n)
            compared += 1
            if compared == 1:
                shift = cost + factor * score  # of one size with the errors, so that their squares keep precision
            error = cost + factor * score - shift
            total += error
            squares += error * error
            if compared >= max(k + 2, MIN_COMPARED) and not compared & 3:
                mean = total / compared
                deviation = np.sqrt(max(squares / compared - mean * mean, 0.0))
                limit = (shift + mean - caution * deviation - costs[i, k - 1]) / factor
        costs[i, n:] = np.float32(np.inf)
        rows[i, n:] = -1
        found[2][i] = compared


@njit(**KERNEL)
def measure_rows(queries, parts, candidates, cosine, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n, r), with the costs of all candidates; the other arguments as for ``rerank_all``."""
    head, tail = parts
    border = np.int64(head.shape[0])
    for j in range(candidates.shape[0]):
        row = np.int64(candidates[j])
        for i in range(out.shape[0]):
            if row < border:
                out[i, j] = _cost(queries[0][i], queries[1][i], head, row, cosine)
            else:
                out[i, j] = _cost(queries[0][i], queries[1][i], tail, row - border, cosine)
