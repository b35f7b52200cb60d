"""Sets of numbers as a caller gives them: checked, and laid one behind the other as the kernels want them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import I64, Integers
from assocmem.errors import InputError

Sets = Integers | Sequence[npt.ArrayLike]
"""Integers (n, m), -1 = none; or n sequences of integers of any length."""


def lay_out(sets: Sets, what: str, size: int) -> tuple[I64, I64]:
    """Return the members of all sets, each set ascending and without repetitions, and where each set's begin.

    Parameters
    ----------
    sets : integers (n, m), -1 = none, or n sequences of integers
    what : str
        For the error.
    size : int
        Members are 0 to ``size - 1``.

    Returns
    -------
    members : int64 (sum,)
    starts : int64 (n + 1,)

    Raises
    ------
    InputError
        Wrong shape, dtype or numbers.
    """
    if isinstance(sets, np.ndarray) and sets.shape[:1] != (0,):
        if sets.ndim != 2 or sets.dtype.kind not in "iu":
            raise InputError(f"{what}: {_EXPECTED}, found {sets.dtype} of shape {sets.shape}")
        padded = np.array(_checked(sets, what, size), np.int64)
    else:
        parts = [_checked(part, what, size) for part in _parts(sets, what)]
        padded = np.full((len(parts), max(map(len, parts), default=0)), -1, np.int64)
        for row, part in zip(padded, parts, strict=True):
            row[: len(part)] = part
    padded.sort(axis=1)
    keep = padded >= 0
    keep[:, 1:] &= padded[:, 1:] != padded[:, :-1]
    return padded[keep], np.concatenate([[0], np.cumsum(keep.sum(axis=1))])


_EXPECTED = "expected integers (n, m), -1 = none, or n sequences of them"


def _parts(sets: object, what: str) -> list[Integers]:
    """One array of integers per set."""
    try:
        parts = [np.asarray(one) for one in sets]  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:  # no sequence at all; sequences of unequal sequences
        raise InputError(f"{what}: {_EXPECTED}, found {type(sets).__name__}: {error}") from error
    for i, part in enumerate(parts):
        if part.ndim != 1 or (part.size and part.dtype.kind not in "iu"):
            raise InputError(f"{what}: {_EXPECTED}, found {part.dtype} of shape {part.shape} as set {i}")
    return [part if part.size else np.empty(0, np.int64) for part in parts]


def _checked(array: Integers, what: str, size: int) -> Integers:
    if array.size and (array.max() >= size or array.min() < -1):
        found = array[(array >= size) | (array < -1)].flat[0]
        raise InputError(f"{what}: expected numbers 0 to {size - 1}, or -1 for none, found {found}")
    return array
