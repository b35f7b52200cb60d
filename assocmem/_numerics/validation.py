"""Checks of arguments at the public boundary: sizes, vectors, ids, messages, cues, sets, names of concepts.

Each function returns its argument in the type that kernels take, or raises an error that says what was expected, what
was found and what to do. No conversion loses information silently.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, I32, I64, AnyArray, Integers
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
"""In a message: a cluster that is not used. In a cue: a symbol to recall. In an answer: a cluster that is not used, or
in which no unit or several are left."""
UNUSED = -2
"""In a cue: a cluster that the message is known not to use."""
MAX_MAGNITUDE = 1e15
"""Greatest magnitude of a value: squared distances then stay far below the limit of float32."""
MIN_MAGNITUDE = 1e-15
"""Least magnitude of the greatest value of a vector whose direction counts: its square then stays above zero."""
LOST_SHARE = 1e-3
"""Share of the spread of values by which a conversion to float32 may change one."""
FEW_ROWS = 5
"""Rows below which this is not checked: a few may be alike by chance."""
LONGEST_NAME = 200
"""Characters of a concept's name, at most."""

Sets = Integers | Sequence[npt.ArrayLike]
"""Sets of indices: integers (n, m), where -1 is no member; or n sequences of integers of any length."""


# Numbers


def check_size(name: str, value: int, least: int) -> int:
    """Return a whole number of at least ``least``; InputError for anything else."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise InputError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    return int(value)


def check_effort(effort: float) -> float:
    """Return a number above 0 and at most 1; InputError for anything else."""
    if not isinstance(effort, (int, float, np.floating, np.integer)) or not 0 < effort <= 1:
        raise InputError(f"effort: expected a number above 0 and at most 1, found {effort!r}; 1 is exact")
    return float(effort)


def check_radius(radius: float) -> float:
    """Return a number; InputError for anything else."""
    if not isinstance(radius, (int, float, np.floating, np.integer)) or np.isnan(radius):
        raise InputError(f"radius: expected a number, found {radius!r}")
    return float(radius)


# Vectors and ids


def check_vectors(x: Any, dim: int, what: str, *, nonzero: bool) -> F32:
    """Return C-contiguous float32 (n, dim); one vector (dim,) becomes a row.

    Such an array is returned as it is. Lists, other numbers and other layouts are converted: to the nearest float32,
    unless that would lose what tells the vectors apart.

    Raises
    ------
    DtypeError
        Not numbers, or numbers whose differences float32 cannot represent.
    ShapeError
        Another dimension.
    NotFiniteError
        NaN or infinity.
    InputError
        A value beyond ``MAX_MAGNITUDE``.
    ZeroVectorError
        With ``nonzero``: a vector without a direction, or with no value of at least ``MIN_MAGNITUDE``.
    """
    array = _as_numbers(x, what)
    matrix = array[None, :] if array.ndim == 1 else array
    if matrix.ndim != 2 or matrix.shape[1] != dim:
        raise ShapeError(f"{what}: expected shape (n, {dim}), found {array.shape}")
    if matrix.dtype != np.float32 or not matrix.flags.c_contiguous:
        matrix = _to_float32(matrix, what)
    heights = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))  # np.abs would copy the whole array
    if not (heights <= MAX_MAGNITUDE).all():
        row = int((~(heights <= MAX_MAGNITUDE)).argmax())
        if not np.isfinite(heights[row]):
            raise NotFiniteError(f"{what}: expected finite numbers, found NaN or infinity in row {row}; leave it out")
        raise InputError(
            f"{what}: expected values up to {MAX_MAGNITUDE:g}, found {heights[row]:.4g} in row {row}; scale them"
        )
    if nonzero and (heights < MIN_MAGNITUDE).any():
        row = int((heights < MIN_MAGNITUDE).argmax())
        found, hint = ("no value above 1e-15", "scale it") if heights[row] else ("zeros", "leave it out")
        raise ZeroVectorError(f"{what}: expected vectors with a direction, found {found} in row {row}; {hint}")
    return matrix


def _as_numbers(x: Any, what: str) -> AnyArray:
    """Return an array of real numbers; DtypeError for anything else."""
    if np.ma.isMaskedArray(x):
        raise DtypeError(f"{what}: expected a plain array, found a masked one; leave the masked rows out")
    try:
        array = np.asarray(x)
    except ValueError as error:  # sequences of unequal lengths
        raise ShapeError(f"{what}: expected rows of one length, found {error}") from error
    if array.dtype.kind not in "fiub":
        found = f"dtype {array.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise DtypeError(f"{what}: expected real numbers, best in a numpy array of float32, found {found}")
    return array


def _to_float32(matrix: AnyArray, what: str) -> F32:
    """Return the nearest float32 values, C-contiguous; DtypeError if they lose what tells rows apart."""
    with np.errstate(over="ignore", under="ignore"):
        out = np.ascontiguousarray(matrix, dtype=np.float32)
    if matrix.dtype.itemsize <= 4 and matrix.dtype.kind != "i" and matrix.dtype.kind != "u":
        return out
    exact = matrix.astype(np.float64)
    if np.isfinite(exact).all() and not np.isfinite(out).all():
        row = int((~np.isfinite(out)).any(axis=1).argmax())
        height = np.abs(exact[row]).max()
        raise InputError(
            f"{what}: expected values up to {MAX_MAGNITUDE:g}, found {height:.4g} in row {row}; scale them"
        )
    if len(exact) >= FEW_ROWS and matrix.size:
        with np.errstate(invalid="ignore"):
            spread = np.nanmax(exact.max(axis=0) - exact.min(axis=0), initial=0.0)
            error = np.nanmax(np.abs(exact - out), initial=0.0)
        if error > LOST_SHARE * spread > 0:
            raise DtypeError(
                f"{what}: expected numbers whose differences float32 can represent, found values that differ by "
                f"{spread:.3g} and would change by {error:.3g}; subtract what is common to all, in {matrix.dtype}"
            )
    return out


def check_ids(ids: Any, count: int | None = None) -> I64:
    """Return distinct ids from 0 to 2**63 - 1, int64 (n,).

    Raises
    ------
    IdError
        Not whole numbers, not as many as ``count``, below 0 or too great.
    DuplicateIdError
        An id is given twice.
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
    if (array[1:] > array[:-1]).all():  # the usual case; for a single id, sorting would be half of the work
        return np.ascontiguousarray(array, dtype=np.int64)
    values, times = np.unique(array, return_counts=True)
    if len(values) < len(array):
        raise DuplicateIdError(f"ids: expected each once, found {values[times.argmax()]} {times.max()} times")
    return np.ascontiguousarray(array, dtype=np.int64)


# Messages and cues


def as_integers(values: npt.ArrayLike, what: str) -> Integers:
    """Return an array of integers; InputError for anything else. ``what`` names the argument in the message."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # sequences of unequal lengths
        raise InputError(f"{what}: expected an array of integers, found {error}") from error
    if array.dtype.kind not in "iu":
        raise InputError(f"{what}: expected integers, found dtype {array.dtype}")
    return array


def check_symbols(values: npt.ArrayLike, what: str, clusters: int, units: int, least: int = ERASED) -> I32:
    """Return symbols from ``least`` to ``units - 1``, C-contiguous int32 (n, clusters); InputError otherwise."""
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


def check_messages(values: npt.ArrayLike, what: str, clusters: int, units: int, active: int) -> I32:
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

    A guided cue of a sparse memory must say which clusters the message uses. A cue with all its symbols says so: its
    other clusters are returned as UNUSED.
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
            f"found {known[row]} and {named[row]} in row {row}; with guided=False no cluster need be marked"
        )
    return np.where(complete[:, None] & (cues < 0), UNUSED, cues).astype(np.int32) if guided else cues


# Sets of indices

_EXPECTED = "expected integers (n, m), -1 = none, or n sequences of them"


def flatten_sets(sets: Sets, what: str, size: int) -> tuple[I64, I64]:
    """Return the members of all sets in one array: set i is ``members[starts[i] : starts[i + 1]]``.

    Parameters
    ----------
    sets : integers (n, m), -1 = no member, or n sequences of integers
    what : str
        Name of the argument, for the message.
    size : int
        Members are 0 to ``size - 1``.

    Returns
    -------
    members : int64 (sum,)
        Ascending within each set, and without repetitions.
    starts : int64 (n + 1,)

    Raises
    ------
    InputError
        Wrong shape, dtype or numbers.
    """
    if isinstance(sets, np.ndarray) and sets.shape[:1] != (0,):
        if sets.ndim != 2 or sets.dtype.kind not in "iu":
            raise InputError(f"{what}: {_EXPECTED}, found {sets.dtype} of shape {sets.shape}")
        padded = np.array(_check_members(sets, what, size), np.int64)
    else:
        parts = [_check_members(part, what, size) for part in _sets_as_arrays(sets, what)]
        padded = np.full((len(parts), max(map(len, parts), default=0)), -1, np.int64)
        for row, part in zip(padded, parts, strict=True):
            row[: len(part)] = part
    padded.sort(axis=1)
    keep = padded >= 0
    keep[:, 1:] &= padded[:, 1:] != padded[:, :-1]
    return padded[keep], np.concatenate([[0], np.cumsum(keep.sum(axis=1))])


def _sets_as_arrays(sets: object, what: str) -> list[Integers]:
    """Return one array of integers per set."""
    try:
        parts = [np.asarray(one) for one in sets]  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:  # not a sequence; sequences of sequences of unequal lengths
        raise InputError(f"{what}: {_EXPECTED}, found {type(sets).__name__}: {error}") from error
    for i, part in enumerate(parts):
        if part.ndim != 1 or (part.size and part.dtype.kind not in "iu"):
            raise InputError(f"{what}: {_EXPECTED}, found {part.dtype} of shape {part.shape} as set {i}")
    return [part if part.size else np.empty(0, np.int64) for part in parts]


def _check_members(array: Integers, what: str, size: int) -> Integers:
    if array.size and (array.max() >= size or array.min() < -1):
        found = array[(array >= size) | (array < -1)].flat[0]
        raise InputError(f"{what}: expected numbers 0 to {size - 1}, or -1 for none, found {found}")
    return array


# Names of concepts


def check_name(name: str) -> str:
    """Return a concept's name in Unicode's composed form, with single spaces between its words.

    Raises
    ------
    InputError
        Not text, empty, longer than ``LONGEST_NAME``, with control characters, or without any letter, digit or symbol.

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
