"""PoolTree: the routing memory. Codes -> pools of similar items, which divide as they fill, like a B-tree's leaves.

Three levels of the same kind: items in pools, pools in groups, groups in one row. A pool is known above by the code of
its mean, an item like any other, so that finding pools is the same work as finding items: sums over a code's units.
Nothing is trained, and what was stored is never encoded again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assocmem.bfloat import from_short, to_short
from assocmem.blocks import I32, POOL_ITEMS, Blocks, Coded, Tables
from assocmem.halving import halve
from assocmem.levels import Level
from assocmem.pool_kernels import nearest_member, place_items, search_pools
from assocmem.rotation import F32
from assocmem.symbols import SymbolCoder

GROUPS_FROM = 4096
"""Pools from which on groups are asked first; fewer are quicker looked at one and all."""
GROUPS_KEPT = 12
"""Groups in which the pool of a new item is looked for."""
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


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates of queries by their codes, and what was looked at on the way."""

    scores: F32
    """float32 (n, r), in no order; -inf for none"""
    members: I32
    """int32 (n, r); -1 for none"""
    kept: npt.NDArray[np.int64]
    """int64 (n, 3): lanes of groups, of pools and of items that were scored"""


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
            coded = Coded(codes, to_short(scales), to_short(squares * -0.5), members[part])
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
            kept = self._groups_kept(GROUPS_KEPT)
            at, pool = place_items(self._levels(), coarse, coded, at, kept)
            if at == n:
                return
            self._divide_pool(int(pool), vectors)

    def _start(self, coded: Coded, vectors: Vectors) -> None:
        first = np.ascontiguousarray(vectors(coded.members[:1]), dtype=np.float32)
        self._enter(self.items.new_pool(), self.rotate(first), 0.0)

    def remove(self, member: int) -> None:
        """Take an item out; a pool that is left empty is no longer found."""
        pool = self.items.remove(member)
        if not self.items.blocks.sizes[pool]:
            self._leave(pool)

    def search(self, rotated: F32, plan: tuple[int, int, int]) -> Found:
        """Find candidates for rotated queries, float32 (n, width).

        ``plan``: groups, pools and items to keep; the groups count only where there are many pools.
        """
        n = len(rotated)
        most = plan[2] + plan[2] // 8
        found = Found(np.empty((n, most), np.float32), np.empty((n, most), np.int32), np.empty((n, 3), np.int64))
        coarse = Tables(*self.router.tables(rotated))
        fine = coarse if self.coder is self.router else Tables(*self.coder.tables(rotated))
        numbers = np.array([self._groups_kept(plan[0]), *plan[1:]], np.int64)
        search_pools(self._levels(), coarse, fine, numbers, (found.scores, found.members), found.kept)
        return found

    def take_over(self, other: PoolTree, members: I32) -> None:
        """Take in another tree's items, pools and groups as they are; ``members``: its members' numbers here."""
        pools = self.items.take_over(other.items, members)
        groups = self.pools.take_over(other.pools, pools)
        self.groups.take_over(other.groups, groups)

    def _divide_pool(self, pool: int, vectors: Vectors) -> None:
        x = np.ascontiguousarray(vectors(self.items.members_of(pool)), dtype=np.float32)
        side = np.empty(len(x), np.bool_)
        means = halve(x, side, ROUNDS)
        other = self.items.divide(pool, side)
        self._leave(pool)
        rotated = self.rotate(means)
        self._enter(pool, rotated[:1], _spread(x[~side]))
        self._enter(other, rotated[1:], _spread(x[side]))

    def _enter(self, pool: int, mean: F32, spread: float) -> None:
        """Make a pool known to the level above by its rotated mean, float32 (1, width)."""
        coded, tables = self._code(pool, mean, spread), Tables(*self.router.tables(mean))
        group = self._nearest_group(tables)
        if group < 0:
            group = self.pools.new_pool()
            self._enter_group(group, mean, 0.0)
        while self.pools.blocks.sizes[group] == POOL_ITEMS:  # another full one may be the nearest then
            self._divide_group(group)
            group = self._nearest_group(tables)
        self.pools.append(group, coded)

    def _leave(self, pool: int) -> None:
        group = self.pools.remove(pool)
        if not self.pools.blocks.sizes[group]:
            self.groups.remove(group)

    def _nearest_group(self, tables: Tables) -> int:
        return int(nearest_member(self.groups.blocks, tables.entries[0], tables.terms[0]))

    def _divide_group(self, group: int) -> None:
        coded = self.pools.coded(self.pools.members_of(group))
        x = self.router.decode(coded.codes, from_short(coded.scales), from_short(coded.biases) * -2)
        side = np.empty(len(x), np.bool_)
        means = halve(x, side, ROUNDS)
        other = self.pools.divide(group, side)
        self.groups.remove(group)
        self._enter_group(group, means[:1], _spread(x[~side]))
        self._enter_group(other, means[1:], _spread(x[side]))

    def _enter_group(self, group: int, mean: F32, spread: float) -> None:
        self.groups.append(self.groups.roomy_pool(), self._code(group, mean, spread))

    def _code(self, member: int, mean: F32, spread: float) -> Coded:
        codes, scales, squares = self.router.encode(mean)
        biases = (squares + np.float32(SPREAD * spread)) * np.float32(-0.5)
        return Coded(codes, to_short(scales), to_short(biases), np.array([member], np.int32))


def _spread(x: F32) -> float:
    """Mean squared distance of rows to their mean."""
    return float(((x - x.mean(axis=0)) ** 2).sum(axis=1).mean())
