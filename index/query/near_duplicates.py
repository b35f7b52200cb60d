"""Near duplicates within a collection and between two: from segments to groups with paths. Contains no SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np

from assocmem._numerics.types import I64, AnyArray
from assocmem.codes.dct_sketches import SKETCH_LENGTH, SKETCH_THRESHOLD
from assocmem.codes.fine_detail import DETAIL_LENGTH
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.grouping import COPY, ComparedItems, CopyPairs, find_pairs, group_pairs, make_items
from assocmem.copies.lookup import find_originals
from assocmem.errors import CollectionMismatchError, InputError
from assocmem.extractors.base import Image
from assocmem.index.derived.clique_memory import known_messages, living_messages
from assocmem.index.ingest.pipeline import content_hash
from assocmem.index.query.evidence import KINDS, Details, Evidence
from assocmem.index.query.links import Files, without_links
from assocmem.index.query.searcher import Query, best_of, check_k
from assocmem.index.results import Copies, CopyKind, Hit, Ranked
from assocmem.index.session import Session
from assocmem.index.store.catalog import StrPath, absolute
from assocmem.index.store.segments import Segment
from assocmem.index.store.snapshot import Snapshot
from assocmem.index.store.unlike import Content, forget_unlike, note_unlike, read_unlike

LEAST = 0.5
"""Least similarity that can be asked for."""
MOST_SIMILAR = 2 - SKETCH_THRESHOLD
"""Similarity of a picture to itself."""
MOST_UNLIKE = 500
"""Items that can be told apart at once: n of them are n x n pairs."""
MOST_ASKED = 100
"""Items that a single picture is compared with, the likeliest first."""
Proven: TypeAlias = tuple[int, float, CopyKind]
"""An item, its similarity, and what kind of copy it is."""


def find_copies(
    session: Session, paths: Sequence[StrPath], against: Sequence[StrPath] | Session | None, least: float
) -> list[Copies]:
    """See ``Collection.duplicates``. Below ``COPY``, pictures that have a part in common are found too."""
    if not LEAST <= least <= MOST_SIMILAR:
        raise InputError(f"least: expected a similarity from {LEAST} to {MOST_SIMILAR}, found {least}")
    chosen = session.ids_below(paths) if paths else None
    ours = _library(session, chosen)
    if against is None:
        return _with_paths(session, session, groups_within(ours, least))
    if isinstance(against, Session):
        other, theirs = against, _library(against, None)
        _check_comparable(session, against)
    else:
        elsewhere = session.ids_below(against)
        if chosen is None:
            ours = _library(session, set(ours.ids.tolist()) - elsewhere)
        other, theirs = session, _library(session, elsewhere - set(ours.ids.tolist()))
    return _with_paths(session, other, copies_across(ours, theirs, least))


def find_query_copies(
    session: Session, ask: Callable[[], Query], query: StrPath | Image, least: float
) -> Copies | None:
    """See ``Collection.copies_of``; ``ask`` reads the picture or video."""
    asked, snapshot = ask(), session.snapshot()
    path = "" if isinstance(query, np.ndarray) else absolute(query)
    content = content_hash(path) if path else None
    library = _bare_library(snapshot, snapshot.living_ids(), session.coder)
    similarity, rows = find_originals(
        asked.features, asked.sketches(), library.items, session.coder, min(MOST_ASKED, max(1, len(library)))
    )
    parts, places = np.nonzero((rows >= 0) & (similarity >= least))
    n = len(library)
    contents = _contents_of(asked, content)
    theirs = Evidence(lambda rows: [contents[row] for row in rows], asked.details)
    evidence = _evidence_of_both(_with_contents(session, library).evidence, theirs, n, len(asked.features))
    found = rows[parts, places], similarity[parts, places]
    kinds = evidence.kinds(found[0], parts + n, found[1], similar=least < COPY)
    best: dict[int, Proven] = {}
    for row, score, kind in zip(found[0].tolist(), found[1].tolist(), kinds, strict=True):
        item = int(library.ids[row])
        if kind is not None and (item not in best or _by_certainty((item, score, kind)) < _by_certainty(best[item])):
            best[item] = (item, score, kind)
    proven = sorted(best.values(), key=_by_certainty)
    kinds_of = {item: kind for item, _, kind in proven}
    hits = [hit for hit in session.hits([(item, score) for item, score, _ in proven]) if hit.path != path]
    original = Hit(1, -1, path, "query", None, None, MOST_SIMILAR)
    return without_links(original, [(hit, kinds_of[hit.item]) for hit in hits], Files(), alike=False)


def _contents_of(asked: Query, content: bytes | None) -> list[object]:
    """Return what the parts of a question are known by: those of a picture file by its bytes, as its item is."""
    return [(content, None) if content and len(asked.features) == 1 else object() for _ in asked.features]


def say_unlike(session: Session, paths: Sequence[StrPath], *, undo: bool) -> int:
    """See ``Collection.not_copies``."""
    files = [sorted(session.ids_below([path])) for path in paths]
    if len(files) < 2 or sum(map(len, files)) > MOST_UNLIKE:
        found = f"{len(files)} paths with {sum(map(len, files))} items"
        raise InputError(f"expected two files or more, of at most {MOST_UNLIKE} pictures and shots, found {found}")
    with session.writing() as catalog:
        placed = catalog.placed({item for items in files for item in items})
        known: dict[int, Content] = {one.item.id: (one.hash, one.item.start) for one in placed}
        pairs = [
            (known[a], known[b])
            for items, others in combinations(files, 2)
            for a in items
            for b in others
            if a in known and b in known
        ]
        return forget_unlike(catalog, pairs) if undo else note_unlike(catalog, pairs)


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
        columns = [getattr(segment, column) for segment in snapshot.segments]
        return ScatteredRows(columns, owners, places, columns[0].shape[1] if columns else 0)

    every, none = np.arange(len(ids)), np.empty((len(ids), 0), np.uint8)
    codes = scattered("codes")[every].astype(np.uint8).reshape(len(ids), coder.code_bytes)
    sketches = scattered("sketches")[every].astype(np.int8).reshape(len(ids), SKETCH_LENGTH)
    return Library(
        ids,
        ComparedItems(scattered("features"), none, codes, sketches, none),
        Evidence(lambda rows: ids[rows].tolist(), scattered("details")),
    )


def _library(session: Session, only: set[int] | None) -> Library:
    return _with_contents(session, living_library(session.snapshot(), session.folder, session.coder, only))


def _with_contents(session: Session, library: Library) -> Library:
    """Know items by their files' bytes; one that was removed meanwhile is only equal to itself."""

    def contents(rows: I64) -> list[object]:
        ids = library.ids[rows].tolist()
        with session.reading() as catalog:
            known = {placed.item.id: (placed.hash, placed.item.start) for placed in catalog.placed(ids)}
        return [known.get(item, item) for item in ids]

    with session.reading() as catalog:
        unlike = read_unlike(catalog)
    return replace(library, evidence=replace(library.evidence, contents=contents, unlike=unlike))


def _check_comparable(ours: Session, theirs: Session) -> None:
    mine, other = ours.made_with(), theirs.made_with()
    if mine.identity != other.identity or mine.to_meta()["codes"] != other.to_meta()["codes"]:
        raise CollectionMismatchError(
            f"{theirs.folder}: expected a collection made with {mine.identity}, found {other.identity}; "
            "index its folders with the extractor of the first"
        )


def _with_paths(ours: Session, theirs: Session, found: Sequence[tuple[Ranked, list[Proven]]]) -> list[Copies]:
    """Look up all paths; skip what is similar only within one video, or was removed a moment ago."""
    originals = {hit.item: hit for hit in ours.hits([pair for original, _ in found for pair in original])}
    copies = {hit.item: hit for hit in theirs.hits([(item, score) for _, proven in found for item, score, _ in proven])}
    groups = []
    files = Files()
    for [(item, score)], proven in found:
        members = [(replace(copies[id_], score=s), kind) for id_, s, kind in proven if id_ in copies]
        if item in originals:
            original = replace(originals[item], rank=1, score=score)
            if group := without_links(original, members, files, alike=theirs is ours):
                groups.append(group)
    return groups


class ScatteredRows:
    """Rows of several arrays, in any order, read like the rows of one array."""

    def __init__(self, sources: Sequence[Details], owners: I64, places: I64, width: int) -> None:
        self._sources = sources
        self._owners = owners
        self._places = places
        self.shape: tuple[int, int] = (len(owners), width)

    def __getitem__(self, rows: I64) -> AnyArray:
        owners, places = self._owners[rows], self._places[rows]
        parts = [(mine, source[places[mine]]) for mine, source in self._by_owner(owners)]
        out = np.empty((len(rows), self.shape[1]), parts[0][1].dtype if parts else np.float16)
        for mine, values in parts:
            out[mine] = values
        return out

    def _by_owner(self, owners: I64) -> list[tuple[I64, Details]]:
        return [(np.flatnonzero(owners == owner), self._sources[owner]) for owner in np.unique(owners).tolist()]


@dataclass(frozen=True, slots=True)
class Library:
    """The living items of a collection, or some of them, ready to be compared."""

    ids: I64
    """int64 (n,), ascending"""
    items: ComparedItems
    evidence: Evidence

    def __len__(self) -> int:
        return len(self.ids)


def living_library(snapshot: Snapshot, folder: Path, coder: CliqueCoder, only: set[int] | None = None) -> Library:
    """Return the living items of a collection, or ``only`` those with some ids."""
    messages = living_messages(snapshot, coder, known_messages(folder, coder))
    keep = np.ones(len(messages.ids), bool) if only is None else np.isin(messages.ids, np.array(sorted(only), np.int64))
    ids = messages.ids[keep]
    bare = _bare_library(snapshot, ids, coder)
    items = make_items(bare.items.features, messages.symbols[keep], bare.items.codes, bare.items.sketches)
    return replace(bare, items=items)


def _where(segments: Sequence[Segment], ids: I64) -> tuple[I64, I64]:
    """Return the segment and row of living items."""
    owners, places = np.empty(len(ids), np.int64), np.empty(len(ids), np.int64)
    for number, segment in enumerate(segments):
        found = np.searchsorted(ids, segment.ids)
        here = np.flatnonzero(ids[np.minimum(found, max(0, len(ids) - 1))] == segment.ids) if len(ids) else found[:0]
        owners[found[here]], places[found[here]] = number, here
    return owners, places


def groups_within(library: Library, least: float) -> list[tuple[Ranked, list[Proven]]]:
    """Return groups of copies: the representative, and the others; groups of what is most certain first."""
    pairs = find_pairs(library.items, least)
    kinds = library.evidence.kinds(pairs.first, pairs.second, pairs.scores, similar=least < COPY)
    both = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    known = dict(zip(both, kinds, strict=True))
    found = group_pairs(library.items, _chosen(pairs, kinds), least)
    groups = []
    for start, stop in pairwise(found.starts.tolist()):
        leader, *rows = found.rows[start:stop].tolist()
        members = []
        for row, score in zip(rows, found.scores[start + 1 : stop].tolist(), strict=True):
            # A pair that was not proposed belongs together by way of others: that is not more than similar, unless all
            # of the group are one picture. One that was looked at in vain does not, whatever others say.
            pair = min(leader, row), max(leader, row)
            kind = known.get(pair, "same" if least >= COPY else "similar")
            if kind is not None and not library.evidence.denies(leader, row):
                members.append((int(library.ids[row]), score, kind))
        if not members:
            continue
        groups.append(([(int(library.ids[leader]), float(found.scores[start]))], sorted(members, key=_by_certainty)))
    return sorted(groups, key=lambda group: KINDS.index(group[1][0][2]))


def copies_across(ours: Library, theirs: Library, least: float) -> list[tuple[Ranked, list[Proven]]]:
    """Return our items that are among theirs too, each with theirs, the most certain first."""
    n = len(ours)
    pairs = find_pairs(_joined(ours.items, theirs.items), least, split=n) if n else _NO_PAIRS
    evidence = _evidence_of_both(ours.evidence, theirs.evidence, n, len(theirs))
    kinds = evidence.kinds(pairs.first, pairs.second, pairs.scores, similar=least < COPY)
    found: dict[int, list[Proven]] = {}
    for a, b, score, kind in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.scores.tolist(), kinds, strict=True
    ):
        if kind is not None:
            found.setdefault(int(ours.ids[a]), []).append((int(theirs.ids[b - n]), score, kind))
    ordered = [([(item, MOST_SIMILAR)], sorted(copies, key=_by_certainty)) for item, copies in sorted(found.items())]
    return sorted(ordered, key=lambda pair: KINDS.index(pair[1][0][2]))


def _evidence_of_both(ours: Evidence, theirs: Evidence, n: int, m: int) -> Evidence:
    """Return the evidence of n items followed by m others."""
    details = ScatteredRows([ours.details, theirs.details], *_end_to_end(n, m), DETAIL_LENGTH)
    return Evidence(
        lambda rows: [*ours.contents(rows[rows < n]), *theirs.contents(rows[rows >= n] - n)],
        details,
        unlike=ours.unlike | theirs.unlike,
    )


def _by_certainty(proven: Proven) -> tuple[int, float, int]:
    item, score, kind = proven
    return KINDS.index(kind), -score, item


def _chosen(pairs: CopyPairs, kinds: Sequence[CopyKind | None]) -> CopyPairs:
    kept = np.array([kind is not None for kind in kinds], bool)
    return CopyPairs(pairs.first[kept], pairs.second[kept], pairs.scores[kept])


_NO_PAIRS = CopyPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def _end_to_end(n: int, m: int) -> tuple[I64, I64]:
    """Return whose each row is, and where, when m rows follow n."""
    return np.repeat([0, 1], [n, m]), np.concatenate([np.arange(n), np.arange(m)])


def _joined(ours: ComparedItems, theirs: ComparedItems) -> ComparedItems:
    owners, places = _end_to_end(len(ours), len(theirs))
    columns = ((getattr(ours, name), getattr(theirs, name)) for name in ("messages", "codes", "sketches",
               "sketch_messages"))  # fmt: skip
    features = ScatteredRows([ours.features, theirs.features], owners, places, ours.features.shape[1])
    return ComparedItems(features, *(np.concatenate(pair) for pair in columns))
