"""One generation of a collection, as a reader sees it: open segments, and which of their rows are dead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from assocmem._numerics.types import F32, I64, U8
from assocmem.errors import DamagedCollectionError
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.segments import Segment, read_segment

LEAST_SHARE = 0.05
"""Least probability of a concept for an item to count; below it, labels are guesses among hundreds."""
POOLED_FROM = 20_000
"""Living items from which on a process that asks again and again searches by pools.

``assocmem bench engines``, in ms per answer, scan and pools: 1.1 and 1.1 for 2,500 items, 1.1 and 0.90 for 5,000, 2.1
and 1.1 for 20,000, 6.1 and 1.6 for 80,000. They are equal at 3,300; where pools are twice as fast they are worth the
2 in 100 neighbours that they miss (recall@10 0.980 at 20,000 photo-window features, 0.990 at 40,000; of a scan 0.998).
"""
_TRIES = 5
_ROWS = 65536


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The segments of one generation, open; they stay readable after a writer has replaced them."""

    generation: int
    segments: tuple[Segment, ...]
    dead: tuple[I64, ...]
    """per segment: rows that are no longer found"""
    count: int
    """items that can be found"""
    large: bool
    """pools make a search faster"""

    @classmethod
    def of(cls, generation: int, segments: tuple[Segment, ...], dead: tuple[I64, ...]) -> Self:
        """Return a snapshot of segments."""
        count = sum(len(segment.ids) for segment in segments) - sum(map(len, dead))
        return cls(generation, segments, dead, count, count >= POOLED_FROM)

    def __len__(self) -> int:
        """Items that can be found."""
        return self.count

    def living(self, rows: int = _ROWS) -> Iterator[tuple[Segment, I64]]:
        """Yield segments and their living rows, ascending, at most ``rows`` positions at a time."""
        for segment, dead in zip(self.segments, self.dead, strict=True):
            for start in range(0, len(segment.ids), rows):
                yield segment, np.setdiff1d(np.arange(start, min(start + rows, len(segment.ids))), dead)

    def living_ids(self) -> I64:
        """Return the ids of living items, int64 (n,), ascending."""
        return np.sort(self.living_codes()[0])

    def living_codes(self) -> tuple[I64, U8]:
        """Return ids int64 (n,) and codes uint8 (n, code_bytes) of living items."""
        parts = [(segment.ids[rows], segment.codes[rows]) for segment, rows in self.living()]
        if not parts:
            return np.empty(0, np.int64), np.empty((0, 0), np.uint8)
        return np.concatenate([ids for ids, _ in parts]), np.concatenate([codes for _, codes in parts])

    @property
    def has_labels(self) -> bool:
        """Whether its items have ImageNet labels; an empty snapshot counts as having them."""
        return not self.segments or any(segment.labels.shape[1] for segment in self.segments)

    def with_label(self, classes: Iterable[int]) -> tuple[I64, F32]:
        """Return the living items that have one of these ImageNet classes among their labels.

        Returns
        -------
        ids : int64 (m,)
        probabilities : float32 (m,)
            Summed over the classes; highest first, ties by id.
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


def missing_segment(error: FileNotFoundError) -> DamagedCollectionError:
    """Return the error for a live segment without a file."""
    return DamagedCollectionError(
        f"{error.filename}: expected a segment, found none; restore it from a backup, "
        "or index the folders into a new collection"
    )


def take_snapshot(catalog: Catalog, folder: Path, last: Snapshot | None = None) -> Snapshot:
    """Open the current generation; segments that ``last`` has open are used again.

    A writer may replace a segment between the look into the catalog and the opening of the file; then this looks again.
    """
    open_already = {segment.number: segment for segment in last.segments} if last else {}
    for attempt in range(_TRIES):
        with catalog.reading():
            generation = catalog.generation
            numbers = list(catalog.segments())
            dead = catalog.dead_rows()
        try:
            segments = tuple(open_already.get(number) or read_segment(folder, number) for number in numbers)
        except FileNotFoundError as error:
            if attempt < _TRIES - 1:
                continue
            raise missing_segment(error) from error
        rows = tuple(np.array(dead.get(number, []), np.int64) for number in numbers)
        return Snapshot.of(generation, segments, rows)
    raise AssertionError("unreachable")
