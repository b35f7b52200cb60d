"""VectorTable: the stored vectors by row number, in memory or in a mapped file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from assocmem._numerics.simd import widen_row
from assocmem._numerics.types import F32, F64, I32, KERNEL, LANES, AnyArray
from assocmem._storage.hdf5 import is_mapped
from assocmem.errors import InputError

DTYPES: dict[str, np.dtype[Any]] = {
    "float16": np.dtype(np.uint16),
    "float32": np.dtype(np.float32),
    "uint8": np.dtype(np.uint8),
}
"""Type of stored values -> dtype of the array; float16 is stored as bits, because numba has no arithmetic for it."""
CHECK_ROWS = 256
"""Vectors that are checked at a time, few enough to stay in the cache."""
COARSE = 0.005
"""Share of the distance to the nearest vector by which rounding may change a vector."""
GROWTH = 1.125
"""Full arrays grow by this factor: less than an eighth of them is spare room."""


def grown(array: AnyArray, needed: int, fill: int = 0, *, exact: bool = False) -> AnyArray:
    """Return the array, or a longer copy with at least (or exactly) ``needed`` rows; new rows contain ``fill``."""
    if needed <= len(array):
        return array
    rows = needed if exact else max(needed, int(len(array) * GROWTH))
    longer = np.empty((rows, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    longer[len(array) :] = fill
    return longer


@njit(**KERNEL)
def read_rows(parts, rows, unit, out):  # type: ignore[no-untyped-def]
    """Copy rows, int32 (n,), to float32 (n, d), scaled to unit length if ``unit`` is true."""
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


def is_coarse(x: F32, *, unit: bool) -> bool:
    """Return whether float16 changes vectors by more than ``COARSE`` of the distances between nearest ones.

    ``x``: float32 (n, d), a few hundred; ``unit``: their directions count.
    """
    halves = x.astype(np.float16).astype(np.float64)
    exact = x.astype(np.float64)
    if unit:
        exact, halves = (a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-300) for a in (exact, halves))
    error = float(np.median(((exact - halves) ** 2).sum(axis=1)))
    return error > COARSE**2 * nearest_square(exact) > 0


def nearest_square(x: F64) -> float:
    """Return the median squared distance of vectors, float64 (n, d), to the nearest other one; 0 if all are equal."""
    centred = x - x.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * centred @ centred.T
    distances[distances <= 1e-12 * max(float(squares.max(initial=0.0)), 1e-300)] = np.inf  # equal ones, and itself
    nearest = distances.min(axis=1, initial=np.inf)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if len(nearest) else 0.0


class VectorTable:
    """Vectors by row number.

    Parameters
    ----------
    dim : int
    kind : {"float16", "float32", "uint8"}
        Type of the stored values.
    head : array, optional
        The first rows, which never change, such as rows that are mapped from a file.

    Attributes
    ----------
    width : int
        Values of a stored row: ``dim``, rounded up to a multiple of 16 with zeros.
    head, tail : array (n, width)
        All rows are those of ``head``, then those of ``tail``.
    """

    def __init__(self, dim: int, kind: str, head: AnyArray | None = None) -> None:
        if kind not in DTYPES:
            raise InputError(f"features: expected one of {', '.join(DTYPES)}, found {kind!r}")
        self.dim, self.kind = dim, kind
        self.width = -(-dim // LANES) * LANES
        self.head = np.zeros((0, self.width), DTYPES[kind]) if head is None else head
        self.tail: AnyArray = np.zeros((0, self.width), DTYPES[kind])

    @property
    def parts(self) -> tuple[AnyArray, AnyArray]:
        """Head and tail, as the kernels take them."""
        return self.head, self.tail

    @property
    def mapped_bytes(self) -> int:
        """Bytes in a mapped file."""
        return self.head.nbytes if is_mapped(self.head) else 0

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.head.nbytes - self.mapped_bytes + self.tail.nbytes

    # Reading and writing rows

    def check(self, x: F32, *, nonzero: bool) -> None:
        """Raise InputError unless vectors can be stored: in range for float16, whole numbers for uint8.

        ``nonzero``: directions are compared. Below the least normal float16, little or nothing of them would remain.
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
        for start in range(0, len(x) if self.kind == "uint8" else 0, CHECK_ROWS):
            part = x[start : start + CHECK_ROWS]
            if not ((part >= 0) & (part <= 255) & (part == np.floor(part))).all():
                raise InputError(
                    "vectors: expected whole numbers from 0 to 255, found others; keep float16 (features='float16')"
                )

    def reserve(self, rows: int) -> None:
        """Make room for exactly so many rows."""
        self.tail = grown(self.tail, rows - len(self.head), exact=True)

    def widen_rows(self) -> None:
        """Store float32 from now on, and what is stored already too; a mapped head is read into memory."""
        rows = np.arange(len(self.head) + len(self.tail), dtype=np.int32)
        out = np.empty((len(rows), self.width), np.float32)
        read_rows(self.parts, rows, False, out)
        self.kind, self.head, self.tail = "float32", np.zeros((0, self.width), np.float32), out

    def put(self, rows: I32, x: F32) -> None:
        """Store float32 (n, dim) in rows behind the head."""
        self.tail = grown(self.tail, int(rows.max()) + 1 - len(self.head))
        values = x.astype(np.float16).view(np.uint16) if self.kind == "float16" else x.astype(self.tail.dtype)
        self.tail[rows - len(self.head), : self.dim] = values

    def get(self, rows: I32, *, unit: bool = False) -> F32:
        """Return rows as float32 (n, dim), scaled to unit length if ``unit`` is true."""
        out = np.empty((len(rows), self.width), np.float32)
        read_rows(self.parts, rows, unit, out)
        return np.ascontiguousarray(out[:, : self.dim])

    # Queries

    def widen(self, queries: F32) -> F32:
        """Queries float32 (n, dim) -> (n, width), as the kernels take them."""
        if self.width == self.dim:
            return queries
        out = np.zeros((len(queries), self.width), np.float32)
        out[:, : self.dim] = queries
        return out

    def prepare_queries(self, q: F32, *, cosine: bool) -> tuple[F32, F32]:
        """Queries float32 (n, dim) -> (n, width), and the inverse of their lengths, float32 (n,); 1 without cosine."""
        if not cosine:
            return self.widen(q), np.ones(len(q), np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", q, q, dtype=np.float64))
        return self.widen(q), (1 / np.maximum(lengths, 1e-30)).astype(np.float32)

    # Files

    def state(self, rows: int) -> AnyArray:
        """Return the first ``rows`` rows as one array, without spare room."""
        tail = self.tail[: rows - len(self.head)]
        if len(self.head) and len(tail):
            return np.concatenate([self.head, tail])
        return tail if len(tail) else self.head

    def restore(self, vectors: AnyArray, rows: int) -> None:
        """Use an array that ``state`` returned, in an empty table; a mapped array stays in its file.

        Raises
        ------
        ValueError
            The array has another shape or dtype.
        """
        if vectors.shape != (rows, self.width) or vectors.dtype != self.tail.dtype:
            raise ValueError(f"vectors of shape {vectors.shape} and dtype {vectors.dtype}")
        if is_mapped(vectors):
            self.head = vectors
        else:
            self.tail = vectors
