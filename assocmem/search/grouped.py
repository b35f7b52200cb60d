"""Nearest groups of vectors: several vectors that stand for one thing, such as the crops of a picture.

A group is as near as the nearest of its vectors. More and more neighbours are asked for until there are enough groups,
so the answer is that of the search: exact if the search is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, I64
from assocmem.errors import InputError

GroupOf = Callable[[I64], npt.ArrayLike]
"""Returns the group of each id, int64 (n,), not below 0."""
FIRST = 2
"""Neighbours that are asked for at first, for each wanted group."""


def nearest_groups(
    search: Callable[[F32, int], tuple[F32, I64]], q: F32, k: int, items: int, group_of: GroupOf
) -> tuple[F32, I64]:
    """Return values and groups of the k nearest groups of each query, both (nq, k); -1 if there are fewer.

    ``search`` returns values and ids of the nearest items, the nearest first; ``items``: how many there are.
    """
    values, groups = np.full((len(q), k), np.nan, np.float32), np.full((len(q), k), -1, np.int64)
    left, asked = np.arange(len(q)), FIRST * k
    while len(left):
        asked = min(asked, items)
        found, ids = search(np.ascontiguousarray(q[left]), asked)
        named = np.full(ids.shape, -1, np.int64)
        named[ids >= 0] = _checked(group_of(ids[ids >= 0]), int((ids >= 0).sum()))
        unfinished = []
        for place, row in enumerate(left.tolist()):
            _, first = np.unique(named[place], return_index=True)
            first = np.sort(first[named[place][first] >= 0])[:k]
            values[row, : len(first)], groups[row, : len(first)] = found[place, first], named[place, first]
            if len(first) < k and asked < items and ids[place, -1] >= 0:
                unfinished.append(row)
        left, asked = np.array(unfinished, np.int64), 4 * asked
    return values, groups


def _checked(groups: npt.ArrayLike, count: int) -> I64:
    found = np.asarray(groups)
    if found.shape != (count,) or found.dtype.kind not in "iu" or (count and found.min() < 0):
        raise InputError(
            f"group_of: expected whole numbers from 0 for {count} ids, found {found.dtype} of shape {found.shape}"
        )
    return found.astype(np.int64)
