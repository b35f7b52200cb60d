"""StoredVectors: what an index holds, and how items come and go; ``clique_index.py`` finds them again."""

from __future__ import annotations

import threading
from typing import Literal

import numpy as np
import numpy.typing as npt

from assocmem._numerics.rotation import next_power_of_two
from assocmem._numerics.rwlock import SharedLock
from assocmem._numerics.types import F32, I32, I64
from assocmem._numerics.validation import check_ids, check_size, check_vectors
from assocmem.codes.nibble_codes import Rotation, SymbolCoder
from assocmem.errors import DuplicateIdError, EmptyIndexError, IdError, InputError, UnknownIdError
from assocmem.search.id_map import IdTable
from assocmem.search.index_reports import Stats, take_stock
from assocmem.search.pool_tree import CHUNK, PoolTree
from assocmem.search.vector_storage import Features

Conflict = Literal["refuse", "replace", "skip"]


def width_for(dim: int) -> int:
    """Axes of the rotation of vectors of a dimension: the next power of two, at least 16."""
    return max(16, next_power_of_two(dim))


def clusters_for(width: int) -> int:
    """Clusters of an item's code unless told otherwise: half a symbol per axis up to 256 axes, then 128."""
    return min(128, max(8, width // 2))


class StoredVectors:
    """Vectors with ids, coded and in pools.

    Notes
    -----
    One thread writes at a time; readers go on meanwhile, between the chunks of an ``add``.
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
        width = width_for(dim)
        self.clusters = clusters_for(width) if clusters is None else check_size("clusters", clusters, 8)
        self._rotation = Rotation(dim, width, unit=self.cosine, mean=mean, seed=seed)
        coder = SymbolCoder(width, self.clusters)
        # Finer codes of pools pay where an item's are coarse: on SIFT they cost what they save.
        router = coder if coder.axes <= 4 else SymbolCoder(width, min(2 * self.clusters, 256))
        self._tree = PoolTree(coder, router, self._rotate_means)
        self._features = Features(dim, features)
        self._ids = IdTable()
        self._count = 0
        self._rows = 0  # rows that were ever given out
        self._vacant: list[int] = []  # those of them that may be given out again
        self._next_id = 0
        self._effort: float | None = None  # that ``tune`` found
        self._adding = threading.RLock()
        self._lock = SharedLock()

    @property
    def cosine(self) -> bool:
        """Whether similarity is the cosine."""
        return self.metric == "cosine"

    @property
    def mean(self) -> F32:
        """What is taken off before coding, float32 (dim,)."""
        return self._rotation.mean

    @property
    def kind(self) -> dict[str, str | int]:
        """What two indexes must have in common, besides the mean, for their codes to mean the same."""
        same: dict[str, str | int] = {"dim": self.dim, "metric": self.metric, "features": self._features.kind}
        return same | {"clusters": self.clusters, "seed": self.seed}

    def _rotate_means(self, means: F32) -> F32:
        return self._rotation(np.ascontiguousarray(means[:, : self.dim]), unit=False)

    def _vectors(self, rows: I32) -> F32:
        return self._features.get(rows, unit=self.cosine)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, id_: object) -> bool:
        if not isinstance(id_, (int, np.integer)) or id_ < 0 or id_ > np.iinfo(np.int64).max:
            return False
        with self._lock.reading():
            return bool(self._ids.rows(np.array([id_], np.int64), self._places())[0] >= 0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} vectors, dim={self.dim}, metric={self.metric!r}>"

    def _places(self) -> I32:
        return self._tree.items.blocks.places[: self._rows]

    def ids(self) -> I64:
        """All ids, int64 (n,), ascending."""
        with self._lock.reading():
            return np.sort(self._ids.ids(np.flatnonzero(self._places() >= 0)))

    def _check_filled(self) -> None:
        if not self._count:
            raise EmptyIndexError("expected an index with items, found an empty one; add some first")

    def stats(self) -> Stats:
        """What the index holds and takes."""
        with self._lock.reading():
            return take_stock(self)

    @property
    def memory_bytes(self) -> int:
        """Bytes in memory, counted."""
        return sum(self.stats().memory.values())

    @property
    def mapped_bytes(self) -> int:
        """Bytes of vectors in a mapped file."""
        return self.stats().mapped_bytes

    # Adding and removing

    def add(self, x: F32, ids: npt.ArrayLike | None = None, *, on_conflict: Conflict = "refuse") -> I64:
        """Add vectors, float32 (n, dim); returns their ids, int64 (n,).

        Without ``ids`` they are numbered on. Ids that are there already are refused, or their vectors replaced, or the
        new ones skipped, as ``on_conflict`` says.

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
            The vectors cannot be kept; see ``vectors.check_vectors`` and ``Features.check``. Nothing is changed.
        IdError, DuplicateIdError
            The ids cannot be used. Nothing is changed.
        """
        if on_conflict not in ("refuse", "replace", "skip"):
            raise InputError(f"on_conflict: expected refuse, replace or skip, found {on_conflict!r}")
        x = check_vectors(x, self.dim, "vectors", nonzero=self.cosine)
        self._features.check(x, nonzero=self.cosine)
        with self._adding:
            wanted = self._numbers(len(x)) if ids is None else check_ids(ids, len(x))
            there = np.zeros(len(x), np.bool_) if ids is None else self._ids.rows(wanted, self._places()) >= 0
            if there.any():
                if on_conflict == "refuse":
                    raise DuplicateIdError(
                        f"ids: expected new ones, found {wanted[there][0]} in the index ({there.sum()} such); "
                        "say on_conflict='replace' or 'skip'"
                    )
                if on_conflict == "skip":
                    x, wanted = np.ascontiguousarray(x[~there]), wanted[~there]
            self._make_ids(wanted)
            for start in range(0, len(x), CHUNK):
                part = slice(start, start + CHUNK)
                replaced = wanted[part][there[part]] if on_conflict == "replace" else wanted[:0]
                self._add_chunk(x[part], wanted[part], replaced)
            return wanted

    def _numbers(self, count: int) -> I64:
        if self._next_id + count > 2**63:
            raise IdError(f"ids: expected room for {count} more, found {self._next_id - 1} taken; give ids")
        return min(self._next_id, 2**63 - 1) + np.arange(count)

    def _make_ids(self, wanted: I64) -> None:
        """Spell ids out as soon as they are no longer the rows' numbers, or rows would be wasted otherwise."""
        if not self._ids.plain:
            return
        fresh = np.array_equal(wanted, np.arange(self._rows, self._rows + len(wanted)))
        if not fresh or len(self._vacant) > 1024 + self._rows // 4:
            with self._lock.writing():
                self._ids.spell_out(self._rows, np.flatnonzero(self._places() >= 0).astype(np.int32))

    def _add_chunk(self, x: F32, ids: I64, replaced: I64) -> None:
        rotated = self._rotation(x)
        with self._lock.writing():
            if len(replaced):
                self._take_out(replaced, self._rows_of(replaced))
            again = 0 if self._ids.plain else min(len(self._vacant), len(x))
            old = [self._vacant.pop() for _ in range(again)]
            rows = np.array([*old, *range(self._rows, self._rows + len(x) - again)], np.int32)
            self._features.put(rows, x)
            self._ids.put(ids, rows)
            self._tree.add(rotated, rows, self._vectors)
            self._rows += len(x) - again
            self._count += len(x) - len(replaced)  # in one step, as it is read without the lock
            self._next_id = max(self._next_id, int(ids.max()) + 1)

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove items; UnknownIdError, and nothing is changed, when one of them is not there."""
        with self._adding:
            self._remove(check_ids(ids))

    def _remove(self, ids: I64) -> None:
        rows = self._rows_of(ids)
        with self._lock.writing():
            self._take_out(ids, rows)
            self._count -= len(ids)

    def _take_out(self, ids: I64, rows: I32) -> None:
        for row in rows.tolist():
            self._tree.remove(row)
            if row >= len(self._features.head):  # mapped rows are never written again
                self._vacant.append(row)
        self._ids.drop(ids)

    def update(self, ids: npt.ArrayLike, x: F32) -> None:
        """Give items other vectors, float32 (n, dim); UnknownIdError when one of them is not there."""
        x = check_vectors(x, self.dim, "vectors", nonzero=self.cosine)
        wanted = check_ids(ids, len(x))
        with self._adding:
            self._rows_of(wanted)
            self.add(x, wanted, on_conflict="replace")

    def _rows_of(self, ids: I64) -> I32:
        rows = self._ids.rows(ids, self._places())
        if (rows < 0).any():
            raise UnknownIdError(f"ids: expected ids of the index, found {ids[rows < 0][0]}, which it does not hold")
        return rows

    def reconstruct(self, ids: npt.ArrayLike) -> F32:
        """Return the vectors of ids as they are kept, float32 (n, dim); UnknownIdError when one is not there."""
        wanted = check_ids(ids)
        with self._lock.reading():
            return self._features.get(self._rows_of(wanted))

    def _check_alike(self, other: object) -> None:
        """Raise unless ``other`` is another index whose codes mean the same."""
        if not isinstance(other, StoredVectors) or self.kind != other.kind:
            found = other.kind if isinstance(other, StoredVectors) else type(other).__name__
            raise InputError(f"merge: expected an index of {self.kind}, found {found}; make both alike")
        if not np.array_equal(self.mean, other.mean):
            raise InputError("merge: expected an index with the same mean, found another; give both the same")
        if other is self:
            raise DuplicateIdError("merge: expected another index, found this one, whose ids are all here")

    def _take_over(self, other: StoredVectors) -> None:
        """Take in another's rows, ids, codes and pools; see ``CliqueIndex.__ior__``."""
        rows = np.flatnonzero(other._places() >= 0).astype(np.int32)
        ids = other._ids.ids(rows)
        with self._adding:
            there = self._ids.rows(ids, self._places()) >= 0
            if there.any():
                raise DuplicateIdError(
                    f"merge: expected no id in both, found {ids[there][0]} ({there.sum()} such); remove them from one"
                )
            self._make_ids(ids)
            with self._lock.writing():
                new = np.arange(self._rows, self._rows + len(rows), dtype=np.int32)
                for start in range(0, len(rows), 4096):
                    part = slice(start, start + 4096)
                    self._features.put(new[part], other._features.get(rows[part]))
                self._ids.put(ids, new)
                numbers = np.full(max(1, other._rows), -1, np.int32)
                numbers[rows] = new
                self._tree.take_over(other._tree, numbers)
                self._rows += len(rows)
                self._count += len(rows)
                self._next_id = max(self._next_id, int(ids.max(initial=-1)) + 1)
