"""PoolTree: the routing memory. Codes -> pools of similar items, which divide as they fill, like a B-tree's leaves.

Three levels of the same kind: items in pools, pools in groups, groups in one row. A pool is known above by the code of
its mean, an item like any other, so that finding pools is the same work as finding items: sums over a code's units.
Nothing is trained, and what was stored is never encoded again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from assocmem._numerics.simd import from_bfloat16, to_bfloat16
from assocmem._numerics.types import F32, I32, I64
from assocmem.codes.nibble_codes import SymbolCoder
from assocmem.search.blocks import Blocks, Coded, Tables
from assocmem.search.halving import halve
from assocmem.search.pool_kernels import place_items, search_pools
from assocmem.search.pool_level import Level, part_of

GROUPS_FROM = 4096
"""Pools from which on groups are asked first; fewer are quicker looked at one and all."""
GROUPS_KEPT = 12
"""Groups in which the pool of a new item is looked for."""
ADDED_BY_GROUPS_FROM = 256
"""Pools from which on a new item's is looked for in those groups only; finding the one nearest takes fewer than finding
many near ones, and pools are as good."""
SPREAD = 0.35
"""How much of its members' mean squared distance to their mean is added to a pool's squared distance: a wide pool has
fewer near items than a narrow one at the same distance. 0.25 to 0.5 measure alike; without it half as much again must
be looked at."""
ROUNDS = 6
"""Rounds of 2-means when a pool divides."""
CHUNK = 512
"""Items that are placed before arrays may grow again."""

Vectors = Callable[[I32], F32]
"""Members -> their vectors before rotation, float32 (n, d)."""


class Found(NamedTuple):
    """Candidates of queries by their codes, and what was looked at on the way."""

    scores: F32
    """float32 (n, r), in no order"""
    slots: I32
    """int32 (n, r), where they are among the tree's items"""
    kept: I64
    """int64 (n, 4): lanes of groups, of pools and of items that were scored; how many of the r are candidates"""


class PoolTree:
    """Codes of items, arranged so that few need to be looked at.

    Parameters
    ----------
    coder : SymbolCoder
        Of items.
    router : SymbolCoder
        Of pools and groups; more clusters cost little there.
    rotate : callable
        Means of members' vectors -> rotated, float32 (n, width).
    """

    def __init__(self, coder: SymbolCoder, router: SymbolCoder, rotate: Callable[[F32], F32]) -> None:
        self.coder, self.router, self.rotate = coder, router, rotate
        self.items = Level(coder.code_bytes)
        self.pools = Level(router.code_bytes)
        self.groups = Level(router.code_bytes)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.items.nbytes + self.pools.nbytes + self.groups.nbytes

    def _levels(self) -> tuple[Blocks, Blocks, Blocks]:
        return self.items.blocks, self.pools.blocks, self.groups.blocks

    def _groups_kept(self, wanted: int) -> int:
        return wanted if self.items.pools >= GROUPS_FROM else 0

    def add(self, rotated: F32, members: I32, vectors: Vectors) -> None:
        """Encode and put items into their nearest pools.

        ``rotated``: float32 (n, width); ``members``: int32 (n,), not there yet; ``vectors`` must know them already.
        """
        for start in range(0, len(members), CHUNK):
            part = slice(start, start + CHUNK)
            codes, scales, squares = self.coder.encode(rotated[part])
            coded = Coded(codes, to_bfloat16(scales), to_bfloat16(squares * -0.5), members[part])
            self.place(coded, Tables(*self.router.tables(rotated[part])), vectors)

    def place(self, coded: Coded, coarse: Tables, vectors: Vectors) -> None:
        """Put coded items into their nearest pools, given their tables for the codes of pools."""
        n = len(coded.members)
        if n == 0:
            return
        self.items.reserve(int(coded.members.max()) + 1)
        if not self.items.blocks.sizes.any():
            self._start(coded, vectors)
        at = 0
        while True:
            kept = GROUPS_KEPT if self.items.pools >= ADDED_BY_GROUPS_FROM else 0
            at, pool = place_items(self._levels(), coarse, coded, at, kept)
            if at == n:
                return
            self._divide_pool(int(pool), vectors)

    def _start(self, coded: Coded, vectors: Vectors) -> None:
        first = np.ascontiguousarray(vectors(coded.members[:1]), dtype=np.float32)
        self._enter([self.items.new_pool()], self.rotate(first), np.zeros(1, np.float32))

    def remove(self, member: int) -> None:
        """Take an item out; a pool that is left empty is no longer found."""
        pool = self.items.remove(member)
        if not self.items.blocks.sizes[pool]:
            self._leave(pool)

    def search(self, rotated: F32, plan: tuple[int, int, int], most: int | None = None) -> Found:
        """Find candidates for rotated queries, float32 (n, width).

        ``plan``: groups, pools and items to keep; the groups count only where there are many pools. ``most``: items
        that may be kept, 9/8 as many by default; choosing fewer of what a guess left takes time.
        """
        n, most = len(rotated), plan[2] + plan[2] // 8 if most is None else most
        found = Found(np.empty((n, most), np.float32), np.empty((n, most), np.int32), np.empty((n, 4), np.int64))
        coarse = Tables(*self.router.tables(rotated))
        fine = coarse if self.coder is self.router else Tables(*self.coder.tables(rotated))
        numbers = np.array([self._groups_kept(plan[0]), *plan[1:]], np.int64)
        search_pools(self._levels(), coarse, fine, numbers, (found.scores, found.slots), found.kept)
        return found

    def members(self, found: Found, i: int) -> I32:
        """Members that are candidates of query ``i``, int32 (m,)."""
        return self.items.blocks.members[found.slots[i, : found.kept[i, 3]]]

    def take_over(self, other: PoolTree, members: I32) -> None:
        """Take in another tree's items, pools and groups as they are; ``members``: its members' numbers here."""
        pools = self.items.take_over(other.items, members)
        groups = self.pools.take_over(other.pools, pools)
        self.groups.take_over(other.groups, groups)

    def _divide_pool(self, pool: int, vectors: Vectors) -> None:
        x = np.ascontiguousarray(vectors(self.items.members_of(pool)), dtype=np.float32)
        side = np.empty(len(x), np.bool_)
        means, spreads = halve(x, side, ROUNDS)
        other = self.items.divide(pool, side)
        self._leave(pool)
        self._enter([pool, other], self.rotate(means), spreads)

    def _enter(self, pools: list[int], means: F32, spreads: F32) -> None:
        """Make pools known to the level above by their rotated means, float32 (n, width)."""
        coded, coarse = self._code(pools, means, spreads), Tables(*self.router.tables(means))
        self.pools.reserve(max(pools) + 1)
        if not self.groups.blocks.sizes.any():
            self._enter_groups([self.pools.new_pool()], means[:1], np.zeros(1, np.float32))
        at = 0
        while True:
            levels = self.pools.blocks, self.groups.blocks, self.groups.blocks  # a pool finds its group as items pools
            at, group = place_items(levels, coarse, coded, at, 0)
            if at == len(pools):
                return
            self._divide_group(int(group))

    def _leave(self, pool: int) -> None:
        group = self.pools.remove(pool)
        if not self.pools.blocks.sizes[group]:
            self.groups.remove(group)

    def _divide_group(self, group: int) -> None:
        coded = self.pools.coded(self.pools.members_of(group))
        x = self.router.decode(coded.codes, from_bfloat16(coded.scales), from_bfloat16(coded.biases) * -2)
        side = np.empty(len(x), np.bool_)
        means, spreads = halve(x, side, ROUNDS)
        other = self.pools.divide(group, side)
        self.groups.remove(group)
        self._enter_groups([group, other], means, spreads)

    def _enter_groups(self, groups: list[int], means: F32, spreads: F32) -> None:
        coded = self._code(groups, means, spreads)
        for i in range(len(groups)):
            self.groups.append(self.groups.roomy_pool(), part_of(coded, i))

    def _code(self, members: list[int], means: F32, spreads: F32) -> Coded:
        codes, scales, squares = self.router.encode(means)
        biases = (squares + np.float32(SPREAD) * spreads) * np.float32(-0.5)
        return Coded(codes, to_bfloat16(scales), to_bfloat16(biases), np.array(members, np.int32))
