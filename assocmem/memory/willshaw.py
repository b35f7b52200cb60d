"""WillshawMemory: associates sets of rows with columns, and recalls the columns of a set of rows.

The theory is in ``capacity.py``.
"""

from __future__ import annotations

import numpy as np

from assocmem._numerics.bits import count_rows, set_bits, top_scores, transpose
from assocmem._numerics.threads import check_threads, parallel_for
from assocmem._numerics.types import I64, U16
from assocmem._numerics.validation import Sets, as_integers, check_size, flatten_sets
from assocmem.errors import InputError
from assocmem.memory.base import BitMemory

_THREAD_SETS = 64  # fewer are not worth a thread


class WillshawMemory(BitMemory):
    """A binary hetero-associative memory (Willshaw, Buneman & Longuet-Higgins 1969).

    Associating sets one bit per pair of row and column and never clears one, so order and repetition do not matter, and
    two memories merge by OR.

    Parameters
    ----------
    rows : int
        Units of the input side.
    columns : int
        Units of the output side.

    Attributes
    ----------
    bits : uint64 (rows, ceil(columns / 64))

    Raises
    ------
    InputError
        Impossible sizes, or more than this machine's memory.
    """

    kind = "willshaw"

    def __init__(self, rows: int, columns: int) -> None:
        self._make(rows=rows, columns=columns)

    def _set_shape(self, rows: int, columns: int) -> None:  # type: ignore[override]
        self.rows, self.columns = check_size("rows", rows, 1), check_size("columns", columns, 1)

    @property
    def shape(self) -> dict[str, int]:
        """Rows and columns."""
        return {"rows": self.rows, "columns": self.columns}

    def _matrix_size(self) -> tuple[int, int]:
        return self.rows, self.columns

    def associate(self, row_sets: Sets, columns: Sets) -> None:
        """Associate every row of set i with column i, or with every column of set i.

        Parameters
        ----------
        row_sets : integers (n, m), -1 = none, or n arrays of integers
        columns : integers (n,), or as ``row_sets``

        Raises
        ------
        InputError
            Wrong shape, dtype or numbers; nothing is changed.
        """
        self._check_writable()
        rows, row_starts = flatten_sets(row_sets, "row_sets", self.rows)
        flat = as_integers(np.asarray(columns), "columns") if _is_flat(columns) else None
        outputs, output_starts = flatten_sets(columns if flat is None else flat[:, None], "columns", self.columns)
        if len(row_starts) != len(output_starts):
            raise InputError(
                f"columns: expected one entry per row set, {len(row_starts) - 1}, found {len(output_starts) - 1}"
            )
        row_counts, output_counts = np.diff(row_starts), np.diff(output_starts)
        pairs = row_counts * output_counts
        of = np.repeat(np.arange(len(pairs)), pairs)
        place = np.arange(len(of)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        set_rows = rows[row_starts[of] + place // output_counts[of]]
        set_columns = outputs[output_starts[of] + place % output_counts[of]]
        with self._writing:
            set_bits(self.bits, set_rows, set_columns)

    def poll(self, row_sets: Sets, *, threads: int | None = None) -> U16:
        """Count for each column the rows of the set that it is associated with.

        Parameters
        ----------
        row_sets : integers (n, m), -1 = none, or n arrays of integers
            A row that is named twice counts once.
        threads : int, optional
            As many as there are cores by default; the answer does not depend on it.

        Returns
        -------
        scores : uint16 (n, columns)
        """
        parts = check_threads(threads)
        return self._poll(*flatten_sets(row_sets, "row_sets", self.rows), parts)

    def _poll(self, rows: I64, sets: I64, parts: int) -> U16:
        """Poll for flattened sets."""
        if len(sets) > 1 and np.diff(sets).max() > np.iinfo(np.uint16).max:
            raise InputError(f"row_sets: expected at most 65535 rows in a set, found {np.diff(sets).max()}")
        scores: U16 = np.empty((len(sets) - 1, self.columns), np.uint16)
        groups = np.arange(len(rows) + 1)

        def work(start: int, stop: int) -> None:
            count_rows(self.bits, rows, groups, sets[start : stop + 1], scores[start:stop])

        parallel_for(work, len(scores), parts, _THREAD_SETS)
        return scores

    def top(self, row_sets: Sets, k: int) -> tuple[U16, I64]:
        """Return the k columns with the highest scores for each set; the lower of equal columns goes first.

        Returns
        -------
        scores : uint16 (n, k)
        columns : int64 (n, k)
            Padded with 0 and -1: a column with score zero is never returned.
        """
        k = check_size("k", k, 1)
        scores = self.poll(row_sets)
        values, columns = np.empty((len(scores), k), np.uint16), np.empty((len(scores), k), np.int64)
        top_scores(scores, values, columns)
        return values, columns

    def recall(self, row_sets: Sets, *, threshold: int | None = None) -> list[I64]:
        """Return the columns that are associated with all rows of a set, or with at least ``threshold`` of them.

        Returns
        -------
        list of int64 arrays, one per set, ascending
            Willshaw's threshold, the size of the set, never misses a column that was associated with all its rows. A
            lower one tolerates rows that were never associated. An empty set recalls nothing.
        """
        threshold = None if threshold is None else check_size("threshold", threshold, 1)
        rows, sets = flatten_sets(row_sets, "row_sets", self.rows)
        scores = self._poll(rows, sets, check_threads(None))
        least = np.maximum(1, np.diff(sets) if threshold is None else np.full(len(scores), threshold))
        return [np.flatnonzero(row >= number) for row, number in zip(scores, least, strict=True)]

    def transposed(self) -> WillshawMemory:
        """Return the memory of the other direction: its rows are these columns."""
        other = WillshawMemory(self.columns, self.rows)
        transpose(self.bits, other.bits)
        return other


def _is_flat(columns: object) -> bool:
    """Return whether there is one number per set instead of a set per set."""
    try:
        return {np.ndim(one) for one in columns} == {0}  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return False
