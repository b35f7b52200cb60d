"""Near copies among the items of a collection, and between two: from segments to groups with paths. Knows no SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from assocmem._numerics.types import I64, AnyArray
from assocmem.codes.dct_sketches import LENGTH, SKETCH_FROM
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.grouping import Items, Pairs, describe, group, near_pairs
from assocmem.copies.lookup import find_originals
from assocmem.errors import CollectionMismatchError, InputError
from assocmem.index.derived.clique_memory import CLIQUES, living_messages, read_messages
from assocmem.index.query.query import Query
from assocmem.index.query.ranking import Ranked
from assocmem.index.results import Copies, Hit
from assocmem.index.session import OpenCollection, StrPath
from assocmem.index.store.segments import MappedRows, Segment
from assocmem.index.store.snapshot import Snapshot

LEAST = 0.5
"""Likeness below which nothing is looked for."""


def find_copies(
    photos: OpenCollection, paths: Sequence[StrPath], against: Sequence[StrPath] | OpenCollection | None, least: float
) -> list[Copies]:
    """See ``Collection.duplicates``."""
    if not LEAST <= least <= 1 + 1 - SKETCH_FROM:
        raise InputError(f"least: expected a likeness from {LEAST} to {2 - SKETCH_FROM}, found {least}")
    chosen = photos.ids_below(paths) if paths else None
    ours = _library(photos, chosen)
    if against is None:
        return _told(photos, photos, ((ranked[:1], ranked[1:]) for ranked in groups_within(ours, least)))
    if isinstance(against, OpenCollection):
        other, theirs = against, _library(against, None)
        _check_comparable(photos, against)
    else:
        elsewhere = photos.ids_below(against)
        if chosen is None:
            ours = _library(photos, set(ours.ids.tolist()) - elsewhere)
        other, theirs = photos, _library(photos, elsewhere - set(ours.ids.tolist()))
    found = copies_across(ours, theirs, least)
    return _told(photos, other, (([(item, 2 - SKETCH_FROM)], ranked) for item, ranked in found))


def find_query_originals(photos: OpenCollection, asked: Query, k: int) -> list[Hit]:
    """See ``Collection.originals``."""
    if asked.words is not None:
        raise InputError(f"query: expected a picture or a video, found words: {asked.words!r}")
    snapshot = photos.refresh()
    ids = np.concatenate([np.empty(0, np.int64), *(np.delete(s.ids, d) for s, d in _living(snapshot))])
    library = _bare_library(snapshot, np.sort(ids), photos.coder)
    likeness, rows = find_originals(
        asked.features, asked.sketches, library.items, photos.coder, min(k, max(1, len(ids)))
    )
    best: dict[int, float] = {}
    for score, row in zip(likeness.ravel().tolist(), rows.ravel().tolist(), strict=True):
        if row >= 0:
            item = int(library.ids[row])
            best[item] = max(score, best.get(item, score))
    return photos.hits(sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:k])


def _living(snapshot: Snapshot) -> Iterable[tuple[Segment, I64]]:
    return zip(snapshot.segments, snapshot.dead, strict=True)


def _bare_library(snapshot: Snapshot, ids: I64, coder: CliqueCoder) -> Library:
    """Items that can be asked about, not grouped: without messages, which take a rotation each."""
    owners, places = _where(snapshot.segments, ids)

    def scattered(column: str) -> ScatteredRows:
        return ScatteredRows([getattr(segment, column) for segment in snapshot.segments], owners, places)

    every, none = np.arange(len(ids)), np.empty((len(ids), 0), np.uint8)
    codes = scattered("codes")[every].astype(np.uint8).reshape(len(ids), coder.code_bytes)
    sketches = scattered("sketches")[every].astype(np.int8).reshape(len(ids), LENGTH)
    return Library(ids, Items(scattered("features"), none, codes, sketches, none))


def _library(photos: OpenCollection, only: set[int] | None) -> Library:
    return living_library(photos.refresh(), photos.folder, photos.coder, only)


def _check_comparable(ours: OpenCollection, theirs: OpenCollection) -> None:
    mine, other = ours.settings, theirs.settings
    assert mine is not None  # both have been read from
    assert other is not None
    if mine.identity != other.identity or mine.to_meta()["codes"] != other.to_meta()["codes"]:
        raise CollectionMismatchError(
            f"{theirs.folder}: expected a collection made with {mine.identity}, found {other.identity}; "
            "index its folders with the extractor of the first"
        )


def _told(ours: OpenCollection, theirs: OpenCollection, found: Iterable[tuple[Ranked, Ranked]]) -> list[Copies]:
    """Look up the paths; leave out what is alike only within one video, or was removed a moment ago."""
    told = []
    for original, ranked in found:
        first, others = ours.hits(original), theirs.hits(ranked)
        if first and any(hit.path != first[0].path or theirs is not ours for hit in others):
            told.append(Copies(first[0], others))
    return told


class ScatteredRows:
    """Rows of several arrays, in any order, read as those of one; itself such an array."""

    def __init__(self, sources: Sequence[MappedRows | AnyArray], owners: I64, places: I64) -> None:
        self._sources = sources
        self._owners = owners
        self._places = places
        self.shape: tuple[int, int] = (len(owners), sources[0].shape[1] if sources else 0)

    def __getitem__(self, rows: I64) -> AnyArray:
        owners, places = self._owners[rows], self._places[rows]
        parts = [(mine, source[places[mine]]) for mine, source in self._by_owner(owners)]
        out = np.empty((len(rows), self.shape[1]), parts[0][1].dtype if parts else np.float16)
        for mine, values in parts:
            out[mine] = values
        return out

    def _by_owner(self, owners: I64) -> list[tuple[I64, MappedRows | AnyArray]]:
        return [(np.flatnonzero(owners == owner), self._sources[owner]) for owner in np.unique(owners).tolist()]


@dataclass(frozen=True, slots=True)
class Library:
    """The living items of a collection, or some of them, ready to be compared."""

    ids: I64
    """int64 (n,), ascending"""
    items: Items

    def __len__(self) -> int:
        return len(self.ids)


def living_library(snapshot: Snapshot, folder: Path, coder: CliqueCoder, only: set[int] | None = None) -> Library:
    """Return the living items of a collection, or ``only`` those of some ids."""
    messages = living_messages(snapshot, coder, read_messages(folder / CLIQUES, coder))
    keep = np.ones(len(messages.ids), bool) if only is None else np.isin(messages.ids, np.array(sorted(only), np.int64))
    ids = messages.ids[keep]
    bare = _bare_library(snapshot, ids, coder).items
    return Library(ids, describe(bare.features, messages.symbols[keep], bare.codes, bare.sketches))


def _where(segments: Sequence[Segment], ids: I64) -> tuple[I64, I64]:
    """Segment and row of living items."""
    owners, places = np.empty(len(ids), np.int64), np.empty(len(ids), np.int64)
    for number, segment in enumerate(segments):
        found = np.searchsorted(ids, segment.ids)
        here = np.flatnonzero(ids[np.minimum(found, max(0, len(ids) - 1))] == segment.ids) if len(ids) else found[:0]
        owners[found[here]], places[found[here]] = number, here
    return owners, places


def groups_within(library: Library, least: float) -> list[Ranked]:
    """Return groups of near copies, the representative first."""
    found = group(library.items, near_pairs(library.items, least), least)
    pairs = list(zip(library.ids[found.rows].tolist(), found.scores.tolist(), strict=True))
    starts = found.starts.tolist()
    return [pairs[start:stop] for start, stop in pairwise(starts)]


def copies_across(ours: Library, theirs: Library, least: float) -> list[tuple[int, Ranked]]:
    """Return our items that are among theirs too, each with theirs, the likest first."""
    pairs = near_pairs(_joined(ours.items, theirs.items), least, split=len(ours)) if len(ours) else _NO_PAIRS
    order = np.lexsort((pairs.second, -pairs.scores, pairs.first))
    found: dict[int, Ranked] = {}
    for row in order.tolist():
        item = int(theirs.ids[pairs.second[row] - len(ours)])
        found.setdefault(int(ours.ids[pairs.first[row]]), []).append((item, float(pairs.scores[row])))
    return list(found.items())


_NO_PAIRS = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def _joined(ours: Items, theirs: Items) -> Items:
    n, m = len(ours), len(theirs)
    owners, places = np.repeat([0, 1], [n, m]), np.concatenate([np.arange(n), np.arange(m)])
    columns = ((getattr(ours, name), getattr(theirs, name)) for name in ("symbols", "codes", "sketches",
               "sketch_symbols"))  # fmt: skip
    features = ScatteredRows([ours.features, theirs.features], owners, places)  # type: ignore[list-item]
    return Items(features, *(np.concatenate(pair) for pair in columns))
