"""The catalog: one SQLite file that lists files, items, segments and failures. SQLite runs in WAL mode.

All SQL about these tables is here; SQL about teachings is in ``teaching_tables``, which uses a catalog's connection.
The catalog contains rows and numbers: it opens no segment and no picture. Paths have one spelling everywhere, and the
functions that produce it are here too, because a path is the key of a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from assocmem._storage.hdf5 import sync
from assocmem.errors import (
    CollectionError,
    CollectionMismatchError,
    DamagedCollectionError,
    InputError,
    LockedError,
)
from assocmem.index.store.lock import NAME as LOCK_NAME
from assocmem.index.store.records import Failure, FileRow, ItemRow, PlacedItem

FORMAT = 1
NAME = "catalog.sqlite3"
BUSY_SECONDS = 30.0
"""How long to wait for another process before giving up."""

StrPath: TypeAlias = str | os.PathLike[str]
SqlValues: TypeAlias = Iterable[Any]

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
_ITEM = 'i.id, f.path, i.kind, i.start, i."end"'
_PLACED = f"SELECT {_ITEM}, f.hash, i.segment, i.row FROM items i JOIN files f ON f.id = i.file WHERE i.alive"
_WITHOUT_FILE = "SELECT id FROM items WHERE alive AND file NOT IN (SELECT id FROM files) OR alive AND file IS NULL"
_ASTRAY = "SELECT id, segment FROM items WHERE segment NOT IN (SELECT id FROM segments)"
_IDS_AT_ONCE = 500
"""Ids per SELECT: fewer than the variables that any build of SQLite allows."""
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CIRCUMSTANCES = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM}  # fmt: skip


class Catalog:
    """One connection to the catalog of a collection. Not for sharing between threads.

    Parameters
    ----------
    folder : Path
        The collection's folder.
    create : dict of str to str, optional
        Make the catalog with this meta, if it is missing.

    Raises
    ------
    CollectionError
        The catalog is missing, or cannot be opened.
    DamagedCollectionError, CollectionMismatchError
    """

    def __init__(self, folder: Path, *, create: dict[str, str] | None = None) -> None:
        self.path = folder / NAME
        if not self.path.exists():
            if create is None:
                raise CollectionError(
                    f"{folder}: expected a collection, found no {NAME}; "
                    f"make one with `assocmem index FOLDER -c {folder}`"
                )
            _create_database(self.path, create)
        self._db = _connect(self.path)
        try:
            self._check_length()
            self._check_format()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def can_be_made(folder: Path) -> bool:
        """Return whether a folder is empty, except for files of a process that was killed while making a collection."""
        unfinished = _unfinished_path(folder / NAME).name
        leftovers = {LOCK_NAME, unfinished, f"{unfinished}-journal", f"{unfinished}-wal", f"{unfinished}-shm"}
        return folder.is_dir() and leftovers.issuperset(path.name for path in folder.iterdir())

    def _check_length(self) -> None:
        """SQLite reads a last page that is cut short as one that ends in zeros."""
        size, page = self.path.stat().st_size, self.rows("PRAGMA page_size")[0][0]
        if size % page:
            raise DamagedCollectionError(
                f"{self.path}: expected a multiple of {page} bytes, found {size}: the catalog is cut short; "
                "restore it from a backup, or index the folders into a new collection"
            )

    def _check_format(self) -> None:
        found = self.meta("format")
        if found != str(FORMAT):
            raise CollectionMismatchError(
                f"{self.path.parent}: expected collection format {FORMAT}, found {found}; "
                "it was written by another version: update assocmem, or index the folders into a new collection"
            )

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    # SQL

    def rows(self, sql: str, values: SqlValues = ()) -> list[Any]:
        """Return all rows of a query."""
        with _errors_named(self.path):  # around the fetching too: damage further on in a table shows only then
            return self._db.execute(sql, tuple(values)).fetchall()

    def row(self, sql: str, values: SqlValues = ()) -> Any | None:
        """Return the first row of a query, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def rows_of(self, sql: str, ids: Iterable[int]) -> list[Any]:
        """Return all rows of a query that ends with the column of an id, for some ids."""
        wanted = sorted(set(ids))
        found: list[Any] = []
        for start in range(0, len(wanted), _IDS_AT_ONCE):
            part = wanted[start : start + _IDS_AT_ONCE]
            found += self.rows(f"{sql} IN ({', '.join('?' * len(part))})", part)
        return found

    def change(self, sql: str, values: SqlValues = ()) -> sqlite3.Cursor:
        """Run a statement that changes something."""
        with _errors_named(self.path):
            return self._db.execute(sql, tuple(values))

    def change_many(self, sql: str, rows: Iterable[SqlValues]) -> None:
        """Run a statement for each row of values."""
        with _errors_named(self.path):
            self._db.executemany(sql, (tuple(row) for row in rows))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing."""
        try:
            self.change("BEGIN IMMEDIATE")
            yield
            self.change("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself rolls back after some errors, such as a full disk
                self.change("ROLLBACK")
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Everything inside sees one generation."""
        self.change("BEGIN")
        try:
            yield
        finally:
            self.change("COMMIT")

    # Meta

    def meta(self, key: str) -> str | None:
        """Return the value of a meta key, or None."""
        found = self.row("SELECT value FROM meta WHERE key = ?", (key,))
        return None if found is None else str(found[0])

    @property
    def roots(self) -> list[str]:
        """What was indexed so far, files and folders; none if nothing was indexed since they are noted."""
        return list(json.loads(self.meta("roots") or "[]"))

    def add_roots(self, paths: list[str]) -> None:
        """Note what is indexed; part of a transaction."""
        roots = self.roots
        if new := [path for path in dict.fromkeys(paths) if path not in roots]:
            self.set_meta("roots", json.dumps([*roots, *new]))

    def set_meta(self, key: str, value: str) -> None:
        """Set a meta key."""
        self.change("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def take(self, counter: str, count: int) -> int:
        """Reserve ``count`` numbers of a counter that never goes back; returns the first."""
        first = int(self.meta(counter) or "1")
        self.set_meta(counter, str(first + count))
        return first

    @property
    def generation(self) -> int:
        """Number of commits so far."""
        return int(self.meta("generation") or "0")

    def next_generation(self) -> None:
        """Count a commit; part of every committing transaction."""
        self.set_meta("generation", str(self.generation + 1))

    @property
    def taught_version(self) -> int | None:
        """Number of changes to the teachings; None if the collection was never taught."""
        found = self.meta("taught")
        return None if found is None else int(found)

    def next_taught_version(self) -> None:
        """Count a change to the teachings; part of every transaction that changes them."""
        self.set_meta("taught", str((self.taught_version or 0) + 1))

    # Files

    def file(self, path: str) -> tuple[int, FileRow] | None:
        """Return (id, row) of a path, or None."""
        found = self.row("SELECT id, path, kind, hash, size, mtime_ns FROM files WHERE path = ?", (path_to_sql(path),))
        return None if found is None else (found[0], FileRow(path_from_sql(found[1]), *found[2:]))

    def files_with_hash(self, digest: bytes) -> list[tuple[int, FileRow]]:
        """Return (id, row) of the files with this content, except those that circumstances cut short."""
        found = self.rows(
            "SELECT f.id, f.path, f.kind, f.hash, f.size, f.mtime_ns, x.reason FROM files f LEFT JOIN failures x "
            "ON x.path = f.path AND x.size = f.size AND x.mtime_ns = f.mtime_ns "
            "WHERE f.hash = ? AND coalesce(x.lasting, 1) ORDER BY f.id",
            (digest,),
        )
        return [(row[0], FileRow(path_from_sql(row[1]), *row[2:])) for row in found]

    def paths(self) -> list[tuple[int, str]]:
        """Return (id, path) of every file, in order of addition."""
        return [(row[0], path_from_sql(row[1])) for row in self.rows("SELECT id, path FROM files ORDER BY id")]

    def files_below(self, path: str) -> dict[int, str]:
        """Return id -> path of a file, or of every file in a folder and below it."""
        condition, values = _below("path", path)
        found = self.rows(f"SELECT id, path FROM files WHERE {condition} ORDER BY id", values)
        return {row[0]: path_from_sql(row[1]) for row in found}

    def add_file(self, file: FileRow) -> int:
        """Insert a file; returns its id."""
        cursor = self.change(
            "INSERT INTO files (path, kind, hash, size, mtime_ns) VALUES (?, ?, ?, ?, ?)",
            (path_to_sql(file.path), file.kind, file.hash, file.size, file.mtime_ns),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def touch_file(self, file_id: int, path: str, mtime_ns: int) -> None:
        """Give a file another path or time; its content is the same."""
        self.change("UPDATE files SET path = ?, mtime_ns = ? WHERE id = ?", (path_to_sql(path), mtime_ns, file_id))

    def remove_files(self, file_ids: Iterable[int]) -> int:
        """Remove files; their items are dead from now on. Returns the number of these items."""
        count = 0
        for file_id in file_ids:
            count += self.change("UPDATE items SET alive = 0 WHERE file = ?", (file_id,)).rowcount
            self.change("DELETE FROM files WHERE id = ?", (file_id,))
        return count

    # Items

    def add_items(self, rows: Iterable[tuple[int, int, str, float | None, float | None, int, int]]) -> None:
        """Insert (id, file, kind, start, end, segment, row)."""
        self.change_many(
            'INSERT INTO items (id, file, kind, start, "end", segment, row) VALUES (?, ?, ?, ?, ?, ?, ?)', rows
        )

    def items(self, ids: Iterable[int]) -> dict[int, ItemRow]:
        """Return items by id; ids that are not alive are missing."""
        return {placed.item.id: placed.item for placed in self.placed(ids)}

    def placed(self, ids: Iterable[int]) -> list[PlacedItem]:
        """Return living items with their places, by id; ids that are not alive are missing."""
        return sorted(map(_placed, self.rows_of(f"{_PLACED} AND i.id", ids)), key=lambda placed: placed.item.id)

    def placed_of_file(self, file_id: int) -> list[PlacedItem]:
        """Return the living items of a file with their places, by id."""
        return [_placed(row) for row in self.rows(f"{_PLACED} AND f.id = ? ORDER BY i.id", (file_id,))]

    def ids_below(self, path: str) -> set[int]:
        """Return the living items of a file, or of every file in a folder and below it."""
        condition, values = _below("f.path", path)
        found = self.rows(
            f"SELECT i.id FROM files f JOIN items i ON i.file = f.id WHERE i.alive AND ({condition})", values
        )
        return {row[0] for row in found}

    def counts(self) -> dict[str, int]:
        """Return the numbers of living items of each kind, of files and of failures."""
        kinds = dict(self.rows("SELECT kind, count(*) FROM items WHERE alive GROUP BY kind"))
        return {
            "images": kinds.get("image", 0),
            "shots": kinds.get("shot", 0),
            "files": self.rows("SELECT count(*) FROM files")[0][0],
            "failures": self.rows("SELECT count(*) FROM failures")[0][0],
        }

    # Segments

    def segments(self) -> dict[int, int]:
        """Return number -> rows of every live segment, oldest first."""
        return dict(self.rows("SELECT id, rows FROM segments ORDER BY id"))

    def add_segment(self, number: int, rows: int) -> None:
        """Make a segment live."""
        self.change("INSERT INTO segments VALUES (?, ?)", (number, rows))

    def dead_rows(self) -> dict[int, list[int]]:
        """Return segment -> rows that are no longer found."""
        dead: dict[int, list[int]] = {}
        for segment, row in self.rows("SELECT segment, row FROM items WHERE alive = 0 ORDER BY segment, row"):
            dead.setdefault(segment, []).append(row)
        return dead

    def segment_rows(self, number: int) -> list[tuple[int, int, bool]]:
        """Return (row, item id, alive) of a segment, by row."""
        found = self.rows("SELECT row, id, alive FROM items WHERE segment = ? ORDER BY row", (number,))
        return [(row, item, bool(alive)) for row, item, alive in found]

    def replace_segments(self, old: Iterable[int], new: int, places: Iterable[tuple[int, int]]) -> None:
        """Move items to segment ``new``, at (row, item id) ``places``; the old segments and their dead items go."""
        for number in old:
            self.change("DELETE FROM items WHERE segment = ? AND alive = 0", (number,))
            self.change("DELETE FROM segments WHERE id = ?", (number,))
        self.change_many(f"UPDATE items SET segment = {int(new)}, row = ? WHERE id = ?", places)

    # Failures

    def failures(self) -> list[Failure]:
        """Return all files that could not be read, by path."""
        found = self.rows("SELECT path, reason, size, mtime_ns, lasting FROM failures ORDER BY path")
        return [Failure(path_from_sql(row[0]), row[1], row[2], row[3], bool(row[4])) for row in found]

    def failure(self, path: str) -> Failure | None:
        """Return the failure of a path, or None."""
        found = self.row(
            "SELECT path, reason, size, mtime_ns, lasting FROM failures WHERE path = ?", (path_to_sql(path),)
        )
        return None if found is None else Failure(path_from_sql(found[0]), found[1], found[2], found[3], bool(found[4]))

    def set_failure(self, failure: Failure) -> None:
        """Store a failure; it replaces an earlier one of the same path."""
        self.change(
            "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)",
            (path_to_sql(failure.path), failure.reason, failure.size, failure.mtime_ns, failure.lasting),
        )

    def clear_failure(self, path: str) -> None:
        """Remove the failure of a path: the file was read after all, or is gone."""
        self.change("DELETE FROM failures WHERE path = ?", (path_to_sql(path),))

    # Integrity

    def integrity(self) -> list[str]:
        """Return SQLite's own complaints about the file, and rows that point to nothing."""
        try:
            found = [row[0] for row in self.rows("PRAGMA integrity_check") if row[0] != "ok"]
            found += [f"item {row[0]} belongs to no file" for row in self.rows(_WITHOUT_FILE)]
            found += [f"item {row[0]} is in segment {row[1]}, which is not live" for row in self.rows(_ASTRAY)]
        except (CollectionError, DamagedCollectionError) as error:
            return [str(error)]
        return [f"catalog: {problem}" for problem in found]


def _placed(row: Sequence[Any]) -> PlacedItem:
    return PlacedItem(ItemRow(row[0], path_from_sql(row[1]), *row[2:5]), *row[5:])


def _below(column: str, path: str) -> tuple[str, list[str | bytes]]:
    """Return a condition for a path and everything below it, and its values.

    Paths are text, or bytes where they are not valid UTF-8; SQLite compares text only with text. A range is answered by
    the index: everything below a folder sorts between its name with a separator and the name with the next character.
    """
    inside = path.rstrip(os.sep) + os.sep
    after = inside[:-1] + chr(ord(os.sep) + 1)
    condition, values = f"{column} = ?", [path_to_sql(path)]
    for low, high in ((path_to_sql(inside), path_to_sql(after)), (os.fsencode(inside), os.fsencode(after))):
        condition += f" OR ({column} >= ? AND {column} < ?)"
        values += [low, high]
    return condition, values


# Paths


def absolute(path: StrPath) -> str:
    """Return the one spelling of a path: ``~`` expanded, absolute, without ``..``; symbolic links are left alone."""
    if not os.fspath(path):
        raise InputError("expected a path, found an empty one; an unset variable, perhaps?")
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def listed(paths: StrPath | Iterable[StrPath]) -> list[StrPath]:
    """Return a list of paths; one path is a list of one, not an iterable of its letters."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def path_to_sql(path: str) -> str | bytes:
    """Return a path as SQLite can store it: text, or its bytes if they are not valid UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def path_from_sql(path: str | bytes) -> str:
    """Undo ``path_to_sql``; bytes that are not valid UTF-8 become surrogates, as in ``os.fsdecode``."""
    return path if isinstance(path, str) else os.fsdecode(path)


# The database file


def _connect(path: Path) -> sqlite3.Connection:
    name, uri = str(path), False
    if not os.access(path.parent, os.W_OK):
        # A reader on a read-only disk cannot make the WAL's shared memory. Without a WAL it need not: nobody writes.
        # With one, SQLite decides: the last commits are in there, and must not be passed over.
        log = path.with_name(f"{path.name}-wal")
        idle = not log.exists() or log.stat().st_size == 0
        name, uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if idle else ''}", True
    with _errors_named(path):
        db = sqlite3.connect(name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=uri)
        try:
            db.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits when the power fails
            db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            db.close()
            raise
    return db


def _create_database(path: Path, meta: dict[str, str]) -> None:
    """Make the database under another name and rename it: it exists as a whole, or not at all."""
    unfinished = _unfinished_path(path)
    for suffix in ("", "-wal", "-shm"):  # of a process that was killed
        unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
    first = {"format": str(FORMAT), "generation": "0", "next_item": "1", "next_segment": "1", **meta}
    with _errors_named(path), contextlib.closing(sqlite3.connect(unfinished)) as db:
        db.executescript(_SCHEMA)
        with db:
            db.executemany("INSERT INTO meta VALUES (?, ?)", first.items())
        db.execute("PRAGMA journal_mode = WAL")  # stored in the file: readers go on while a writer commits
    sync(unfinished)
    unfinished.rename(path)
    sync(path.parent)


def _unfinished_path(path: Path) -> Path:
    """Return where a database is while it is made."""
    return path.with_suffix(".tmp")


@contextlib.contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into the project's own."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # Python's own errors have none
        if code in _BUSY:
            raise LockedError(f"{path}: another process keeps the catalog busy; try again later") from error
        if code in _CIRCUMSTANCES:
            raise CollectionError(
                f"{path}: the catalog cannot be used ({error}); is the disk full, or the folder read-only?"
            ) from error
        raise DamagedCollectionError(
            f"{path}: expected a catalog, found damage or another program's file ({error}); "
            "restore it from a backup, or index the folders into a new collection"
        ) from error
