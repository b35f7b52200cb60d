"""The catalog: which files are in the collection, where their items lie, what failed. SQLite in WAL mode.

All SQL about these tables is in this file; that about teachings is in ``teachings``. It knows rows and numbers; it
opens no segment and no picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from assocmem.errors import CollectionError, CollectionMismatchError
from assocmem.index.store.database import create_database, unfinished_path
from assocmem.index.store.lock import NAME as LOCK_NAME
from assocmem.index.store.records import Failure, FileRow, ItemRow, path_from_sql, path_to_sql
from assocmem.index.store.teaching_tables import TeachingTables

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
_WITHOUT_FILE = "SELECT id FROM items WHERE alive AND file NOT IN (SELECT id FROM files) OR alive AND file IS NULL"
_ASTRAY = "SELECT id, segment FROM items WHERE segment NOT IN (SELECT id FROM segments)"


class Catalog(TeachingTables):
    """One connection to a collection's catalog. Not for sharing between threads.

    Parameters
    ----------
    folder : Path
        The collection's directory.
    create : dict of str to str, optional
        Make the catalog, with this meta, if there is none.
    """

    def __init__(self, folder: Path, *, create: dict[str, str] | None = None) -> None:
        path = folder / NAME
        if not path.exists():
            if create is None:
                raise CollectionError(
                    f"{folder}: expected a collection, found no {NAME}; "
                    f"make one with `assocmem index FOLDER -c {folder}`"
                )
            first = {"format": str(FORMAT), "generation": "0", "next_item": "1", "next_segment": "1"}
            create_database(path, _SCHEMA, {**first, **create})
        super().__init__(path)
        try:
            self._check_format()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def can_be_made(folder: Path) -> bool:
        """Whether a folder is empty, but for what a process leaves that is killed while it makes a collection."""
        unfinished = unfinished_path(folder / NAME).name
        leftovers = {LOCK_NAME, unfinished, f"{unfinished}-journal", f"{unfinished}-wal", f"{unfinished}-shm"}
        return folder.is_dir() and leftovers.issuperset(path.name for path in folder.iterdir())

    def _check_format(self) -> None:
        found = self.meta("format")
        if found != str(FORMAT):
            raise CollectionMismatchError(
                f"{self.path.parent}: expected collection format {FORMAT}, found {found}; "
                "it was written by another version: update assocmem, or index the folders into a new collection"
            )

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
        row = self._row("SELECT id, path, kind, hash, size, mtime_ns FROM files WHERE path = ?", (path_to_sql(path),))
        return None if row is None else (row[0], FileRow(path_from_sql(row[1]), *row[2:]))

    def files_with_hash(self, digest: bytes) -> list[tuple[int, FileRow]]:
        """Files of this content that were read as far as they can be; what circumstances cut short is left out."""
        rows = self._rows(
            "SELECT f.id, f.path, f.kind, f.hash, f.size, f.mtime_ns, x.reason FROM files f LEFT JOIN failures x "
            "ON x.path = f.path AND x.size = f.size AND x.mtime_ns = f.mtime_ns "
            "WHERE f.hash = ? AND coalesce(x.lasting, 1) ORDER BY f.id",
            (digest,),
        )
        return [(row[0], FileRow(path_from_sql(row[1]), *row[2:])) for row in rows]

    def paths(self) -> list[tuple[int, str]]:
        """(id, path) of every file, in order of addition."""
        return [(row[0], path_from_sql(row[1])) for row in self._rows("SELECT id, path FROM files ORDER BY id")]

    def add_file(self, file: FileRow) -> int:
        """Insert a file; returns its id."""
        cursor = self._change(
            "INSERT INTO files (path, kind, hash, size, mtime_ns) VALUES (?, ?, ?, ?, ?)",
            (path_to_sql(file.path), file.kind, file.hash, file.size, file.mtime_ns),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def touch_file(self, file_id: int, path: str, mtime_ns: int) -> None:
        """The same content under another path or time."""
        self._change("UPDATE files SET path = ?, mtime_ns = ? WHERE id = ?", (path_to_sql(path), mtime_ns, file_id))

    def remove_files(self, file_ids: Iterable[int]) -> int:
        """Forget files; their items are dead from now on. Returns how many items that were."""
        count = 0
        for file_id in file_ids:
            count += self._change("UPDATE items SET alive = 0 WHERE file = ?", (file_id,)).rowcount
            self._change("DELETE FROM files WHERE id = ?", (file_id,))
        return count

    def add_items(self, rows: Iterable[tuple[int, int, str, float | None, float | None, int, int]]) -> None:
        """Insert (id, file, kind, start, end, segment, row)."""
        self._change_many(
            'INSERT INTO items (id, file, kind, start, "end", segment, row) VALUES (?, ?, ?, ?, ?, ?, ?)',
            rows,
        )

    def items(self, ids: Iterable[int]) -> dict[int, ItemRow]:
        """Items by id; ids that are not alive are missing."""
        found = {}
        for item in ids:
            row = self._row(
                'SELECT i.id, f.path, i.kind, i.start, i."end" FROM items i JOIN files f ON f.id = i.file '
                "WHERE i.id = ? AND i.alive",
                (item,),
            )
            if row is not None:
                found[item] = ItemRow(row[0], path_from_sql(row[1]), *row[2:])
        return found

    def items_of_file(self, file_id: int) -> list[tuple[ItemRow, int, int]]:
        """(item, segment, row) of a file's items, in order."""
        rows = self._rows(
            'SELECT i.id, f.path, i.kind, i.start, i."end", i.segment, i.row '
            "FROM items i JOIN files f ON f.id = i.file WHERE f.id = ? AND i.alive ORDER BY i.id",
            (file_id,),
        )
        return [(ItemRow(row[0], path_from_sql(row[1]), *row[2:5]), row[5], row[6]) for row in rows]

    def ids_below(self, path: str) -> set[int]:
        """Living items of a file, or of everything in a folder."""
        inside = path.rstrip(os.sep) + os.sep
        files = [file_id for file_id, name in self.paths() if name == path or name.startswith(inside)]
        return {item.id for file_id in files for item, _, _ in self.items_of_file(file_id)}

    def places(self, ids: Iterable[int]) -> list[tuple[ItemRow, bytes, int, int]]:
        """(item, hash of its file, segment, row) of living items, in order."""
        found = []
        for item in sorted(ids):
            row = self._row(
                'SELECT i.id, f.path, i.kind, i.start, i."end", f.hash, i.segment, i.row '
                "FROM items i JOIN files f ON f.id = i.file WHERE i.id = ? AND i.alive",
                (item,),
            )
            if row is not None:
                found.append((ItemRow(row[0], path_from_sql(row[1]), *row[2:5]), *row[5:]))
        return found

    def counts(self) -> dict[str, int]:
        """How many living items of each kind, files and failures."""
        kinds = dict(self._rows("SELECT kind, count(*) FROM items WHERE alive GROUP BY kind"))
        return {
            "images": kinds.get("image", 0),
            "shots": kinds.get("shot", 0),
            "files": self._rows("SELECT count(*) FROM files")[0][0],
            "failures": self._rows("SELECT count(*) FROM failures")[0][0],
        }

    # segments

    def segments(self) -> dict[int, int]:
        """Number -> rows of every live segment, oldest first."""
        return dict(self._rows("SELECT id, rows FROM segments ORDER BY id"))

    def add_segment(self, number: int, rows: int) -> None:
        """Make a segment live."""
        self._change("INSERT INTO segments VALUES (?, ?)", (number, rows))

    def dead_rows(self) -> dict[int, list[int]]:
        """Segment -> rows that are no longer to be found."""
        dead: dict[int, list[int]] = {}
        for segment, row in self._rows("SELECT segment, row FROM items WHERE alive = 0 ORDER BY segment, row"):
            dead.setdefault(segment, []).append(row)
        return dead

    def segment_rows(self, number: int) -> list[tuple[int, int, bool]]:
        """(row, item id, alive) of a segment, by row."""
        rows = self._rows("SELECT row, id, alive FROM items WHERE segment = ? ORDER BY row", (number,))
        return [(row, item, bool(alive)) for row, item, alive in rows]

    def replace_segments(self, old: Iterable[int], new: int, places: Iterable[tuple[int, int]]) -> None:
        """Items move to segment ``new``, at (row, item id) ``places``; the old segments and their dead go."""
        for number in old:
            self._change("DELETE FROM items WHERE segment = ? AND alive = 0", (number,))
            self._change("DELETE FROM segments WHERE id = ?", (number,))
        self._change_many(f"UPDATE items SET segment = {int(new)}, row = ? WHERE id = ?", places)

    # failures

    def failures(self) -> list[Failure]:
        """All files that could not be read, by path."""
        rows = self._rows("SELECT path, reason, size, mtime_ns, lasting FROM failures ORDER BY path")
        return [Failure(path_from_sql(row[0]), row[1], row[2], row[3], bool(row[4])) for row in rows]

    def failure(self, path: str) -> Failure | None:
        """What is known against a path."""
        row = self._row(
            "SELECT path, reason, size, mtime_ns, lasting FROM failures WHERE path = ?", (path_to_sql(path),)
        )
        return None if row is None else Failure(path_from_sql(row[0]), row[1], row[2], row[3], bool(row[4]))

    def set_failure(self, failure: Failure) -> None:
        """Keep a failure, in place of what was known."""
        self._change(
            "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)",
            (path_to_sql(failure.path), failure.reason, failure.size, failure.mtime_ns, failure.lasting),
        )

    def clear_failure(self, path: str) -> None:
        """The file was read after all, or is gone."""
        self._change("DELETE FROM failures WHERE path = ?", (path_to_sql(path),))

    # looking after it

    def integrity(self) -> list[str]:
        """SQLite's own complaints about the file, and rows that point to nothing."""
        try:
            found = [row[0] for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
            found += [f"item {row[0]} belongs to no file" for row in self._rows(_WITHOUT_FILE)]
            found += [f"item {row[0]} lies in segment {row[1]}, which is not live" for row in self._rows(_ASTRAY)]
        except CollectionError as error:
            return [str(error)]
        return [f"catalog: {problem}" for problem in found]
