"""IdTable: int64 ids -> rows and back, without a cost while ids are the rows' own numbers."""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.types import I32, I64, Integers

EMPTY = -1
LEAST = 64
FULL = 0.7
"""Share of the table that is used before it is doubled."""

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_options)
def _home(id_, mask):  # type: ignore[no-untyped-def]
    """Place an id would like: the upper half of its product with the golden ratio (Knuth, TAOCP 3, 6.4)."""
    return np.int64((np.uint64(id_) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask


@njit(**_options)
def find_ids(keys, rows, ids, out):  # type: ignore[no-untyped-def]
    """Look ids up. ``keys``: int64 (2**m,), EMPTY for none; ``rows``: int32; ``out``: int32, filled, -1 for none."""
    mask = np.int64(keys.shape[0] - 1)
    for i in range(ids.shape[0]):
        at = _home(ids[i], mask)
        while keys[at] != EMPTY and keys[at] != ids[i]:
            at = (at + 1) & mask
        out[i] = rows[at] if keys[at] != EMPTY else -1


@njit(**_options)
def put_ids(keys, rows, ids, new_rows):  # type: ignore[no-untyped-def]
    """Enter ids that are not there, into a table with room for them."""
    mask = np.int64(keys.shape[0] - 1)
    for i in range(ids.shape[0]):
        at = _home(ids[i], mask)
        while keys[at] != EMPTY:
            at = (at + 1) & mask
        keys[at] = ids[i]
        rows[at] = new_rows[i]


@njit(**_options)
def drop_ids(keys, rows, ids):  # type: ignore[no-untyped-def]
    """Remove ids that are there. What stands behind a hole and could stand in it moves up, so no mark is left."""
    mask = np.int64(keys.shape[0] - 1)
    for i in range(ids.shape[0]):
        hole = _home(ids[i], mask)
        while keys[hole] != ids[i]:
            hole = (hole + 1) & mask
        at = hole
        while True:
            at = (at + 1) & mask
            if keys[at] == EMPTY:
                break
            if ((at - _home(keys[at], mask)) & mask) >= ((at - hole) & mask):
                keys[hole] = keys[at]
                rows[hole] = rows[at]
                hole = at
        keys[hole] = EMPTY


class IdTable:
    """Which row an id has.

    Attributes
    ----------
    of_rows : int64 (rows,)
        Id of each row; empty while every row's id is its number.
    """

    def __init__(self) -> None:
        self.of_rows: I64 = np.empty(0, np.int64)
        self._keys: I64 | None = None
        self._rows: I32 = np.empty(0, np.int32)
        self._used = 0

    @property
    def plain(self) -> bool:
        """Whether ids are the rows' numbers."""
        return self._keys is None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return 0 if self._keys is None else self.of_rows.nbytes + self._keys.nbytes + self._rows.nbytes

    def rows(self, ids: I64, places: I32) -> I32:
        """Rows of ids, int32, -1 for those that are not there; ``places``: below 0 for rows that are not in use."""
        if self._keys is None:
            inside = ids < len(places)
            rows = np.where(inside, ids, 0).astype(np.int32)
            inside &= (places[rows] >= 0) if len(places) else False
            return np.where(inside, rows, -1).astype(np.int32)
        out = np.empty(len(ids), np.int32)
        find_ids(self._keys, self._rows, ids, out)
        return out

    def ids(self, rows: Integers) -> I64:
        """Ids of rows, int64; -1 stays -1."""
        if self._keys is None:
            return rows.astype(np.int64)
        return np.where(rows >= 0, self.of_rows[np.maximum(rows, 0)], -1)

    def spell_out(self, rows: int, used: I32) -> None:
        """Keep ids from now on; ``rows``: how many rows there are, ``used``: those that are in use."""
        if self._keys is not None:
            return
        self.of_rows = np.arange(max(rows, 1), dtype=np.int64)
        self._make_table(len(used))
        self._enter(self.of_rows[used], used)

    def restore(self, of_rows: I64, used: I32) -> None:
        """Take ids as they were; ``of_rows``: of each row, ``used``: rows that are in use."""
        self.of_rows = of_rows
        self._make_table(len(used))
        self._enter(of_rows[used], used)

    def put(self, ids: I64, rows: I32) -> None:
        """Enter new ids; while ids are the rows' numbers there is nothing to do."""
        if self._keys is None:
            return
        if len(rows) and int(rows.max()) >= len(self.of_rows):
            longer = np.empty(max(int(rows.max()) + 1, len(self.of_rows) * 9 // 8), np.int64)
            longer[: len(self.of_rows)] = self.of_rows
            self.of_rows = longer
        self.of_rows[rows] = ids
        if (self._used + len(ids)) > FULL * len(self._keys):
            filled = self._keys != EMPTY
            old, old_rows = self._keys[filled], self._rows[filled]
            self._make_table(len(old) + len(ids))
            self._enter(old, old_rows)
        self._enter(ids, rows)

    def drop(self, ids: I64) -> None:
        """Remove ids that are there."""
        if self._keys is not None:
            drop_ids(self._keys, self._rows, ids)
            self._used -= len(ids)

    def _make_table(self, count: int) -> None:
        size = LEAST
        while count > FULL * size / 1.4:
            size *= 2
        self._keys, self._rows, self._used = np.full(size, EMPTY, np.int64), np.zeros(size, np.int32), 0

    def _enter(self, ids: I64, rows: I32) -> None:
        assert self._keys is not None
        put_ids(self._keys, self._rows, ids, rows)
        self._used += len(ids)
