"""PoolTree: codes in pools of similar items, which split as they fill, like the leaves of a B-tree.

The tree has three levels of one kind: items in pools, pools in groups, groups in a single list. A pool is an item of
the level above, with the code of its mean. Finding pools is therefore the same work as finding items: sums over the
units of a code. Nothing is trained, and no item is encoded again after it was added.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from assocmem._numerics.simd import from_bfloat16, to_bfloat16
from assocmem._numerics.types import F32, I32, I64, Arrays
from assocmem.codes.nibble_codes import NibbleCoder
from assocmem.search.pool_kernels import SPREAD_WEIGHT, CodedItems, LevelArrays, QueryTables, insert_items, search_pools
from assocmem.search.pool_level import STORED_ARRAYS, PoolLevel, item_of, two_means

SEARCH_GROUPS_FROM = 4096
"""Number of pools from which a search selects groups first; scoring fewer pools one and all is faster."""
ADD_GROUPS_FROM = 256
"""The same for adding items. It is lower, because the one nearest pool is found in fewer groups than many near pools
are, and the pools are as good."""
ADD_GROUPS = 12
"""Groups in which the pool of a new item is looked for."""
SPLIT_ROUNDS = 6
"""Rounds of 2-means when a pool splits."""
ADD_CHUNK = 512
"""Items that are added before arrays may grow again."""

VectorLookup = Callable[[I32], F32]
"""Returns the vectors of members before rotation, float32 (n, d)."""


class Candidates(NamedTuple):
    """Candidates of queries by their codes, and how much was scored to find them."""

    scores: F32
    """float32 (n, r), in no order"""
    slots: I32
    """int32 (n, r), their slots on the level of items"""
    counts: I64
    """int64 (n, 4): lanes of groups, of pools and of items that were scored; number of candidates, at most r"""


class PoolTree:
    """Codes of items, arranged so that a search scores few of them.

    Parameters
    ----------
    coder : NibbleCoder
        Encodes items.
    router : NibbleCoder
        Encodes pools and groups; may be the same.
    rotate : callable
        Rotates means of members' vectors -> float32 (n, width).

    Attributes
    ----------
    items, pools, groups : PoolLevel
        The pools of ``items`` are the members of ``pools``; the pools of ``pools`` are the members of ``groups``.
    """

    def __init__(self, coder: NibbleCoder, router: NibbleCoder, rotate: Callable[[F32], F32]) -> None:
        self.coder, self.router, self.rotate = coder, router, rotate
        self.items = PoolLevel(coder.code_bytes)
        self.pools = PoolLevel(router.code_bytes)
        self.groups = PoolLevel(router.code_bytes)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.items.nbytes + self.pools.nbytes + self.groups.nbytes

    def named_levels(self) -> tuple[tuple[str, PoolLevel], ...]:
        """Return the levels from the bottom up, with their names in files."""
        return ("items", self.items), ("pools", self.pools), ("groups", self.groups)

    @property
    def arrays(self) -> tuple[LevelArrays, LevelArrays, LevelArrays]:
        """Arrays of the items, the pools and the groups, as the kernels take them."""
        return self.items.arrays, self.pools.arrays, self.groups.arrays

    # Searching

    def search(self, rotated: F32, keep: tuple[int, int, int], most: int | None = None) -> Candidates:
        """Find candidates for rotated queries.

        Parameters
        ----------
        rotated : float32 (n, width)
        keep : three ints
            Groups, pools and items to keep; the groups count only if there are many pools.
        most : int, optional
            Candidates per query, at least 9/8 of the items to keep, the default. More room saves the time to select
            exactly.
        """
        n, most = len(rotated), keep[2] + keep[2] // 8 if most is None else most
        found = Candidates(np.empty((n, most), np.float32), np.empty((n, most), np.int32), np.empty((n, 4), np.int64))
        coarse = QueryTables(*self.router.tables(rotated))
        fine = coarse if self.coder is self.router else QueryTables(*self.coder.tables(rotated))
        groups = keep[0] if self.items.pool_count >= SEARCH_GROUPS_FROM else 0
        numbers = np.array([groups, *keep[1:]], np.int64)
        search_pools(self.arrays, coarse, fine, numbers, (found.scores, found.slots), found.counts)
        return found

    def candidate_members(self, found: Candidates, i: int) -> I32:
        """Return the members that are candidates of query ``i``, int32 (m,)."""
        return self.items.arrays.members[found.slots[i, : found.counts[i, 3]]]

    # Adding and removing items

    def add(self, rotated: F32, members: I32, vectors: VectorLookup) -> None:
        """Encode items and add them to their nearest pools.

        Parameters
        ----------
        rotated : float32 (n, width)
        members : int32 (n,)
            Numbers that are not in the tree.
        vectors : callable
            Must return the vectors of the new members too.
        """
        for start in range(0, len(members), ADD_CHUNK):
            part = slice(start, start + ADD_CHUNK)
            codes, scales, squares = self.coder.encode(rotated[part])
            coded = CodedItems(codes, to_bfloat16(scales), to_bfloat16(squares * -0.5), members[part])
            self.add_coded(coded, QueryTables(*self.router.tables(rotated[part])), vectors)

    def add_coded(self, coded: CodedItems, coarse: QueryTables, vectors: VectorLookup) -> None:
        """Add coded items to their nearest pools; ``coarse``: their tables for the codes of pools."""
        n = len(coded.members)
        if n == 0:
            return
        self.items.reserve(int(coded.members.max()) + 1)
        if self.items.is_empty:
            first = np.ascontiguousarray(vectors(coded.members[:1]), dtype=np.float32)
            self.insert_pools([self.items.new_pool()], self.rotate(first), np.zeros(1, np.float32))
        at = 0
        while True:
            at, pool = self.place(coarse, coded, at)
            if at == n:
                return
            self._split_pool(pool, vectors)

    def place(self, coarse: QueryTables, coded: CodedItems, start: int) -> tuple[int, int]:
        """Add items from ``start`` on to their nearest pools; return the first whose pool is full, and that pool."""
        groups = ADD_GROUPS if self.items.pool_count >= ADD_GROUPS_FROM else 0
        at, pool = insert_items(self.arrays, coarse, coded, start, groups)
        return int(at), int(pool)

    def remove(self, member: int) -> None:
        """Remove an item. A pool that becomes empty leaves the level above."""
        pool = self.items.remove(member)
        if not self.items.arrays.sizes[pool]:
            self.remove_pool(pool)

    def merge(self, other: PoolTree, members: I32) -> I32:
        """Copy the items, pools and groups of another tree; return the numbers that its pools have here.

        ``members``: int32, the numbers that the members of the other tree have here, by their numbers there.
        """
        pools = self.items.merge(other.items, members)
        groups = self.pools.merge(other.pools, pools)
        self.groups.merge(other.groups, groups)
        return pools

    def forget_pools(self) -> None:
        """Forget in which groups the pools are; they must be inserted again."""
        self.pools, self.groups = PoolLevel(self.router.code_bytes), PoolLevel(self.router.code_bytes)

    # Pools and groups

    def insert_pools(self, pools: list[int], means: F32, spreads: F32) -> None:
        """Add pools to their nearest groups.

        Parameters
        ----------
        pools : list of int
        means : float32 (n, width)
            Their rotated means.
        spreads : float32 (n,)
            Mean squared distances of their members to the means.
        """
        coded, coarse = self._encode_means(pools, means, spreads), QueryTables(*self.router.tables(means))
        self.pools.reserve(max(pools) + 1)
        if self.groups.is_empty:
            self._append_groups([self.pools.new_pool()], means[:1], np.zeros(1, np.float32))
        at = 0
        while True:
            # A pool finds its group as an item finds its pool.
            levels = self.pools.arrays, self.groups.arrays, self.groups.arrays
            at, group = insert_items(levels, coarse, coded, at, 0)
            if at == len(pools):
                return
            self._split_group(int(group))

    def remove_pool(self, pool: int) -> None:
        """Remove a pool from its group, and the group if it becomes empty."""
        group = self.pools.remove(pool)
        if not self.pools.arrays.sizes[group]:
            self.groups.remove(group)

    def _split_pool(self, pool: int, vectors: VectorLookup) -> None:
        x = np.ascontiguousarray(vectors(self.items.members_of(pool)), dtype=np.float32)
        side = np.empty(len(x), np.bool_)
        means, spreads = two_means(x, side, SPLIT_ROUNDS)
        other = self.items.split(pool, side)
        self.remove_pool(pool)
        self.insert_pools([pool, other], self.rotate(means), spreads)

    def _split_group(self, group: int) -> None:
        coded = self.pools.coded(self.pools.members_of(group))
        x = self.router.decode(coded.codes, from_bfloat16(coded.scales), from_bfloat16(coded.biases) * -2)
        side = np.empty(len(x), np.bool_)
        means, spreads = two_means(x, side, SPLIT_ROUNDS)
        other = self.pools.split(group, side)
        self.groups.remove(group)
        self._append_groups([group, other], means, spreads)

    def _append_groups(self, groups: list[int], means: F32, spreads: F32) -> None:
        coded = self._encode_means(groups, means, spreads)
        for i in range(len(groups)):
            self.groups.append(self.groups.pool_with_room(), item_of(coded, i))

    def _encode_means(self, members: list[int], means: F32, spreads: F32) -> CodedItems:
        codes, scales, squares = self.router.encode(means)
        biases = (squares + SPREAD_WEIGHT * spreads) * np.float32(-0.5)
        return CodedItems(codes, to_bfloat16(scales), to_bfloat16(biases), np.array(members, np.int32))

    # Files

    def state(self) -> Arrays:
        """Return the arrays of all levels, named as in files: ``items codes``, ``pools sizes`` ..."""
        return {f"{name} {part}": array for name, level in self.named_levels() for part, array in level.state().items()}

    def restore(self, arrays: Arrays) -> None:
        """Use arrays that ``state`` returned, in an empty tree; ValueError as of ``PoolLevel.restore``.

        Whether the levels fit together is not checked; see ``inconsistent_levels``.
        """
        for name, level in self.named_levels():
            restore_level(level, name, arrays)

    def inconsistent_levels(self) -> list[str]:
        """Return the names of levels whose members are not exactly the pools in use on the level below."""
        levels, names = self.named_levels(), []
        for (_, below), (name, level) in pairwise(levels):
            in_use = np.flatnonzero(below.arrays.sizes[: below.pool_count])
            if not np.array_equal(level.members(), in_use):
                names.append(name)
        return names


def restore_level(level: PoolLevel, name: str, arrays: Arrays) -> None:
    """Use the arrays of one level of what ``PoolTree.state`` returned; ValueError as of ``PoolLevel.restore``."""
    level.restore({part: arrays[f"{name} {part}"] for part in STORED_ARRAYS})
