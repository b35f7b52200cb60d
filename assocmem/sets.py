"""Sets of numbers as a caller gives them: checked, and laid one behind the other as the kernels want them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from assocmem.bits import I64
from assocmem.errors import InputError

Sets = npt.ArrayLike | Sequence[npt.ArrayLike]
"""Integers (n, m), -1 = none; or n sequences of integers of any length."""


def check_size(name: str, value: int, least: int) -> int:
    """Return a whole number of at least ``least``; InputError for anything else."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    return int(value)


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
    ragged = not isinstance(sets, np.ndarray) and len({np.shape(one) for one in sets}) > 1  # type: ignore[union-attr]
    if ragged:
        parts = [np.asarray(one, dtype=None if np.size(one) else np.int64) for one in sets]  # type: ignore[union-attr]
        wrong = [part for part in parts if part.ndim != 1 or part.dtype.kind not in "iu"]
        if wrong:
            raise InputError(f"{what}: expected sets of integers, found {wrong[0].dtype} of shape {wrong[0].shape}")
        padded = np.full((len(parts), max(map(len, parts))), -1, np.int64)
        for row, part in zip(padded, parts, strict=True):
            row[: len(part)] = _checked(part, what, size)
    else:
        array = np.asarray(sets)
        array = array.astype(np.int64) if array.size == 0 and array.ndim == 2 else array
        if array.ndim != 2 or array.dtype.kind not in "iu":
            raise InputError(
                f"{what}: expected integers (n, m), -1 = none, or n sequences of them, "
                f"found {array.dtype} of shape {array.shape}"
            )
        padded = np.array(_checked(array, what, size), np.int64)
    padded.sort(axis=1)
    keep = padded >= 0
    keep[:, 1:] &= padded[:, 1:] != padded[:, :-1]
    return padded[keep], np.concatenate([[0], np.cumsum(keep.sum(axis=1))])


def _checked(array: npt.NDArray[np.integer], what: str, size: int) -> npt.NDArray[np.integer]:
    if array.size and (array.max() >= size or array.min() < -1):
        found = array[(array >= size) | (array < -1)].flat[0]
        raise InputError(f"{what}: expected numbers 0 to {size - 1}, or -1 for none, found {found}")
    return array
