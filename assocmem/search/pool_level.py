"""Level: codes of one kind in pools that divide when they are full, and how a level grows and shrinks.

Knows nothing of how a pool is chosen; ``pools.py`` stacks levels.
"""

from __future__ import annotations

import numpy as np

from assocmem._numerics.types import I32, LANES, AnyArray, Arrays, Bools
from assocmem.search.blocks import NOTHING, POOL_BLOCKS, POOL_ITEMS, Blocks, Coded
from assocmem.search.pool_kernels import append, move_members, read_out, take_out

GROWTH = 1.125
"""Arrays that are full grow by this factor: what is allotted in vain stays below an eighth."""

STORED = ("codes", "scales", "biases", "members", "sizes")
"""Arrays that a file has to hold; the others follow from them."""


def grown(array: AnyArray, needed: int, fill: int = 0, *, exact: bool = False) -> AnyArray:
    """Return the array, or a longer copy with at least, or exactly, ``needed`` rows, the new ones filled."""
    if needed <= len(array):
        return array
    rows = needed if exact else max(needed, int(len(array) * GROWTH))
    longer = np.empty((rows, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    longer[len(array) :] = fill
    return longer


def part_of(coded: Coded, i: int) -> Coded:
    """Return one of the items, as if it were all."""
    one = slice(i, i + 1)
    return Coded(coded.codes[one], coded.scales[one], coded.biases[one], coded.members[one])


class Level:
    """Members with codes, in pools of at most 64.

    Parameters
    ----------
    code_bytes : int

    Attributes
    ----------
    blocks : Blocks
        All there is; replaced when it grows, so a reader keeps the one it has taken.
    vacant : list of int
        Pools that were left empty.
    """

    def __init__(self, code_bytes: int) -> None:
        self.blocks = Blocks(
            codes=np.zeros((POOL_BLOCKS, code_bytes, LANES), np.uint8),
            scales=np.zeros((POOL_BLOCKS, LANES), np.uint16),
            biases=np.full((POOL_BLOCKS, LANES), NOTHING),
            members=np.full(POOL_ITEMS, -1, np.int32),
            sizes=np.zeros(1, np.int32),
            places=np.full(1, -1, np.int32),
            made=np.zeros(1, np.int32),
        )
        self.vacant: list[int] = []

    @property
    def pools(self) -> int:
        """Number of pools that have been made; some may be empty."""
        return int(self.blocks.made[0])

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.blocks)

    def reserve(self, members: int, pools: int = 0) -> None:
        """Make room for members below ``members`` and for ``pools`` more pools."""
        b, pools = self.blocks, self.pools + pools
        if members <= len(b.places) and pools <= len(b.sizes):
            return
        sizes = grown(b.sizes, pools)
        pools = len(sizes)
        self.blocks = b._replace(
            codes=grown(b.codes, POOL_BLOCKS * pools, exact=True),
            scales=grown(b.scales, POOL_BLOCKS * pools, exact=True),
            biases=grown(b.biases, POOL_BLOCKS * pools, int(NOTHING), exact=True),
            members=grown(b.members, POOL_ITEMS * pools, -1, exact=True),
            sizes=sizes,
            places=grown(b.places, members, -1),
        )

    def new_pool(self) -> int:
        """Make an empty pool, or take one that was left empty; returns its number."""
        if self.vacant:
            return self.vacant.pop()
        self.reserve(0, pools=1)
        self.blocks.made[0] += 1
        return self.pools - 1

    def roomy_pool(self) -> int:
        """Return the first pool in use that has room for one more, or a new one."""
        sizes = self.blocks.sizes[: self.pools]
        room = (sizes < POOL_ITEMS) & (sizes > 0)
        return int(room.argmax()) if room.any() else self.new_pool()

    def append(self, pool: int, coded: Coded) -> None:
        """Put items into a pool that has room for them."""
        most = int(coded.members.max()) + 1 if len(coded.members) else 0
        self.reserve(most)
        append(self.blocks, pool, coded)

    def remove(self, member: int) -> int:
        """Take a member out; returns its pool, which is vacant when that was the last."""
        pool = int(take_out(self.blocks, member))
        if not self.blocks.sizes[pool]:
            self.vacant.append(pool)
        return pool

    def members_of(self, pool: int) -> I32:
        """Members of a pool, int32, in their order."""
        start = POOL_ITEMS * pool
        return self.blocks.members[start : start + int(self.blocks.sizes[pool])].copy()

    def coded(self, members: I32) -> Coded:
        """Read members' codes back."""
        codes = np.empty((len(members), self.blocks.codes.shape[1]), np.uint8)
        scales, biases = np.empty(len(members), np.uint16), np.empty(len(members), np.uint16)
        read_out(self.blocks, self.blocks.places[members], codes, scales, biases)
        return Coded(codes, scales, biases, np.asarray(members, np.int32))

    def divide(self, pool: int, side: Bools) -> int:
        """Move the members of a pool for which ``side`` is true into a new pool; returns that."""
        other = self.new_pool()
        move_members(self.blocks, pool, other, side)
        return other

    def restore(self, arrays: dict[str, AnyArray]) -> I32:
        """Take arrays as they were, into an empty level, and return its members, ascending.

        ValueError when they cannot be a level's: a kernel would follow their numbers to anywhere.
        """
        pools = len(arrays["sizes"])
        if not pools:
            return np.empty(0, np.int32)
        for name, array in arrays.items():
            mine = getattr(self.blocks, name)
            shape, rows = mine.shape[1:], POOL_BLOCKS * pools
            rows = {"members": POOL_ITEMS * pools, "sizes": pools}.get(name, rows)
            if array.shape != (rows, *shape) or array.dtype != mine.dtype:
                raise ValueError(
                    f"{name} of {array.dtype}, shape {array.shape}, and not {mine.dtype}, {(rows, *shape)}"
                )
        sizes, members = arrays["sizes"], arrays["members"]
        if int(sizes.max()) > POOL_ITEMS or int(sizes.min()) < 0:
            raise ValueError("pools of impossible sizes")
        filled = (np.arange(POOL_ITEMS) < sizes[:, None]).reshape(-1)
        present = np.sort(members[filled])
        if (
            (present < 0).any()
            or (np.diff(present) == 0).any()
            or (arrays["biases"].reshape(-1)[~filled] != NOTHING).any()
        ):
            raise ValueError("members in impossible places")
        places = np.full(int(present.max(initial=0)) + 1, -1, np.int32)
        places[members[filled]] = np.flatnonzero(filled)
        self.blocks = Blocks(**arrays, places=places, made=np.array([pools], np.int32))
        self.vacant = np.flatnonzero(sizes == 0).tolist()
        return present

    def take_over(self, other: Level, numbers: I32) -> I32:
        """Take in another level's pools, behind the own ones, and return the numbers they have here.

        ``numbers``: int32, by the other's member numbers, those that they have here.
        """
        start, count = self.pools, other.pools
        if count:
            most = int(numbers.max(initial=-1)) + 1
            self.reserve(most, pools=count)
            here, there = self.blocks, other.blocks
            blocks, slots = (slice(n * start, n * (start + count)) for n in (POOL_BLOCKS, POOL_ITEMS))
            for name in ("codes", "scales", "biases"):
                getattr(here, name)[blocks] = getattr(there, name)[: POOL_BLOCKS * count]
            here.sizes[start : start + count] = there.sizes[:count]
            filled = (np.arange(POOL_ITEMS) < there.sizes[:count, None]).reshape(-1)
            members = np.where(filled, numbers[np.where(filled, there.members[: POOL_ITEMS * count], 0)], -1)
            here.members[slots] = members
            here.places[members[filled]] = np.flatnonzero(filled) + POOL_ITEMS * start
            here.made[0] = start + count
            self.vacant.extend(pool + start for pool in other.vacant)
        return np.arange(start, start + max(1, count), dtype=np.int32)


def level_arrays(name: str, blocks: Blocks) -> Arrays:
    """Return the arrays of a level by name, without their spare room."""
    pools = int(blocks.made[0])
    rows = {"codes": POOL_BLOCKS, "scales": POOL_BLOCKS, "biases": POOL_BLOCKS, "members": POOL_ITEMS, "sizes": 1}
    cut = {part: getattr(blocks, part)[: times * pools] for part, times in rows.items()}
    return {f"{name} {part}": array for part, array in cut.items()}
