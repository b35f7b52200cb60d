"""PooledEngine: candidates from pools of similar items instead of a scan of all codes; else the exhaustive engine.

Arrays in, arrays out; the pools' file is the collection's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from assocmem.blocks import I32, Coded, Tables
from assocmem.codes import CliqueCoder
from assocmem.levels import grown
from assocmem.pools import CHUNK, PoolTree
from assocmem.rotation import F32
from assocmem.search import I64, Block, ExhaustiveEngine
from assocmem.symbols import SymbolCoder, from_short, to_short

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
        Id of each member of the tree, -1 where it was removed; there may be spare room behind.
    tree : PoolTree
    """

    def __init__(self, coder: CliqueCoder) -> None:
        self.coder = coder
        self.symbols = SymbolCoder(coder.width, coder.clusters)
        router = SymbolCoder(coder.width, min(coder.width // 8, 256))
        self.tree = PoolTree(self.symbols, router, np.ascontiguousarray)  # means of what is rotated are rotated
        self.ids: I64 = np.empty(0, np.int64)
        self.members = 0
        """Members that were ever given out, those of removed items included."""
        self._vacant: list[int] = []

    def __len__(self) -> int:
        return self.members - len(self._vacant)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.tree.nbytes + self.ids.nbytes

    def known(self) -> I64:
        """All ids, int64 (n,), ascending."""
        ids = self.ids[: self.members]
        return np.sort(ids[ids >= 0])

    def add(self, features: npt.ArrayLike, ids: I64) -> None:
        """Put items, features (n, dim), into pools; none of the ids may be there already."""
        x = np.atleast_2d(np.asarray(features))
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            self._add_chunk(self.coder.rotate(x[part]), ids[part])

    def _add_chunk(self, rotated: F32, ids: I64) -> None:
        again = [self._vacant.pop() for _ in range(min(len(self._vacant), len(ids)))]
        members = np.array([*again, *range(self.members, self.members + len(ids) - len(again))], np.int32)
        self.members += len(ids) - len(again)
        self.ids = grown(self.ids, self.members, -1)
        self.ids[members] = ids
        first = 0
        if not self.tree.items.blocks.sizes.any():  # nothing can be read back yet
            self._place(rotated[:1], members[:1], lambda _: rotated[:1])
            first = 1
        self._place(rotated[first:], members[first:], self._decoded)

    def _place(self, rotated: F32, members: I32, vectors: object) -> None:
        codes, scales, squares = self.symbols.encode(rotated)
        coded = Coded(codes, to_short(scales), to_short(squares * np.float32(-0.5)), members)
        self.tree.place(coded, Tables(*self.tree.router.tables(rotated)), vectors)

    def _decoded(self, members: I32) -> F32:
        coded = self.tree.items.coded(members)
        return self.symbols.decode(coded.codes, from_short(coded.scales), from_short(coded.biases) * np.float32(-2))

    def remove(self, ids: I64) -> None:
        """Take items out; ids that are not there are passed over."""
        for member in np.flatnonzero(np.isin(self.ids[: self.members], ids[ids >= 0])).tolist():
            self.tree.remove(member)
            self.ids[member] = -1
            self._vacant.append(member)

    def candidates(self, rotated: F32, effort: float, most: int) -> I64:
        """Ids of the items whose codes are nearest to a rotated query, float32 (1, N); int64 (m,), in no order.

        ``effort``: share of the pools that are looked at; ``most``: about how many ids.
        """
        pools = max(1, round(effort * self.tree.items.pools))
        groups = max(8, round(min(1.0, max(0.3, 4 * effort)) * self.tree.pools.pools))
        found = self.tree.search(rotated, (groups, pools, most)).members[0]
        ids = self.ids[found[found >= 0]]
        return ids[ids >= 0]


class PooledEngine(ExhaustiveEngine):
    """Look only into the pools nearest to the query.

    Parameters
    ----------
    coder, blocks, candidates
        As of ``ExhaustiveEngine``.
    pools : Pools
        Of the same coder. What it holds beyond the blocks, or only dead in them, is not found; blocks' items that it
        does not know yet are scanned.
    effort : float, optional
        About the share of the items whose codes are looked at; 1 for all, which is the exhaustive engine's answer.
    """

    def __init__(
        self,
        coder: CliqueCoder,
        blocks: Sequence[Block],
        pools: Pools,
        *,
        effort: float | None = None,
        candidates: int = 300,
    ) -> None:
        super().__init__(coder, blocks, candidates=candidates)
        self.pools = pools
        self.effort = default_effort(len(self)) if effort is None else effort

    def _candidate_rows(self, rotated: F32, count: int) -> I64:
        if self.effort >= 1:
            return super()._candidate_rows(rotated, count)
        ids = self.pools.candidates(rotated[None, :], self.effort, count)
        return np.sort(self._places(ids))

    def _places(self, ids: I64) -> I64:
        """Rows of those of the ids that can be found."""
        known, rows = self._order
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return rows[at[known[at] == ids]]

    @cached_property
    def _order(self) -> tuple[I64, I64]:
        """Ids of what can be found, ascending, and their rows."""
        rows = self._living_rows()
        ids = np.concatenate([block.ids for block in self.blocks])[rows]
        order = np.argsort(ids, kind="stable")  # quick on what is nearly in order, as it is
        return ids[order], rows[order]


def default_effort(items: int) -> float:
    """Effort of a search that names none."""
    return min(1.0, REACH / max(1, items) ** 0.5)
