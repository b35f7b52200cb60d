"""How alike two items are, by their features and by their sketches; and what groups of near copies are made with.

Kernels only; what they are for is told in ``duplicates.py``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem.codes.dct_sketches import SKETCH_FROM
from assocmem.copies.candidate_pairs import COSINE_FROM, sketch_likeness

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_options)
def dot(x, i, j):  # type: ignore[no-untyped-def]
    """Inner product of two rows of ``x``, float32 (n, d).

    Eight running sums in a fixed order: one vector register, and the same result on every machine.
    """
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0.0)
    whole = x.shape[1] // 8 * 8
    for k in range(0, whole, 8):
        s0 += x[i, k] * x[j, k]
        s1 += x[i, k + 1] * x[j, k + 1]
        s2 += x[i, k + 2] * x[j, k + 2]
        s3 += x[i, k + 3] * x[j, k + 3]
        s4 += x[i, k + 4] * x[j, k + 4]
        s5 += x[i, k + 5] * x[j, k + 5]
        s6 += x[i, k + 6] * x[j, k + 6]
        s7 += x[i, k + 7] * x[j, k + 7]
    for k in range(whole, x.shape[1]):
        s0 += x[i, k] * x[j, k]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@njit(**_options)
def likeness(vectors, i, j):  # type: ignore[no-untyped-def]
    """Cosine of two items' features, plus what their sketches are more alike than unlike pictures' are.

    ``vectors``: features, float32 (N, d); places, int64 (n,), where in them the items are; one over their lengths,
    float32 (n,); sketches, int8 (n, w), whose second half changes its sign in a mirror; one over their lengths,
    float32 (n,), 0 where there is none.
    """
    features, places, scales, sketches, sketch_scales = vectors
    cosine = dot(features, places[i], places[j]) * scales[i] * scales[j]
    if sketch_scales[i] * sketch_scales[j] == np.float32(0.0):
        return cosine + np.float32(2.0) * max(np.float32(0.0), cosine - np.float32(COSINE_FROM))
    alike = sketch_likeness(sketches, sketch_scales, i, j)
    return cosine + max(np.float32(0.0), alike - np.float32(SKETCH_FROM))


@njit(**_options)
def invert_lengths(features, places, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n,), with one over the lengths of rows ``places`` of ``features``; 0 for zero rows."""
    for i in range(places.shape[0]):
        squares = dot(features, places[i], places[i])
        out[i] = np.float32(1.0) / np.sqrt(squares) if squares > 0.0 else np.float32(0.0)


@njit(**_options)
def score_pairs(vectors, first, second, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (m,), with the likeness of the pairs of items ``first``, ``second``, int64 (m,)."""
    for p in range(first.shape[0]):
        out[p] = likeness(vectors, first[p], second[p])


@njit(**_options)
def find_root(parents, i):  # type: ignore[no-untyped-def]
    """Root of i's tree; the way there is halved for the next one. ``parents``: int64 (n,)."""
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@njit(**_options)
def join_trees(parents, first, second):  # type: ignore[no-untyped-def]
    """Make one tree of the rows that pairs connect; each row's parent becomes its tree's least row."""
    for p in range(first.shape[0]):
        a, b = find_root(parents, first[p]), find_root(parents, second[p])
        parents[max(a, b)] = min(a, b)
    for i in range(parents.shape[0]):
        parents[i] = find_root(parents, i)


@njit(**_options)
def grow_groups(vectors, starts, neighbours, order, least, leaders, scores):  # type: ignore[no-untyped-def]
    """Grow groups around representatives: along pairs, as far as members are themselves like the representative.

    ``vectors``: see ``likeness``; ``starts``: int64 (n + 1,), ``neighbours``: int64 (2 m,): of row i those from
    starts[i] to starts[i + 1];
    ``order``: int64 (n,), the rows as they may become representatives; ``least``: float32; ``leaders``: int64 (n,),
    -1 on entry, filled with each row's representative; ``scores``: float32 (n,), filled with the likeness to it.
    """
    n = order.shape[0]
    queue = np.empty(n, np.int64)
    asked = np.full(n, -1, np.int64)  # the representative that a row was last held against
    for leader in order:
        if leaders[leader] >= 0:
            continue
        leaders[leader] = leader
        scores[leader] = likeness(vectors, leader, leader)
        queue[0] = leader
        head, tail = 0, 1
        while head < tail:
            member = queue[head]
            head += 1
            for p in range(starts[member], starts[member + 1]):
                row = neighbours[p]
                if leaders[row] >= 0 or asked[row] == leader:
                    continue
                asked[row] = leader
                score = likeness(vectors, leader, row)
                if score >= least:
                    leaders[row] = leader
                    scores[row] = score
                    queue[tail] = row
                    tail += 1
