"""One SQLite file: opened with care, its transactions whole, its troubles named. Knows no table but ``meta``."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from assocmem._storage.hdf5 import sync
from assocmem.errors import CollectionError, DamagedCollectionError, LockedError

BUSY_SECONDS = 30.0
"""How long to wait for another process before giving up."""

Values: TypeAlias = Iterable[Any]

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CIRCUMSTANCES = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM}  # fmt: skip


class Database:
    """One connection. Not for sharing between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = self._connect()
        try:
            self._check_length()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        name, uri = str(self.path), False
        if not os.access(self.path.parent, os.W_OK):
            # A reader on a read-only disk cannot make the WAL's shared memory. Without a WAL it need not: nobody
            # writes. With one, SQLite decides: the last commits are in there, and must not be passed over.
            log = self.path.with_name(f"{self.path.name}-wal")
            idle = not log.exists() or log.stat().st_size == 0
            name, uri = f"{self.path.absolute().as_uri()}?mode=ro{'&immutable=1' if idle else ''}", True
        with _trouble_named(self.path):
            db = sqlite3.connect(name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=uri)
            try:
                db.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits when the power fails
                db.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                db.close()
                raise
        return db

    def _check_length(self) -> None:
        """SQLite takes a last page that is cut short for one that ends in zeros."""
        size, page = self.path.stat().st_size, self._rows("PRAGMA page_size")[0][0]
        if size % page:
            raise DamagedCollectionError(
                f"{self.path}: expected a multiple of {page} bytes, found {size}: the catalog is cut short; "
                "restore it from a backup, or index the folders into a new collection"
            )

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _rows(self, sql: str, values: Values = ()) -> list[Any]:
        with _trouble_named(self.path):  # around the fetching too: damage further on in a table shows only then
            return self._db.execute(sql, tuple(values)).fetchall()

    def _row(self, sql: str, values: Values = ()) -> Any | None:
        rows = self._rows(sql, values)
        return rows[0] if rows else None

    def _change(self, sql: str, values: Values = ()) -> sqlite3.Cursor:
        with _trouble_named(self.path):
            return self._db.execute(sql, tuple(values))

    def _change_many(self, sql: str, rows: Iterable[Values]) -> None:
        with _trouble_named(self.path):
            self._db.executemany(sql, (tuple(row) for row in rows))

    def meta(self, key: str) -> str | None:
        """Return the value of a meta key."""
        row = self._row("SELECT value FROM meta WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Set a meta key."""
        self._change("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def take(self, counter: str, count: int) -> int:
        """Reserve ``count`` numbers of a counter that never goes back; returns the first."""
        first = int(self.meta(counter) or "1")
        self.set_meta(counter, str(first + count))
        return first

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing."""
        try:
            self._change("BEGIN IMMEDIATE")
            yield
            self._change("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself rolls back after some errors, such as a full disk
                self._change("ROLLBACK")
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Everything inside sees one generation."""
        self._change("BEGIN")
        try:
            yield
        finally:
            self._change("COMMIT")


def create_database(path: Path, schema: str, first: dict[str, str]) -> None:
    """Make a database in WAL mode, with ``first`` in its table ``meta``.

    It is made under another name: at the name itself it is there whole, or not at all.
    """
    unfinished = unfinished_path(path)
    for suffix in ("", "-wal", "-shm"):  # of a process that was killed
        unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
    with _trouble_named(path), contextlib.closing(sqlite3.connect(unfinished)) as db:
        db.executescript(schema)
        with db:
            db.executemany("INSERT INTO meta VALUES (?, ?)", first.items())
        db.execute("PRAGMA journal_mode = WAL")  # kept in the file: readers go on while a writer commits
    sync(unfinished)
    unfinished.rename(path)
    sync(path.parent)


def unfinished_path(path: Path) -> Path:
    """Where a database is while it is being made."""
    return path.with_suffix(".tmp")


@contextlib.contextmanager
def _trouble_named(path: Path) -> Iterator[None]:
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
