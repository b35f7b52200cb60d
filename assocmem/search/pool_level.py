"""PoolLevel: codes of one kind in pools that split in two when they are full.

A level does not choose the pool of an item; ``pool_tree.py`` stacks three levels for that.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.types import I32, KERNEL, LANES, AnyArray, Arrays, Bools
from assocmem.search.pool_kernels import (
    EMPTY_BIAS,
    POOL_BLOCKS,
    POOL_ITEMS,
    CodedItems,
    LevelArrays,
    append_items,
    move_members,
    read_slots,
    remove_member,
)
from assocmem.search.vector_table import grown

STORED_ARRAYS = ("codes", "scales", "biases", "members", "sizes")
"""Arrays of a level that a file contains; the others follow from them."""


class PoolLevel:
    """Members with codes, in pools of at most 64.

    Parameters
    ----------
    code_bytes : int

    Attributes
    ----------
    arrays : LevelArrays
        All data; replaced when the level grows, so that a reader keeps the arrays it has taken.
    empty_pools : list of int
        Pools that became empty; they are used again.
    """

    def __init__(self, code_bytes: int) -> None:
        self.arrays = LevelArrays(
            codes=np.zeros((POOL_BLOCKS, code_bytes, LANES), np.uint8),
            scales=np.zeros((POOL_BLOCKS, LANES), np.uint16),
            biases=np.full((POOL_BLOCKS, LANES), EMPTY_BIAS),
            members=np.full(POOL_ITEMS, -1, np.int32),
            sizes=np.zeros(1, np.int32),
            slot_of=np.full(1, -1, np.int32),
            pool_count=np.zeros(1, np.int32),
        )
        self.empty_pools: list[int] = []

    @property
    def pool_count(self) -> int:
        """Number of pools that have been made, empty ones included."""
        return int(self.arrays.pool_count[0])

    @property
    def pools_in_use(self) -> int:
        """Number of pools that contain items."""
        return self.pool_count - len(self.empty_pools)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays)

    @property
    def is_empty(self) -> bool:
        """Whether the level contains no item."""
        return not self.arrays.sizes.any()

    def members(self) -> I32:
        """Return all members, int32 (n,), ascending."""
        return np.flatnonzero(self.arrays.slot_of >= 0).astype(np.int32)

    def used_pools(self) -> I32:
        """Return the pools that contain items, int32 (n,), ascending."""
        return np.flatnonzero(self.arrays.sizes[: self.pool_count]).astype(np.int32)

    def members_of(self, pool: int) -> I32:
        """Return the members of a pool, int32, in the order of their slots."""
        start = POOL_ITEMS * pool
        return self.arrays.members[start : start + int(self.arrays.sizes[pool])].copy()

    def coded(self, members: I32) -> CodedItems:
        """Return the codes of members."""
        codes = np.empty((len(members), self.arrays.codes.shape[1]), np.uint8)
        scales, biases = np.empty(len(members), np.uint16), np.empty(len(members), np.uint16)
        read_slots(self.arrays, self.arrays.slot_of[members], codes, scales, biases)
        return CodedItems(codes, scales, biases, np.asarray(members, np.int32))

    # Growing and shrinking

    def reserve(self, members: int, new_pools: int = 0) -> None:
        """Make room for members with numbers below ``members``, and for more pools."""
        arrays, pools = self.arrays, self.pool_count + new_pools
        if members <= len(arrays.slot_of) and pools <= len(arrays.sizes):
            return
        sizes = grown(arrays.sizes, pools)
        pools = len(sizes)
        self.arrays = arrays._replace(
            codes=grown(arrays.codes, POOL_BLOCKS * pools, exact=True),
            scales=grown(arrays.scales, POOL_BLOCKS * pools, exact=True),
            biases=grown(arrays.biases, POOL_BLOCKS * pools, int(EMPTY_BIAS), exact=True),
            members=grown(arrays.members, POOL_ITEMS * pools, -1, exact=True),
            sizes=sizes,
            slot_of=grown(arrays.slot_of, members, -1),
        )

    def new_pool(self) -> int:
        """Return the number of an empty pool: one that became empty, or a new one."""
        if self.empty_pools:
            return self.empty_pools.pop()
        self.reserve(0, new_pools=1)
        self.arrays.pool_count[0] += 1
        return self.pool_count - 1

    def pool_with_room(self) -> int:
        """Return the first pool in use that has room for one more item, or a new pool."""
        sizes = self.arrays.sizes[: self.pool_count]
        room = (sizes < POOL_ITEMS) & (sizes > 0)
        return int(room.argmax()) if room.any() else self.new_pool()

    def append(self, pool: int, coded: CodedItems) -> None:
        """Add items to a pool that has room for them."""
        self.reserve(int(coded.members.max()) + 1 if len(coded.members) else 0)
        append_items(self.arrays, pool, coded)

    def remove(self, member: int) -> int:
        """Remove a member; return its pool."""
        pool = int(remove_member(self.arrays, member))
        if not self.arrays.sizes[pool]:
            self.empty_pools.append(pool)
        return pool

    def split(self, pool: int, side: Bools) -> int:
        """Move the members of a pool for which ``side`` is true to a new pool; return the new pool."""
        other = self.new_pool()
        move_members(self.arrays, pool, other, side)
        return other

    def merge(self, other: PoolLevel, numbers: I32) -> I32:
        """Copy the pools of another level behind the own ones; return the numbers they have here, int32.

        ``numbers``: int32, the numbers that the members of the other level have here, by their numbers there.
        """
        start, count = self.pool_count, other.pool_count
        if count:
            self.reserve(int(numbers.max(initial=-1)) + 1, new_pools=count)
            here, there = self.arrays, other.arrays
            blocks, slots = (slice(n * start, n * (start + count)) for n in (POOL_BLOCKS, POOL_ITEMS))
            for name in ("codes", "scales", "biases"):
                getattr(here, name)[blocks] = getattr(there, name)[: POOL_BLOCKS * count]
            here.sizes[start : start + count] = there.sizes[:count]
            filled = _filled_slots(there.sizes[:count])
            members = np.where(filled, numbers[np.where(filled, there.members[: POOL_ITEMS * count], 0)], -1)
            here.members[slots] = members
            here.slot_of[members[filled]] = np.flatnonzero(filled) + POOL_ITEMS * start
            here.pool_count[0] = start + count
            self.empty_pools.extend(pool + start for pool in other.empty_pools)
        return np.arange(start, start + max(1, count), dtype=np.int32)

    # Files

    def state(self) -> Arrays:
        """Return the ``STORED_ARRAYS`` without their spare room, as views."""
        pools = self.pool_count
        rows = {"codes": POOL_BLOCKS, "scales": POOL_BLOCKS, "biases": POOL_BLOCKS, "members": POOL_ITEMS, "sizes": 1}
        return {name: getattr(self.arrays, name)[: per_pool * pools] for name, per_pool in rows.items()}

    def restore(self, arrays: Arrays) -> None:
        """Use the arrays that ``state`` returned, in an empty level.

        Raises
        ------
        ValueError
            The arrays cannot be those of a level. A kernel would follow their numbers out of the arrays.
        """
        pools = len(arrays["sizes"])
        if not pools:
            return
        self._check_shapes(arrays, pools)
        sizes, members = arrays["sizes"], arrays["members"]
        if int(sizes.max()) > POOL_ITEMS or int(sizes.min()) < 0:
            raise ValueError("pools of impossible sizes")
        filled = _filled_slots(sizes)
        present = np.sort(members[filled])
        if (
            (present < 0).any()
            or (np.diff(present) == 0).any()
            or (arrays["biases"].reshape(-1)[~filled] != EMPTY_BIAS).any()
        ):
            raise ValueError("members in impossible places")
        slot_of = np.full(int(present.max(initial=0)) + 1, -1, np.int32)
        slot_of[members[filled]] = np.flatnonzero(filled)
        self.arrays = LevelArrays(**arrays, slot_of=slot_of, pool_count=np.array([pools], np.int32))
        self.empty_pools = np.flatnonzero(sizes == 0).tolist()

    def _check_shapes(self, arrays: Arrays, pools: int) -> None:
        for name, array in arrays.items():
            own = getattr(self.arrays, name)
            rows = {"members": POOL_ITEMS * pools, "sizes": pools}.get(name, POOL_BLOCKS * pools)
            shape = (rows, *own.shape[1:])
            if array.shape != shape or array.dtype != own.dtype:
                raise ValueError(f"{name} of {array.dtype} and shape {array.shape} instead of {own.dtype} and {shape}")


def _filled_slots(sizes: AnyArray) -> Bools:
    """Return which slots contain items, bool (64 * pools,)."""
    return (np.arange(POOL_ITEMS) < sizes[:, None]).reshape(-1)


def item_of(coded: CodedItems, i: int) -> CodedItems:
    """Return one of several items, as arrays of length 1."""
    one = slice(i, i + 1)
    return CodedItems(coded.codes[one], coded.scales[one], coded.biases[one], coded.members[one])


# Splitting a full pool in two

_ANY_SUM = {**KERNEL, "fastmath": {"reassoc", "contract", "nsz"}}  # sums may be computed in any order


@njit(**_ANY_SUM)
def _squared_distance(x, i, y, j):  # type: ignore[no-untyped-def]
    distance = np.float32(0.0)
    for k in range(x.shape[1]):
        difference = x[i, k] - y[j, k]
        distance += difference * difference
    return distance


@njit(**_ANY_SUM)
def _farthest(x, i):  # type: ignore[no-untyped-def]
    """Return the row with the greatest distance to row ``i``."""
    farthest, most = i, np.float32(-1.0)
    for j in range(x.shape[0]):
        distance = _squared_distance(x, j, x, i)
        if distance > most:
            most = distance
            farthest = j
    return farthest


@njit(**_ANY_SUM)
def _sort_into(values, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with sorted values, by insertion: there are few, and numba takes a second to compile ``np.sort``."""
    for i in range(values.shape[0]):
        value, j = values[i], i
        while j > 0 and out[j - 1] > value:
            out[j] = out[j - 1]
            j -= 1
        out[j] = value


@njit(**_ANY_SUM)
def _assign_sides(x, means, heights, order, side):  # type: ignore[no-untyped-def]
    """Assign each row to the nearer mean, but at least an eighth to each; return the number of rows on side 1."""
    n, d = x.shape
    threshold = np.float32(0.0)
    for k in range(d):
        threshold += (means[1, k] * means[1, k] - means[0, k] * means[0, k]) * np.float32(0.5)
    for i in range(n):
        height = np.float32(0.0)
        for k in range(d):
            height += x[i, k] * (means[1, k] - means[0, k])
        heights[i] = height
    _sort_into(heights, order)
    least = max(1, n >> 3)
    threshold = min(max(threshold, order[least - 1]), order[n - 1 - least])
    count = 0
    for i in range(n):
        side[i] = heights[i] > threshold
        count += side[i]
    return count


@njit(**_ANY_SUM)
def _average_sides(x, side, count, means):  # type: ignore[no-untyped-def]
    """Fill ``means``, float32 (2, d), with the means of both sides; ``count``: rows on side 1."""
    n, d = x.shape
    for k in range(d):
        means[0, k] = means[1, k] = np.float32(0.0)
    for i in range(n):
        s = 1 if side[i] else 0
        for k in range(d):
            means[s, k] += x[i, k]
    for k in range(d):
        means[0, k] /= np.float32(n - count)
        means[1, k] /= np.float32(count)


@njit(**_ANY_SUM)
def _side_spreads(x, side, means):  # type: ignore[no-untyped-def]
    """Return the mean squared distances of both sides to their means, float32 (2,)."""
    spreads, counts = np.zeros(2, np.float32), np.zeros(2, np.float32)
    for i in range(x.shape[0]):
        s = 1 if side[i] else 0
        spreads[s] += _squared_distance(x, i, means, s)
        counts[s] += np.float32(1.0)
    for s in range(2):
        spreads[s] /= counts[s]
    return spreads


@njit(**_ANY_SUM)
def two_means(x, side, rounds):  # type: ignore[no-untyped-def]
    """Split vectors in two by 2-means, neither side with less than an eighth of them.

    The first means are two vectors that are far apart. ``x``: float32 (n, d), n >= 2; ``side``: bool (n,), filled: true
    on side 1; ``rounds``: int. Returns the two means, float32 (2, d), and the mean squared distances of the vectors of
    each side to its mean, float32 (2,).
    """
    n, d = x.shape
    means = np.empty((2, d), np.float32)
    second = _farthest(x, 0)
    first = _farthest(x, second)
    for k in range(d):  # assigning whole rows takes numba seconds to compile
        means[0, k], means[1, k] = x[first, k], x[second, k]
    heights, order = np.empty(n, np.float32), np.empty(n, np.float32)
    for _ in range(rounds):
        count = _assign_sides(x, means, heights, order, side)
        if count == 0 or count == n:  # all vectors are equal
            for i in range(n):
                side[i] = i >= n >> 1
            for k in range(d):
                means[0, k] = means[1, k] = x[0, k]
            break
        _average_sides(x, side, count, means)
    return means, _side_spreads(x, side, means)
