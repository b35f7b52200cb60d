"""VectorStore: what a CliqueIndex stores, and how items are added and removed; ``clique_index.py`` searches it."""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from assocmem._numerics.rotation import as_matrix, centre_queries, centre_rows, next_power_of_two
from assocmem._numerics.threads import ReadWriteLock, WriterLock
from assocmem._numerics.types import F32, F64, I32, I64, U8, Arrays, Bools, tell_if_new
from assocmem._numerics.validation import check_ids, check_size, check_vectors
from assocmem.codes.nibble_codes import NibbleCoder
from assocmem.errors import DuplicateIdError, IdError, InputError, NothingAllowedError, PrecisionWarning, UnknownIdError
from assocmem.search.centred_pools import CentredPools
from assocmem.search.few_dimensions import FewDimensions
from assocmem.search.id_map import IdMap
from assocmem.search.pool_kernels import EMPTY_BIAS, POOL_ITEMS, QueryTables, insert_items
from assocmem.search.pool_level import PoolLevel
from assocmem.search.pool_tree import ADD_CHUNK, PoolTree, restore_level
from assocmem.search.probing import Queries, Stored
from assocmem.search.rerank import COSINE, L2, PRODUCT
from assocmem.search.vector_table import COARSE, VectorTable, grown, is_coarse, nearest_square

Metric = Literal["cosine", "l2", "ip"]
METRICS: dict[str, int] = {"l2": L2, "cosine": COSINE, "ip": PRODUCT}
Conflict = Literal["refuse", "replace", "skip"]

MERGE_ROWS = 4096
"""Vectors that are copied at a time when stores are merged."""
SHORT = 16
"""Values up to which vectors are stored as float32 by default: they take 64 bytes either way with few values."""
MEAN_ROWS = 4096
"""Vectors of which the mean is taken."""
MEAN_SHIFT = 0.25
"""The mean is moved, and everything encoded again, if the squared distance to the mean of the items is greater than
this share of their variance."""
MEAN_GROWTH = 2
"""Growth of the index from one check of its mean to the next."""
PRECISION_ROWS = 256
"""New vectors of which it is checked whether float16 can tell them apart."""
FEW_ITEMS = 64
"""Items up to which they are checked together with new ones, if these are few."""
SPARE_SHARE = 2
"""An index is compacted when fewer than one in this many of its rows are in use."""
LEAST_SPARE = 4096
"""Rows below which it is not."""
POOLS_ABOVE = 5000
"""Items up to which there are no pools, because every search compares all vectors."""
FEW_DIMENSIONS = 8
"""Dimensions up to which there are none, because a tree of boxes searches exactly."""


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
    expected_recall: float = 1.0
    """Share of the ten nearest that a search is expected to find by default."""


def rotated_width(dim: int) -> int:
    """Return the number of axes after the rotation: the next power of two, at least 16."""
    return max(16, next_power_of_two(dim))


def default_clusters(width: int) -> int:
    """Return the default number of clusters of a code: half a symbol per axis up to 256 axes, then 128."""
    return min(128, max(8, width // 2))


class VectorStore:
    """Vectors with ids, their codes in a pool tree, and the locks for threads.

    An item has an id, which the user sees, and a row, the number under which the table of vectors and the pool tree
    contain it. Pools are made when searches will need them. For the parameters see ``CliqueIndex``.

    Attributes
    ----------
    pools : CentredPools
        Codes; their members are rows. Empty unless ``pooled``.
    pooled : bool
        Whether all items are in pools.
    mean : float32 (dim,)
        Subtracted from vectors (of unit length for cosine) before coding.
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
        metric: Metric,
        *,
        features: str | None,
        clusters: int | None,
        mean: npt.ArrayLike | None,
        seed: int,
    ) -> None:
        if metric not in METRICS:
            raise InputError(f"metric: expected cosine, l2 or ip, found {metric!r}")
        self.dim, self.metric, self.seed = check_size("dim", dim, 1), metric, check_size("seed", seed, 0)
        self.cosine, self.metric_number = metric == "cosine", METRICS[metric]
        width = rotated_width(dim)
        self.clusters = default_clusters(width) if clusters is None else check_size("clusters", clusters, 8)
        self.given_mean = mean is not None
        self.mean: F32 = np.zeros(dim, np.float32) if mean is None else as_matrix(mean, dim, "mean")[0].copy()
        self.pools, self.pooled = self._new_pools(), False
        self.features = ("float32" if dim <= SHORT else "float16") if features is None else features
        self.vectors = VectorTable(dim, self.features)
        self.few = FewDimensions()
        self.ids = IdMap()
        self.count = 0
        self.lock = ReadWriteLock()
        self._writing = WriterLock()
        self._rows = 0  # rows that have ever been used
        self._used: Bools = np.zeros(0, np.bool_)  # by row, with room to grow
        self._free_rows: list[int] = []  # those of them that may be used again
        self._next_id = 0
        self._mean_count = 0  # items at the last check of the mean
        self._spread = 0, 0.0  # items when the mean spread of pools was taken, and the spread
        self._nearest = 0, 0.0  # the same of the distance between nearest items, without pools

    def _new_pools(self) -> CentredPools:
        coder = NibbleCoder(rotated_width(self.dim), self.clusters)
        # Coarser codes of pools would miss pools. Finer ones cost more than they save: centres are compared exactly.
        usual = default_clusters(coder.width)
        router = coder if self.clusters >= usual else NibbleCoder(coder.width, usual)
        return CentredPools(self.dim, coder, router, seed=self.seed, product=self.metric == "ip")

    @property
    def tree(self) -> PoolTree:
        """Codes of items, pools and groups."""
        return self.pools.tree

    @property
    def kind(self) -> dict[str, str | int]:
        """Settings that two stores must have in common for their codes to mean the same."""
        same: dict[str, str | int] = {"dim": self.dim, "metric": self.metric, "features": self.features}
        return same | {"clusters": self.clusters, "seed": self.seed}

    def _centred(self, x: F32) -> F32:
        """Vectors float32 (n, dim) -> less the mean, of unit length before for cosine."""
        out = np.empty_like(x)
        centre_rows(x, self.mean, self.cosine, out)
        return out

    def _centred_rows(self, rows: I32) -> F32:
        return self._centred(self.vectors.get(rows))

    # What kernels take

    def stored(self, allowed: U8 | None = None) -> Stored:
        """Return what is searched; ``allowed``: uint8 by row, for items that may be found."""
        tree, centres = self.tree, self.pools.centres
        biases = tree.pools.arrays.biases
        if self.metric == "ip":  # the lengths of centres do not count
            biases = np.where(biases == EMPTY_BIAS, EMPTY_BIAS, np.uint16(0))
        return Stored(
            tree.items.arrays,
            tree.pools.arrays,
            biases,
            centres.values,
            centres.scales,
            centres.spreads,
            self.vectors.head,
            self.vectors.tail,
            self.ids.row_ids,
            np.empty(0, np.uint8) if allowed is None else allowed,
        )

    def queries(self, q: F32) -> Queries:
        """Return queries, float32 (n, dim), in the forms that kernels take."""
        if self.metric == "ip":
            wide, inverses = self.vectors.prepare_queries(q, cosine=True)
            centred, offsets = wide, -(q @ self.mean)
        else:
            wide, centred = self.vectors.widen(q), np.empty((len(q), self.vectors.width), np.float32)
            inverses, offsets = np.empty(len(q), np.float32), np.empty(len(q), np.float32)
            centre_queries(q, self.mean, self.cosine, centred, inverses, offsets)
        rotated = self.pools.rotate(centred)
        coarse = QueryTables(*self.tree.router.tables(rotated))
        fine = coarse if self.tree.coder is self.tree.router else QueryTables(*self.tree.coder.tables(rotated))
        # Entries of tables are rounded: an error per cluster, times the scale of a code, over what it codes.
        axes = self.tree.coder.axes
        noises = fine.terms[:, 0] ** 2 * np.float32((1 / axes if axes <= 2 else 2.0) / 12)
        return Queries(wide, inverses, centred, offsets, noises, coarse, fine)

    # Reading. Callers hold the lock, unless the docstring says otherwise

    def _in_use(self) -> Bools:
        """Whether each row is in use, bool (rows,)."""
        return self._used[: self._rows]

    def used_rows(self) -> I32:
        """Return the rows of all items, int32 (n,), ascending."""
        return np.flatnonzero(self._in_use()).astype(np.int32)

    def allowed_rows(self, allow: Any) -> U8:
        """Return which rows may be found, uint8 (rows,).

        ``allow``: ids, a mask by id, or a function of ids; see ``CliqueIndex.search``.

        Raises
        ------
        UnknownIdError, NothingAllowedError, InputError
            An id that is not in the index; no item passes; neither ids nor a mask.
        """
        rows = self.used_rows()
        out = np.zeros(max(1, self._rows), np.uint8)
        if callable(allow):
            for start in range(0, len(rows), MERGE_ROWS):
                part = rows[start : start + MERGE_ROWS]
                out[part] = _check_mask(allow(self.ids.ids(part)), len(part))
        elif np.asarray(allow).dtype == np.bool_:
            mask, ids = _check_mask(allow, None), self.ids.ids(rows)
            inside = ids < len(mask)
            out[rows[inside]] = mask[ids[inside]]
        else:
            out[self._rows_of(check_ids(np.unique(np.asarray(allow))))] = 1
        if not out.any():
            raise NothingAllowedError("allow: expected a filter that lets items pass, found one that lets none pass")
        return out

    def contains(self, id_: int) -> bool:
        """Return whether an item has an id, which must fit into int64. Takes the lock."""
        with self.lock.reading():
            return bool(self.ids.rows(np.array([id_], np.int64), self._in_use())[0] >= 0)

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
        rows = self.ids.rows(ids, self._in_use())
        if (rows < 0).any():
            raise UnknownIdError(f"ids: expected ids of the index, found {ids[rows < 0][0]}, which it does not hold")
        return rows

    def stats(self) -> Stats:
        """Count contents and memory. Takes the lock."""
        with self.lock.reading():
            tree = self.tree
            memory = {
                "codes and pools": tree.items.nbytes,
                "routing": self.pools.nbytes - tree.items.nbytes,
                "ids": self.ids.nbytes + 8 * len(self._free_rows) + self._used.nbytes,
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
            known = np.zeros(len(x), np.bool_) if ids is None else self.ids.rows(wanted, self._in_use()) >= 0
            if known.any():
                if on_conflict == "refuse":
                    raise DuplicateIdError(
                        f"ids: expected new ones, found {wanted[known][0]} in the index ({known.sum()} such); "
                        "say on_conflict='replace' or 'skip'"
                    )
                if on_conflict == "skip":
                    x, wanted = np.ascontiguousarray(x[~known]), wanted[~known]
            self._prepare_ids(wanted)
            self._prepare_vectors(x)
            for start in range(0, len(x), ADD_CHUNK):
                part = slice(start, start + ADD_CHUNK)
                replaced = wanted[part][known[part]] if on_conflict == "replace" else wanted[:0]
                self._add_chunk(x[part], wanted[part], replaced)
            self._follow_mean()
            return wanted

    def _prepare_vectors(self, x: F32) -> None:
        """Store float32 from now on if float16 cannot tell vectors apart; choose the first mean."""
        if self.vectors.kind == "float16" and len(x) and self._would_be_coarse(x):
            warnings.warn(
                "vectors: expected values that float16 can tell apart, found differences that it would change by more "
                "than half a percent; they are stored as float32, in twice the memory (say features='float32' to "
                "choose that, or subtract what is common to all)",
                PrecisionWarning,
                stacklevel=5,
            )
            with self.lock.writing():
                self.vectors.widen_rows()
        if not self.count and len(x) and not self.given_mean:
            with self.lock.writing():
                self.mean = self._mean_of(x)

    def _would_be_coarse(self, x: F32) -> bool:
        if len(x) < 32 and self.count >= FEW_ITEMS:
            scale = np.maximum(np.linalg.norm(x, axis=1), 1e-30) if self.cosine else np.ones(len(x), np.float32)
            errors = ((x.astype(np.float16).astype(np.float32) - x) / scale[:, None]) ** 2
            return bool(errors.sum(axis=1).mean() > self._tolerable() > 0)
        sample = x[np.linspace(0, len(x) - 1, min(len(x), PRECISION_ROWS)).astype(np.int64)]
        if len(sample) < 64 and self.count:
            sample = np.concatenate([sample, self.vectors.get(self.some_rows(64))])
        return is_coarse(sample, unit=self.cosine)

    def _tolerable(self) -> float:
        """Return the squared error of stored vectors up to which they can be told apart."""
        if self.pooled:
            return 1e-4 * self.mean_spread()
        count, square = self._nearest
        if not self._is_about(count):
            some = self.vectors.get(self.some_rows(PRECISION_ROWS), unit=self.cosine).astype(np.float64)
            square = nearest_square(some)
            self._nearest = self.count, square
        return COARSE**2 * square

    def _is_about(self, count: int) -> bool:
        """Return whether a number of items is within a tenth of the present one."""
        return 0.9 * self.count <= count <= 1.1 * self.count

    def mean_spread(self) -> float:
        """Return the mean spread of pools, the mean squared distance of items to the centres.

        It is taken again when a tenth of the items is new.
        """
        count, spread = self._spread
        if not self._is_about(count):
            spread = float(self.pools.centres.spreads[self.tree.items.used_pools()].mean())
            self._spread = self.count, spread
        return spread

    def some_rows(self, most: int) -> I32:
        """Return rows that are in use, evenly spread, at most so many."""
        used = self.used_rows()
        return used[np.unique(np.linspace(0, max(len(used) - 1, 0), most).astype(np.int64))[: len(used)]]

    def _mean_of(self, x: F32) -> F32:
        some = x[np.linspace(0, len(x) - 1, min(len(x), MEAN_ROWS)).astype(np.int64)].astype(np.float64)
        if self.cosine:
            some /= np.linalg.norm(some, axis=1, keepdims=True)
        return np.asarray(_trimmed(some).mean(axis=0), np.float32)

    def _follow_mean(self) -> None:
        """Move the mean, and encode everything again, if the items have moved away from it."""
        if self.given_mean or self.count < max(64, MEAN_GROWTH * self._mean_count):
            return
        self._mean_count = self.count
        some = self._centred_rows(self.some_rows(MEAN_ROWS)).astype(np.float64)
        some = _trimmed(some)
        shift = some.mean(axis=0)
        if (shift**2).sum() > MEAN_SHIFT * some.var(axis=0).sum():
            with self.lock.writing():
                self.mean = np.asarray(self.mean + shift, np.float32)
                if self.pooled:
                    self.pools.centre_again(self._centred_rows)

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

    def _wants_pools(self, count: int) -> bool:
        return self.dim > FEW_DIMENSIONS and count > POOLS_ABOVE

    def _pool(self, rows: I32) -> None:
        """Add rows to the pools; their vectors are in the table."""
        tell_if_new("adding vectors to pools", (insert_items,), 11)
        for start in range(0, len(rows), MERGE_ROWS):
            part = rows[start : start + MERGE_ROWS]
            self.pools.add(self._centred_rows(part), part, self._centred_rows)
        self.pooled = True

    def _add_chunk(self, x: F32, ids: I64, replaced: I64) -> None:
        centred = self._centred(x) if self.pooled else x
        with self.lock.writing():
            if len(replaced):
                self._remove_rows(replaced, self._rows_of(replaced))
            reused = 0 if self.ids.is_identity else min(len(self._free_rows), len(x))
            old = [self._free_rows.pop() for _ in range(reused)]
            rows = np.array([*old, *range(self._rows, self._rows + len(x) - reused)], np.int32)
            self.vectors.put(rows, x)
            self.ids.insert(ids, rows)
            self._use(rows)
            self.few.added(rows)
            self._rows += len(x) - reused
            if self.pooled:
                self.pools.add(centred, rows, self._centred_rows)
            elif self._wants_pools(self.count + len(x) - len(replaced)):
                self._pool(self.used_rows())
            self.count += len(x) - len(replaced)
            self._next_id = max(self._next_id, int(ids.max()) + 1)

    def _use(self, rows: I32) -> None:
        self._used = grown(self._used, int(rows.max(initial=-1)) + 1)
        self._used[rows] = True

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove items; UnknownIdError, and nothing is changed, for a missing id."""
        with self._writing:
            wanted = check_ids(ids)
            rows = self._rows_of(wanted)
            with self.lock.writing():
                self._remove_rows(wanted, rows)
                self.count -= len(wanted)
            spare = self._rows > SPARE_SHARE * self.count and self._rows > LEAST_SPARE
            if spare and not self.vectors.mapped_bytes:
                self.compact()

    def compact(self) -> None:
        """Give the memory of removed items back: what is left is stored anew. Takes the time of adding it."""
        with self._writing, self.lock.writing():
            rows = self.used_rows()
            ids, features, next_id = self.ids.ids(rows), self.vectors.kind, self._next_id
            vectors = VectorTable(self.dim, features)
            if len(rows):
                vectors.reserve(len(rows))
            for start in range(0, len(rows), MERGE_ROWS):
                part = rows[start : start + MERGE_ROWS]
                vectors.put(np.arange(start, start + len(part), dtype=np.int32), self.vectors.get(part))
            self.few.reset()
            self.vectors, self.pools, self.ids = vectors, self._new_pools(), IdMap()
            self.pooled = False
            self._rows, self._free_rows, self._next_id = len(rows), [], next_id
            self._used = np.ones(len(rows), np.bool_)
            new = np.arange(len(rows), dtype=np.int32)
            if not np.array_equal(ids, new):
                self.ids.make_explicit(0, new[:0])
            if len(rows):
                self.ids.insert(ids, new)
            if self._wants_pools(len(rows)):
                self._pool(new)

    def clear(self) -> None:
        """Remove all items, and give their memory back; ids go on from where they were."""
        with self._writing, self.lock.writing():
            self.few.reset()
            self.pools, self.vectors, self.ids = self._new_pools(), VectorTable(self.dim, self.features), IdMap()
            if self._next_id:
                self.ids.make_explicit(0, np.empty(0, np.int32))
            self.count = self._rows = self._mean_count = 0
            self._free_rows, self._used, self.pooled = [], np.zeros(0, np.bool_), False

    def _remove_rows(self, ids: I64, rows: I32) -> None:
        self.few.removed(rows)
        self._used[rows] = False
        for row in rows.tolist():
            if self.pooled:
                self.pools.remove(row)
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
        """Copy the items of another store of the same kind, with their pools, and their codes if the means are equal.

        Raises
        ------
        DuplicateIdError
            Both contain an id; nothing is changed.
        """
        first, second = sorted((self, other), key=id)  # two stores that merge with each other would wait forever
        with first._writing, second._writing, other.lock.reading():
            rows = other.used_rows()
            ids = other.ids.ids(rows)
            known = self.ids.rows(ids, self._in_use()) >= 0
            if known.any():
                raise DuplicateIdError(
                    f"merge: expected no id in both, found {ids[known][0]} ({known.sum()} such); remove them from one"
                )
            self._prepare_ids(ids)
            with self.lock.writing():
                if other.vectors.kind == "float32" and self.vectors.kind != "float32":
                    self.vectors.widen_rows()
                if not self.count and not self.given_mean:
                    self.mean = other.mean.copy()
                self._copy_items(other, rows, ids)
            self._follow_mean()

    def _copy_items(self, other: VectorStore, rows: I32, ids: I64) -> None:
        new = np.arange(self._rows, self._rows + len(rows), dtype=np.int32)
        for start in range(0, len(rows), MERGE_ROWS):
            part = slice(start, start + MERGE_ROWS)
            self.vectors.put(new[part], other.vectors.get(rows[part]))
        self.ids.insert(ids, new)
        self.few.added(new)
        if not self.pooled and (other.pooled or self._wants_pools(self.count + len(rows))):
            self._pool(self.used_rows())
        self._use(new)
        self._rows += len(rows)
        if other.pooled:
            numbers = np.full(max(1, other._rows), -1, np.int32)
            numbers[rows] = new
            self._merge_pools(other, numbers)
        elif self.pooled:
            self._pool(new)
        self.count += len(rows)
        self._next_id = max(self._next_id, int(ids.max(initial=-1)) + 1)

    def _merge_pools(self, other: VectorStore, numbers: I32) -> None:
        """Copy the pools of another store; ``numbers``: int32, the rows that its rows have here."""
        pools = self.pools.merge(other.pools, numbers)
        if not np.array_equal(self.mean, other.mean):
            used = pools[self.tree.items.arrays.sizes[pools] > 0]
            for pool in used.tolist():
                self.tree.remove_pool(pool)
            self.pools.encode_again(used, self._centred_rows)

    # Files

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what a file must contain: facts, and arrays without their spare room. The caller holds the lock."""
        arrays = {"mean": self.mean, "vectors": self.vectors.state(self._rows)}
        if not self.ids.is_identity:
            arrays["ids"] = self.ids.row_ids[: self._rows]
        facts = {"rows": self._rows, "next_id": self._next_id, "given_mean": self.given_mean}
        arrays |= self.pools.state() if self.pooled else {"used": self._in_use().astype(np.uint8)}
        return {**self.kind, **facts, "stored": self.vectors.kind}, arrays

    def restore(self, facts: dict[str, Any], arrays: Arrays) -> None:
        """Use what ``state`` returned, in an empty store; mapped vectors stay in their file.

        Codes of a file of the first format, which are those of whole vectors, are made again if they are needed.

        Raises
        ------
        KeyError, ValueError, InputError
            The facts and arrays cannot be those of a store.
        """
        rows, first = int(facts["rows"]), "items codes" in arrays and "centres values" not in arrays
        if arrays["mean"].shape != (self.dim,) or arrays["mean"].dtype != np.float32:
            raise ValueError(f"a mean of {arrays['mean'].dtype} and shape {arrays['mean'].shape}")
        self.mean = as_matrix(arrays["mean"], self.dim, "mean")[0]
        self.given_mean = bool(facts.get("given_mean", bool(self.mean.any())))
        used = self._restore_used(arrays, rows, first=first)
        if int(used.max(initial=-1)) >= rows:
            raise ValueError("items without vectors")
        self.vectors = VectorTable(self.dim, facts.get("stored", self.features))
        self.vectors.restore(arrays["vectors"], rows)
        self._used = np.zeros(rows, np.bool_)
        self._used[used] = True
        self._rows, self._next_id, self.count = rows, int(facts["next_id"]), len(used)
        if (ids := arrays.get("ids")) is not None:
            if ids.dtype != np.int64 or ids.shape != (rows,):
                raise ValueError(f"ids of {ids.dtype}, shape {ids.shape}")
            check_ids(ids[used])
            self.ids.restore(ids, used)
        unused = np.flatnonzero(~self._in_use())
        self._free_rows = unused[unused >= len(self.vectors.head)].tolist()
        if first and not self.given_mean and self.count:
            self.mean = self._mean_of(self.vectors.get(self.some_rows(MEAN_ROWS)))
        if self.pooled:
            self.tree.items.reserve(rows)
        elif self._wants_pools(self.count):
            self._pool(used)
        self._mean_count = self.count

    def _restore_used(self, arrays: Arrays, rows: int, *, first: bool) -> I32:
        """Use stored pools, if there are any; return the rows in use, int32 (n,).

        ``first``: whether the pools are those of the first format, of which only the rows count.
        """
        if "centres values" in arrays:
            self.pools.restore(arrays)
            self.pooled = True
            return self.tree.items.members()
        if first:
            level = PoolLevel(self.tree.coder.code_bytes)
            restore_level(level, "items", arrays)
            return level.members()
        marks = arrays["used"]
        if marks.dtype != np.uint8 or marks.shape != (rows,):
            raise ValueError(f"used rows of {marks.dtype} and shape {marks.shape}")
        return np.flatnonzero(marks).astype(np.int32)


def _trimmed(x: F64) -> F64:
    """Return the rows of x without the tenth that is farthest from the medians; a few must not move the mean."""
    distances = ((x - np.median(x, axis=0)) ** 2).sum(axis=1)
    kept: F64 = x[distances <= np.quantile(distances, 0.9)]
    return kept


def _check_mask(mask: Any, count: int | None) -> Bools:
    """Return a mask, bool (n,); InputError for anything else, or for another length than ``count``."""
    array = np.asarray(mask)
    if array.dtype != np.bool_ or array.ndim != 1 or (count is not None and len(array) != count):
        wanted = "one per id" if count is None else f"shape ({count},)"
        raise InputError(f"allow: expected a mask of bool, {wanted}, found {array.dtype}, shape {array.shape}")
    return array
