"""Groups of near copies in a whole collection, in near-linear time, and which items of one side are on the other.

    symbols -> candidate pairs -> likeness of the stored vectors -> groups around a representative

Arrays in, arrays out. The features may be memory-mapped: rows are read once per step, some thousand at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F32, I8, I64, U8
from assocmem.codes.dct_sketches import LENGTH, scales_of
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.candidate_pairs import Screen, Symbols, candidate_pairs, distinct
from assocmem.copies.similarity import grow_groups, invert_lengths, join_trees, score_pairs
from assocmem.errors import InputError
from assocmem.search.exhaustive import FeatureRows

COPY = 1.0
"""Likeness from which two items are copies of one picture."""
SIMILAR = 0.85
"""Likeness from which two items are similar: of one scene, or a copy that lost much."""
BATCH = 16_384
"""Pairs held against each other at a time, and rows of features that are then in memory; a larger group needs more."""


@dataclass(frozen=True, slots=True)
class Items:
    """n items, as near copies are looked for among them."""

    features: FeatureRows
    """float16 or float32 (n, dim)"""
    symbols: Symbols
    """messages of the features, values 0 to 255 (n, clusters)"""
    codes: U8
    """codes of the features, uint8 (n, b)"""
    sketches: I8
    """int8 (n, LENGTH); a row of zeros where there is none"""
    sketch_symbols: Symbols
    """messages of the sketches"""

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class Pairs:
    """m pairs of near copies, ascending by first and second row."""

    first: I64
    """int64 (m,)"""
    second: I64
    """int64 (m,), second > first"""
    scores: F32
    """float32 (m,): likeness"""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of two and more, those with the most members first; in each the representative, then the likest first."""

    rows: I64
    """int64 (m,): members, group after group"""
    starts: I64
    """int64 (groups + 1,): group g is ``rows[starts[g]:starts[g + 1]]``"""
    scores: F32
    """float32 (m,): likeness to the representative"""


def describe(features: FeatureRows, symbols: Symbols, codes: U8, sketches: I8 | None = None) -> Items:
    """Return items, with what is looked up by made of the sketches; without sketches, items of features alone.

    Raises
    ------
    InputError
        The arrays do not belong together.
    """
    n = len(codes)
    if sketches is None:
        sketches = np.zeros((n, LENGTH), np.int8)
    if not n == features.shape[0] == len(symbols) == len(sketches) or sketches.shape[1] != LENGTH:
        raise InputError(
            f"expected as many features, messages, codes, and sketches of {LENGTH}; "
            f"found {features.shape}, {symbols.shape}, {codes.shape}, {sketches.shape}"
        )
    sketch_symbols = CliqueCoder(LENGTH).messages(sketches).astype(np.uint8)
    return Items(features, symbols, codes, sketches, sketch_symbols)


def near_pairs(items: Items, least: float = COPY, *, split: int = 0) -> Pairs:
    """Return the pairs of items whose likeness is at least ``least``.

    Parameters
    ----------
    items : Items
    least : float
        ``COPY``, ``SIMILAR``, or a likeness in between: what is less is not looked for thoroughly.
    split : int
        With a positive one, only pairs of a row before it and one from it on.
    """
    n = len(items)
    every, sketched = np.arange(n), np.flatnonzero(scales_of(items.sketches))
    keys = [
        _candidates(items, items.symbols, every, least, split),
        _candidates(items, items.sketch_symbols, sketched, least, split),
    ]
    first, second = np.divmod(distinct(np.concatenate(keys)), max(1, n))
    scores = np.empty(len(first), np.float32)
    for start in range(0, len(first), BATCH):
        part = slice(start, start + BATCH)
        rows = distinct(np.concatenate([first[part], second[part]]))
        places = np.searchsorted(rows, first[part]), np.searchsorted(rows, second[part])
        score_pairs(_vectors(items, rows), *places, scores[part])
    near = scores >= least
    return Pairs(first[near], second[near], scores[near])


def _candidates(items: Items, symbols: Symbols, rows: I64, least: float, split: int) -> I64:
    """Return the candidate pairs among some rows (ascending), by these symbols, as first * n + second."""
    n, before = len(items), int(np.searchsorted(rows, split))
    if split > 0 and before in (0, len(rows)):  # all on one side
        return np.empty(0, np.int64)
    screen = Screen(items.codes[rows], items.sketches[rows])
    first, second = np.divmod(candidate_pairs(symbols[rows], screen, least, split=before), max(1, len(rows)))
    return np.asarray(rows[first] * n + rows[second], np.int64)


def _vectors(items: Items, rows: I64) -> tuple[F32, I64, F32, I8, F32]:
    """What ``likeness`` takes: the features of some rows, copied only where they are not float32 in memory."""
    if isinstance(items.features, np.ndarray) and items.features.dtype == np.float32:
        features, places = items.features, rows
    else:
        features, places = items.features[rows].astype(np.float32), np.arange(len(rows))
    scales = np.empty(len(rows), np.float32)
    invert_lengths(features, places, scales)
    sketches = items.sketches[rows]
    return features, places, scales, sketches, scales_of(sketches)


def group(items: Items, pairs: Pairs, least: float = COPY) -> Groups:
    """Return groups of items, each around a representative that all its members are like.

    A chain of similar frames does not become one group: its ends are not like any one of them. The item with the most
    near copies becomes the first representative (of equals, the oldest); its group grows from copy to copy of a copy,
    as far as they are like the representative itself; then the next.

    Parameters
    ----------
    items : Items
    pairs : Pairs
        Of ``near_pairs`` with the same ``least``.
    least : float
        Likeness of each member to its representative, at least.
    """
    rows = distinct(np.concatenate([pairs.first, pairs.second]))
    n = len(rows)
    first, second = np.searchsorted(rows, pairs.first), np.searchsorted(rows, pairs.second)
    trees = np.arange(n)
    join_trees(trees, first, second)
    # Trees one after another: what can become a group lies together, and is read together.
    order = np.argsort(trees, kind="stable")
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    starts, neighbours = _adjacent(rank[first], rank[second], n)
    leaders, scores = np.full(n, -1), np.empty(n, np.float32)
    for low, high in _whole_trees(trees[order]):
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


def _adjacent(first: I64, second: I64, n: int) -> tuple[I64, I64]:
    """Pairs -> starts, int64 (n + 1,), and neighbours, int64 (2 m,), ascending per row."""
    one, other = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.lexsort((other, one))
    starts = np.concatenate([[0], np.cumsum(np.bincount(one, minlength=n))])
    return starts.astype(np.int64), other[order]


def _whole_trees(trees: I64) -> Iterator[tuple[int, int]]:
    """Cut the rows, sorted by tree, where trees end, into parts of ``BATCH`` rows, more where one tree is larger."""
    ends = np.flatnonzero(np.diff(trees, append=-1)) + 1
    low = 0
    while low < len(trees):
        place = np.searchsorted(ends, low + BATCH, side="right") - 1
        high = int(ends[place]) if place >= 0 and ends[place] > low else int(ends[np.searchsorted(ends, low + 1)])
        yield low, high
        low = high


def _sorted_groups(rows: I64, leaders: I64, scores: F32) -> Groups:
    """Leave out items that stayed alone; large groups first, then those of the older representative."""
    sizes = np.bincount(leaders, minlength=len(rows))
    kept = np.flatnonzero(sizes[leaders] > 1) if len(rows) else np.empty(0, np.int64)
    mine = leaders[kept]
    order = np.lexsort((rows[kept], -scores[kept], kept != mine, rows[mine], -sizes[mine]))
    kept = kept[order]
    starts = np.flatnonzero(np.diff(leaders[kept], prepend=-1, append=-1)) if len(kept) else np.zeros(1, np.int64)
    return Groups(rows[kept], starts, scores[kept])
