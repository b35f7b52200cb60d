"""Checks of vectors and ids at the index's one public boundary: what was expected, what was found, what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64
from assocmem.errors import (
    DtypeError,
    DuplicateIdError,
    IdError,
    InputError,
    NotFiniteError,
    ShapeError,
    ZeroVectorError,
)

GREATEST = 1e15
"""Greatest magnitude of a value, so that squared distances stay far from what float32 can hold."""
LEAST = 1e-15
"""Least magnitude of a vector's greatest value, where its direction counts; likewise."""


def check_vectors(x: Any, dim: int, what: str, *, nonzero: bool) -> F32:
    """Return float32 (n, dim), C-contiguous; one vector (dim,) becomes a row.

    Raises
    ------
    DtypeError
        Not a numpy array of float32.
    ShapeError
        Another dimension, or rows that do not lie one behind the other.
    NotFiniteError
        NaN or infinity; for a query of which a part is unknown, see ``fill_unknown``.
    InputError
        A value beyond ``GREATEST``.
    ZeroVectorError
        With ``nonzero``: a vector without a direction, or with no value of ``LEAST`` or more.
    """
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        found = f"dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise DtypeError(f"{what}: expected a numpy array of float32, found {found}; convert it: x.astype(np.float32)")
    if np.ma.isMaskedArray(x):
        raise DtypeError(f"{what}: expected a plain array, found a masked one; leave the masked rows out")
    matrix = x[None, :] if x.ndim == 1 else x
    if matrix.ndim != 2 or matrix.shape[1] != dim:
        raise ShapeError(f"{what}: expected shape (n, {dim}), found {x.shape}")
    if not matrix.flags.c_contiguous:
        raise ShapeError(
            f"{what}: expected rows that lie one behind the other, found strides {x.strides}; "
            "copy them: np.ascontiguousarray(x)"
        )
    heights = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))  # no copy of all
    if not (heights <= GREATEST).all():
        row = int((~(heights <= GREATEST)).argmax())
        if not np.isfinite(heights[row]):
            raise NotFiniteError(f"{what}: expected finite numbers, found NaN or infinity in row {row}; leave it out")
        raise InputError(
            f"{what}: expected values up to {GREATEST:g}, found {heights[row]:.4g} in row {row}; scale them"
        )
    if nonzero and (heights < LEAST).any():
        row = int((heights < LEAST).argmax())
        found, hint = ("no value above 1e-15", "scale it") if heights[row] else ("zeros", "leave it out")
        raise ZeroVectorError(f"{what}: expected vectors with a direction, found {found} in row {row}; {hint}")
    return matrix


def check_ids(ids: Any, count: int | None = None) -> I64:
    """Return int64 (n,), each from 0 to 2**63 - 1 and no two alike.

    Raises
    ------
    IdError
        Not whole numbers, another number of them than ``count``, below 0 or too great.
    DuplicateIdError
        One of them twice.
    """
    try:
        array = np.atleast_1d(np.asarray(ids))
    except ValueError as error:  # sequences of unequal lengths
        raise IdError(f"ids: expected whole numbers in one row, found {error}") from error
    if array.size == 0 and array.ndim == 1:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise IdError(f"ids: expected whole numbers in one row, found dtype {array.dtype}, shape {array.shape}")
    if count is not None and len(array) != count:
        raise IdError(f"ids: expected one for each of {count} vectors, found {len(array)}")
    if len(array) and (int(array.min()) < 0 or int(array.max()) > np.iinfo(np.int64).max):
        raise IdError(f"ids: expected 0 to 2**63 - 1, found {array.min()} to {array.max()}; -1 stands for no item")
    if (array[1:] > array[:-1]).all():  # as they mostly come; and for one, sorting would be half of the work
        return np.ascontiguousarray(array, dtype=np.int64)
    values, times = np.unique(array, return_counts=True)
    if len(values) < len(array):
        raise DuplicateIdError(f"ids: expected each once, found {values[times.argmax()]} {times.max()} times")
    return np.ascontiguousarray(array, dtype=np.int64)


def check_effort(effort: float) -> float:
    """Return it, or InputError unless it is above 0 and at most 1."""
    if not isinstance(effort, (int, float, np.floating, np.integer)) or not 0 < effort <= 1:
        raise InputError(f"effort: expected a number above 0 and at most 1, found {effort!r}; 1 is exact")
    return float(effort)


def check_radius(radius: float) -> float:
    """Return it, or InputError unless it is a number."""
    if not isinstance(radius, (int, float, np.floating, np.integer)) or np.isnan(radius):
        raise InputError(f"radius: expected a number, found {radius!r}")
    return float(radius)
