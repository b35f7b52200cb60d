"""Near duplicates within a collection and between two: from segments to groups with paths. Contains no SQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from assocmem._numerics.types import I64, AnyArray
from assocmem.codes.dct_sketches import SKETCH_LENGTH, SKETCH_THRESHOLD
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.grouping import ComparedItems, CopyPairs, find_pairs, group_pairs, make_items
from assocmem.copies.lookup import find_originals
from assocmem.errors import CollectionMismatchError, InputError
from assocmem.index.derived.clique_memory import known_messages, living_messages
from assocmem.index.query.searcher import Query, best_of, check_k
from assocmem.index.results import Copies, Hit, Ranked
from assocmem.index.session import Session
from assocmem.index.store.catalog import StrPath
from assocmem.index.store.segments import MappedRows, Segment
from assocmem.index.store.snapshot import Snapshot

LEAST = 0.5
"""Least similarity that can be asked for."""


def find_copies(
    session: Session, paths: Sequence[StrPath], against: Sequence[StrPath] | Session | None, least: float
) -> list[Copies]:
    """See ``Collection.duplicates``."""
    if not LEAST <= least <= 1 + 1 - SKETCH_THRESHOLD:
        raise InputError(f"least: expected a similarity from {LEAST} to {2 - SKETCH_THRESHOLD}, found {least}")
    chosen = session.ids_below(paths) if paths else None
    ours = _library(session, chosen)
    if against is None:
        return _with_paths(session, session, [(ranked[:1], ranked[1:]) for ranked in groups_within(ours, least)])
    if isinstance(against, Session):
        other, theirs = against, _library(against, None)
        _check_comparable(session, against)
    else:
        elsewhere = session.ids_below(against)
        if chosen is None:
            ours = _library(session, set(ours.ids.tolist()) - elsewhere)
        other, theirs = session, _library(session, elsewhere - set(ours.ids.tolist()))
    found = copies_across(ours, theirs, least)
    return _with_paths(session, other, [([(item, 2 - SKETCH_THRESHOLD)], ranked) for item, ranked in found])


def find_query_originals(session: Session, ask: Callable[[], Query], k: int) -> list[Hit]:
    """See ``Collection.originals``; ``ask`` reads the picture or video."""
    check_k(k)
    asked, snapshot = ask(), session.snapshot()
    library = _bare_library(snapshot, snapshot.living_ids(), session.coder)
    similarity, rows = find_originals(
        asked.features, asked.sketches(), library.items, session.coder, min(k, max(1, len(library)))
    )
    pairs = zip(rows.ravel().tolist(), similarity.ravel().tolist(), strict=True)
    return session.hits(best_of(((int(library.ids[row]) if row >= 0 else -1, score) for row, score in pairs), k))


def _bare_library(snapshot: Snapshot, ids: I64, coder: CliqueCoder) -> Library:
    """Return items that can be looked up, not grouped: without messages, which take a rotation each."""
    owners, places = _where(snapshot.segments, ids)

    def scattered(column: str) -> ScatteredRows:
        return ScatteredRows([getattr(segment, column) for segment in snapshot.segments], owners, places)

    every, none = np.arange(len(ids)), np.empty((len(ids), 0), np.uint8)
    codes = scattered("codes")[every].astype(np.uint8).reshape(len(ids), coder.code_bytes)
    sketches = scattered("sketches")[every].astype(np.int8).reshape(len(ids), SKETCH_LENGTH)
    return Library(ids, ComparedItems(scattered("features"), none, codes, sketches, none))


def _library(session: Session, only: set[int] | None) -> Library:
    return living_library(session.snapshot(), session.folder, session.coder, only)


def _check_comparable(ours: Session, theirs: Session) -> None:
    mine, other = ours.made_with(), theirs.made_with()
    if mine.identity != other.identity or mine.to_meta()["codes"] != other.to_meta()["codes"]:
        raise CollectionMismatchError(
            f"{theirs.folder}: expected a collection made with {mine.identity}, found {other.identity}; "
            "index its folders with the extractor of the first"
        )


def _with_paths(ours: Session, theirs: Session, found: Sequence[tuple[Ranked, Ranked]]) -> list[Copies]:
    """Look up all paths; skip what is similar only within one video, or was removed a moment ago."""
    originals = {hit.item: hit for hit in ours.hits([pair for original, _ in found for pair in original])}
    copies = {hit.item: hit for hit in theirs.hits([pair for _, ranked in found for pair in ranked])}
    groups = []
    files = Files()
    for original, ranked in found:
        first, others = _ranked(original, originals), _ranked(ranked, copies)
        if first and (group := without_links(first[0], others, files, alike=theirs is ours)):
            groups.append(group)
    return groups


def without_links(original: Hit, others: list[Hit], files: Files, *, alike: bool) -> Copies | None:
    """Return a group in which each file has one name; None if no other file is left.

    ``alike``: all are of one collection. Then a file may be the original under another name, and shots of one video are
    no copies of each other.
    """
    if alike and (better := files.name_of(original.path, [hit.path for hit in others])) != original.path:
        same = next(hit for hit in others if hit.path == better)
        others = [replace(original, score=same.score) if hit is same else hit for hit in others]
        original = replace(same, score=original.score)
    names: dict[object, str] = {files.identity(original.path): original.path}
    for path in sorted({hit.path for hit in others}, key=lambda path: (os.path.islink(path), path)):
        names.setdefault(files.identity(path), path)
    itself = files.identity(original.path)
    links = [hit for hit in others if names[files.identity(hit.path)] != hit.path]
    copies = [hit for hit in others if names[files.identity(hit.path)] == hit.path]
    if not alike:
        copies = [hit for hit in copies if files.identity(hit.path) != itself]
    if all(files.identity(hit.path) == itself for hit in copies):
        return None
    ranked = [replace(hit, rank=rank) for rank, hit in enumerate(copies, 1)]
    return Copies(original, ranked, links)


class Files:
    """Which paths lead to the same file. Each is looked at once."""

    def __init__(self) -> None:
        self._identities: dict[str, object] = {}

    def identity(self, path: str) -> object:
        """Return the device and number of a file, which its hard and symbolic links share; its path if it is gone."""
        if path not in self._identities:
            try:
                status = os.stat(path)
                self._identities[path] = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)
            except OSError:
                self._identities[path] = path
        return self._identities[path]

    def name_of(self, path: str, others: list[str]) -> str:
        """Return which of the names of a file is no link; the path itself if none or all are."""
        if not os.path.islink(path):
            return path
        same = [other for other in others if self.identity(other) == self.identity(path) and not os.path.islink(other)]
        return min(same, default=path)


def _ranked(ranked: Ranked, hits: dict[int, Hit]) -> list[Hit]:
    living = [(hits[item], score) for item, score in ranked if item in hits]
    return [replace(hit, rank=rank, score=score) for rank, (hit, score) in enumerate(living, 1)]


class ScatteredRows:
    """Rows of several arrays, in any order, read like the rows of one array."""

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
    items: ComparedItems

    def __len__(self) -> int:
        return len(self.ids)


def living_library(snapshot: Snapshot, folder: Path, coder: CliqueCoder, only: set[int] | None = None) -> Library:
    """Return the living items of a collection, or ``only`` those with some ids."""
    messages = living_messages(snapshot, coder, known_messages(folder, coder))
    keep = np.ones(len(messages.ids), bool) if only is None else np.isin(messages.ids, np.array(sorted(only), np.int64))
    ids = messages.ids[keep]
    bare = _bare_library(snapshot, ids, coder).items
    return Library(ids, make_items(bare.features, messages.symbols[keep], bare.codes, bare.sketches))


def _where(segments: Sequence[Segment], ids: I64) -> tuple[I64, I64]:
    """Return the segment and row of living items."""
    owners, places = np.empty(len(ids), np.int64), np.empty(len(ids), np.int64)
    for number, segment in enumerate(segments):
        found = np.searchsorted(ids, segment.ids)
        here = np.flatnonzero(ids[np.minimum(found, max(0, len(ids) - 1))] == segment.ids) if len(ids) else found[:0]
        owners[found[here]], places[found[here]] = number, here
    return owners, places


def groups_within(library: Library, least: float) -> list[Ranked]:
    """Return groups of near copies, the representative first."""
    found = group_pairs(library.items, find_pairs(library.items, least), least)
    pairs = list(zip(library.ids[found.rows].tolist(), found.scores.tolist(), strict=True))
    starts = found.starts.tolist()
    return [pairs[start:stop] for start, stop in pairwise(starts)]


def copies_across(ours: Library, theirs: Library, least: float) -> list[tuple[int, Ranked]]:
    """Return our items that are among theirs too, each with theirs, the most similar first."""
    pairs = find_pairs(_joined(ours.items, theirs.items), least, split=len(ours)) if len(ours) else _NO_PAIRS
    order = np.lexsort((pairs.second, -pairs.scores, pairs.first))
    found: dict[int, Ranked] = {}
    for row in order.tolist():
        item = int(theirs.ids[pairs.second[row] - len(ours)])
        found.setdefault(int(ours.ids[pairs.first[row]]), []).append((item, float(pairs.scores[row])))
    return list(found.items())


_NO_PAIRS = CopyPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def _joined(ours: ComparedItems, theirs: ComparedItems) -> ComparedItems:
    n, m = len(ours), len(theirs)
    owners, places = np.repeat([0, 1], [n, m]), np.concatenate([np.arange(n), np.arange(m)])
    columns = ((getattr(ours, name), getattr(theirs, name)) for name in ("messages", "codes", "sketches",
               "sketch_messages"))  # fmt: skip
    features = ScatteredRows([ours.features, theirs.features], owners, places)  # type: ignore[list-item]
    return ComparedItems(features, *(np.concatenate(pair) for pair in columns))
