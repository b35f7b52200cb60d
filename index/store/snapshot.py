"""One generation of a collection, as a reader sees it: segments, who is dead, and the engine over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assocmem._numerics.types import F32, I64, U8
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import DamagedCollectionError
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.segments import Segment, read_segment
from assocmem.search.exhaustive import Block, ExhaustiveEngine, SearchEngine

if TYPE_CHECKING:
    from assocmem.search.pooled import Pools

LEAST_SHARE = 0.05
"""A concept counts for an item from this probability on; below it, labels are guesses among hundreds."""
POOLED_FROM = 20_000
"""Living items from which on they are searched by pools, in a process that asks again and again.

``assocmem bench engines``, in ms per answer, scan and pools: 1.1 and 1.1 for 2,500 items, 1.1 and 0.90 for 5,000, 2.1
and 1.1 for 20,000, 6.1 and 1.6 for 80,000. They are equal at 3,300; where pools are twice as quick they are worth the
2 in 100 neighbours that they miss (recall@10 0.980 at 20,000 photo-window features, 0.990 at 40,000; of a scan 0.998).
"""
ONCE_FROM = 500_000
"""Living items from which on a process that asks once searches by pools.

It loads code, kernels and pools first: 58 ms of a core, as much as a scan of 700,000 items takes (0.08 ms per thousand;
extrapolated from 80,000).
"""
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Segments of one generation, open; they stay readable when a writer replaces them."""

    generation: int
    segments: tuple[Segment, ...]
    dead: tuple[I64, ...]
    """per segment: rows that are no longer to be found"""

    def __len__(self) -> int:
        """Items that can be found."""
        return sum(len(segment.ids) for segment in self.segments) - sum(map(len, self.dead))

    @property
    def large(self) -> bool:
        """Whether pools make it quicker to search."""
        return len(self) >= POOLED_FROM

    def engine(self, coder: CliqueCoder, pools: Pools | None = None) -> SearchEngine:
        """Return the engine that answers queries over this generation, by pools where there are any."""
        pairs = zip(self.segments, self.dead, strict=True)
        blocks = [Block(s.ids, s.codes, s.features, dead) for s, dead in pairs]
        if pools is None:
            return ExhaustiveEngine(coder, blocks)
        from assocmem.search.pooled import PooledEngine  # not before: small collections need none of its kernels

        return PooledEngine(coder, blocks, pools)

    def living_ids(self) -> I64:
        """Ids of what can be found, int64 (n,), ascending."""
        return np.sort(self.living_codes()[0])

    def living_codes(self) -> tuple[I64, U8]:
        """Ids and codes of what can be found."""
        pairs = zip(self.segments, self.dead, strict=True)
        rows = [np.setdiff1d(np.arange(len(segment.ids)), dead) for segment, dead in pairs]
        ids = [segment.ids[mine] for segment, mine in zip(self.segments, rows, strict=True)]
        codes = [segment.codes[mine] for segment, mine in zip(self.segments, rows, strict=True)]
        return np.concatenate(ids), np.concatenate(codes)

    @property
    def has_labels(self) -> bool:
        """Whether its items have ImageNet labels; an empty one is taken to."""
        return not self.segments or any(segment.labels.shape[1] for segment in self.segments)

    def with_label(self, classes: Iterable[int]) -> tuple[I64, F32]:
        """Living items that have one of these ImageNet classes among their labels.

        Returns
        -------
        ids : int64 (m,)
        probabilities : float32 (m,)
            Summed over the classes; highest first, ties to the older item.
        """
        wanted = np.fromiter(classes, np.int16)
        ids, probabilities = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for segment, dead in zip(self.segments, self.dead, strict=True):
            has = np.isin(segment.labels, wanted)
            share = np.where(has, segment.label_scores, 0).sum(axis=1, dtype=np.float32)
            share[dead] = 0
            rows = np.flatnonzero(share >= LEAST_SHARE)
            ids.append(segment.ids[rows])
            probabilities.append(share[rows])
        all_ids, all_shares = np.concatenate(ids), np.concatenate(probabilities)
        order = np.lexsort((all_ids, -all_shares))
        return all_ids[order], all_shares[order]


def take_snapshot(catalog: Catalog, folder: Path, last: Snapshot | None = None) -> Snapshot:
    """Open the current generation, keeping what is open already.

    A writer may replace a segment between our look into the catalog and our opening the file; then we look again.
    """
    kept = {segment.number: segment for segment in last.segments} if last else {}
    for attempt in range(_TRIES):
        with catalog.reading():
            generation = catalog.generation
            if last and last.generation == generation:
                return last
            numbers = list(catalog.segments())
            dead = catalog.dead_rows()
        try:
            segments = tuple(kept.get(number) or read_segment(folder, number) for number in numbers)
        except FileNotFoundError as error:
            if attempt < _TRIES - 1:
                continue
            raise DamagedCollectionError(
                f"{error.filename}: expected a segment, found none; restore it from a backup, "
                "or index the folders into a new collection"
            ) from error
        rows = tuple(np.array(dead.get(number, []), np.int64) for number in numbers)
        return Snapshot(generation, segments, rows)
    raise AssertionError("unreachable")
