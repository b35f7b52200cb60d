"""Checks of arguments at the public boundary: sizes, vectors, ids, symbols, cues, sets, names of concepts.

Each returns its argument in the type the kernels take, or raises an error that says what was expected, what was found
and what to do. Nothing is converted silently where that could lose something.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, I32, I64, Integers
from assocmem.errors import (
    DtypeError,
    DuplicateIdError,
    IdError,
    InputError,
    NotFiniteError,
    ShapeError,
    ZeroVectorError,
)

ERASED = -1
"""In a message: a cluster that is not used. In a cue: a symbol that is to be found. In an answer: not used, or no unit
or several are left."""
UNUSED = -2
"""In a cue: a cluster that the message is known not to use."""


def check_size(name: str, value: int, least: int) -> int:
    """Return a whole number of at least ``least``; InputError for anything else."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    return int(value)


def as_integers(values: npt.ArrayLike, what: str) -> Integers:
    """Return an array of integers, or raise InputError that says what was found instead."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # sequences of unequal lengths
        raise InputError(f"{what}: expected an array of integers, found {error}") from error
    if array.dtype.kind not in "iu":
        raise InputError(f"{what}: expected integers, found dtype {array.dtype}")
    return array


def check_symbols(values: npt.ArrayLike, what: str, clusters: int, units: int, least: int = ERASED) -> I32:
    """Return C-contiguous int32 (n, clusters), or raise InputError that says what is wrong with ``what``."""
    if isinstance(values, list) and not values:
        return np.empty((0, clusters), np.int32)
    array = as_integers(values, what)
    if array.ndim != 2 or array.shape[1] != clusters:
        hint = "; one message is messages[None]" if array.shape == (clusters,) else ""
        raise InputError(f"{what}: expected shape (n, {clusters}), found {array.shape}{hint}")
    if array.size and (array.max() >= units or array.min() < least):
        row, cluster = np.argwhere((array >= units) | (array < least))[0]
        raise InputError(
            f"{what}: expected symbols {least} to {units - 1}, "
            f"found {array[row, cluster]} in row {row}, cluster {cluster}"
        )
    return np.ascontiguousarray(array, np.int32)


def check_complete(values: npt.ArrayLike, what: str, clusters: int, units: int, active: int) -> I32:
    """Return messages that use ``active`` clusters each, int32 (n, clusters); InputError otherwise."""
    messages = check_symbols(values, what, clusters, units)
    if active < clusters or (messages.size and messages.min() < 0):
        used = (messages >= 0).sum(axis=1)
        wrong = np.flatnonzero(used != active)
        if len(wrong):
            raise InputError(
                f"{what}: expected {active} symbols in each, found {used[wrong[0]]} in row {wrong[0]}; "
                "a memory made with active=c stores messages that use c of its clusters"
            )
    return messages


def check_cues(values: npt.ArrayLike, clusters: int, units: int, active: int, *, guided: bool) -> I32:
    """Return cues, int32 (n, clusters): symbols, ERASED or UNUSED; InputError otherwise.

    A guided cue of a sparse memory must say which clusters the message uses. One with all its symbols does: its other
    clusters come back as UNUSED.
    """
    dense = active == clusters
    cues = check_symbols(values, "cues", clusters, units, ERASED if dense else UNUSED)
    if dense:
        return cues
    known, named = (cues >= 0).sum(axis=1), (cues > UNUSED).sum(axis=1)
    complete = known == active
    wrong = np.flatnonzero((known > active) | (guided & ~complete & (named != active)))
    if len(wrong):
        row = wrong[0]
        raise InputError(
            f"cues: expected at most {active} symbols, and {active} clusters that are not marked {UNUSED} (not used), "
            f"found {known[row]} and {named[row]} in row {row}; with guided=False none need be marked"
        )
    return np.where(complete[:, None] & (cues < 0), UNUSED, cues).astype(np.int32) if guided else cues


# Vectors and ids

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


# Sets of numbers

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


# Names of concepts

LONGEST_NAME = 200


def check_name(name: str) -> str:
    """Return a name with its white space put in order, in Unicode's composed form.

    Raises
    ------
    InputError
        Not text, empty, longer than 200 characters, with control characters, or without any letter, digit or symbol.

    Examples
    --------
    >>> check_name("  Aunt   Klara ")
    'Aunt Klara'
    """
    if not isinstance(name, str):
        raise InputError(f"concept: expected a name, found {type(name).__name__}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"concept: expected text, found {name!r}, which is no UTF-8") from error
    tidy = " ".join(unicodedata.normalize("NFC", name).split())
    if not tidy or not any(unicodedata.category(character)[0] in "LNS" for character in tidy):
        raise InputError(f"concept: expected a name with a letter or a digit in it, found {name!r}")
    if any(unicodedata.category(character)[0] == "C" and character not in "\u200c\u200d" for character in tidy):
        raise InputError(f"concept: expected a name without control characters, found {name!r}")
    if len(tidy) > LONGEST_NAME:
        raise InputError(f"concept: expected a name of at most {LONGEST_NAME} characters, found {len(tidy)}")
    return tidy
