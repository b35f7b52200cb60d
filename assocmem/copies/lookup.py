"""What is this a copy of? The items likest to a query, by its features and by its sketch at once. Arrays only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.types import F32, I8, I64
from assocmem.codes.dct_sketches import LENGTH, SKETCH_FROM, scales_of
from assocmem.codes.winner_codes import CliqueCoder, byte_tables, score_codes
from assocmem.copies.candidate_pairs import COSINE_FROM
from assocmem.copies.grouping import Items
from assocmem.errors import InputError

CANDIDATES, BY_SKETCH = 300, 100
"""Items that are compared by their features: so many of the best by code, and of the best by sketch at most."""


@njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def scan_sketches(query, sketches, scales, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n,), with the inner products of a sketch and all others, over their lengths.

    ``query``: int8 (w,); ``sketches``: int8 (n, w), the second half changes its sign in a mirror, and the likelier
    side counts; ``scales``: float32 (n,).
    """
    half = sketches.shape[1] // 2
    for i in range(sketches.shape[0]):
        same, turned = np.int32(0), np.int32(0)
        for k in range(half):
            same += np.int32(query[k]) * np.int32(sketches[i, k])
        for k in range(half, 2 * half):
            turned += np.int32(query[k]) * np.int32(sketches[i, k])
        out[i] = np.float32(same + abs(turned)) * scales[i]


def find_originals(
    features: npt.ArrayLike, sketches: I8, items: Items, coder: CliqueCoder, k: int, *, candidates: int = CANDIDATES
) -> tuple[F32, I64]:
    """Return the k items likest to each query.

    Parameters
    ----------
    features : array, shape (nq, dim)
    sketches : int8 (nq, LENGTH)
        Zeros where there is none.
    items : Items
        What is searched.
    coder : CliqueCoder
        The encoder that made the items' codes.
    k : int
        How many; more than are compared pads with row -1 and likeness 0.
    candidates : int
        How many by code; see ``CANDIDATES``.

    Returns
    -------
    D : float32 (nq, k)
        Likeness, highest first: cosine similarity plus what that of the sketches exceeds SKETCH_FROM by.
    I : int64 (nq, k)
        Rows of ``items``.

    Raises
    ------
    InputError
        Wrong shape, values that are not finite, or k < 1.
    """
    rotated = coder.rotate(features)[:, : coder.clusters * 16]
    if k < 1 or sketches.shape != (len(rotated), LENGTH):
        raise InputError(f"expected k >= 1 and sketches ({len(rotated)}, {LENGTH}), found {k}, {sketches.shape}")
    queries = np.atleast_2d(np.asarray(features, np.float32))
    item_scales, query_scales = scales_of(items.sketches), scales_of(sketches)
    found_d, found_i = np.zeros((len(queries), k), np.float32), np.full((len(queries), k), -1)
    by_code, by_sketch = np.empty(len(items), np.float32), np.empty(len(items), np.float32)
    for q, values in enumerate(rotated):
        score_codes(items.codes, byte_tables(values), by_code)
        scan_sketches(sketches[q], items.sketches, item_scales, by_sketch)
        alike = by_sketch * query_scales[q]
        sketched = _highest(alike, BY_SKETCH)
        rows = np.union1d(_highest(by_code, candidates), sketched[alike[sketched] > SKETCH_FROM])
        scores = _likeness(queries[q], items.features[rows].astype(np.float32), alike[rows])
        order = np.lexsort((rows, -scores))[:k]
        found_d[q, : len(order)], found_i[q, : len(order)] = scores[order], rows[order]
    return found_d, found_i


def _highest(scores: F32, count: int) -> I64:
    return np.argpartition(scores, max(0, len(scores) - count))[-count:] if len(scores) else np.empty(0, np.int64)


def _likeness(query: F32, features: F32, alike: F32) -> F32:
    """Likeness of a query and some items; see ``likeness.likeness``, which holds two items against each other."""
    lengths = np.sqrt(np.einsum("ij,ij->i", features, features)) * np.sqrt(np.einsum("i,i->", query, query))
    cosines = np.einsum("ij,j->i", features, query) / np.where(lengths > 0, lengths, 1)
    evidence = np.where(alike == 0, 2 * np.maximum(0, cosines - COSINE_FROM), np.maximum(0, alike - SKETCH_FROM))
    return np.asarray(cosines + evidence, np.float32)
