"""VectorStore: what a CliqueIndex stores, and how items are added and removed; ``clique_index.py`` searches it."""

from __future__ import annotations

import threading
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from assocmem._numerics.rotation import Rotation, next_power_of_two
from assocmem._numerics.threads import ReadWriteLock
from assocmem._numerics.types import F32, I32, I64, Arrays
from assocmem._numerics.validation import check_ids, check_size, check_vectors
from assocmem.codes.nibble_codes import NibbleCoder
from assocmem.errors import DuplicateIdError, IdError, InputError, UnknownIdError
from assocmem.search.id_map import IdMap
from assocmem.search.pool_kernels import POOL_ITEMS
from assocmem.search.pool_tree import ADD_CHUNK, PoolTree
from assocmem.search.vector_table import VectorTable

Conflict = Literal["refuse", "replace", "skip"]

MERGE_ROWS = 4096
"""Vectors that are copied at a time when stores are merged."""


class Stats(NamedTuple):
    """Contents and memory of an index."""

    items: int
    pools: int
    """Pools that contain items."""
    groups: int
    """Groups of pools that have been made."""
    fill: float
    """Mean share of a pool that is in use."""
    code_bytes: int
    """Bytes of the code of an item."""
    memory: dict[str, int]
    """Bytes in memory by purpose; counted, with the spare room of arrays."""
    mapped_bytes: int
    """Bytes of vectors in a mapped file."""


def rotated_width(dim: int) -> int:
    """Return the number of axes after the rotation: the next power of two, at least 16."""
    return max(16, next_power_of_two(dim))


def default_clusters(width: int) -> int:
    """Return the default number of clusters of a code: half a symbol per axis up to 256 axes, then 128."""
    return min(128, max(8, width // 2))


class VectorStore:
    """Vectors with ids, their codes in a pool tree, and the locks for threads.

    An item has an id, which the user sees, and a row, the number under which the table of vectors and the pool tree
    contain it. For the parameters see ``CliqueIndex``.

    Attributes
    ----------
    rotation : Rotation
    tree : PoolTree
        Codes; its members are rows.
    vectors : VectorTable
    ids : IdMap
    count : int
        Number of items. It changes in one step, so that it can be read without the lock.
    lock : ReadWriteLock
        Readers hold it while they use any of these; writers hold it alone, for a chunk of an ``add`` at a time.
    """

    def __init__(
        self,
        dim: int,
        metric: Literal["cosine", "l2"],
        *,
        features: str,
        clusters: int | None,
        mean: npt.ArrayLike | None,
        seed: int,
    ) -> None:
        if metric not in ("cosine", "l2"):
            raise InputError(f"metric: expected cosine or l2, found {metric!r}")
        self.dim, self.metric, self.seed = check_size("dim", dim, 1), metric, check_size("seed", seed, 0)
        self.cosine = metric == "cosine"
        width = rotated_width(dim)
        self.clusters = default_clusters(width) if clusters is None else check_size("clusters", clusters, 8)
        self.rotation = Rotation(dim, width, unit=self.cosine, mean=mean, seed=seed)
        coder = NibbleCoder(width, self.clusters)
        # Finer codes of pools are worth their time if those of items are coarse; on SIFT, they cost what they save.
        router = coder if coder.axes <= 4 else NibbleCoder(width, min(2 * self.clusters, 256))
        self.tree = PoolTree(coder, router, self._rotate_means)
        self.vectors = VectorTable(dim, features)
        self.ids = IdMap()
        self.count = 0
        self.lock = ReadWriteLock()
        self._writing = threading.RLock()
        self._rows = 0  # rows that have ever been used
        self._free_rows: list[int] = []  # those of them that may be used again
        self._next_id = 0

    @property
    def kind(self) -> dict[str, str | int]:
        """Settings that two stores must have in common, besides the mean, for their codes to mean the same."""
        same: dict[str, str | int] = {"dim": self.dim, "metric": self.metric, "features": self.vectors.kind}
        return same | {"clusters": self.clusters, "seed": self.seed}

    def _rotate_means(self, means: F32) -> F32:
        return self.rotation(np.ascontiguousarray(means[:, : self.dim]), unit=False)

    def _unrotated(self, rows: I32) -> F32:
        return self.vectors.get(rows, unit=self.cosine)

    # Reading. Callers hold the lock, unless the docstring says otherwise

    def _slot_of(self) -> I32:
        """Slot of each row in the tree, int32 (rows,); -1 for unused rows."""
        return self.tree.items.arrays.slot_of[: self._rows]

    def used_rows(self) -> I32:
        """Return the rows of all items, int32 (n,), ascending."""
        return np.flatnonzero(self.tree.items.arrays.slot_of[: self._rows] >= 0).astype(np.int32)

    def contains(self, id_: int) -> bool:
        """Return whether an item has an id, which must fit into int64. Takes the lock."""
        with self.lock.reading():
            return bool(self.ids.rows(np.array([id_], np.int64), self._slot_of())[0] >= 0)

    def all_ids(self) -> I64:
        """Return all ids, int64 (n,), ascending. Takes the lock."""
        with self.lock.reading():
            return np.sort(self.ids.ids(self.used_rows()))

    def get(self, ids: npt.ArrayLike) -> F32:
        """Return stored vectors, float32 (n, dim); UnknownIdError for a missing id. Takes the lock."""
        wanted = check_ids(ids)
        with self.lock.reading():
            return self.vectors.get(self._rows_of(wanted))

    def _rows_of(self, ids: I64) -> I32:
        rows = self.ids.rows(ids, self._slot_of())
        if (rows < 0).any():
            raise UnknownIdError(f"ids: expected ids of the index, found {ids[rows < 0][0]}, which it does not hold")
        return rows

    def stats(self) -> Stats:
        """Count contents and memory. Takes the lock."""
        with self.lock.reading():
            tree = self.tree
            memory = {
                "codes and pools": tree.items.nbytes,
                "routing": tree.pools.nbytes + tree.groups.nbytes,
                "ids": self.ids.nbytes + 8 * len(self._free_rows),
                "vectors": self.vectors.nbytes,
            }
            pools = tree.items.pools_in_use
            fill = self.count / (POOL_ITEMS * pools) if pools else 0.0
            return Stats(
                self.count, pools, tree.pools.pool_count, fill, self.clusters // 2, memory, self.vectors.mapped_bytes
            )

    # Adding and removing

    def add(self, x: F32, ids: npt.ArrayLike | None, on_conflict: Conflict) -> I64:
        """Add vectors and return their ids; see ``CliqueIndex.add``."""
        if on_conflict not in ("refuse", "replace", "skip"):
            raise InputError(f"on_conflict: expected refuse, replace or skip, found {on_conflict!r}")
        x = check_vectors(x, self.dim, "vectors", nonzero=self.cosine)
        self.vectors.check(x, nonzero=self.cosine)
        with self._writing:
            wanted = self._new_ids(len(x)) if ids is None else check_ids(ids, len(x))
            known = np.zeros(len(x), np.bool_) if ids is None else self.ids.rows(wanted, self._slot_of()) >= 0
            if known.any():
                if on_conflict == "refuse":
                    raise DuplicateIdError(
                        f"ids: expected new ones, found {wanted[known][0]} in the index ({known.sum()} such); "
                        "say on_conflict='replace' or 'skip'"
                    )
                if on_conflict == "skip":
                    x, wanted = np.ascontiguousarray(x[~known]), wanted[~known]
            self._prepare_ids(wanted)
            for start in range(0, len(x), ADD_CHUNK):
                part = slice(start, start + ADD_CHUNK)
                replaced = wanted[part][known[part]] if on_conflict == "replace" else wanted[:0]
                self._add_chunk(x[part], wanted[part], replaced)
            return wanted

    def _new_ids(self, count: int) -> I64:
        if self._next_id + count > 2**63:
            raise IdError(f"ids: expected room for {count} more, found {self._next_id - 1} taken; give ids")
        return min(self._next_id, 2**63 - 1) + np.arange(count)

    def _prepare_ids(self, wanted: I64) -> None:
        """Make ids explicit as soon as they no longer equal the row numbers, or too many rows are unused."""
        if not self.ids.is_identity:
            return
        equal = np.array_equal(wanted, np.arange(self._rows, self._rows + len(wanted)))
        if not equal or len(self._free_rows) > 1024 + self._rows // 4:
            with self.lock.writing():
                self.ids.make_explicit(self._rows, self.used_rows())

    def _add_chunk(self, x: F32, ids: I64, replaced: I64) -> None:
        rotated = self.rotation(x)
        with self.lock.writing():
            if len(replaced):
                self._remove_rows(replaced, self._rows_of(replaced))
            reused = 0 if self.ids.is_identity else min(len(self._free_rows), len(x))
            old = [self._free_rows.pop() for _ in range(reused)]
            rows = np.array([*old, *range(self._rows, self._rows + len(x) - reused)], np.int32)
            self.vectors.put(rows, x)
            self.ids.insert(ids, rows)
            self.tree.add(rotated, rows, self._unrotated)
            self._rows += len(x) - reused
            self.count += len(x) - len(replaced)
            self._next_id = max(self._next_id, int(ids.max()) + 1)

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove items; UnknownIdError, and nothing is changed, for a missing id."""
        with self._writing:
            wanted = check_ids(ids)
            rows = self._rows_of(wanted)
            with self.lock.writing():
                self._remove_rows(wanted, rows)
                self.count -= len(wanted)

    def _remove_rows(self, ids: I64, rows: I32) -> None:
        for row in rows.tolist():
            self.tree.remove(row)
            if row >= len(self.vectors.head):  # rows of the head are never written again
                self._free_rows.append(row)
        self.ids.remove(ids)

    def update(self, ids: npt.ArrayLike, x: F32) -> None:
        """Replace the vectors of items; UnknownIdError for a missing id."""
        x = check_vectors(x, self.dim, "vectors", nonzero=self.cosine)
        wanted = check_ids(ids, len(x))
        with self._writing:
            self._rows_of(wanted)
            self.add(x, wanted, "replace")

    def merge(self, other: VectorStore) -> None:
        """Copy the items of another store of the same kind and mean, with their codes and pools as they are.

        Raises
        ------
        DuplicateIdError
            Both contain an id; nothing is changed.
        """
        first, second = sorted((self, other), key=id)  # two stores that merge with each other would wait forever
        with first._writing, second._writing, other.lock.reading():
            rows = other.used_rows()
            ids = other.ids.ids(rows)
            known = self.ids.rows(ids, self._slot_of()) >= 0
            if known.any():
                raise DuplicateIdError(
                    f"merge: expected no id in both, found {ids[known][0]} ({known.sum()} such); remove them from one"
                )
            self._prepare_ids(ids)
            with self.lock.writing():
                self._copy_items(other, rows, ids)

    def _copy_items(self, other: VectorStore, rows: I32, ids: I64) -> None:
        new = np.arange(self._rows, self._rows + len(rows), dtype=np.int32)
        for start in range(0, len(rows), MERGE_ROWS):
            part = slice(start, start + MERGE_ROWS)
            self.vectors.put(new[part], other.vectors.get(rows[part]))
        self.ids.insert(ids, new)
        numbers = np.full(max(1, other._rows), -1, np.int32)
        numbers[rows] = new
        self.tree.merge(other.tree, numbers)
        self._rows += len(rows)
        self.count += len(rows)
        self._next_id = max(self._next_id, int(ids.max(initial=-1)) + 1)

    # Files

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what a file must contain: facts, and arrays without their spare room. The caller holds the lock."""
        arrays = {"mean": self.rotation.mean, "vectors": self.vectors.state(self._rows)}
        if not self.ids.is_identity:
            arrays["ids"] = self.ids.row_ids[: self._rows]
        return {**self.kind, "rows": self._rows, "next_id": self._next_id}, arrays | self.tree.state()

    def restore(self, facts: dict[str, Any], arrays: Arrays) -> None:
        """Use what ``state`` returned, in an empty store; mapped vectors stay in their file.

        Raises
        ------
        KeyError, ValueError, InputError
            The facts and arrays cannot be those of a store.
        """
        rows = int(facts["rows"])
        self.tree.restore(arrays)
        used = self.tree.items.members()
        if wrong := self.tree.inconsistent_levels():
            raise ValueError(f"{' and '.join(wrong)} that do not match the level below")
        if int(used.max(initial=-1)) >= rows:
            raise ValueError("items without vectors")
        self.vectors.restore(arrays["vectors"], rows)
        self.tree.items.reserve(rows)
        self._rows, self._next_id, self.count = rows, int(facts["next_id"]), len(used)
        if (ids := arrays.get("ids")) is not None:
            if ids.dtype != np.int64 or ids.shape != (rows,):
                raise ValueError(f"ids of {ids.dtype}, shape {ids.shape}")
            check_ids(ids[used])
            self.ids.restore(ids, used)
        unused = np.flatnonzero(self._slot_of() < 0)
        self._free_rows = unused[unused >= len(self.vectors.head)].tolist()
