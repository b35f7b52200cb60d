"""CentredPools: a pool tree whose items are coded by their differences to the centres of their pools.

The code of a difference is as exact wherever the data lies, because it does not depend on the distance to the origin
or to other pools. A pool that splits gets two new centres, and its items are encoded again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from assocmem._numerics.rotation import Rotation
from assocmem._numerics.simd import to_bfloat16
from assocmem._numerics.types import F32, I32, I64, LANES, U16, Arrays
from assocmem.codes.nibble_codes import NibbleCoder
from assocmem.search.pool_kernels import CodedItems, QueryTables, write_codes
from assocmem.search.pool_level import two_means
from assocmem.search.pool_tree import ADD_CHUNK, SPLIT_ROUNDS, PoolTree, restore_level
from assocmem.search.vector_table import grown

HALF_RANGE = np.float32(1024)
"""Greatest magnitude of a centre's stored values, in units of its scale."""

RADIUS_MARGIN = np.float32(1.0001)
"""Rounding must not make a radius too small."""
ENCODED_POOLS = 64
"""Pools that are encoded together."""

CentredVectors = Callable[[I32], F32]
"""Returns the vectors of members less the index's mean, float32 (n, dim)."""


class CentreArrays(NamedTuple):
    """The centres of pools, and how far their items are from them."""

    values: U16
    """float16 as uint16 (pools, dim rounded up to 16); a centre is ``values * scales``"""
    scales: F32
    """float32 (pools,)"""
    spreads: F32
    """float32 (pools,): mean squared distance of the items to the centre, when they were last encoded"""
    radii: F32
    """float32 (pools,): no item is farther from the centre than this"""


class CentredPools:
    """Items in pools, each coded by its difference to the centre of its pool.

    Parameters
    ----------
    dim : int
    coder, router : NibbleCoder
        Of items, and of pools and groups.
    seed : int
        Of the rotation.
    product : bool
        Scores estimate inner products instead of distances.

    Attributes
    ----------
    tree : PoolTree
    centres : CentreArrays
        By the number of the pool.
    """

    def __init__(self, dim: int, coder: NibbleCoder, router: NibbleCoder, *, seed: int, product: bool = False) -> None:
        self.dim, self.coder, self.product = dim, coder, product
        self.rotate = Rotation(dim, coder.width, unit=False, seed=seed)
        self.tree = PoolTree(coder, router, self.rotate)
        width = -(-dim // LANES) * LANES
        self.centres = CentreArrays(np.zeros((1, width), np.uint16), *(np.zeros(1, np.float32) for _ in range(3)))

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.tree.nbytes + sum(array.nbytes for array in self.centres)

    # Centres

    def centres_of(self, pools: I32) -> F32:
        """Return the centres of pools, float32 (n, dim)."""
        values = self.centres.values[pools, : self.dim].view(np.float16).astype(np.float32)
        return values * self.centres.scales[pools, None]

    def _set_centres(self, pools: list[int], means: F32) -> None:
        old = self.centres
        self.centres = CentreArrays(*(grown(array, max(pools) + 1) for array in old))
        self.centres.spreads[pools] = 0
        self.centres.radii[pools] = 0
        for pool, mean in zip(pools, means, strict=True):
            scale = max(np.float32(np.abs(mean).max()) / HALF_RANGE, np.float32(1e-30))
            self.centres.values[pool, : self.dim] = (mean / scale).astype(np.float16).view(np.uint16)
            self.centres.scales[pool] = scale

    def pools_of(self, members: I32) -> I32:
        """Return the pool of each member, int32 (n,)."""
        return self.tree.items.arrays.slot_of[members] >> 6

    # Items

    def add(self, x: F32, members: I32, vectors: CentredVectors) -> None:
        """Add items to their nearest pools, and encode them there.

        Parameters
        ----------
        x : float32 (n, dim)
            Less the mean of the index.
        members : int32 (n,)
            Numbers that are not in the tree.
        vectors : callable
            Must return the vectors of the new members too.
        """
        for start in range(0, len(members), ADD_CHUNK):
            part = slice(start, start + ADD_CHUNK)
            self._add_chunk(x[part], members[part], vectors)

    def _add_chunk(self, x: F32, members: I32, vectors: CentredVectors) -> None:
        tree, n = self.tree, len(members)
        rotated = self.rotate(x)
        coarse = QueryTables(*tree.router.tables(rotated))
        tree.items.reserve(int(members.max()) + 1)
        if tree.items.is_empty:
            pool = tree.items.new_pool()
            self._set_centres([pool], x[:1])
            tree.insert_pools([pool], rotated[:1], np.zeros(1, np.float32))
        blank = np.zeros(n, np.uint16)
        coded = CodedItems(np.zeros((n, self.coder.code_bytes), np.uint8), blank, blank, members)
        start = 0
        while True:
            at, pool = tree.place(coarse, coded, start)
            if at > start:
                part = members[start:at]
                inner = self.rotate(x[start:at] - self.centres_of(self.pools_of(part)))
                self._encode(inner, rotated[start:at] - inner, part)
            if at == n:
                return
            start = at
            self._split(pool, vectors)

    def _encode(self, inner: F32, rotated_centres: F32, members: I32) -> F32:
        """Encode items, which are in pools already.

        ``inner``: their rotated differences to the centres, float32 (n, width); ``rotated_centres``: (n, width).
        Returns the squared lengths of the differences, float32 (n,).
        """
        codes, scales, squares = self.coder.encode(inner)
        biases = np.zeros_like(scales)
        if not self.product:
            # What the code says of the product with the centre is subtracted: only errors along q - centre remain.
            biases = -self.coder.products(codes, scales, rotated_centres) - squares / np.float32(2)
        write_codes(self.tree.items.arrays, CodedItems(codes, to_bfloat16(scales), to_bfloat16(biases), members))
        np.maximum.at(self.centres.radii, self.pools_of(members), np.sqrt(squares) * RADIUS_MARGIN)
        return squares

    def remove(self, member: int) -> None:
        """Remove an item."""
        self.tree.remove(member)

    def _split(self, pool: int, vectors: CentredVectors) -> None:
        tree = self.tree
        members = tree.items.members_of(pool)
        x = np.ascontiguousarray(vectors(members), dtype=np.float32)
        side = np.empty(len(x), np.bool_)
        means, spreads = two_means(x, side, SPLIT_ROUNDS)
        other = tree.items.split(pool, side)
        tree.remove_pool(pool)
        self._set_centres([pool, other], means)
        tree.insert_pools([pool, other], self.rotate(means), spreads)
        self._encode_pair(np.array([pool, other], np.int32), x, members, side.astype(np.int64))

    def _encode_pair(self, pools: I32, x: F32, members: I32, side: I64) -> None:
        """Encode the items of pools, of which ``side`` says in which of ``pools`` each is; note their spreads."""
        centres = self.centres_of(pools)
        squares = self._encode(self.rotate(x - centres[side]), self.rotate(centres)[side], members)
        totals, counts = np.bincount(side, squares, len(pools)), np.bincount(side, minlength=len(pools))
        self.centres.spreads[pools] = totals / np.maximum(counts, 1)

    def encode_again(self, pools: I32, vectors: CentredVectors) -> None:
        """Give pools new centres, the means of their items, and encode the items again; for another mean."""
        for start in range(0, len(pools), ENCODED_POOLS):
            part = pools[start : start + ENCODED_POOLS]
            lists = [self.tree.items.members_of(pool) for pool in part.tolist()]
            members = np.concatenate(lists)
            side = np.repeat(np.arange(len(part)), [len(some) for some in lists])
            x = np.ascontiguousarray(vectors(members), dtype=np.float32)
            means = np.stack([x[side == j].mean(axis=0) for j in range(len(part))])
            spreads = np.array([((x[side == j] - means[j]) ** 2).sum(axis=1).mean() for j in range(len(part))])
            self._set_centres(part.tolist(), means)
            self._encode_pair(part, x, members, side)
            self.tree.insert_pools(part.tolist(), self.rotate(means), spreads.astype(np.float32))

    def centre_again(self, vectors: CentredVectors) -> None:
        """Encode everything again, for another mean of the index; the pools stay."""
        self.tree.forget_pools()
        self.encode_again(self.tree.items.used_pools(), vectors)

    def merge(self, other: CentredPools, numbers: I32) -> I32:
        """Copy the pools of another one with the same mean; return the numbers that they have here, int32 (n,).

        ``numbers``: int32, the numbers that the members of the other one have here, by their numbers there.
        """
        pools = self.tree.merge(other.tree, numbers)
        count = other.tree.items.pool_count
        if count:
            self.centres = CentreArrays(*(grown(array, int(pools.max()) + 1) for array in self.centres))
            for name in CentreArrays._fields:
                getattr(self.centres, name)[pools[:count]] = getattr(other.centres, name)[:count]
        return pools[:count]

    # Files

    def state(self) -> Arrays:
        """Return the arrays of the tree, and the centres, without spare room."""
        count = self.tree.items.pool_count
        centres = {f"centres {name}": getattr(self.centres, name)[:count] for name in self.centres._fields}
        return self.tree.state() | centres

    def restore(self, arrays: Arrays) -> None:
        """Use arrays that ``state`` returned, in an empty object; codes of pools by another router are made again.

        Raises
        ------
        ValueError
            They cannot be those of one. A kernel would follow their numbers out of the arrays.
        """
        known = arrays["pools codes"].shape[1:2] == (self.tree.router.code_bytes,)
        if known:
            self.tree.restore(arrays)
            if wrong := self.tree.inconsistent_levels():
                raise ValueError(f"{' and '.join(wrong)} that do not match the level below")
        else:
            restore_level(self.tree.items, "items", arrays)
        count = self.tree.items.pool_count
        if not count:
            return
        centres = CentreArrays(*(arrays[f"centres {name}"] for name in CentreArrays._fields))
        for name in CentreArrays._fields:
            array, own = getattr(centres, name), getattr(self.centres, name)
            if array.shape != (count, *own.shape[1:]) or array.dtype != own.dtype:
                raise ValueError(f"centres {name} of {array.dtype} and shape {array.shape}")
            if own.dtype == np.float32 and not (np.isfinite(array).all() and (array >= 0).all()):
                raise ValueError(f"centres {name} that are no lengths")
        if not np.isfinite(centres.values.view(np.float16)).all():
            raise ValueError("centres that are no vectors")
        self.centres = centres
        if not known:
            used = self.tree.items.used_pools()
            self.tree.insert_pools(used.tolist(), self.rotate(self.centres_of(used)), centres.spreads[used])
