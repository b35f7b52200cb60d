"""Kernels of the near copies: how similar two items are by their features and sketches, and growing groups of copies.

``grouping.py`` says what they are used for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.types import F32, I8, I64, KERNEL
from assocmem.codes.dct_sketches import SKETCH_THRESHOLD
from assocmem.copies.candidate_pairs import COSINE_THRESHOLD, sketch_similarity


class Vectors(NamedTuple):
    """The vectors of n items."""

    features: F32
    """float32 (N, d)"""
    places: I64
    """int64 (n,): the items' rows in ``features``"""
    norms: F32
    """float32 (n,): one over the lengths of the items' features, 0 for zero rows"""
    sketches: I8
    """int8 (n, w), whose second half changes its sign in a mirror"""
    sketch_norms: F32
    """float32 (n,): one over the lengths of the sketches, 0 if there is no sketch"""


# Similarity


@njit(**KERNEL)
def dot(x, i, j):  # type: ignore[no-untyped-def]
    """Return the inner product of two rows of ``x``, float32 (n, d).

    Eight running sums in a fixed order fill one vector register and give the same result on every machine.
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


@njit(**KERNEL)
def similarity(vectors, i, j):  # type: ignore[no-untyped-def]
    """Return the similarity of two items: the cosine of their features plus the evidence of their sketches.

    The evidence is what the cosine of the sketches exceeds SKETCH_THRESHOLD by. If a sketch is missing, it is twice
    what the cosine of the features exceeds COSINE_THRESHOLD by. ``vectors``: ``Vectors``.
    """
    features, places, norms, sketches, sketch_norms = vectors
    cosine = dot(features, places[i], places[j]) * norms[i] * norms[j]
    if sketch_norms[i] * sketch_norms[j] == np.float32(0.0):
        return cosine + np.float32(2.0) * max(np.float32(0.0), cosine - np.float32(COSINE_THRESHOLD))
    sketch_cosine = sketch_similarity(sketches, sketch_norms, i, j)
    return cosine + max(np.float32(0.0), sketch_cosine - np.float32(SKETCH_THRESHOLD))


@njit(**KERNEL)
def fill_norms(features, places, norms):  # type: ignore[no-untyped-def]
    """Fill ``norms``, float32 (n,), with one over the lengths of rows ``places`` of ``features``; 0 for zero rows."""
    for i in range(places.shape[0]):
        squares = dot(features, places[i], places[i])
        norms[i] = np.float32(1.0) / np.sqrt(squares) if squares > 0.0 else np.float32(0.0)


@njit(**KERNEL)
def score_pairs(vectors, first, second, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (m,), with the similarity of each pair of items ``first``, ``second``, int64 (m,)."""
    for p in range(first.shape[0]):
        out[p] = similarity(vectors, first[p], second[p])


# Groups


@njit(**KERNEL)
def find_root(parents, i):  # type: ignore[no-untyped-def]
    """Return the root of i's tree, and halve the path to it for the next search. ``parents``: int64 (n,), changed."""
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@njit(**KERNEL)
def label_components(labels, first, second):  # type: ignore[no-untyped-def]
    """Label each row with the least row of its connected component (union-find).

    ``labels``: int64 (n,), each row its own label on entry, changed; ``first``, ``second``: int64 (m,), the pairs that
    connect rows.
    """
    for p in range(first.shape[0]):
        a, b = find_root(labels, first[p]), find_root(labels, second[p])
        labels[max(a, b)] = min(a, b)
    for i in range(labels.shape[0]):
        labels[i] = find_root(labels, i)


@njit(**KERNEL)
def grow_groups(vectors, starts, neighbours, order, least, leaders, scores):  # type: ignore[no-untyped-def]
    """Grow groups around representatives: along pairs, as far as members are similar to the representative itself.

    ``vectors``: ``Vectors``; ``starts``: int64 (n + 1,) and ``neighbours``: int64 (2 m,): row i is in pairs with the
    rows from starts[i] to starts[i + 1]; ``order``: int64 (n,), the order in which rows may become representatives;
    ``least``: float32; ``leaders``: int64 (n,), -1 on entry, filled with each row's representative; ``scores``: float32
    (n,), filled with the similarity to it.
    """
    n = order.shape[0]
    queue = np.empty(n, np.int64)
    compared = np.full(n, -1, np.int64)  # the representative that a row was last compared with
    for leader in order:
        if leaders[leader] >= 0:
            continue
        leaders[leader] = leader
        scores[leader] = similarity(vectors, leader, leader)
        queue[0] = leader
        head, tail = 0, 1
        while head < tail:
            member = queue[head]
            head += 1
            for p in range(starts[member], starts[member + 1]):
                row = neighbours[p]
                if leaders[row] >= 0 or compared[row] == leader:
                    continue
                compared[row] = leader
                score = similarity(vectors, leader, row)
                if score >= least:
                    leaders[row] = leader
                    scores[row] = score
                    queue[tail] = row
                    tail += 1
