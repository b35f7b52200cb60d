"""Commit to a collection: a batch becomes a segment and one catalog transaction; small segments are merged.

The order makes a kill harmless: the segment is complete on the disk before the transaction that makes it live, and the
next writer removes files that no transaction names. Used under the writer's lock only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assocmem._storage.hdf5 import sync
from assocmem.codes.dct_sketches import SKETCH_LENGTH, sketch
from assocmem.codes.fine_detail import no_details
from assocmem.errors import CollectionError
from assocmem.index.ingest.gone import find_gone
from assocmem.index.ingest.pipeline import End, Item, Job, Result, softmax
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.disk import remove_file
from assocmem.index.store.records import Failure, FileRow
from assocmem.index.store.segments import (
    LABELS,
    Segment,
    SegmentData,
    living_parts,
    read_segment,
    segment_path,
    write_segment,
)

if TYPE_CHECKING:
    from assocmem.codes.winner_codes import CliqueCoder

MERGE_AT = 8
"""Segments of about one size are merged when there are this many, so n items make O(log n) segments."""
_SMALLEST = 512


class Writer:
    """Writes to the collection in ``folder``."""

    def __init__(self, catalog: Catalog, folder: Path, coder: CliqueCoder) -> None:
        self.catalog = catalog
        self.folder = folder / "segments"
        self.coder = coder
        if not self.folder.exists():
            self.folder.mkdir(exist_ok=True)
            sync(folder)
        self.roots: list[str] = []
        """What is being indexed; noted with the first files."""
        self.lost: list[Job] = []
        """Files whose content seemed known, but left the collection meanwhile: they have to be decoded after all."""

    def sweep(self) -> None:
        """Remove what a killed writer left: temporary files, and segments that never became live."""
        live = {segment_path(self.folder, number).name for number in self.catalog.segments()}
        for path in self.folder.iterdir():
            if path.name not in live and path.suffix in (".h5", ".tmp"):
                remove_file(path)
        for path in self.folder.parent.glob("*memory-*.tmp"):  # earlier versions wrote them without a dot
            remove_file(path)

    # Adding

    def commit(self, results: list[Result]) -> int:
        """Store files and their items, all or none; returns the number of new items.

        A file of known content that could not be read to its end gets the failure of the known file.
        """
        opened: dict[int, Segment] = {}
        copies = {}
        for result in results:
            if result.end.known:
                result.end = replace(result.end, failure=self._inherited(result.end))
                copies[result.end.job] = self._copies(result.end.hash, opened)
        with self.catalog.transaction():
            rows: list[tuple[int, int, str, float | None, float | None]] = []
            parts: list[SegmentData] = []
            self.catalog.add_roots(self.roots)
            for result in results:
                self._store_file(result, copies.get(result.end.job, []), rows, parts)
            if rows:
                number = self.catalog.take("next_segment", 1)
                write_segment(self.folder, number, len(rows), [_concatenated(parts)])
                self.catalog.add_segment(number, len(rows))
                self.catalog.add_items((*row, number, position) for position, row in enumerate(rows))
            self.catalog.next_generation()
        return len(rows)

    def note_roots(self) -> None:
        """Note what was indexed, if no file was new."""
        if not set(self.roots) <= set(self.catalog.roots):
            with self.catalog.transaction():
                self.catalog.add_roots(self.roots)

    def _store_file(
        self,
        result: Result,
        copies: list[tuple[str, float | None, float | None, SegmentData]],
        rows: list[tuple[int, int, str, float | None, float | None]],
        parts: list[SegmentData],
    ) -> None:
        end = result.end
        found, failure = end.job.found, end.failure
        if failure is not None:
            self.catalog.set_failure(failure)
            if not result.items and not failure.lasting:
                return  # it may be readable tomorrow: its items stay
        else:
            self.catalog.clear_failure(found.path)
        old = self.catalog.file(found.path)
        if end.known and self._moved(end.hash, found.path, found.mtime_ns):
            return
        if end.known and not copies:
            self.lost.append(end.job)
            return
        if old is not None:
            self.catalog.remove_files([old[0]])
        if failure is not None and not result.items and not end.known:
            return
        file_id = self.catalog.add_file(FileRow(found.path, end.job.kind, end.hash, found.size, found.mtime_ns))
        kind = "image" if end.job.kind == "image" else "shot"
        described = copies or [(kind, i.start, i.end, self._encoded(i)) for i in result.items]
        first = self.catalog.take("next_item", len(described))
        for offset, (item_kind, start, stop, data) in enumerate(described):
            rows.append((first + offset, file_id, item_kind, start, stop))
            parts.append(_with_id(data, first + offset))

    def _moved(self, digest: bytes, path: str, mtime_ns: int) -> bool:
        """Recognise known content: under the same path, or under a path that is gone and is replaced by this one."""
        owners = self.catalog.files_with_hash(digest)
        for file_id, row in owners:
            if row.path == path:
                self.catalog.touch_file(file_id, path, mtime_ns)
                return True
        for file_id, row in owners:
            if not os.path.lexists(row.path):
                occupant = self.catalog.file(path)
                if occupant is not None:
                    self.catalog.remove_files([occupant[0]])
                self.catalog.touch_file(file_id, path, mtime_ns)
                self.catalog.clear_failure(row.path)
                return True
        return False

    def _inherited(self, end: End) -> Failure | None:
        found = end.job.found
        reasons = [row.reason for _, row in self.catalog.files_with_hash(end.hash)]
        return Failure(found.path, reasons[0], found.size, found.mtime_ns) if reasons and reasons[0] else None

    def _copies(
        self, digest: bytes, opened: dict[int, Segment]
    ) -> list[tuple[str, float | None, float | None, SegmentData]]:
        """Return items of known content with their data, read before this transaction may remove their owner."""
        copies = []
        for file_id, _ in self.catalog.files_with_hash(digest)[:1]:
            for placed in self.catalog.placed_of_file(file_id):
                number, item = placed.segment, placed.item
                segment = opened.get(number) or opened.setdefault(number, read_segment(self.folder, number))
                copies.append((item.kind, item.start, item.end, segment.data(np.array([placed.row], np.int64))))
        return copies

    def _encoded(self, item: Item) -> SegmentData:
        feature = item.feature[None, :].astype(np.float16)
        labels = np.empty((1, 0), np.int16)
        scores = np.empty((1, 0), np.float16)
        if item.logits is not None:
            probabilities = softmax(item.logits)
            best = np.argsort(-probabilities, kind="stable")[:LABELS]
            labels, scores = best[None, :].astype(np.int16), probabilities[best][None, :].astype(np.float16)
        # Codes are made of the stored float16 feature, so that they can be checked against it at any time.
        drawn = np.zeros((1, SKETCH_LENGTH), np.int8) if item.grey is None else sketch(item.grey[None])
        detail = no_details(1) if item.detail is None else item.detail[None]
        return SegmentData(np.zeros(1, np.int64), self.coder.encode(feature), feature, labels, scores, drawn, detail)

    # Removing

    def remove(self, paths: list[str], *, missing: bool, insist: bool = False) -> int:
        """Remove the items of files and of everything in folders; with ``missing`` also those of files that are gone.

        With ``insist``, files that are out of reach count as gone; see ``gone.py``.
        Returns the number of items; CollectionError, and nothing is changed, if a path has neither item nor failure.
        """
        failed = [failure.path for failure in self.catalog.failures()]
        chosen: dict[int, str] = {}
        cleared: set[str] = set()
        for path in paths:
            inside = path.rstrip(os.sep) + os.sep
            mine = self.catalog.files_below(path)
            trouble = {name for name in failed if name == path or name.startswith(inside)}
            if not mine and not trouble:
                raise CollectionError(f"{path}: not in the collection; nothing was removed")
            chosen |= mine
            cleared |= trouble
        if missing:
            found = find_gone(self.catalog.paths(), self.catalog.roots)
            gone = found.gone | found.kept if insist else found.gone
            chosen |= gone
            cleared |= set(gone.values())
        with self.catalog.transaction():
            count = self.catalog.remove_files(sorted(chosen))
            for name in sorted(cleared):
                self.catalog.clear_failure(name)
            if count:
                self.catalog.next_generation()
        return count

    # Merging

    def merge_small_segments(self, at: int = MERGE_AT) -> None:
        """Merge segments of about one size while there are ``at`` of them; dead rows are dropped."""
        while True:
            tiers: dict[int, list[int]] = {}
            for number, rows in self.catalog.segments().items():
                tiers.setdefault(_tier(rows), []).append(number)
            full = [numbers for tier, numbers in sorted(tiers.items()) if len(numbers) >= at]
            if not full:
                return
            self._merge(full[0])

    def _merge(self, numbers: list[int]) -> None:
        with self.catalog.transaction():
            alive = {
                number: np.array([row for row, _, living in self.catalog.segment_rows(number) if living], np.int64)
                for number in numbers
            }
            segments = [(read_segment(self.folder, number), alive[number]) for number in numbers]
            ids = np.concatenate([segment.ids[rows] for segment, rows in segments]).tolist()
            new = self.catalog.take("next_segment", 1)
            if ids:
                parts = (part for segment, rows in segments for part in living_parts(self.folder, segment, rows))
                write_segment(self.folder, new, len(ids), parts)
                self.catalog.add_segment(new, len(ids))
            self.catalog.replace_segments(numbers, new, enumerate(ids))
            self.catalog.next_generation()
        for number in numbers:  # readers that have them open keep them
            remove_file(segment_path(self.folder, number))


def _tier(rows: int) -> int:
    tier = 0
    while rows > _SMALLEST * MERGE_AT**tier:
        tier += 1
    return tier


def _with_id(data: SegmentData, item: int) -> SegmentData:
    return replace(data, ids=np.array([item], np.int64))


def _concatenated(parts: Iterable[SegmentData]) -> SegmentData:
    columns = zip(*(tuple(getattr(part, name) for name in SegmentData.__slots__) for part in parts), strict=True)
    return SegmentData(*(np.concatenate(column) for column in columns))
