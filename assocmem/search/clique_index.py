"""CliqueIndex: nearest-neighbour search without training; items are added and removed at any time.

A query is rotated and turned into tables. These score the codes of pools, and of the items of the best pools. The items
with the best scores are compared by their vectors. How much is looked at depends on a promise of recall.
"""

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt

from assocmem._numerics.threads import check_threads, parallel_for
from assocmem._numerics.types import F32, I32, I64, U8, Arrays, Bools, tell_if_new
from assocmem._numerics.validation import check_effort, check_radius, check_size, check_vectors
from assocmem._storage.hdf5 import loaded_arrays, save_arrays
from assocmem.codes.missing_values import MOMENT_ROWS, Moments, impute, split_known
from assocmem.errors import DamagedError, DuplicateIdError, EmptyIndexError, InputError, MismatchError, RecallWarning
from assocmem.search._vector_store import FEW_DIMENSIONS, POOLS_ABOVE, Conflict, Metric, Stats, VectorStore
from assocmem.search.certificate import Certificate, Plan
from assocmem.search.exact import MANY, compare_all
from assocmem.search.few_dimensions import search_tree
from assocmem.search.grouped import GroupOf, nearest_groups
from assocmem.search.probing import REPORTED, probe, probe_range
from assocmem.search.rerank import measure_rows, rerank_all
from assocmem.search.rooms import Rooms

__all__ = ["CliqueIndex", "SearchReport", "Stages", "Stats"]

FILE_KIND = "clique index"
FILE_VERSION = 3
"""Format of the file: 2 since codes are those of differences to the centres of pools, 3 since small ones have none."""
READABLE = 2, 3
"""Formats of pickles that are read."""
QUERY_BATCH = 256
"""Queries that are prepared together."""
EXACT_UP_TO = POOLS_ABOVE
"""Items up to which every search compares all vectors."""
FEWER_DIMENSIONS = 5
"""Dimensions up to which a tree of boxes is quicker than a product of matrices, however few items there are."""
DEFAULT_RECALL = 0.95
"""Promise of a search that is not told otherwise."""
GUESSED_MISSED = 0.2
"""Share of what a promise allows to be missed that queries with guessed values are searched with: they are harder than
items, from which promises are learned."""
COPY_SHARE = 1e-5
"""Cost, over the mean spread of pools, below which two vectors are the same but for the rounding of float16."""
ALLOWED_UP_TO = 20_000
ALLOWED_SHARE = 0.05
"""Allowed items, and share of them, up to which all of them are compared."""
TUNE_ROUNDS = 8
"""Halvings of the interval in which ``tune`` looks for a promise."""
PARTIAL_CANDIDATES = 100
"""Candidates from which the missing values of a query are estimated."""


class SearchReport(NamedTuple):
    """What each query of a search expects to have missed, and what it took."""

    recall: F32
    """float32 (nq,): expected share of the k nearest that were found"""
    complete: F32
    """float32 (nq,): probability that all of them were"""
    pools: I64
    """int64 (nq,): pools whose items were scored; 0 if all vectors were compared"""
    scored: I64
    """int64 (nq,): items whose codes were scored"""
    compared: I64
    """int64 (nq,): items that were compared by their vectors"""


class Stages(NamedTuple):
    """How much each stage of a search looked at, mean per query."""

    pools: float
    """Pools whose items were scored; 0 if all vectors were compared."""
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
    metric : {"cosine", "l2", "ip"}
        Cosine similarity, highest first; squared Euclidean distance, lowest first; or inner product, highest first.
    features : {"float16", "float32", "uint8"}, optional
        Type in which vectors are stored for the last, exact stage; uint8 takes whole numbers from 0 to 255. By default
        float32 up to 16 dimensions, else float16. Vectors that float16 cannot tell apart are stored as float32, with a
        PrecisionWarning.
    clusters : int, optional
        4-bit symbols of a code: a multiple of 8 that divides the power of two above ``dim``. More clusters find more
        per item scored, and take half a byte each. By default half a symbol per dimension, up to 128.
    mean : array, shape (dim,), optional
        Subtracted before coding (from unit vectors for cosine). By default the index takes the mean of its items, and
        encodes them again if they move away from it.
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
        metric: Metric = "cosine",
        *,
        features: str | None = None,
        clusters: int | None = None,
        mean: npt.ArrayLike | None = None,
        seed: int = 0,
    ) -> None:
        self._store = VectorStore(dim, metric, features=features, clusters=clusters, mean=mean, seed=seed)
        self.dim, self.metric = self._store.dim, self._store.metric
        self.clusters, self.seed = self._store.clusters, self._store.seed
        self._promise = DEFAULT_RECALL  # of searches that are not told otherwise; ``tune`` changes it
        self._certificate = Certificate()
        self._rooms = Rooms()

    @property
    def cosine(self) -> bool:
        """Whether the metric is the cosine similarity."""
        return self.metric == "cosine"

    @property
    def mean(self) -> F32:
        """Vector that is subtracted before coding, float32 (dim,)."""
        return self._store.mean

    @property
    def kind(self) -> dict[str, str | int]:
        """Settings that two indexes must have in common, besides the mean, to be merged."""
        return self._store.kind

    def __len__(self) -> int:
        return self._store.count

    def __iter__(self) -> Iterator[int]:
        """Iterate over all ids, ascending."""
        return iter(self.ids().tolist())

    def contains(self, ids: npt.ArrayLike) -> Bools:
        """Return which ids are in the index, bool (n,)."""
        return np.isin(np.atleast_1d(np.asarray(ids)), self.ids())

    def __contains__(self, id_: object) -> bool:
        """Return whether an id is in the index; of several ids, whether all are."""
        if isinstance(id_, (np.ndarray, list, tuple)):
            return bool(self.contains(id_).all())
        if not isinstance(id_, (int, np.integer)) or id_ < 0 or id_ > np.iinfo(np.int64).max:
            return False
        return self._store.contains(int(id_))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} vectors, dim={self.dim}, metric={self.metric!r}>"

    # Names that users of FAISS know

    @property
    def ntotal(self) -> int:
        """Number of items, as FAISS calls it."""
        return len(self)

    @property
    def d(self) -> int:
        """Length of a vector, as FAISS calls it."""
        return self.dim

    def remove_ids(self, ids: npt.ArrayLike) -> int:
        """Remove those of the ids that are in the index, as FAISS does; return how many there were."""
        wanted = np.unique(np.asarray(ids))
        present = wanted[self.contains(wanted)]
        self.remove(present)
        return len(present)

    def reset(self) -> None:
        """Remove all items, as FAISS calls it."""
        self.clear()

    def ids(self) -> I64:
        """Return all ids, int64 (n,), ascending."""
        return self._store.all_ids()

    def stats(self) -> Stats:
        """Return contents and memory of the index, and the recall that it expects of its searches by default."""
        stats = self._store.stats()
        if self._is_exact() or not stats.items:
            return stats
        with self._store.lock.reading():
            plan = self._certificate.plan(self._store, 10, self._promise, None)
        if plan is None:
            return stats
        return stats._replace(expected_recall=self._promise)

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
        if other is self:
            raise DuplicateIdError("merge: expected another index, found this one, whose ids are all here")
        return other._store

    def compact(self) -> None:
        """Give the memory of removed items back. Takes about the time of adding what is left.

        It is done without being asked when fewer than half of the rows are in use, unless the vectors are mapped.
        """
        self._store.compact()

    def clear(self) -> None:
        """Remove all items. The ids of new ones go on from the highest so far."""
        self._store.clear()

    # Searching

    @overload
    def search(
        self,
        q: F32,
        k: int = 10,
        *,
        recall: float | None = None,
        effort: float | None = None,
        allow: Any = None,
        report: Literal[False] = False,
        threads: int | None = 1,
    ) -> tuple[F32, I64]: ...

    @overload
    def search(
        self,
        q: F32,
        k: int = 10,
        *,
        recall: float | None = None,
        effort: float | None = None,
        allow: Any = None,
        report: Literal[True],
        threads: int | None = 1,
    ) -> tuple[F32, I64, SearchReport]: ...

    def search(
        self,
        q: F32,
        k: int = 10,
        *,
        recall: float | None = None,
        effort: float | None = None,
        allow: npt.ArrayLike | Callable[[I64], npt.ArrayLike] | None = None,
        report: bool = False,
        threads: int | None = 1,
    ) -> tuple[F32, I64] | tuple[F32, I64, SearchReport]:
        """Find the k nearest items of each query.

        Parameters
        ----------
        q : float32 (nq, dim) or (dim,)
        k : int
        recall : float, optional
            Promised share of the k nearest that are found, in the mean of queries like the items; each query looks at
            as much as that takes. By default what ``tune`` found, else 0.95; 1 is exact.
        effort : float, optional
            Instead of a promise, the share of the pools whose items are scored; 1 compares all vectors and is exact.
        allow : ids, mask or callable, optional
            Only these items may be found: an array of ids; a bool array with an entry for each id from 0 on; or a
            function that takes ids, int64 (m,), and returns which of them pass, bool (m,).
        report : bool
            Return a ``SearchReport`` too.
        threads : int, optional
            None for one per core. The results do not depend on it.

        Returns
        -------
        D : float32 (nq, k)
            Cosine similarity or inner product, highest first, or squared distance, lowest first; ties by id.
        I : int64 (nq, k)
            Ids; -1, with D = -inf or inf, if there are fewer than k items.
        report : SearchReport
            With ``report=True``.

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
        EmptyIndexError
        UnknownIdError, NothingAllowedError
            The filter names an item that the index does not hold, or lets none pass.

        Notes
        -----
        Small indexes (up to 5,000 items) and those of up to 8 dimensions are always searched exactly. What a promise
        takes is learned from the index itself at the first search, and again when it has grown by a third.
        """
        q = check_vectors(q, self.dim, "queries", nonzero=self.cosine)
        k, threads = check_size("k", k, 1), check_threads(threads)
        promise = self._promise_of(recall, effort)
        costs, ids, counts = self._search(
            q, k, promise, None if effort is None else check_effort(effort), allow, threads, certify=report
        )
        values = costs if self.metric == "l2" else -costs
        if not report:
            return values, ids
        pools, scored, compared = (counts[:, j].astype(np.int64) for j in range(3))
        missed = counts[:, 3]
        share_found = np.asarray(k / (k + missed), np.float32)
        return values, ids, SearchReport(share_found, np.exp(-missed), pools, scored, compared)

    def _promise_of(self, recall: float | None, effort: float | None) -> float:
        if recall is None:
            return self._promise
        if effort is not None:
            raise InputError("effort: expected either a promise of recall or an effort, found both; give one")
        return _check_recall(recall)

    def range_search(
        self, q: F32, radius: float, *, recall: float | None = None, effort: float | None = None
    ) -> tuple[I64, F32, I64]:
        """Find all items with a higher similarity than a radius, or a lower squared distance.

        Parameters
        ----------
        q : float32 (nq, dim) or (dim,)
        radius : float
        recall, effort : float, optional
            As for ``search``: the promised share of the items that are found, or the share of the pools to look at.

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
        promise = self._promise_of(recall, effort)
        share = None if effort is None else check_effort(effort)
        limit = check_radius(radius) if self.metric == "l2" else -check_radius(radius)
        with self._store.lock.reading():
            self._check_not_empty()
            found = self._within(q, limit, promise, share)
        lims = np.cumsum([0, *(len(costs) for costs, _ in found)])
        costs = np.concatenate([np.empty(0, np.float32), *(costs for costs, _ in found)])
        ids = np.concatenate([np.empty(0, np.int64), *(ids for _, ids in found)])
        return lims, costs if self.metric == "l2" else -costs, ids

    def search_partial(
        self,
        q: npt.ArrayLike,
        k: int = 10,
        *,
        recall: float | None = None,
        effort: float | None = None,
        threads: int | None = 1,
    ) -> tuple[F32, I64]:
        """Find the items nearest to queries with missing values: NaN, in float32 (nq, dim).

        The missing values are estimated from the known ones and the stored vectors
        (``codes.missing_values.complete``); then ``search`` is called. By default it promises more than ``search``,
        because queries with guessed values are harder than items.

        Raises
        ------
        As ``search``; InputError for a query without any known value.
        """
        rows, known = split_known(q, self.dim)
        store = self._store
        with store.lock.reading():
            moments = Moments.estimate(store.vectors.get(store.some_rows(MOMENT_ROWS)), unit=self.cosine)
        complete = impute(rows, known, moments, self._candidate_vectors)
        if recall is None and effort is None:
            recall = 1 - GUESSED_MISSED * (1 - self._promise)
        return self.search(complete, k, recall=recall, effort=effort, threads=threads)

    def search_grouped(
        self,
        q: F32,
        k: int = 10,
        *,
        group_of: GroupOf,
        recall: float | None = None,
        effort: float | None = None,
        allow: npt.ArrayLike | Callable[[I64], npt.ArrayLike] | None = None,
        threads: int | None = None,
    ) -> tuple[F32, I64]:
        """Find the k nearest groups of each query: several vectors may stand for one thing, which is found once.

        Parameters
        ----------
        q : float32 (nq, dim) or (dim,)
        k : int
        group_of : callable
            Returns the group of each of some ids: int64 (n,) -> whole numbers (n,), not below 0.
        recall, effort, allow, threads
            As for ``search``.

        Returns
        -------
        values : float32 (nq, k)
            Of the nearest vector of each group, as ``search`` returns them; NaN if there are fewer groups.
        groups : int64 (nq, k)
            -1 if there are fewer groups.

        Raises
        ------
        As ``search``; InputError if ``group_of`` returns anything else.
        """
        q, k = check_vectors(q, self.dim, "queries", nonzero=self.cosine), check_size("k", k, 1)

        def search(part: F32, count: int) -> tuple[F32, I64]:
            return self.search(part, count, recall=recall, effort=effort, allow=allow, threads=threads)

        return nearest_groups(search, q, k, max(1, len(self)), group_of)

    def stages(self, q: F32, k: int = 10, *, recall: float | None = None, effort: float | None = None) -> Stages:
        """Search, and return how much each stage looked at, mean per query."""
        found = self.search(q, k, recall=recall, effort=effort, report=True)[2]
        return Stages(float(found.pools.mean()), float(found.scored.mean()), float(found.compared.mean()))

    def tune(self, queries: F32, recall: float = 0.95, k: int = 10) -> float:
        """Find the least promise with which queries reach a recall, and promise it from now on.

        A promise that holds for the items may be too little or too much for queries of another kind. It stays as the
        index grows.

        Parameters
        ----------
        queries : float32 (nq, dim)
            Typical queries, some hundred. Items of the index itself are too easy.
        recall : float
            Wanted mean share of the k nearest that are found, at most 1.
        k : int

        Returns
        -------
        effort : float
            Share of the items that these queries then score; 1 if searches compare all vectors.

        Raises
        ------
        As ``search``; InputError unless the recall is above 0 and at most 1.

        Warns
        -----
        RecallWarning
            Only an exact search reaches the recall, or is as quick. From now on, searches are exact.
        """
        wanted = _check_recall(recall)
        queries = check_vectors(queries, self.dim, "queries", nonzero=self.cosine)
        if not len(queries):
            raise InputError("queries: expected one or more to tune by, found none")
        truth, _ = self.search(queries, k, effort=1.0)
        if self._is_exact():
            return 1.0
        present = min(k, len(self))
        limits = truth[:, present - 1 : present]  # an item as near as the k-th counts as found

        def reached(promise: float) -> tuple[bool, float]:
            found, _, about = self.search(queries, k, recall=promise, report=True)
            near = found <= limits if self.metric == "l2" else found >= limits
            exact = not about.pools.any()
            return exact or near.sum(axis=1).mean() / present >= wanted, 1.0 if exact else about.scored.mean() / len(
                self
            )

        low, high = 0.0, 1.0  # shares of the distance from no promise to a whole one, by orders of what is missed
        for _ in range(TUNE_ROUNDS):
            middle = (low + high) / 2
            low, high = (low, middle) if reached(_promise_at(middle))[0] else (middle, high)
        effort = reached(_promise_at(high))[1]
        self._promise = _promise_at(high) if effort < 1 else 1.0
        if effort == 1:
            warnings.warn(
                f"tune: expected a search that reaches recall {wanted} by looking at a part, found that only an exact "
                "one does, or is as quick; searches are exact from now on",
                RecallWarning,
                stacklevel=2,
            )
        return min(effort, 1.0)

    # Costs below are the squared distance or minus the similarity: the lowest is the nearest

    def _search(
        self,
        q: F32,
        k: int,
        promise: float,
        effort: float | None,
        allow: npt.ArrayLike | Callable[[I64], npt.ArrayLike] | None,
        threads: int,
        *,
        certify: bool,
    ) -> tuple[F32, I64, F32]:
        """Return costs, lowest first, and ids, both (nq, k), and the report of ``probe``, float32 (nq, REPORTED).

        ``certify``: whether what may have been missed is counted.
        """
        costs, ids = np.empty((len(q), k), np.float32), np.empty((len(q), k), np.int64)
        report = np.zeros((len(q), REPORTED), np.float32)
        store = self._store

        def work(start: int, stop: int) -> None:
            for at in range(start, stop, QUERY_BATCH):
                part = slice(at, min(at + QUERY_BATCH, stop))
                with store.lock.reading():
                    self._check_not_empty()
                    allowed = None if allow is None else store.allowed_rows(allow)
                    out = costs[part], report[part]
                    rows = self._nearest(q[part], out, promise, effort, allowed, certify=certify)
                    ids[part] = store.ids.ids(rows)

        parallel_for(work, len(q), threads, least=4)
        return costs, ids, report

    def _nearest(
        self,
        q: F32,
        out: tuple[F32, F32],
        promise: float,
        effort: float | None,
        allowed: U8 | None,
        *,
        certify: bool = False,
    ) -> I32:
        """Return rows of the nearest, int32 (nq, k).

        ``out``: costs float32 (nq, k), report float32 (nq, REPORTED), filled. ``certify``: as for ``_search``.
        """
        store, metric = self._store, self._store.metric_number
        costs, report = out
        rows = np.empty(costs.shape, np.int32)
        few = allowed is not None and self._are_few(allowed)
        plan = None if few else self._plan(costs.shape[1], promise, effort)
        if plan is not None:
            stored, model = store.stored(allowed), self._certificate.current(store).model
            goal = plan.goal._replace(certify=certify)
            with self._rooms.taken(store.lock.writes, stored, model, goal) as room:
                probe(stored, store.queries(q), model, goal, metric, room, (costs, rows, report))
            if certify:
                report[:, 3] = plan.missed(report[:, 3], self._equal_all(costs[:, -1]), costs.shape[1])
        elif self.dim <= FEW_DIMENSIONS and not few and not self._is_quick_to_multiply(len(q)):
            tell_if_new("searching in few dimensions", (search_tree,), 4)
            compared = np.empty(len(q), np.int64)
            store.few.search(store, q, allowed, (costs, rows, compared))
            report[:, 2] = compared
        else:
            tell_if_new("comparing vectors", (rerank_all,), 2)
            candidates = store.used_rows()
            if allowed is not None:
                candidates = candidates[allowed[candidates] != 0]
            compare_all(store.vectors, q, store.mean, candidates, store.ids.row_ids, metric, (costs, rows))
            report[:, 2] = len(candidates)
        return rows

    def _equal_all(self, last: F32) -> Bools:
        """Return which queries equal their last neighbour, bool (n,), by its cost; of products none is known to."""
        if self.metric == "ip":
            return np.zeros(len(last), np.bool_)
        return np.asarray((last + 1 if self.cosine else last) <= COPY_SHARE * self._store.mean_spread())

    def _is_exact(self) -> bool:
        """Return whether every search compares all vectors, or rules out those that are left."""
        return len(self) <= EXACT_UP_TO or self.dim <= FEW_DIMENSIONS

    def _is_quick_to_multiply(self, queries: int) -> bool:
        """Return whether comparing all vectors with so many queries is quicker than a tree of boxes."""
        return self.dim > FEWER_DIMENSIONS and len(self) <= EXACT_UP_TO and queries >= MANY

    def _are_few(self, allowed: U8) -> bool:
        count = int(np.count_nonzero(allowed))
        return count <= ALLOWED_UP_TO or count <= ALLOWED_SHARE * len(self)

    def _plan(self, k: int, promise: float, effort: float | None) -> Plan | None:
        """Return what a search looks at; None for all vectors. The caller holds the lock."""
        if self._is_exact() or effort == 1 or (effort is None and promise == 1):
            return None
        return self._certificate.plan(self._store, k, promise, effort)

    def _within(self, q: F32, limit: float, promise: float, effort: float | None) -> list[tuple[F32, I64]]:
        """Return costs below a limit, lowest first, and ids, for each query, float32 (nq, dim)."""
        store, found = self._store, []
        plan = self._plan(10, promise, effort)
        if plan is None:
            rows = store.used_rows()
            costs = np.empty((1, len(rows)), np.float32)
            for i in range(len(q)):
                queries = store.vectors.prepare_queries(q[i : i + 1], cosine=self.cosine)
                measure_rows(queries, store.vectors.parts, rows, store.metric_number, costs)
                inside = costs[0] < limit
                found.append(self._ranked(costs[0, inside], rows[inside]))
            return found
        stored, model = store.stored(), self._certificate.current(store).model
        goal = plan.goal._replace(pool_yield=(1 - promise) / 2, item_yield=2e-4 * (1 - promise), least=1e-10)
        out = np.empty(len(stored.items.members), np.float32), np.empty(len(stored.items.members), np.int32)
        forms = store.queries(q)
        with self._rooms.taken(store.lock.writes, stored, model, goal) as room:
            for i in range(len(q)):
                n = probe_range(stored, forms, i, limit, goal, model, store.metric_number, room, out)
                found.append(self._ranked(out[0][:n].copy(), out[1][:n].copy()))
        return found

    def _ranked(self, costs: F32, rows: I32) -> tuple[F32, I64]:
        ids = self._store.ids.ids(rows)
        order = np.lexsort((ids, costs))
        return costs[order], ids[order]

    def _candidate_vectors(self, query: F32) -> F32:
        """Return the vectors of the items nearest to a query, float32 (m, dim)."""
        store = self._store
        costs, report = np.empty((1, PARTIAL_CANDIDATES), np.float32), np.empty((1, REPORTED), np.float32)
        with store.lock.reading():
            rows = self._nearest(query[None, :], (costs, report), DEFAULT_RECALL, None, None)[0]
            return store.vectors.get(rows[rows >= 0])

    def _check_not_empty(self) -> None:
        if not self._store.count:
            raise EmptyIndexError("expected an index with items, found an empty one; add some first")

    # Files and copies

    def __getstate__(self) -> dict[str, Any]:
        """Return everything, for pickles and copies; mapped vectors too."""
        with self._store.lock.reading():
            facts, arrays = self._store.state()
            arrays = {name: np.array(array) for name, array in arrays.items()}
        return {"version": FILE_VERSION, "facts": {**facts, "promise": self._promise}, "arrays": arrays}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if not isinstance(state, dict) or state.get("version") not in READABLE:
            found = state.get("version") if isinstance(state, dict) else type(state).__name__
            raise MismatchError(
                f"pickle: expected one of a CliqueIndex of format 2 or 3, found {found!r}; read it with the "
                "assocmem that wrote it, and save it to a file"
            )
        try:
            self._fill(state["facts"], state["arrays"])
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"pickle: expected a complete CliqueIndex, found damage ({error})") from error

    def copy(self) -> Self:
        """Return an index of its own with the same items."""
        return copy.deepcopy(self)

    def _fill(self, facts: dict[str, Any], arrays: Arrays) -> None:
        index = type(self)(
            facts["dim"],
            facts["metric"],
            features=facts["features"],
            clusters=facts["clusters"],
            seed=facts["seed"],
        )
        index._store.restore(facts, arrays)
        index._promise = _check_recall(facts.get("promise", DEFAULT_RECALL))
        self.__dict__.update(index.__dict__)

    def to_bytes(self) -> bytes:
        """Return the file that ``save`` writes, as bytes."""
        with tempfile.TemporaryDirectory(prefix="assocmem-") as folder:
            path = Path(folder, "index.h5")
            self.save(path)
            return path.read_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what ``to_bytes`` returned; raises as ``load``."""
        with tempfile.TemporaryDirectory(prefix="assocmem-") as folder:
            path = Path(folder, "index.h5")
            path.write_bytes(data)
            return cls.load(path)

    def save(self, path: str | os.PathLike[str] | IO[bytes]) -> None:
        """Write the index to one HDF5 file, or to an open binary file.

        An existing file is replaced as a whole, or stays as it is. Of several threads, the last one wins.
        """
        if not isinstance(path, (str, os.PathLike)):
            path.write(self.to_bytes())
            return
        with self._store.lock.reading():
            facts, arrays = self._store.state()
            save_arrays(path, FILE_KIND, {**facts, "promise": self._promise}, arrays, version=FILE_VERSION)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | IO[bytes], *, mmap: bool = False) -> Self:
        """Read an index that ``save`` wrote, from a file by its name or from an open binary file.

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
        if not isinstance(path, (str, os.PathLike)):
            if mmap:
                raise InputError("mmap: expected the name of a file, found an open one; save it to a file of its own")
            return cls.from_bytes(path.read())
        mapped = ("vectors",) if mmap else ()
        with loaded_arrays(path, FILE_KIND, "build it again", mapped=mapped, newest=FILE_VERSION) as (
            facts,
            arrays,
        ):
            index = cls.__new__(cls)
            index._fill(facts, arrays)
        return index


def _check_recall(recall: float) -> float:
    """Return a number above 0 and at most 1; InputError for anything else."""
    if not isinstance(recall, (int, float, np.floating, np.integer)) or not 0 < recall <= 1:
        raise InputError(f"recall: expected a number above 0 and at most 1, found {recall!r}; 1 is exact")
    return float(recall)


def _promise_at(share: float) -> float:
    """Return a promise for a share from 0 to 1: what may be missed falls from nearly all to a thousandth."""
    return float(1 - 0.9 * (1e-3 / 0.9) ** share)
