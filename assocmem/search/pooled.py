"""Pools and PooledEngine: candidates come from pools of similar items instead of a scan of all codes.

Apart from its candidates, the engine is the exhaustive one. Arrays in, arrays out: the file of the pools belongs to the
collection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from assocmem._numerics.simd import from_bfloat16, to_bfloat16
from assocmem._numerics.types import F32, I32, I64, U8
from assocmem._numerics.validation import check_effort
from assocmem.codes.nibble_codes import NibbleCoder
from assocmem.codes.winner_codes import UNITS, CliqueCoder, byte_tables, score_codes
from assocmem.search.exhaustive import Block, ExhaustiveEngine, best_rows
from assocmem.search.pool_kernels import POOL_ITEMS, CodedItems, QueryTables
from assocmem.search.pool_tree import ADD_CHUNK, PoolTree, VectorLookup

EFFORT_SCALE = 24.0
"""Default effort: this over the square root of the number of items."""


def default_effort(items: int) -> float:
    """Return the effort of a search that does not set one."""
    return min(1.0, EFFORT_SCALE / math.sqrt(max(1, items)))


class Pools:
    """Codes of items, by id, in pools of similar items. The codes are those of the coder, with a scale and a bias each.

    Pools split by the vectors that their codes decode to, so that the features of an item are read only once.

    Parameters
    ----------
    coder : CliqueCoder
        The encoder of the codes.

    Attributes
    ----------
    ids : int64 (m,)
        Id of each member of the tree; -1 for numbers that are not in use.
    tree : PoolTree
    """

    def __init__(self, coder: CliqueCoder) -> None:
        self.coder = coder
        self.symbol_coder = NibbleCoder(coder.width, coder.clusters)
        router = NibbleCoder(coder.width, min(coder.width // 8, 256))
        self.tree = PoolTree(self.symbol_coder, router, np.ascontiguousarray)  # decoded vectors are rotated already
        self.ids: I64 = np.empty(0, np.int64)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.ids >= 0))

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.tree.nbytes + self.ids.nbytes

    @property
    def fill(self) -> float:
        """Mean share of a pool that is in use."""
        return len(self) / (POOL_ITEMS * max(1, self.tree.items.pools_in_use))

    def known(self) -> I64:
        """Return all ids, int64 (n,), ascending."""
        return np.sort(self.ids[self.ids >= 0])

    def add(self, features: npt.ArrayLike, ids: I64) -> None:
        """Add items, features (n, dim), with new ids, int64 (n,)."""
        x = np.atleast_2d(np.asarray(features))
        unused = np.flatnonzero(self.ids < 0)[: len(ids)]
        members = np.concatenate([unused, np.arange(len(self.ids), len(self.ids) + len(ids) - len(unused))])
        self.ids = np.concatenate([self.ids, np.empty(len(ids) - len(unused), np.int64)])
        self.ids[members] = ids
        for start in range(0, len(x), ADD_CHUNK):
            part = slice(start, start + ADD_CHUNK)
            self._add_rotated(self.coder.rotate(x[part]), members[part].astype(np.int32))

    def _add_rotated(self, rotated: F32, members: I32) -> None:
        if self.tree.items.is_empty:  # the code of the first item cannot be decoded before it is in the tree
            self._add_with(lambda _: rotated[:1], rotated[:1], members[:1])
            rotated, members = rotated[1:], members[1:]
        self._add_with(self._decoded, rotated, members)

    def _add_with(self, vectors: VectorLookup, rotated: F32, members: I32) -> None:
        codes, scales, squares = self.symbol_coder.encode(rotated)
        coded = CodedItems(codes, to_bfloat16(scales), to_bfloat16(squares * np.float32(-0.5)), members)
        self.tree.add_coded(coded, QueryTables(*self.tree.router.tables(rotated)), vectors)

    def _decoded(self, members: I32) -> F32:
        coded = self.tree.items.coded(members)
        scales, squares = from_bfloat16(coded.scales), from_bfloat16(coded.biases) * np.float32(-2)
        return self.symbol_coder.decode(coded.codes, scales, squares)

    def remove(self, ids: I64) -> None:
        """Remove items; ids that are missing are skipped."""
        for member in np.flatnonzero(np.isin(self.ids, ids[ids >= 0])).tolist():
            self.tree.remove(member)
            self.ids[member] = -1

    def candidates(self, rotated: F32, effort: float, count: int) -> I64:
        """Return the ids of about ``count`` items with the nearest codes to a rotated query, float32 (N,), in no order.

        ``effort``: about the share of the items whose codes are scored; more if that would be too few.
        """
        items, pools = self.tree.items, self.tree.pools
        share = max(effort, 2 * count / max(1, len(self.ids)))
        keep = (
            max(8, round(min(1.0, max(0.3, 4 * share)) * pools.pool_count)),
            min(items.pool_count, max(1, round(share * items.pool_count))),
            count,
        )
        ids: I64 = self.ids[self.tree.candidate_members(self.tree.search(rotated[None, :], keep), 0)]
        return ids


class PooledEngine(ExhaustiveEngine):
    """Score only the codes in the pools that are nearest to the query.

    Parameters
    ----------
    coder, blocks, candidates
        As for ``ExhaustiveEngine``.
    pools : Pools
        Of the same coder. Items of the pools that are in no block, or removed there, are never found. The codes of
        items that are in blocks but not yet in the pools are scanned.
    """

    def __init__(self, coder: CliqueCoder, blocks: Sequence[Block], pools: Pools, *, candidates: int = 300) -> None:
        super().__init__(coder, blocks, candidates=candidates)
        self.pools = pools

    def candidate_rows(self, rotated: F32, count: int, effort: float | None) -> I64:
        """Return the rows, ascending, to compare with a rotated query, float32 (N,)."""
        share = default_effort(len(self)) if effort is None else check_effort(effort)
        if share == 1 or count >= len(self):
            return super().candidate_rows(rotated, count, share)
        pooled = self._rows_of(self.pools.candidates(rotated, share, count))
        return np.unique(np.concatenate([pooled, self._scan_rest(rotated, count)]))

    def _rows_of(self, ids: I64) -> I64:
        """Return the rows of those ids that can be found."""
        known, rows = self._by_id
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        found: I64 = rows[at[known[at] == ids]]
        return found

    def _scan_rest(self, rotated: F32, count: int) -> I64:
        """Return the rows of the best items that are not in the pools yet."""
        codes, rows = self._rest
        scores = np.empty(len(rows), np.float32)
        if len(rows):
            score_codes(codes, byte_tables(rotated[: self.coder.clusters * UNITS]), scores)
        return rows[best_rows(scores, count)]

    @cached_property
    def _by_id(self) -> tuple[I64, I64]:
        """Ids of the items that can be found, ascending, and their rows."""
        rows = self.items.living_rows()
        ids = self.items.ids[rows]
        order = np.argsort(ids, kind="stable")  # fast for ids that are nearly sorted, as they usually are
        return ids[order], rows[order]

    @cached_property
    def _rest(self) -> tuple[U8, I64]:
        """Codes and rows of the items that can be found but are not in the pools."""
        known, rows = self._by_id
        rest = np.sort(rows[np.isin(known, self.pools.ids, invert=True)])
        return self.items.codes(rest), rest
