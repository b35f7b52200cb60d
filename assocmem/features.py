"""Features: the stored vectors, in memory or in a mapped file, and exact comparison with them.

Numbers are added up in one fixed order, so that neither threads nor the machine change a distance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem.errors import InputError
from assocmem.lanes import LANES, prefetch_row
from assocmem.levels import grown
from assocmem.rotation import F32
from assocmem.row_lanes import products, squared_distance, widen_row

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

DTYPES: dict[str, np.dtype[Any]] = {
    "float16": np.dtype(np.uint16),
    "float32": np.dtype(np.float32),
    "uint8": np.dtype(np.uint8),
}
"""How vectors are kept -> dtype of the array they lie in; halves as their bits, as numba has no arithmetic for them."""

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
def refine_rows(queries, parts, candidates, ids, cosine, out):  # type: ignore[no-untyped-def]
    """Compare queries with their candidates and keep the nearest.

    ``queries``: (float32 (n, d), one over their lengths float32 (n,)); ``parts``: two matrices that follow on each
    other; ``candidates``: int32 (n, r), or (1, r) for all, -1 for none; ``ids``: int64 of rows, or empty; ``out``:
    (float32 (n, k), int32 (n, k)), filled: values, least first, and rows; -1 for none.
    """
    head, tail = parts
    border = np.int64(head.shape[0])
    values, rows = out
    k = values.shape[1]
    for i in range(values.shape[0]):
        n = 0
        mine = candidates[min(i, candidates.shape[0] - 1)]
        for j in range(mine.shape[0]):
            row = np.int64(mine[j])
            if j + 2 < mine.shape[0]:
                ahead = np.int64(mine[j + 2])
                if ahead >= border:
                    prefetch_row(tail, ahead - border)
                elif ahead >= 0:
                    prefetch_row(head, ahead)
            if row < 0:
                continue
            if row < border:
                worse = _worse(queries[0][i], queries[1][i], head, row, cosine)
            else:
                worse = _worse(queries[0][i], queries[1][i], tail, row - border, cosine)
            if n < k or worse <= values[i, k - 1]:
                n = _enter(worse, row, ids, (values[i], rows[i]), k, n)
        values[i, n:] = np.float32(np.inf)
        rows[i, n:] = -1


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


@njit(**_options)
def read_rows(parts, rows, unit, out):  # type: ignore[no-untyped-def]
    """Copy rows, int32 (n,), to float32 (n, d), scaled to unit length if asked."""
    head, tail = parts
    border = np.int64(head.shape[0])
    for i in range(rows.shape[0]):
        row = np.int64(rows[i])
        if row < border:
            widen_row(head, row, out[i])
        else:
            widen_row(tail, row - border, out[i])
        if unit:
            square = np.float32(0.0)
            for k in range(out.shape[1]):
                square += out[i, k] * out[i, k]
            scale = np.float32(1.0) / np.sqrt(square) if square > np.float32(0.0) else np.float32(0.0)
            for k in range(out.shape[1]):
                out[i, k] *= scale


class Features:
    """Vectors by row number.

    Parameters
    ----------
    dim : int
    kind : {"float16", "float32", "uint8"}
        How they are kept.
    mapped : array, optional
        Rows that lie in a file and are never changed; new ones follow on them in memory.
    """

    def __init__(self, dim: int, kind: str, mapped: npt.NDArray[Any] | None = None) -> None:
        if kind not in DTYPES:
            raise InputError(f"features: expected one of {', '.join(DTYPES)}, found {kind!r}")
        self.dim, self.kind = dim, kind
        self.width = -(-dim // LANES) * LANES
        self.head = np.zeros((0, self.width), DTYPES[kind]) if mapped is None else mapped
        self.tail: npt.NDArray[Any] = np.zeros((0, self.width), DTYPES[kind])

    @property
    def parts(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Head and tail, as the kernels want them."""
        return self.head, self.tail

    def check(self, x: F32, *, nonzero: bool) -> None:
        """Raise InputError unless vectors can be kept: in range for halves, whole for bytes.

        ``nonzero``: their directions count, of which halves below the least normal one would keep little or nothing.
        """
        if self.kind == "float16" and x.size:
            heights, halves = np.abs(x).max(axis=1), np.finfo(np.float16)
            if heights.max() > halves.max:
                raise InputError(
                    f"expected values up to 65504, found {heights.max():.4g}; scale them, or keep float32 "
                    "(features='float32')"
                )
            if nonzero and heights.min() < halves.smallest_normal:
                raise InputError(
                    f"expected vectors with a value of at least {halves.smallest_normal:.4g}, found one of at most "
                    f"{heights.min():.4g}; scale them, or keep float32 (features='float32')"
                )
        if self.kind == "uint8" and not ((x >= 0) & (x <= 255) & (x == np.floor(x))).all():
            raise InputError("expected whole numbers from 0 to 255, found others; keep float16 (features='float16')")

    def put(self, rows: I32, x: F32) -> None:
        """Store float32 (n, dim) in rows, which are not among the mapped ones."""
        self.tail = grown(self.tail, int(rows.max()) + 1 - len(self.head))
        kept = x.astype(np.float16).view(np.uint16) if self.kind == "float16" else x.astype(self.tail.dtype)
        self.tail[rows - len(self.head), : self.dim] = kept

    def get(self, rows: I32, *, unit: bool = False) -> F32:
        """Return rows as float32 (n, dim), of unit length if asked."""
        out = np.empty((len(rows), self.width), np.float32)
        read_rows(self.parts, rows, unit, out)
        return np.ascontiguousarray(out[:, : self.dim])

    def widen(self, queries: F32) -> F32:
        """Queries float32 (n, dim) -> (n, width), as the kernels want them."""
        if self.width == self.dim:
            return queries
        out = np.zeros((len(queries), self.width), np.float32)
        out[:, : self.dim] = queries
        return out

    def queries(self, q: F32, *, cosine: bool) -> tuple[F32, F32]:
        """Queries float32 (n, dim) as the kernels want them, with one over their lengths where directions count."""
        if not cosine:
            return self.widen(q), np.ones(len(q), np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", q, q, dtype=np.float64))
        return self.widen(q), (1 / np.maximum(lengths, 1e-30)).astype(np.float32)
