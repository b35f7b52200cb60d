"""The catalog: which files are in the collection, where their items lie, what failed. SQLite in WAL mode.

All SQL of the project is in this file. It knows rows and numbers; it opens no segment and no picture.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from assocmem.errors import CollectionError, DamagedError, LockedError, MismatchError
from assocmem.index.rows import Failure, FileRow, ItemRow, path_from_sql, path_to_sql

FORMAT = 1
NAME = "catalog.sqlite3"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path NOT NULL UNIQUE, kind TEXT NOT NULL, hash BLOB NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL);
CREATE INDEX files_by_hash ON files (hash);
CREATE TABLE items (
    id INTEGER PRIMARY KEY, file INTEGER REFERENCES files (id) ON DELETE SET NULL, kind TEXT NOT NULL,
    start REAL, "end" REAL, segment INTEGER NOT NULL, row INTEGER NOT NULL, alive INTEGER NOT NULL DEFAULT 1);
CREATE INDEX items_by_file ON items (file);
CREATE INDEX dead_items ON items (segment, row) WHERE alive = 0;
CREATE TABLE segments (id INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
CREATE TABLE failures (
    path PRIMARY KEY NOT NULL, reason TEXT NOT NULL, size INTEGER, mtime_ns INTEGER, lasting INTEGER NOT NULL);
"""


class Catalog:
    """One connection to a collection's catalog. Not for sharing between threads.

    Parameters
    ----------
    folder : Path
        The collection's directory.
    create : dict of str to str, optional
        Make the catalog, with this meta, if there is none.
    """

    def __init__(self, folder: Path, *, create: dict[str, str] | None = None) -> None:
        self.path = folder / NAME
        if create is None and not self.path.exists():
            raise CollectionError(
                f"{folder}: expected a collection, found no {NAME}; make one with `assocmem index FOLDER -c {folder}`"
            )
        self._db = self._connect()
        if create is not None:
            self._create(create)
        self._check_format()

    def _connect(self) -> sqlite3.Connection:
        if os.access(self.path.parent, os.W_OK):
            name, uri = str(self.path), False
        else:  # a reader on a read-only disk cannot make the WAL's shared memory
            name, uri = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", True
        db = sqlite3.connect(name, timeout=30, isolation_level=None, check_same_thread=False, uri=uri)
        with self._trouble_named():
            db.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits when the power fails
            db.execute("PRAGMA foreign_keys = ON")
        return db

    @contextlib.contextmanager
    def _trouble_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise LockedError(f"{self.path}: another process keeps the catalog busy; try again later") from error
            raise CollectionError(
                f"{self.path}: the catalog cannot be used ({error}); is the disk full, or the folder read-only?"
            ) from error
        except sqlite3.DatabaseError as error:
            raise DamagedError(
                f"{self.path}: expected a catalog, found damage ({error}); "
                "restore it from a backup, or index the folders into a new collection"
            ) from error

    def _run(self, sql: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        with self._trouble_named():
            return self._db.execute(sql, tuple(values))

    def _run_many(self, sql: str, rows: Iterable[Iterable[Any]]) -> None:
        with self._trouble_named():
            self._db.executemany(sql, (tuple(row) for row in rows))

    def _create(self, meta: dict[str, str]) -> None:
        self._run("PRAGMA journal_mode = WAL")  # kept in the file: readers go on while a writer commits
        with self.transaction():
            if self._run("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                return
            for statement in _SCHEMA.split(";"):
                self._run(statement)
            first = {"format": str(FORMAT), "generation": "0", "next_item": "1", "next_segment": "1"}
            self._run_many("INSERT INTO meta VALUES (?, ?)", {**first, **meta}.items())

    def _check_format(self) -> None:
        found = self.meta("format")
        if found != str(FORMAT):
            raise MismatchError(
                f"{self.path.parent}: expected collection format {FORMAT}, found {found}; "
                "it was written by another version: update assocmem, or index the folders into a new collection"
            )

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing."""
        self._run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Everything inside sees one generation."""
        self._run("BEGIN")
        try:
            yield
        finally:
            self._run("COMMIT")

    # meta

    def meta(self, key: str) -> str | None:
        """Return the value of a meta key."""
        row = self._run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Set a meta key."""
        self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def take(self, counter: str, count: int) -> int:
        """Reserve ``count`` numbers of a counter that never goes back; returns the first."""
        first = int(self.meta(counter) or "1")
        self.set_meta(counter, str(first + count))
        return first

    @property
    def generation(self) -> int:
        """Goes up by one with every commit."""
        return int(self.meta("generation") or "0")

    def next_generation(self) -> None:
        """Part of every committing transaction."""
        self.set_meta("generation", str(self.generation + 1))

    # files and items

    def file(self, path: str) -> tuple[int, FileRow] | None:
        """Return (id, row) of a path, or None."""
        row = self._run(
            "SELECT id, path, kind, hash, size, mtime_ns FROM files WHERE path = ?", (path_to_sql(path),)
        ).fetchone()
        return None if row is None else (row[0], FileRow(path_from_sql(row[1]), *row[2:]))

    def files_with_hash(self, digest: bytes) -> list[tuple[int, FileRow]]:
        """Files of this content."""
        rows = self._run("SELECT id, path, kind, hash, size, mtime_ns FROM files WHERE hash = ? ORDER BY id", (digest,))
        return [(row[0], FileRow(path_from_sql(row[1]), *row[2:])) for row in rows]

    def paths(self) -> list[tuple[int, str]]:
        """(id, path) of every file, in order of addition."""
        return [(row[0], path_from_sql(row[1])) for row in self._run("SELECT id, path FROM files ORDER BY id")]

    def add_file(self, file: FileRow) -> int:
        """Insert a file; returns its id."""
        cursor = self._run(
            "INSERT INTO files (path, kind, hash, size, mtime_ns) VALUES (?, ?, ?, ?, ?)",
            (path_to_sql(file.path), file.kind, file.hash, file.size, file.mtime_ns),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def touch_file(self, file_id: int, path: str, mtime_ns: int) -> None:
        """The same content under another path or time."""
        self._run("UPDATE files SET path = ?, mtime_ns = ? WHERE id = ?", (path_to_sql(path), mtime_ns, file_id))

    def remove_files(self, file_ids: Iterable[int]) -> int:
        """Forget files; their items are dead from now on. Returns how many items that were."""
        count = 0
        for file_id in file_ids:
            count += self._run("UPDATE items SET alive = 0 WHERE file = ?", (file_id,)).rowcount
            self._run("DELETE FROM files WHERE id = ?", (file_id,))
        return count

    def add_items(self, rows: Iterable[tuple[int, int, str, float | None, float | None, int, int]]) -> None:
        """Insert (id, file, kind, start, end, segment, row)."""
        self._run_many(
            'INSERT INTO items (id, file, kind, start, "end", segment, row) VALUES (?, ?, ?, ?, ?, ?, ?)',
            rows,
        )

    def items(self, ids: Iterable[int]) -> dict[int, ItemRow]:
        """Items by id; ids that are not alive are missing."""
        found = {}
        for item in ids:
            row = self._run(
                'SELECT i.id, f.path, i.kind, i.start, i."end" FROM items i JOIN files f ON f.id = i.file '
                "WHERE i.id = ? AND i.alive",
                (item,),
            ).fetchone()
            if row is not None:
                found[item] = ItemRow(row[0], path_from_sql(row[1]), *row[2:])
        return found

    def items_of_file(self, file_id: int) -> list[tuple[ItemRow, int, int]]:
        """(item, segment, row) of a file's items, in order."""
        rows = self._run(
            'SELECT i.id, f.path, i.kind, i.start, i."end", i.segment, i.row '
            "FROM items i JOIN files f ON f.id = i.file WHERE f.id = ? AND i.alive ORDER BY i.id",
            (file_id,),
        )
        return [(ItemRow(row[0], path_from_sql(row[1]), *row[2:5]), row[5], row[6]) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many living items of each kind, files and failures."""
        kinds = dict(self._run("SELECT kind, count(*) FROM items WHERE alive GROUP BY kind").fetchall())
        return {
            "images": kinds.get("image", 0),
            "shots": kinds.get("shot", 0),
            "files": self._run("SELECT count(*) FROM files").fetchone()[0],
            "failures": self._run("SELECT count(*) FROM failures").fetchone()[0],
        }

    # segments

    def segments(self) -> dict[int, int]:
        """Number -> rows of every live segment, oldest first."""
        return dict(self._run("SELECT id, rows FROM segments ORDER BY id").fetchall())

    def add_segment(self, number: int, rows: int) -> None:
        """Make a segment live."""
        self._run("INSERT INTO segments VALUES (?, ?)", (number, rows))

    def dead_rows(self) -> dict[int, list[int]]:
        """Segment -> rows that are no longer to be found."""
        dead: dict[int, list[int]] = {}
        for segment, row in self._run("SELECT segment, row FROM items WHERE alive = 0 ORDER BY segment, row"):
            dead.setdefault(segment, []).append(row)
        return dead

    def segment_rows(self, number: int) -> list[tuple[int, int, bool]]:
        """(row, item id, alive) of a segment, by row."""
        rows = self._run("SELECT row, id, alive FROM items WHERE segment = ? ORDER BY row", (number,))
        return [(row, item, bool(alive)) for row, item, alive in rows]

    def replace_segments(self, old: Iterable[int], new: int, places: Iterable[tuple[int, int]]) -> None:
        """Items move to segment ``new``, at (row, item id) ``places``; the old segments and their dead go."""
        for number in old:
            self._run("DELETE FROM items WHERE segment = ? AND alive = 0", (number,))
            self._run("DELETE FROM segments WHERE id = ?", (number,))
        self._run_many(f"UPDATE items SET segment = {int(new)}, row = ? WHERE id = ?", places)

    # failures

    def failures(self) -> list[Failure]:
        """All files that could not be read, by path."""
        rows = self._run("SELECT path, reason, size, mtime_ns, lasting FROM failures ORDER BY path")
        return [Failure(path_from_sql(row[0]), row[1], row[2], row[3], bool(row[4])) for row in rows]

    def failure(self, path: str) -> Failure | None:
        """What is known against a path."""
        row = self._run(
            "SELECT path, reason, size, mtime_ns, lasting FROM failures WHERE path = ?", (path_to_sql(path),)
        ).fetchone()
        return None if row is None else Failure(path_from_sql(row[0]), row[1], row[2], row[3], bool(row[4]))

    def set_failure(self, failure: Failure) -> None:
        """Keep a failure, in place of what was known."""
        self._run(
            "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)",
            (path_to_sql(failure.path), failure.reason, failure.size, failure.mtime_ns, failure.lasting),
        )

    def clear_failure(self, path: str) -> None:
        """The file was read after all, or is gone."""
        self._run("DELETE FROM failures WHERE path = ?", (path_to_sql(path),))

    def move_failure(self, old: str, new: str) -> None:
        """The file of a failure was moved."""
        self._run("UPDATE OR REPLACE failures SET path = ? WHERE path = ?", (path_to_sql(new), path_to_sql(old)))

    def integrity(self) -> list[str]:
        """SQLite's own complaints about the file."""
        try:
            rows = self._run("PRAGMA integrity_check").fetchall()
        except CollectionError as error:
            return [str(error)]
        return [f"catalog: {row[0]}" for row in rows if row[0] != "ok"]
