"""Comparing queries with stored vectors: all of them, or those whose codes promise most.

Numbers are added up in one fixed order, so that neither threads nor the machine change a distance.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.simd import prefetch_row, products, squared_distance

STEPS = 64
"""Parts of the range of scores that are told apart when candidates are put in order."""
LEAST = 8
"""Candidates that are compared before their scores' errors are judged by them."""

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_options)
def _worse(query, scale, rows, row, cosine):  # type: ignore[no-untyped-def]
    """What is least for the nearest: the squared distance, or minus the cosine similarity."""
    if not cosine:
        return squared_distance(query, rows, row)
    product, square = products(query, rows, row)
    return -min(max(product * scale / np.sqrt(square), np.float32(-1.0)), np.float32(1.0))


@njit(**_options)
def _enter(worse, row, ids, best, k, n):  # type: ignore[no-untyped-def]
    """Put a row among the ``n`` best so far, at most ``k``, ties by id; returns how many there are now."""
    values, rows = best
    id_ = ids[row] if ids.shape[0] else row
    at = n if n < k else k
    while at > 0:
        before = ids[rows[at - 1]] if ids.shape[0] else rows[at - 1]
        if values[at - 1] < worse or (values[at - 1] == worse and before < id_):
            break
        if at < k:
            values[at] = values[at - 1]
            rows[at] = rows[at - 1]
        at -= 1
    if at < k:
        values[at] = worse
        rows[at] = row
        n = min(n + 1, k)
    return n


@njit(**_options)
def _compare(queries, i, parts, row, cosine):  # type: ignore[no-untyped-def]
    head, tail = parts
    border = np.int64(head.shape[0])
    if row < border:
        return _worse(queries[0][i], queries[1][i], head, row, cosine)
    return _worse(queries[0][i], queries[1][i], tail, row - border, cosine)


@njit(**_options)
def _fetch(parts, row):  # type: ignore[no-untyped-def]
    head, tail = parts
    border = np.int64(head.shape[0])
    if row < border:
        prefetch_row(head, row)
    else:
        prefetch_row(tail, row - border)


@njit(**_options)
def refine_all(queries, parts, candidates, ids, cosine, out):  # type: ignore[no-untyped-def]
    """Compare queries with the same candidates and keep the nearest.

    ``queries``: (float32 (n, d), one over their lengths float32 (n,)); ``parts``: two matrices that follow on each
    other; ``candidates``: int32 (r,), rows of them; ``ids``: int64 of rows, or empty; ``out``: (float32 (n, k), int32
    (n, k)), filled: values, least first, and rows; -1 for none.
    """
    values, rows = out
    k = values.shape[1]
    for i in range(values.shape[0]):
        n = 0
        for j in range(candidates.shape[0]):
            row = np.int64(candidates[j])
            worse = _compare(queries, i, parts, row, cosine)
            if n < k or worse <= values[i, k - 1]:
                n = _enter(worse, row, ids, (values[i], rows[i]), k, n)
        values[i, n:] = np.float32(np.inf)
        rows[i, n:] = -1


@njit(**_options)
def _put_in_order(found, size, ordered, starts):  # type: ignore[no-untyped-def]
    """Order scores and slots by falling score, in steps of a part of their range.

    ``found``, ``ordered``: (float32, int32), the first ``size`` of them; ``starts``: int32 (STEPS + 1,), to work in.
    """
    scores, slots = found
    high = low = scores[0]
    for j in range(size):
        high = max(high, scores[j])
        low = min(low, scores[j])
    per_step = np.float32(STEPS - 1) / max(high - low, np.float32(1e-30))
    starts[:] = 0
    for j in range(size):
        starts[np.int32((high - scores[j]) * per_step) + 1] += 1
    for step in range(STEPS):
        starts[step + 1] += starts[step]
    for j in range(size):
        mine = np.int32((high - scores[j]) * per_step)
        at = starts[mine]
        starts[mine] += 1
        ordered[0][at] = scores[j]
        ordered[1][at] = slots[j]


@njit(**_options)
def refine_promising(queries, parts, found, members, ids, cosine, caution, out):  # type: ignore[no-untyped-def]
    """Compare queries with their candidates in the order of their codes' scores, as long as that promises anything.

    A score is, but for a number that depends on the query alone, minus half the squared distance, with an error. What
    errors there are is seen as candidates are compared: the comparing ends with the first candidate that would not be
    among the k nearest even if its score were ``caution`` standard deviations of them too low.

    ``found``: (scores float32 (n, r), slots int32 (n, r), how many of them int64 (n,)), the last overwritten with how
    many were compared; ``members``: int32, rows by slot. The others: as for ``refine_all``.
    """
    values, rows = out
    k = values.shape[1]
    factor = np.float64(1.0) if cosine else np.float64(2.0)  # the cosine's is half the squared distance, of units
    scores, slots = np.empty(found[0].shape[1], np.float32), np.empty(found[0].shape[1], np.int32)
    starts = np.empty(STEPS + 1, np.int32)
    for i in range(values.shape[0]):
        size = found[2][i]
        if size:
            _put_in_order((found[0][i], found[1][i]), size, (scores, slots), starts)
        n, done = 0, 0
        shift = total = squares = 0.0
        limit = np.float64(-np.inf)
        for j in range(size):
            if j + 2 < size:
                _fetch(parts, np.int64(members[slots[j + 2]]))
            row = np.int64(members[slots[j]])
            score = np.float64(scores[j])
            if score < limit:
                break
            worse = _compare(queries, i, parts, row, cosine)
            if n < k or worse <= values[i, k - 1]:
                n = _enter(worse, row, ids, (values[i], rows[i]), k, n)
            done += 1
            if done == 1:
                shift = worse + factor * score
            off = worse + factor * score - shift
            total += off
            squares += off * off
            if done >= max(k + 2, LEAST) and not done & 3:
                mean = total / done
                error = np.sqrt(max(squares / done - mean * mean, 0.0))
                limit = (shift + mean - caution * error - values[i, k - 1]) / factor
        values[i, n:] = np.float32(np.inf)
        rows[i, n:] = -1
        found[2][i] = done


@njit(**_options)
def measure_rows(queries, parts, candidates, cosine, out):  # type: ignore[no-untyped-def]
    """Compare each query with the same rows; shapes as for ``refine_rows``, ``candidates`` int32 (r,), out (n, r)."""
    head, tail = parts
    border = np.int64(head.shape[0])
    for j in range(candidates.shape[0]):
        row = np.int64(candidates[j])
        for i in range(out.shape[0]):
            if row < border:
                out[i, j] = _worse(queries[0][i], queries[1][i], head, row, cosine)
            else:
                out[i, j] = _worse(queries[0][i], queries[1][i], tail, row - border, cosine)
