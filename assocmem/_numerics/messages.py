"""Numbers, messages and cues as a caller gives them: checked, and brought to the kernels' types."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import I32, Integers
from assocmem.errors import InputError

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
