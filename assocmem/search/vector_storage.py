"""Features: the stored vectors, in memory or in a mapped file; `refining.py` compares queries with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from assocmem._numerics.simd import widen_row
from assocmem._numerics.types import F32, I32, LANES, AnyArray
from assocmem.errors import InputError
from assocmem.search.pool_level import grown

DTYPES: dict[str, np.dtype[Any]] = {
    "float16": np.dtype(np.uint16),
    "float32": np.dtype(np.float32),
    "uint8": np.dtype(np.uint8),
}
"""How vectors are kept -> dtype of the array they lie in; halves as their bits, as numba has no arithmetic for them."""

CHECKED = 256
"""Vectors that are checked at a time."""

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


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

    def __init__(self, dim: int, kind: str, mapped: AnyArray | None = None) -> None:
        if kind not in DTYPES:
            raise InputError(f"features: expected one of {', '.join(DTYPES)}, found {kind!r}")
        self.dim, self.kind = dim, kind
        self.width = -(-dim // LANES) * LANES
        self.head = np.zeros((0, self.width), DTYPES[kind]) if mapped is None else mapped
        self.tail: AnyArray = np.zeros((0, self.width), DTYPES[kind])

    @property
    def parts(self) -> tuple[AnyArray, AnyArray]:
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
                    f"vectors: expected values up to 65504, found {heights.max():.6g} in row {heights.argmax()}; "
                    "scale them, or keep float32 (features='float32')"
                )
            if nonzero and heights.min() < halves.smallest_normal:
                raise InputError(
                    f"vectors: expected a value of at least {halves.smallest_normal:.4g} in each, found at most "
                    f"{heights.min():.4g} in row {heights.argmin()}; scale them, or keep float32 (features='float32')"
                )
        for start in range(0, len(x) if self.kind == "uint8" else 0, CHECKED):  # small enough to stay near
            part = x[start : start + CHECKED]
            if not ((part >= 0) & (part <= 255) & (part == np.floor(part))).all():
                raise InputError(
                    "vectors: expected whole numbers from 0 to 255, found others; keep float16 (features='float16')"
                )

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
