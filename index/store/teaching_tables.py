"""Teachings in the catalog: every statement, who made it and when. None is ever erased, only undone.

Examples are identified by their content, so a file that is indexed again, moved or copied is the same example. All SQL
about teachings is here.
"""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from assocmem._numerics.types import F16, I8
from assocmem.codes.dct_sketches import SKETCH_LENGTH
from assocmem.index.store.catalog import Catalog, path_from_sql, path_to_sql
from assocmem.index.store.records import Example, Teaching

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS examples (
    id INTEGER PRIMARY KEY, hash BLOB NOT NULL, start REAL, feature BLOB NOT NULL, sketch BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS teachings (
    id INTEGER PRIMARY KEY, example INTEGER NOT NULL REFERENCES examples (id), concept TEXT NOT NULL,
    is_one INTEGER NOT NULL, said TEXT NOT NULL, at TEXT NOT NULL, who TEXT NOT NULL, path NOT NULL, start REAL,
    "end" REAL, undone TEXT)""",
    "CREATE INDEX IF NOT EXISTS teachings_by_concept ON teachings (concept)",
    "CREATE TABLE IF NOT EXISTS parents (concept TEXT PRIMARY KEY, parent TEXT NOT NULL) WITHOUT ROWID",
)
_COLUMNS = 'id, example, concept, is_one, said, at, who, path, start, "end", undone'


class TeachingTables:
    """The tables of examples, teachings and parents; they are missing in a collection that was never taught."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def exist(self) -> bool:
        """Return whether the tables are there."""
        return self._catalog.row("SELECT 1 FROM sqlite_master WHERE name = 'parents'") is not None

    def make(self) -> None:
        """Make the tables if they are missing; part of the first transaction that teaches."""
        for statement in _SCHEMA:
            self._catalog.change(statement)

    # Teachings

    def teachings(self, *, standing: bool = False, examples: Iterable[int] | None = None) -> list[Teaching]:
        """Return the teachings in order: all, or those that were not undone, or those of some examples."""
        if not self.exist():
            return []
        sql = f"SELECT {_COLUMNS} FROM teachings WHERE {'undone IS NULL' if standing else 'TRUE'}"
        if examples is None:
            found = self._catalog.rows(f"{sql} ORDER BY id")
        else:
            found = sorted(self._catalog.rows_of(f"{sql} AND example", examples), key=lambda row: row[0])
        return [_teaching(*row) for row in found]

    def concept_names(self, *, denied: bool = False) -> list[str]:
        """Return the names of taught concepts, sorted; with ``denied`` also those that were only denied."""
        if not self.exist():
            return []
        condition = "" if denied else " AND is_one"
        found = self._catalog.rows(f"SELECT DISTINCT concept FROM teachings WHERE undone IS NULL{condition}")
        return sorted(row[0] for row in found)

    def add_teachings(self, examples: Iterable[Example], concept: str, *, is_one: bool) -> list[int]:
        """Store that examples are, or are not, of a concept; returns the teachings' ids."""
        at, who = _now(), _user()
        ids: list[int] = []
        for one in examples:
            self._catalog.change(
                "INSERT OR IGNORE INTO examples VALUES (?, ?, ?, ?, ?)",
                (one.id, one.hash, one.start, one.feature.astype("<f2").tobytes(), one.sketch.tobytes()),
            )
            cursor = self._catalog.change(
                f"INSERT INTO teachings ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (one.id, concept, is_one, concept, at, who, path_to_sql(one.path), one.start, one.end),
            )
            assert cursor.lastrowid is not None
            ids.append(cursor.lastrowid)
        return ids

    def undo_teachings(self, ids: Iterable[int]) -> None:
        """Take teachings back; they stay in the history."""
        at = _now()
        statement = "UPDATE teachings SET undone = ? WHERE id = ? AND undone IS NULL"
        self._catalog.change_many(statement, ((at, id_) for id_ in ids))

    # Examples

    def example_count(self) -> int:
        """Return the number of examples with a teaching that was not undone."""
        sql = "SELECT count(DISTINCT example) FROM teachings WHERE undone IS NULL"
        return int(self._catalog.rows(sql)[0][0]) if self.exist() else 0

    def example_data(self, ids: Iterable[int], dim: int) -> tuple[F16, I8]:
        """Return features float16 (n, dim) and sketches int8 (n, SKETCH_LENGTH) of examples."""
        wanted = list(ids)
        features, sketches = np.empty((len(wanted), dim), np.float16), np.empty((len(wanted), SKETCH_LENGTH), np.int8)
        places = {id_: place for place, id_ in enumerate(wanted)}
        for id_, feature, sketch in self._catalog.rows_of("SELECT id, feature, sketch FROM examples WHERE id", wanted):
            features[places[id_]] = np.frombuffer(feature, "<f2")
            sketches[places[id_]] = np.frombuffer(sketch, np.int8)
        return features, sketches

    def example_items(self) -> dict[int, int]:
        """Return the living items that are examples: item id -> example id."""
        if not self.exist():
            return {}
        found = self._catalog.rows(
            "SELECT i.id, e.id FROM examples e JOIN files f ON f.hash = e.hash JOIN items i ON i.file = f.id "
            "WHERE i.alive AND i.start IS e.start"
        )
        return dict(found)

    # Concepts

    def rename_concept(self, old: str, new: str) -> None:
        """Give a concept another name; if another concept has it, the two become one."""
        if old == new:
            return
        self._catalog.change("UPDATE teachings SET concept = ? WHERE concept = ?", (new, old))
        for child, parent in self.parents().items():
            if parent.casefold() == old.casefold():  # it may have been named before it was taught
                self.set_parent(child, new)
        self._catalog.change("UPDATE OR IGNORE parents SET concept = ? WHERE concept = ?", (new, old))
        self._catalog.change("DELETE FROM parents WHERE concept = ?", (old,))
        # A concept between the two would now be below itself.
        above = {child.casefold(): parent.casefold() for child, parent in self.parents().items()}
        step = above.get(new.casefold())
        while step is not None and step != new.casefold():
            step = above.get(step)
        if step is not None:
            self.set_parent(new, None)

    def parents(self) -> dict[str, str]:
        """Return concept -> the concept above it."""
        return dict(self._catalog.rows("SELECT concept, parent FROM parents")) if self.exist() else {}

    def set_parent(self, concept: str, parent: str | None) -> None:
        """Put a concept below another, or below none."""
        if parent is None:
            self._catalog.change("DELETE FROM parents WHERE concept = ?", (concept,))
        else:
            self._catalog.change("INSERT OR REPLACE INTO parents VALUES (?, ?)", (concept, parent))

    def drop_parents(self) -> None:
        """Remove the parents of concepts that have no teaching left."""
        self._catalog.change(
            "DELETE FROM parents WHERE concept NOT IN (SELECT concept FROM teachings WHERE undone IS NULL AND is_one)"
        )


def example_id(digest: bytes, start: float | None) -> int:
    """Return a number for a file's content and the shot that begins at ``start``: 0 to 2**63 - 1."""
    place = "" if start is None else f"{start:.3f}"
    return int.from_bytes(hashlib.blake2b(digest + place.encode(), digest_size=8).digest(), "little") >> 1


def _teaching(*columns: Any) -> Teaching:
    id_, example, concept, is_one, said, at, who, path, start, end, undone = columns
    return Teaching(id_, example, concept, bool(is_one), said, at, who, path_from_sql(path), start, end, undone)


def _now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _user() -> str:
    """Return the name of the user; empty if the system has none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
