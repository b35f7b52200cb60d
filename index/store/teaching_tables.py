"""What the catalog keeps of teachings: every one, whoever said it and when; none is ever erased, only undone.

Examples are known by their content, so a file that is indexed anew, moved or copied is the same example. All SQL about
teachings is in this file.
"""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from assocmem._numerics.types import F16, I8
from assocmem.codes.dct_sketches import LENGTH
from assocmem.index.store.database import Database
from assocmem.index.store.records import path_from_sql, path_to_sql

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


@dataclass(frozen=True, slots=True)
class Teaching:
    """One saying about one picture or shot."""

    id: int
    """later ones are greater"""
    example: int
    concept: str
    """as it is called now"""
    is_one: bool
    """False: it was said not to be one"""
    said: str
    """what the concept was called then"""
    at: str
    """UTC, ISO 8601"""
    who: str
    path: str
    """where the file was then"""
    start: float | None
    """seconds, for shots"""
    end: float | None
    undone: str | None
    """when it was taken back: UTC, ISO 8601"""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture or shot that something is said of."""

    hash: bytes
    """of the file's content"""
    feature: F16
    """float16 (dim,)"""
    sketch: I8
    """int8 (LENGTH,)"""
    path: str
    start: float | None
    end: float | None

    @property
    def id(self) -> int:
        """Number of its content."""
        return example_id(self.hash, self.start)


def example_id(digest: bytes, start: float | None) -> int:
    """Return a number that stands for a file's content and the shot that begins at ``start``; 0 to 2**63 - 1."""
    place = "" if start is None else f"{start:.3f}"
    return int.from_bytes(hashlib.blake2b(digest + place.encode(), digest_size=8).digest(), "little") >> 1


class TeachingTables(Database):
    """The catalog's tables of examples, teachings and parents. In a collection that was never taught there are none."""

    @property
    def has_teachings(self) -> bool:
        """Whether the tables are there."""
        return self._row("SELECT 1 FROM sqlite_master WHERE name = 'parents'") is not None

    def make_teachings(self) -> None:
        """Make the tables where there are none; part of the first transaction that teaches."""
        for statement in _SCHEMA:
            self._change(statement)

    def teachings(self, *, standing: bool = False) -> list[Teaching]:
        """All teachings in order, or those that were not undone."""
        if not self.has_teachings:
            return []
        condition = " WHERE undone IS NULL" if standing else ""
        rows = self._rows(f"SELECT {_COLUMNS} FROM teachings{condition} ORDER BY id")
        return [_teaching(*row) for row in rows]

    def concept_names(self, *, denied: bool = False) -> list[str]:
        """Names of concepts that were taught, sorted; or also of those that something was only said not to be."""
        if not self.has_teachings:
            return []
        condition = "" if denied else " AND is_one"
        rows = self._rows(f"SELECT DISTINCT concept FROM teachings WHERE undone IS NULL{condition}")
        return sorted(row[0] for row in rows)

    def taught_counts(self) -> dict[str, int]:
        """How many concepts have an example, and of how many examples something stands."""
        if not self.has_teachings:
            return {"concepts": 0, "examples": 0}
        last: dict[int, str | None] = {}
        for example, concept, is_one in self._rows(
            "SELECT example, concept, is_one FROM teachings WHERE undone IS NULL ORDER BY id"
        ):
            if is_one or last.setdefault(example, None) == concept:
                last[example] = concept if is_one else None
        return {"concepts": len({concept for concept in last.values() if concept is not None}), "examples": len(last)}

    def example_data(self, ids: Iterable[int], dim: int) -> tuple[F16, I8]:
        """Features float16 (n, dim) and sketches int8 (n, LENGTH) of examples."""
        wanted = list(ids)
        features, sketches = np.empty((len(wanted), dim), np.float16), np.empty((len(wanted), LENGTH), np.int8)
        places = {id_: place for place, id_ in enumerate(wanted)}
        for id_, feature, sketch in self._rows("SELECT id, feature, sketch FROM examples") if wanted else ():
            place = places.get(id_)
            if place is not None:
                features[place] = np.frombuffer(feature, "<f2")
                sketches[place] = np.frombuffer(sketch, np.int8)
        return features, sketches

    def example_items(self) -> dict[int, int]:
        """Living items that are examples: item id -> example id."""
        if not self.has_teachings:
            return {}
        rows = self._rows(
            "SELECT i.id, e.id FROM examples e JOIN files f ON f.hash = e.hash JOIN items i ON i.file = f.id "
            "WHERE i.alive AND i.start IS e.start"
        )
        return dict(rows)

    def add_teachings(self, examples: Iterable[Example], concept: str, *, is_one: bool) -> list[int]:
        """Say of examples that they are, or are not, of a concept; returns the teachings' ids."""
        at, who = now(), _who()
        ids: list[int] = []
        for example in examples:
            self._change(
                "INSERT OR IGNORE INTO examples VALUES (?, ?, ?, ?, ?)",
                (
                    example.id,
                    example.hash,
                    example.start,
                    example.feature.astype("<f2").tobytes(),
                    example.sketch.tobytes(),
                ),
            )
            cursor = self._change(
                f"INSERT INTO teachings ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (example.id, concept, is_one, concept, at, who, path_to_sql(example.path), example.start, example.end),
            )
            assert cursor.lastrowid is not None
            ids.append(cursor.lastrowid)
        return ids

    def undo_teachings(self, ids: Iterable[int]) -> None:
        """Take teachings back; they stay in the history."""
        at = now()
        for id_ in ids:
            self._change("UPDATE teachings SET undone = ? WHERE id = ? AND undone IS NULL", (at, id_))

    def rename_concept(self, old: str, new: str) -> None:
        """Give a concept another name, which may be that of another one: then they are one."""
        if old == new:
            return
        self._change("UPDATE teachings SET concept = ? WHERE concept = ?", (new, old))
        for child, parent in self.parents().items():
            if parent.casefold() == old.casefold():  # it may have been named before it was taught
                self.set_parent(child, new)
        self._change("UPDATE OR IGNORE parents SET concept = ? WHERE concept = ?", (new, old))
        self._change("DELETE FROM parents WHERE concept = ?", (old,))
        # What stood between the two would stand below itself now.
        above = {child.casefold(): parent.casefold() for child, parent in self.parents().items()}
        step = above.get(new.casefold())
        while step is not None and step != new.casefold():
            step = above.get(step)
        if step is not None:
            self.set_parent(new, None)

    def drop_parents(self) -> None:
        """Forget what is above concepts of which nothing is left."""
        self._change(
            "DELETE FROM parents WHERE concept NOT IN (SELECT concept FROM teachings WHERE undone IS NULL AND is_one)"
        )

    def parents(self) -> dict[str, str]:
        """Concept -> the concept above it."""
        return dict(self._rows("SELECT concept, parent FROM parents")) if self.has_teachings else {}

    def set_parent(self, concept: str, parent: str | None) -> None:
        """Put a concept below another, or below none."""
        if parent is None:
            self._change("DELETE FROM parents WHERE concept = ?", (concept,))
        else:
            self._change("INSERT OR REPLACE INTO parents VALUES (?, ?)", (concept, parent))


def _teaching(*columns: Any) -> Teaching:
    id_, example, concept, is_one, said, at, who, path, start, end, undone = columns
    return Teaching(id_, example, concept, bool(is_one), said, at, who, path_from_sql(path), start, end, undone)


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    """Name of the user; empty where there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
