"""Groups of near copies in a whole collection, in near-linear time, and copies of one collection in another.

    messages -> candidate pairs -> similarity of the stored vectors -> groups around a representative

Features may be memory-mapped: rows are read once per step, a few thousand at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F32, I8, I64, U8, Integers
from assocmem.codes.dct_sketches import SKETCH_LENGTH, inverse_norms
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.candidate_pairs import candidate_pairs, make_filter, sorted_unique
from assocmem.copies.similarity import Vectors, fill_norms, grow_groups, label_components, score_pairs
from assocmem.errors import InputError
from assocmem.search.exhaustive import FeatureRows

COPY = 1.0
"""Similarity from which two items are copies of the same picture."""
SIMILAR = 0.85
"""Similarity from which two items are similar: of the same scene, or a copy that lost much."""
BATCH_ROWS = 16_384
"""Pairs that are compared at a time, and rows of features in memory meanwhile; a larger group needs more."""


@dataclass(frozen=True, slots=True)
class ComparedItems:
    """n items among which near copies are found."""

    features: FeatureRows
    """float16 or float32 (n, dim)"""
    messages: Integers
    """messages of the features, values 0 to 255 (n, clusters)"""
    codes: U8
    """codes of the features, uint8 (n, b)"""
    sketches: I8
    """int8 (n, SKETCH_LENGTH); zeros if there is no sketch"""
    sketch_messages: Integers
    """messages of the sketches, values 0 to 255"""

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class CopyPairs:
    """m pairs of near copies, ascending by first and second row."""

    first: I64
    """int64 (m,)"""
    second: I64
    """int64 (m,), second > first"""
    scores: F32
    """float32 (m,): similarity"""


@dataclass(frozen=True, slots=True)
class CopyGroups:
    """Groups of at least two items, the largest first; in each the representative, then the most similar first."""

    rows: I64
    """int64 (m,): members, group after group"""
    starts: I64
    """int64 (groups + 1,): group g is ``rows[starts[g] : starts[g + 1]]``"""
    scores: F32
    """float32 (m,): similarity to the representative"""


def make_items(features: FeatureRows, messages: Integers, codes: U8, sketches: I8 | None = None) -> ComparedItems:
    """Return items with messages of their sketches; without sketches, items of features alone.

    Raises
    ------
    InputError
        Arrays of different lengths, or sketches of another length.
    """
    n = len(codes)
    if sketches is None:
        sketches = np.zeros((n, SKETCH_LENGTH), np.int8)
    if not n == features.shape[0] == len(messages) == len(sketches) or sketches.shape[1] != SKETCH_LENGTH:
        raise InputError(
            f"expected as many features, messages, codes, and sketches of {SKETCH_LENGTH}; "
            f"found {features.shape}, {messages.shape}, {codes.shape}, {sketches.shape}"
        )
    sketch_messages = CliqueCoder(SKETCH_LENGTH).messages(sketches).astype(np.uint8)
    return ComparedItems(features, messages, codes, sketches, sketch_messages)


# Pairs


def find_pairs(items: ComparedItems, least: float = COPY, *, split: int = 0) -> CopyPairs:
    """Return the pairs of items whose similarity is at least ``least``.

    Parameters
    ----------
    items : ComparedItems
    least : float
        ``COPY``, ``SIMILAR``, or a similarity in between: of less similar pairs, many are missed.
    split : int
        If positive, only pairs of a row before it and a row from it on.
    """
    n = len(items)
    every, sketched = np.arange(n), np.flatnonzero(inverse_norms(items.sketches))
    keys = [
        _candidates(items, items.messages, every, least, split),
        _candidates(items, items.sketch_messages, sketched, least, split),
    ]
    first, second = np.divmod(sorted_unique(np.concatenate(keys)), max(1, n))
    scores = np.empty(len(first), np.float32)
    for start in range(0, len(first), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        rows = sorted_unique(np.concatenate([first[part], second[part]]))
        places = np.searchsorted(rows, first[part]), np.searchsorted(rows, second[part])
        score_pairs(_vectors(items, rows), *places, scores[part])
    near = scores >= least
    return CopyPairs(first[near], second[near], scores[near])


def _candidates(items: ComparedItems, messages: Integers, rows: I64, least: float, split: int) -> I64:
    """Return the candidate pairs among some rows (ascending), by these messages, as first * n + second."""
    n, before = len(items), int(np.searchsorted(rows, split))
    if split > 0 and before in (0, len(rows)):  # all on one side
        return np.empty(0, np.int64)
    pair_filter = make_filter(items.codes[rows], items.sketches[rows], least)
    first, second = np.divmod(candidate_pairs(messages[rows], pair_filter, split=before), max(1, len(rows)))
    return np.asarray(rows[first] * n + rows[second], np.int64)


def _vectors(items: ComparedItems, rows: I64) -> Vectors:
    """Return the vectors of some rows; features that are float32 in memory are not copied."""
    if isinstance(items.features, np.ndarray) and items.features.dtype == np.float32:
        features, places = items.features, rows
    else:
        features, places = items.features[rows].astype(np.float32), np.arange(len(rows))
    norms = np.empty(len(rows), np.float32)
    fill_norms(features, places, norms)
    sketches = items.sketches[rows]
    return Vectors(features, places, norms, sketches, inverse_norms(sketches))


# Groups


def group_pairs(items: ComparedItems, pairs: CopyPairs, least: float = COPY) -> CopyGroups:
    """Return groups of items, each around a representative that all its members are similar to.

    So a chain of frames, each similar to the next, does not become one group: its ends are not similar to any one
    frame. The item with the most near copies becomes the first representative (of equal ones, the oldest). Its group
    grows from copy to copy of a copy, as far as they are similar to the representative itself. Then comes the next.

    Parameters
    ----------
    items : ComparedItems
    pairs : CopyPairs
        As ``find_pairs`` returns them for the same ``least``.
    least : float
        Similarity of each member to its representative, at least.
    """
    rows = sorted_unique(np.concatenate([pairs.first, pairs.second]))
    n = len(rows)
    first, second = np.searchsorted(rows, pairs.first), np.searchsorted(rows, pairs.second)
    components = np.arange(n)
    label_components(components, first, second)
    # Sort by component: rows that may become a group are then read together.
    order = np.argsort(components, kind="stable")
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    starts, neighbours = _adjacency(rank[first], rank[second], n)
    leaders, scores = np.full(n, -1), np.empty(n, np.float32)
    for low, high in _whole_components(components[order]):
        mine = slice(low, high)
        local = starts[low : high + 1] - starts[low]
        turns = np.lexsort((rows[order[mine]], -np.diff(local)))
        grow_groups(
            _vectors(items, rows[order[mine]]),
            local,
            neighbours[starts[low] : starts[high]] - low,
            turns,
            np.float32(least),
            leaders[mine],
            scores[mine],
        )
        leaders[mine] += low
    return _sorted_groups(rows[order], leaders, scores)


def _adjacency(first: I64, second: I64, n: int) -> tuple[I64, I64]:
    """Pairs -> starts, int64 (n + 1,), and neighbours, int64 (2 m,), ascending per row."""
    one, other = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.lexsort((other, one))
    starts = np.concatenate([[0], np.cumsum(np.bincount(one, minlength=n))])
    return starts.astype(np.int64), other[order]


def _whole_components(components: I64) -> Iterator[tuple[int, int]]:
    """Cut sorted components, at their ends, into parts of ``BATCH_ROWS`` rows, or more for a larger component."""
    ends = np.flatnonzero(np.diff(components, append=-1)) + 1
    low = 0
    while low < len(components):
        place = np.searchsorted(ends, low + BATCH_ROWS, side="right") - 1
        high = int(ends[place]) if place >= 0 and ends[place] > low else int(ends[np.searchsorted(ends, low + 1)])
        yield low, high
        low = high


def _sorted_groups(rows: I64, leaders: I64, scores: F32) -> CopyGroups:
    """Leave out items that are alone; large groups go first, and of equal ones that with the older representative."""
    sizes = np.bincount(leaders, minlength=len(rows))
    kept = np.flatnonzero(sizes[leaders] > 1) if len(rows) else np.empty(0, np.int64)
    mine = leaders[kept]
    order = np.lexsort((rows[kept], -scores[kept], kept != mine, rows[mine], -sizes[mine]))
    kept = kept[order]
    starts = np.flatnonzero(np.diff(leaders[kept], prepend=-1, append=-1)) if len(kept) else np.zeros(1, np.int64)
    return CopyGroups(rows[kept], starts, scores[kept])
