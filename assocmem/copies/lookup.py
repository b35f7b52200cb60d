"""The originals of a picture: the items most similar to a query, by its features and its sketch together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.types import F32, I8, I64, KERNEL
from assocmem.codes.dct_sketches import SKETCH_LENGTH, SKETCH_THRESHOLD, inverse_norms
from assocmem.codes.winner_codes import CliqueCoder, byte_tables, score_codes
from assocmem.copies.candidate_pairs import COSINE_THRESHOLD
from assocmem.copies.grouping import ComparedItems
from assocmem.errors import InputError

CODE_CANDIDATES = 300
"""Items with the best codes that are compared by their features."""
SKETCH_CANDIDATES = 100
"""Items with the best sketches that are compared by their features, at most."""


@njit(**KERNEL)
def scan_sketches(query, sketches, norms, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n,), with the inner products of a query's sketch and each sketch, times its norm.

    ``query``: int8 (w,); ``sketches``: int8 (n, w), whose second half changes its sign in a mirror; of a sketch and its
    mirror image, the more similar one counts; ``norms``: float32 (n,), one over the lengths of the sketches.
    """
    half = sketches.shape[1] // 2
    for i in range(sketches.shape[0]):
        same, turned = np.int32(0), np.int32(0)
        for k in range(half):
            same += np.int32(query[k]) * np.int32(sketches[i, k])
        for k in range(half, 2 * half):
            turned += np.int32(query[k]) * np.int32(sketches[i, k])
        out[i] = np.float32(same + abs(turned)) * norms[i]


def find_originals(
    features: npt.ArrayLike,
    sketches: I8,
    items: ComparedItems,
    coder: CliqueCoder,
    k: int,
    *,
    candidates: int = CODE_CANDIDATES,
) -> tuple[F32, I64]:
    """Return the k items most similar to each query.

    Parameters
    ----------
    features : array, shape (nq, dim)
    sketches : int8 (nq, SKETCH_LENGTH)
        Zeros if there is no sketch.
    items : ComparedItems
        The items to search.
    coder : CliqueCoder
        The encoder that made the items' codes.
    k : int
        Results per query; if fewer items are compared, the rest is padded with row -1 and similarity 0.
    candidates : int
        See ``CODE_CANDIDATES``.

    Returns
    -------
    D : float32 (nq, k)
        Similarity, highest first: cosine similarity plus what that of the sketches exceeds SKETCH_THRESHOLD by.
    I : int64 (nq, k)
        Rows of ``items``.

    Raises
    ------
    InputError
        Wrong shape, values that are not finite, or k < 1.
    """
    rotated = coder.rotate(features)[:, : coder.clusters * 16]
    if k < 1 or sketches.shape != (len(rotated), SKETCH_LENGTH):
        raise InputError(f"expected k >= 1 and sketches ({len(rotated)}, {SKETCH_LENGTH}), found {k}, {sketches.shape}")
    queries = np.atleast_2d(np.asarray(features, np.float32))
    item_norms, query_norms = inverse_norms(items.sketches), inverse_norms(sketches)
    found_d, found_i = np.zeros((len(queries), k), np.float32), np.full((len(queries), k), -1)
    by_code, by_sketch = np.empty(len(items), np.float32), np.empty(len(items), np.float32)
    for q, values in enumerate(rotated):
        score_codes(items.codes, byte_tables(values), by_code)
        scan_sketches(sketches[q], items.sketches, item_norms, by_sketch)
        sketch_cosines = by_sketch * query_norms[q]
        sketched = _highest(sketch_cosines, SKETCH_CANDIDATES)
        promising = sketched[sketch_cosines[sketched] > SKETCH_THRESHOLD]
        rows = np.union1d(_highest(by_code, candidates), promising)
        scores = _similarity(queries[q], items.features[rows].astype(np.float32), sketch_cosines[rows])
        order = np.lexsort((rows, -scores))[:k]
        found_d[q, : len(order)], found_i[q, : len(order)] = scores[order], rows[order]
    return found_d, found_i


def _highest(scores: F32, count: int) -> I64:
    """Return the rows of the highest scores, in no order."""
    return np.argpartition(scores, max(0, len(scores) - count))[-count:] if len(scores) else np.empty(0, np.int64)


def _similarity(query: F32, features: F32, sketch_cosines: F32) -> F32:
    """Return the similarity of a query to some items, as ``similarity.similarity`` defines it for two items."""
    lengths = np.sqrt(np.einsum("ij,ij->i", features, features)) * np.sqrt(np.einsum("i,i->", query, query))
    cosines = np.einsum("ij,j->i", features, query) / np.where(lengths > 0, lengths, 1)
    without_sketch = 2 * np.maximum(0, cosines - COSINE_THRESHOLD)
    evidence = np.where(sketch_cosines == 0, without_sketch, np.maximum(0, sketch_cosines - SKETCH_THRESHOLD))
    return np.asarray(cosines + evidence, np.float32)
