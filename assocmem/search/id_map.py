"""IdMap: int64 ids -> rows and back. It takes no memory while each id equals its row number."""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.types import I32, I64, KERNEL, Bools, Integers
from assocmem.search.vector_table import grown

EMPTY = -1
"""Key of a free entry of the hash table."""
MIN_ENTRIES = 64
MAX_LOAD = 0.7
"""Share of used entries above which the hash table is doubled."""


@njit(**KERNEL)
def _home(id_, mask):  # type: ignore[no-untyped-def]
    """Return the first entry for an id: the upper half of its product with the golden ratio (Knuth, TAOCP 3, 6.4)."""
    return np.int64((np.uint64(id_) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask


@njit(**KERNEL)
def find_ids(keys, rows, ids, out):  # type: ignore[no-untyped-def]
    """Look ids up.

    ``keys``: int64 (2**m,), EMPTY if free; ``rows``: int32 (2**m,); ``out``: int32, filled, -1 for an unknown id.
    """
    mask = np.int64(keys.shape[0] - 1)
    for i in range(ids.shape[0]):
        at = _home(ids[i], mask)
        while keys[at] != EMPTY and keys[at] != ids[i]:
            at = (at + 1) & mask
        out[i] = rows[at] if keys[at] != EMPTY else -1


@njit(**KERNEL)
def insert_ids(keys, rows, ids, new_rows):  # type: ignore[no-untyped-def]
    """Insert new ids into a table that has room for them."""
    mask = np.int64(keys.shape[0] - 1)
    for i in range(ids.shape[0]):
        at = _home(ids[i], mask)
        while keys[at] != EMPTY:
            at = (at + 1) & mask
        keys[at] = ids[i]
        rows[at] = new_rows[i]


@njit(**KERNEL)
def remove_ids(keys, rows, ids):  # type: ignore[no-untyped-def]
    """Remove known ids. Entries behind a gap move into it if they may, so that no deletion marks are needed."""
    mask = np.int64(keys.shape[0] - 1)
    for i in range(ids.shape[0]):
        gap = _home(ids[i], mask)
        while keys[gap] != ids[i]:
            gap = (gap + 1) & mask
        at = gap
        while True:
            at = (at + 1) & mask
            if keys[at] == EMPTY:
                break
            if ((at - _home(keys[at], mask)) & mask) >= ((at - gap) & mask):
                keys[gap] = keys[at]
                rows[gap] = rows[at]
                gap = at
        keys[gap] = EMPTY


class IdMap:
    """Row of each id, and id of each row.

    Attributes
    ----------
    row_ids : int64 (rows,)
        Id of each row; empty while each id equals its row number.
    """

    def __init__(self) -> None:
        self.row_ids: I64 = np.empty(0, np.int64)
        self._keys: I64 | None = None
        self._rows: I32 = np.empty(0, np.int32)
        self._used = 0

    @property
    def is_identity(self) -> bool:
        """Whether each id equals its row number."""
        return self._keys is None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return 0 if self._keys is None else self.row_ids.nbytes + self._keys.nbytes + self._rows.nbytes

    def rows(self, ids: I64, used: Bools) -> I32:
        """Return the rows of ids, int32, -1 for unknown ids; ``used``: bool (rows,), whether a row is in use."""
        if self._keys is None:
            inside = ids < len(used)
            rows = np.where(inside, ids, 0).astype(np.int32)
            inside &= used[rows] if len(used) else False
            return np.where(inside, rows, -1).astype(np.int32)
        out = np.empty(len(ids), np.int32)
        find_ids(self._keys, self._rows, ids, out)
        return out

    def ids(self, rows: Integers) -> I64:
        """Return the ids of rows, int64; -1 stays -1."""
        if self._keys is None:
            return rows.astype(np.int64)
        return np.where(rows >= 0, self.row_ids[np.maximum(rows, 0)], -1)

    def make_explicit(self, rows: int, used: I32) -> None:
        """Store ids from now on; ``rows``: number of rows, ``used``: the rows in use."""
        if self._keys is None:
            self.restore(np.arange(max(rows, 1), dtype=np.int64), used)

    def restore(self, row_ids: I64, used: I32) -> None:
        """Use stored ids; ``row_ids``: the id of each row, ``used``: the rows in use."""
        self.row_ids = row_ids
        self._make_table(len(used))
        self._insert(row_ids[used], used)

    def insert(self, ids: I64, rows: I32) -> None:
        """Insert new ids; nothing is stored while each id equals its row number."""
        if self._keys is None:
            return
        if len(rows):
            self.row_ids = grown(self.row_ids, int(rows.max()) + 1)
        self.row_ids[rows] = ids
        if (self._used + len(ids)) > MAX_LOAD * len(self._keys):
            filled = self._keys != EMPTY
            old_ids, old_rows = self._keys[filled], self._rows[filled]
            self._make_table(len(old_ids) + len(ids))
            self._insert(old_ids, old_rows)
        self._insert(ids, rows)

    def remove(self, ids: I64) -> None:
        """Remove known ids."""
        if self._keys is not None:
            remove_ids(self._keys, self._rows, ids)
            self._used -= len(ids)

    def _make_table(self, count: int) -> None:
        size = MIN_ENTRIES
        while count > MAX_LOAD * size / 1.4:
            size *= 2
        self._keys, self._rows, self._used = np.full(size, EMPTY, np.int64), np.zeros(size, np.int32), 0

    def _insert(self, ids: I64, rows: I32) -> None:
        assert self._keys is not None
        insert_ids(self._keys, self._rows, ids, rows)
        self._used += len(ids)
