"""Pairs of items that the user said are no copies of each other, kept in the catalog by their contents.

A file that is moved, removed and indexed again, or indexed twice, is still known. The table is made with its first
pair: a collection without any is as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from assocmem.index.store.catalog import Catalog

Content: TypeAlias = tuple[bytes, float | None]
"""The hash of a file's content, and the start of a shot in seconds; None for a picture."""
Unlike: TypeAlias = frozenset[frozenset[object]]
"""Pairs of contents."""
_TABLE = """CREATE TABLE IF NOT EXISTS unlike (
    hash BLOB NOT NULL, start REAL NOT NULL, other BLOB NOT NULL, other_start REAL NOT NULL,
    PRIMARY KEY (hash, start, other, other_start)
) WITHOUT ROWID"""
_EXISTS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'unlike'"
_PICTURE = -1.0  # the start of a picture: a primary key has no NULL


def read_unlike(catalog: Catalog) -> Unlike:
    """Return all pairs that were said to be no copies."""
    if catalog.row(_EXISTS) is None:
        return frozenset()
    rows = catalog.rows("SELECT hash, start, other, other_start FROM unlike")
    return frozenset(frozenset((_content(a, start), _content(b, end))) for a, start, b, end in rows)


def note_unlike(catalog: Catalog, pairs: Iterable[tuple[Content, Content]]) -> int:
    """Note pairs, in a transaction; returns how many are new."""
    known = read_unlike(catalog)
    new = {frozenset(pair): pair for pair in pairs if pair[0] != pair[1] and frozenset(pair) not in known}
    with catalog.transaction():
        catalog.change(_TABLE)
        catalog.change_many("INSERT INTO unlike VALUES (?, ?, ?, ?)", map(_row, new.values()))
    return len(new)


def forget_unlike(catalog: Catalog, pairs: Iterable[tuple[Content, Content]]) -> int:
    """Take pairs back, in a transaction; returns how many were noted."""
    known = read_unlike(catalog)
    noted = {frozenset(pair): pair for pair in pairs if frozenset(pair) in known}
    with catalog.transaction():
        catalog.change_many(
            "DELETE FROM unlike WHERE hash = ? AND start = ? AND other = ? AND other_start = ?",
            map(_row, noted.values()),
        )
    return len(noted)


def _row(pair: tuple[Content, Content]) -> tuple[bytes, float, bytes, float]:
    """Return the columns of a pair, the same for both orders."""
    (a, start), (b, end) = sorted((digest, _PICTURE if start is None else start) for digest, start in pair)
    return a, start, b, end


def _content(digest: bytes, start: float) -> Content:
    return bytes(digest), None if start == _PICTURE else start
