"""PooledEngine: candidates from pools of similar items instead of a scan of all codes; else the exhaustive engine.

Arrays in, arrays out; the pools' file is the collection's affair.
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
from assocmem.codes.nibble_codes import SymbolCoder
from assocmem.codes.winner_codes import UNITS, CliqueCoder, byte_tables, score_codes
from assocmem.search.blocks import POOL_ITEMS, Coded, Tables
from assocmem.search.exhaustive import Block, ExhaustiveEngine, best_rows
from assocmem.search.pool_tree import CHUNK, PoolTree, Vectors

REACH = 24.0
"""Share of the items looked at unless told otherwise: this over the square root of their number."""


class Pools:
    """Codes of items in pools of similar ones, by id; the codes are the coder's own, with a length beside them.

    Pools divide by what the codes stand for, so that no feature is needed again once it has been coded.

    Parameters
    ----------
    coder : CliqueCoder
        The encoder of the items' codes.

    Attributes
    ----------
    ids : int64 (m,)
        Id of each member of the tree, -1 where there is none.
    tree : PoolTree
    """

    def __init__(self, coder: CliqueCoder) -> None:
        self.coder = coder
        self.symbols = SymbolCoder(coder.width, coder.clusters)
        router = SymbolCoder(coder.width, min(coder.width // 8, 256))
        self.tree = PoolTree(self.symbols, router, np.ascontiguousarray)  # means of what is rotated are rotated
        self.ids: I64 = np.empty(0, np.int64)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.ids >= 0))

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.tree.nbytes + self.ids.nbytes

    @property
    def fill(self) -> float:
        """Mean share of a pool's room that is in use."""
        items = self.tree.items
        return len(self) / (POOL_ITEMS * max(1, items.pools - len(items.vacant)))

    def known(self) -> I64:
        """All ids, int64 (n,), ascending."""
        return np.sort(self.ids[self.ids >= 0])

    def add(self, features: npt.ArrayLike, ids: I64) -> None:
        """Put items, features (n, dim), into pools; none of the ids, int64 (n,), may be there already."""
        x = np.atleast_2d(np.asarray(features))
        vacant = np.flatnonzero(self.ids < 0)[: len(ids)]
        members = np.concatenate([vacant, np.arange(len(self.ids), len(self.ids) + len(ids) - len(vacant))])
        self.ids = np.concatenate([self.ids, np.empty(len(ids) - len(vacant), np.int64)])
        self.ids[members] = ids
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            self._place(self.coder.rotate(x[part]), members[part].astype(np.int32))

    def _place(self, rotated: F32, members: I32) -> None:
        if not self.tree.items.blocks.sizes.any():  # the first one's code cannot be read back before it is there
            self._place_by(lambda _: rotated[:1], rotated[:1], members[:1])
            rotated, members = rotated[1:], members[1:]
        self._place_by(self._decoded, rotated, members)

    def _place_by(self, vectors: Vectors, rotated: F32, members: I32) -> None:
        codes, scales, squares = self.symbols.encode(rotated)
        coded = Coded(codes, to_bfloat16(scales), to_bfloat16(squares * np.float32(-0.5)), members)
        self.tree.place(coded, Tables(*self.tree.router.tables(rotated)), vectors)

    def _decoded(self, members: I32) -> F32:
        coded = self.tree.items.coded(members)
        return self.symbols.decode(
            coded.codes, from_bfloat16(coded.scales), from_bfloat16(coded.biases) * np.float32(-2)
        )

    def remove(self, ids: I64) -> None:
        """Take items out; ids that are not there are passed over."""
        for member in np.flatnonzero(np.isin(self.ids, ids[ids >= 0])).tolist():
            self.tree.remove(member)
            self.ids[member] = -1

    def candidates(self, rotated: F32, effort: float, count: int) -> I64:
        """Ids of about ``count`` items whose codes are nearest to a rotated query, float32 (N,); in no order.

        ``effort``: about the share of the items whose codes are looked at, more when there would be too few.
        """
        items, pools = self.tree.items, self.tree.pools
        wanted = max(effort, 2 * count / max(1, len(self.ids)))
        plan = (
            max(8, round(min(1.0, max(0.3, 4 * wanted)) * pools.pools)),
            min(items.pools, max(1, round(wanted * items.pools))),
            count,
        )
        ids: I64 = self.ids[self.tree.members(self.tree.search(rotated[None, :], plan), 0)]
        return ids


class PooledEngine(ExhaustiveEngine):
    """Look only into the pools that are nearest to the query.

    Parameters
    ----------
    coder, blocks, candidates
        As of ``ExhaustiveEngine``.
    pools : Pools
        Of the same coder. What is in no block, or dead there, is never found; the codes of items in blocks that the
        pools do not know yet are scanned.
    """

    def __init__(self, coder: CliqueCoder, blocks: Sequence[Block], pools: Pools, *, candidates: int = 300) -> None:
        super().__init__(coder, blocks, candidates=candidates)
        self.pools = pools

    def _candidate_rows(self, rotated: F32, count: int, effort: float | None) -> I64:
        share = default_effort(len(self)) if effort is None else check_effort(effort)
        if share == 1 or count >= len(self):
            return super()._candidate_rows(rotated, count, share)
        pooled = self._rows_of(self.pools.candidates(rotated, share, count))
        return np.unique(np.concatenate([pooled, self._scan_rest(rotated, count)]))

    def _rows_of(self, ids: I64) -> I64:
        """Rows of those of the ids that can be found."""
        known, rows = self._order
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        found: I64 = rows[at[known[at] == ids]]
        return found

    def _scan_rest(self, rotated: F32, count: int) -> I64:
        """Rows of the best of what is in no pool yet."""
        codes, rows = self._rest
        scores = np.empty(len(rows), np.float32)
        if len(rows):
            score_codes(codes, byte_tables(rotated[: self.coder.clusters * UNITS]), scores)
        return rows[best_rows(scores, count)]

    @cached_property
    def _order(self) -> tuple[I64, I64]:
        """Ids of what can be found, ascending, and their rows."""
        rows = self._living_rows()
        ids = self._ids[rows]
        order = np.argsort(ids, kind="stable")  # quick on what is nearly in order, as ids are
        return ids[order], rows[order]

    @cached_property
    def _rest(self) -> tuple[U8, I64]:
        """Codes and rows of what can be found and is in no pool."""
        known, rows = self._order
        rest = np.sort(rows[np.isin(known, self.pools.ids, invert=True)])
        codes = [np.empty((0, self.coder.code_bytes), np.uint8)]
        for start, block in zip(self._starts, self.blocks, strict=False):
            local = rest - start
            codes.append(block.codes[local[(local >= 0) & (local < len(block.ids))]])
        return np.concatenate(codes), rest


def default_effort(items: int) -> float:
    """Effort of a search that names none."""
    return min(1.0, REACH / math.sqrt(max(1, items)))
