"""Whether a picture was seen, and as which item: the memory answers first, then the few items it names are looked at.

All steps take a time that does not depend on the number of items. Contains no SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from assocmem._numerics.types import U8, U16
from assocmem.codes.fine_detail import has_detail
from assocmem.copies.registration import register
from assocmem.copies.second_look import is_same
from assocmem.index.derived.familiarity import Familiarity
from assocmem.index.results import CopyKind, Hit, Seen
from assocmem.index.session import Session
from assocmem.index.store.segments import Segment
from assocmem.index.store.snapshot import Snapshot

AGREEING = 0.87
"""Share of the detail that must agree if only a part is common: slides of one lecture reach 0.85."""
MOVED = 1.0
"""Cells by which a corner must be shifted for a common part to count. Two letters on one form lie upon each other, and
differ; a copy that was cut or turned is shifted."""


class Found(NamedTuple):
    """What a part of a question was recognised as."""

    item: int
    kind: CopyKind


def recognise(session: Session, snapshot: Snapshot, memory: Familiarity, path: str, details: U8, messages: U16) -> Seen:
    """Return whether a picture or video was seen: at least half of its parts must be.

    Parameters
    ----------
    session, snapshot : of the collection
    memory : Familiarity
    path : str
        Of the question; empty for an array.
    details : uint8 (m, DETAIL_LENGTH)
        Of its parts.
    messages : uint16 (m, clusters)
    """
    flags, evidence = memory.seen(messages), memory.evidence(messages)
    found: list[Found | None] = [None] * len(messages)
    named = memory.names(messages[flags])
    for part, numbers in zip(np.flatnonzero(flags).tolist(), named.tolist(), strict=True):
        found[part] = _confirmed(session, snapshot, details[part], [number for number in numbers if number >= 0])
    recognised = [one for one in found if one is not None]
    hit, kind = _first_hit(session, recognised)
    return Seen(
        path=path,
        seen=bool(2 * len(recognised) >= len(messages)),
        evidence=float(np.median(evidence)),
        threshold=memory.judgement.threshold,
        parts=len(messages),
        parts_seen=len(recognised),
        alike=int(flags.sum()),
        hit=hit,
        kind=kind,
    )


def _confirmed(session: Session, snapshot: Snapshot, detail: U8, items: Sequence[int]) -> Found | None:
    """Return the first of the named items that a look confirms: one picture before a part of one."""
    theirs = _details_of(session, snapshot, items)
    for item, other in theirs.items():
        if not (has_detail(detail) and has_detail(other)):
            return Found(item, "unchecked")
        if is_same(detail, other):
            return Found(item, "same")
    for item, other in theirs.items():
        common = register(detail, other)
        if common is not None and common.agreement >= AGREEING and (common.mirrored or common.moved >= MOVED):
            return Found(item, "similar")
    return None


def _details_of(session: Session, snapshot: Snapshot, items: Sequence[int]) -> dict[int, U8]:
    """Return the fine detail of living items, in the order asked for."""
    segments: dict[int, Segment] = {segment.number: segment for segment in snapshot.segments}
    with session.reading() as catalog:
        placed = {one.item.id: one for one in catalog.placed(items)}
    return {
        item: segments[placed[item].segment].details[np.array([placed[item].row])][0]
        for item in items
        if item in placed and placed[item].segment in segments
    }


def _first_hit(session: Session, recognised: Sequence[Found]) -> tuple[Hit | None, CopyKind | None]:
    """Return the item that the first recognised part is a copy of, and what kind of copy it is."""
    for item, kind in recognised:
        for hit in session.hits([(item, 1.0)]):
            return hit, kind
    return None, None
