"""CliqueIndex: nearest-neighbour search without training; items are added and removed at any time.

A query is rotated and turned into tables. These score the codes of groups of pools, of pools, and of items. The items
with the best scores are compared by their vectors.
"""

from __future__ import annotations

import math
import os
from typing import Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.threads import check_threads, parallel_for
from assocmem._numerics.types import F32, I32, I64
from assocmem._numerics.validation import check_effort, check_radius, check_size, check_vectors
from assocmem._storage.hdf5 import loaded_arrays, save_arrays
from assocmem.codes.missing_values import MOMENT_ROWS, Moments, impute, split_known
from assocmem.errors import DuplicateIdError, EmptyIndexError, InputError
from assocmem.search._vector_store import Conflict, Stats, VectorStore
from assocmem.search.pool_kernels import POOL_ITEMS
from assocmem.search.pool_tree import Candidates
from assocmem.search.rerank import measure_rows, rerank_all, rerank_promising

__all__ = ["CliqueIndex", "Stages", "Stats"]

FILE_KIND = "clique index"
QUERY_BATCH = 256
"""Queries that are prepared together."""
EXACT_UP_TO = 1024
"""Items up to which every search compares all vectors, because pools would save nothing."""
FULL_CAUTION = 3.9
"""Standard deviations by which the score of a code may be too low for its item to be compared nevertheless, at full
effort. At a tenth of the effort it is 0.6 less, because there most misses are in pools that are not searched."""
EFFORT_SCALE = 16.0
"""Default effort: this over the square root of the number of items."""
EFFORT_RATIO = 1.05
"""Ratio of two efforts below which ``tune`` does not distinguish them."""
PARTIAL_CANDIDATES = 100
"""Candidates from which the missing values of a query are estimated."""


class Stages(NamedTuple):
    """How much each stage of a search looked at, mean per query."""

    groups: float
    """Groups of pools whose codes were scored; 0 if the codes of all pools were."""
    pools: float
    """Pools whose codes were scored."""
    items: float
    """Items whose codes were scored."""
    refined: float
    """Items that were compared by their vectors."""


class CliqueIndex:
    """Nearest neighbours by sparse binary codes, in pools that split as they grow.

    Parameters
    ----------
    dim : int
        Length of a vector.
    metric : {"cosine", "l2"}
        Cosine similarity, highest first, or squared Euclidean distance, lowest first.
    features : {"float16", "float32", "uint8"}
        Type in which vectors are stored for the last, exact stage; uint8 takes whole numbers from 0 to 255.
    clusters : int, optional
        4-bit symbols of a code: a multiple of 8 that divides the power of two above ``dim``. More clusters find more
        per item scored, and take half a byte each. By default half a symbol per dimension, up to 128.
    mean : array, shape (dim,), optional
        Subtracted before coding (from unit vectors for cosine). Worth giving for l2 if vectors are far from 0: then
        half as many candidates need comparing. All indexes that are to be merged need the same mean.
    seed : int
        Determines the rotation.

    Attributes
    ----------
    dim, metric, clusters, seed
        As above.

    Notes
    -----
    One thread writes at a time. Searches continue meanwhile, between the chunks of an ``add``.
    """

    def __init__(
        self,
        dim: int,
        metric: Literal["cosine", "l2"] = "cosine",
        *,
        features: str = "float16",
        clusters: int | None = None,
        mean: npt.ArrayLike | None = None,
        seed: int = 0,
    ) -> None:
        self._store = VectorStore(dim, metric, features=features, clusters=clusters, mean=mean, seed=seed)
        self.dim, self.metric = self._store.dim, self._store.metric
        self.clusters, self.seed = self._store.clusters, self._store.seed
        self._effort: float | None = None  # that ``tune`` found

    @property
    def cosine(self) -> bool:
        """Whether the metric is the cosine similarity."""
        return self.metric == "cosine"

    @property
    def mean(self) -> F32:
        """Vector that is subtracted before coding, float32 (dim,)."""
        return self._store.rotation.mean

    @property
    def kind(self) -> dict[str, str | int]:
        """Settings that two indexes must have in common, besides the mean, to be merged."""
        return self._store.kind

    def __len__(self) -> int:
        return self._store.count

    def __contains__(self, id_: object) -> bool:
        if not isinstance(id_, (int, np.integer)) or id_ < 0 or id_ > np.iinfo(np.int64).max:
            return False
        return self._store.contains(int(id_))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} vectors, dim={self.dim}, metric={self.metric!r}>"

    def ids(self) -> I64:
        """Return all ids, int64 (n,), ascending."""
        return self._store.all_ids()

    def stats(self) -> Stats:
        """Return contents and memory of the index."""
        return self._store.stats()

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
        """Add vectors, float32 (n, dim); return their ids, int64 (n,).

        Without ``ids``, the ids continue from the highest one so far. ``on_conflict`` decides about ids that are in the
        index already: they are refused, or their vectors are replaced, or the new vectors are skipped.

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
            The vectors cannot be stored. Nothing is changed.
        IdError, DuplicateIdError
            The ids cannot be used. Nothing is changed.
        """
        return self._store.add(x, ids, on_conflict)

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove items; UnknownIdError, and nothing is changed, if one of them is not in the index."""
        self._store.remove(ids)

    def update(self, ids: npt.ArrayLike, x: F32) -> None:
        """Replace the vectors of items, float32 (n, dim); UnknownIdError if one of them is not in the index."""
        self._store.update(ids, x)

    def reconstruct(self, ids: npt.ArrayLike) -> F32:
        """Return the vectors of ids as they are stored, float32 (n, dim); UnknownIdError if one is missing."""
        return self._store.get(ids)

    def __ior__(self, other: Self) -> Self:
        """Add all items of another index, with their codes and pools as they are: nothing is encoded again.

        Raises
        ------
        InputError
            Not an index, or one whose codes mean something else.
        DuplicateIdError
            Both contain an id; nothing is changed.
        """
        self._store.merge(self._mergeable_store(other))
        return self

    def _mergeable_store(self, other: object) -> VectorStore:
        if not isinstance(other, CliqueIndex) or self.kind != other.kind:
            found = other.kind if isinstance(other, CliqueIndex) else type(other).__name__
            raise InputError(f"merge: expected an index of {self.kind}, found {found}; make both alike")
        if not np.array_equal(self.mean, other.mean):
            raise InputError("merge: expected an index with the same mean, found another; give both the same")
        if other is self:
            raise DuplicateIdError("merge: expected another index, found this one, whose ids are all here")
        return other._store

    # Searching

    def search(self, q: F32, k: int = 10, *, effort: float | None = None, threads: int | None = 1) -> tuple[F32, I64]:
        """Find the k nearest items of each query.

        Parameters
        ----------
        q : float32 (nq, dim) or (dim,)
        k : int
        effort : float, optional
            About the share of the items whose codes are scored; 1 compares all vectors and is exact. By default what
            ``tune`` found, else 16 over the square root of the number of items (recall@10 of about 0.95).
        threads : int, optional
            None for one per core. The results do not depend on it.

        Returns
        -------
        D : float32 (nq, k)
            Cosine similarity, highest first, or squared distance, lowest first; ties by id.
        I : int64 (nq, k)
            Ids; -1, with D = -inf or inf, if there are fewer than k items.

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
        EmptyIndexError
        """
        costs, ids, _ = self._search(q, check_size("k", k, 1), effort, check_threads(threads))
        return -costs if self.cosine else costs, ids

    def range_search(self, q: F32, radius: float, *, effort: float | None = None) -> tuple[I64, F32, I64]:
        """Find all items with a higher similarity than a radius, or a lower squared distance.

        Below full effort, those in the pools that are searched.

        Returns
        -------
        lims : int64 (nq + 1,)
            The results of query i are ``lims[i]`` to ``lims[i + 1]``.
        D : float32
        I : int64
            As of ``search``, nearest first.

        Raises
        ------
        As ``search``.
        """
        q = check_vectors(q, self.dim, "queries", nonzero=self.cosine)
        effort = self.default_effort() if effort is None else check_effort(effort)
        limit = -check_radius(radius) if self.cosine else check_radius(radius)
        found = [self._within(q[i : i + 1], limit, effort) for i in range(len(q))]
        lims = np.cumsum([0, *(len(costs) for costs, _ in found)])
        costs = np.concatenate([np.empty(0, np.float32), *(costs for costs, _ in found)])
        ids = np.concatenate([np.empty(0, np.int64), *(ids for _, ids in found)])
        return lims, -costs if self.cosine else costs, ids

    def search_partial(
        self, q: npt.ArrayLike, k: int = 10, *, effort: float | None = None, threads: int | None = 1
    ) -> tuple[F32, I64]:
        """Find the items nearest to queries with missing values: NaN, in float32 (nq, dim).

        The missing values are estimated from the known ones and the stored vectors
        (``codes.missing_values.complete``); then ``search`` is called.

        Raises
        ------
        As ``search``; InputError for a query without any known value.
        """
        rows, known = split_known(q, self.dim)
        store = self._store
        with store.lock.reading():
            used = store.used_rows()
            spread = used[np.unique(np.linspace(0, max(len(used) - 1, 0), MOMENT_ROWS).astype(np.int64))[: len(used)]]
            moments = Moments.estimate(store.vectors.get(spread), unit=self.cosine)
        return self.search(impute(rows, known, moments, self._candidate_vectors), k, effort=effort, threads=threads)

    def stages(self, q: F32, k: int = 10, *, effort: float | None = None) -> Stages:
        """Search, and return how much each stage looked at, mean per query."""
        _, _, counts = self._search(q, check_size("k", k, 1), effort, 1)
        return Stages(*counts.mean(axis=0).tolist())

    def default_effort(self) -> float:
        """Return the effort of a search that does not set one."""
        if len(self) <= EXACT_UP_TO:
            return 1.0
        return self._effort if self._effort is not None else min(1.0, EFFORT_SCALE / len(self) ** 0.5)

    def tune(self, queries: F32, recall: float = 0.95, k: int = 10) -> float:
        """Find the least effort that reaches a recall, use it as the default from now on, and return it.

        Parameters
        ----------
        queries : float32 (nq, dim)
            Typical queries, some hundred. Items of the index itself are too easy.
        recall : float
            Wanted mean share of the k nearest that are found, at most 1.
        k : int

        Raises
        ------
        As ``search``; InputError unless the recall is above 0 and at most 1.
        """
        if not 0 < recall <= 1:
            raise InputError(f"recall: expected above 0 and at most 1, found {recall!r}")
        if not np.size(queries):
            raise InputError("queries: expected one or more to tune by, found none")
        truth, _ = self.search(queries, k, effort=1.0)
        present = min(k, len(self))
        limits = truth[:, present - 1 : present]  # an item as near as the k-th counts as found
        low, high = 1 / max(2, self.stats().pools), 1.0
        while high / low > EFFORT_RATIO:  # recall rises with the effort, so the interval is halved
            middle = float((low * high) ** 0.5)
            found, _ = self.search(queries, k, effort=middle)
            near = found >= limits if self.cosine else found <= limits
            low, high = (low, middle) if near.sum(axis=1).mean() / present >= recall else (middle, high)
        self._effort = high
        return high

    # Costs below are the squared distance or minus the cosine similarity: the lowest is the nearest

    def _search(self, q: F32, k: int, effort: float | None, threads: int) -> tuple[F32, I64, I64]:
        """Return costs, lowest first, ids, both (nq, k), and how much each stage looked at, int64 (nq, 4)."""
        q = check_vectors(q, self.dim, "queries", nonzero=self.cosine)
        share = self.default_effort() if effort is None else check_effort(effort)
        costs, ids = np.empty((len(q), k), np.float32), np.empty((len(q), k), np.int64)
        counts = np.zeros((len(q), 4), np.int64)
        store = self._store

        def work(start: int, stop: int) -> None:
            for at in range(start, stop, QUERY_BATCH):
                part = slice(at, min(at + QUERY_BATCH, stop))
                with store.lock.reading():
                    costs[part], rows = self._nearest(q[part], k, share, counts[part])
                    ids[part] = store.ids.ids(rows)

        parallel_for(work, len(q), threads, least=4)
        return costs, ids, counts

    def _nearest(self, q: F32, k: int, effort: float, counts: I64) -> tuple[F32, I32]:
        """Return costs, lowest first, and rows of the nearest, both (nq, k); ``counts``: int64 (nq, 4), filled."""
        store, cosine = self._store, self.cosine
        costs, rows = np.empty((len(q), k), np.float32), np.empty((len(q), k), np.int32)
        queries, parts = store.vectors.prepare_queries(q, cosine=cosine), store.vectors.parts
        ids = store.ids.row_ids
        if effort == 1.0:
            rerank_all(queries, parts, self._all_rows(), ids, cosine, (costs, rows))
            counts[:, 3] = store.count
        else:
            found = self._best_codes(q, k, effort)
            compared, members = found.counts[:, 3].copy(), store.tree.items.arrays.members
            caution = FULL_CAUTION + 0.6 * math.log10(effort)
            rerank_promising(queries, parts, (*found[:2], compared), members, ids, cosine, caution, (costs, rows))
            counts[:, :3], counts[:, 3] = found.counts[:, :3], compared
        return costs, rows

    def _within(self, q: F32, limit: float, effort: float) -> tuple[F32, I64]:
        """Return costs below a limit, lowest first, and ids, for one query, float32 (1, dim)."""
        store = self._store
        with store.lock.reading():
            rows = self._candidate_rows(q, store.count, effort)
            costs = np.empty((1, len(rows)), np.float32)
            queries = store.vectors.prepare_queries(q, cosine=self.cosine)
            measure_rows(queries, store.vectors.parts, rows, self.cosine, costs)
            inside = costs[0] < limit
            values, ids = costs[0, inside], store.ids.ids(rows[inside])
        order = np.lexsort((ids, values))
        return values[order], ids[order]

    def _candidate_vectors(self, query: F32) -> F32:
        """Return the vectors of the candidates of a query by their codes, float32 (m, dim)."""
        store = self._store
        with store.lock.reading():
            effort = min(self.default_effort(), 0.999)  # a candidate by its code also where every search is exact
            return store.vectors.get(self._candidate_rows(query[None, :], PARTIAL_CANDIDATES, effort))

    def _candidate_rows(self, q: F32, k: int, effort: float) -> I32:
        """Return the rows to compare with one query, float32 (1, dim), as int32 (r,)."""
        if effort == 1.0:
            return self._all_rows()
        return self._store.tree.candidate_members(self._best_codes(q, k, effort), 0)

    def _all_rows(self) -> I32:
        self._check_not_empty()
        return self._store.used_rows()

    def _best_codes(self, q: F32, k: int, effort: float) -> Candidates:
        """Return the candidates of queries, float32 (nq, dim), by their codes."""
        self._check_not_empty()
        store, keep = self._store, self._numbers_to_keep(k, effort)
        return store.tree.search(store.rotation(q), keep, most=2 * keep[2])

    def _numbers_to_keep(self, k: int, effort: float) -> tuple[int, int, int]:
        """Return the numbers of groups, pools and items that a search keeps."""
        tree = self._store.tree
        # A pool that has just split may contain as few as eight items.
        pools = min(tree.items.pool_count, max(2 + k // 8, round(effort * tree.items.pool_count)))
        groups = max(round(4 * effort * tree.pools.pool_count), min(120, round(0.3 * tree.pools.pool_count)))
        items = min(3 * k + round(1.2 * math.sqrt(effort * self._store.count)), POOL_ITEMS * (pools + pools // 8))
        return groups, pools, items

    def _check_not_empty(self) -> None:
        if not self._store.count:
            raise EmptyIndexError("expected an index with items, found an empty one; add some first")

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one HDF5 file. An existing file is replaced as a whole, or stays as it is."""
        with self._store.lock.reading():
            facts, arrays = self._store.state()
            save_arrays(path, FILE_KIND, {**facts, "effort": self._effort}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = False) -> Self:
        """Read an index that ``save`` wrote.

        With ``mmap`` the vectors stay in the file, and only codes are read into memory. The index can still be changed:
        new vectors are kept in memory, and the file stays as it is.

        Raises
        ------
        MissingFileError
        DamagedError
            The file is cut short, altered, or not such a file; its checksums are checked, mapped or not.
        MismatchError
            Not an index, or written by a newer version.
        """
        mapped = ("vectors",) if mmap else ()
        with loaded_arrays(path, FILE_KIND, "build it again", mapped=mapped) as (facts, arrays):
            index = cls(
                facts["dim"],
                facts["metric"],
                features=facts["features"],
                clusters=facts["clusters"],
                mean=arrays["mean"],
                seed=facts["seed"],
            )
            index._store.restore(facts, arrays)
            index._effort = None if facts["effort"] is None else check_effort(facts["effort"])
        return index
