"""CliqueIndex: vectors in, nearest vectors out; no training, and items come and go at any time.

The way of a query: rotation -> tables -> groups of pools -> pools -> items by their codes -> the best by their vectors.
"""

from __future__ import annotations

import math
import os
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.threads import check_threads, in_parts
from assocmem._numerics.types import F32, I32, I64
from assocmem._numerics.validation import check_effort, check_radius, check_size, check_vectors
from assocmem.codes.missing_values import SAMPLE, Moments, complete, split_known
from assocmem.errors import InputError
from assocmem.search._vector_store import StoredVectors
from assocmem.search.blocks import POOL_ITEMS
from assocmem.search.index_file import load_index, save_index
from assocmem.search.index_reports import Stages
from assocmem.search.pool_tree import Found
from assocmem.search.rerank import measure_rows, refine_all, refine_promising
from assocmem.search.tuning import least_effort

QUERIES = 256
"""Queries that are prepared together."""
EXACT_BELOW = 1024
"""Items up to which every search compares all vectors: there is nothing to gain."""
MOST_CAUTION = 3.9
"""Standard deviations that a code's score may be too low by for an item to be compared all the same, at full effort;
0.6 less at each tenth of it, where more is missed by pools that are not looked at."""
REACH = 16.0
"""Share of the items looked at unless told otherwise: this over the square root of their number."""


class CliqueIndex(StoredVectors):
    """Nearest neighbours by sparse binary codes in pools that divide as they grow.

    Parameters
    ----------
    dim : int
        Length of a vector.
    metric : {"cosine", "l2"}
        Cosine similarity, highest first, or squared Euclidean distance, least first.
    features : {"float16", "float32", "uint8"}
        How vectors are kept for the last, exact stage; uint8 takes whole numbers from 0 to 255.
    clusters : int, optional
        4-bit symbols of a code: a multiple of 8 that divides the power of two above ``dim``. More find more per item
        looked at and take half a byte each. By default half a symbol per dimension, up to 128.
    mean : array, shape (dim,), optional
        Taken off before coding (of unit vectors for cosine). Worth giving for l2, where vectors lie far from 0: half as
        many candidates then need comparing. All indexes that are to be merged need the same.
    seed : int
        Chooses the rotation.

    Notes
    -----
    One thread writes at a time; searches go on meanwhile, between the chunks of an ``add``.
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
        super().__init__(dim, metric, features=features, clusters=clusters, mean=mean, seed=seed)

    # Searching

    def search(self, q: F32, k: int = 10, *, effort: float | None = None, threads: int | None = 1) -> tuple[F32, I64]:
        """Find the k nearest items of each query.

        Parameters
        ----------
        q : float32 (nq, dim) or (dim,)
        k : int
        effort : float, optional
            About the share of the items whose codes are looked at; 1 compares all vectors and is exact. By default what
            ``tune`` found, else 16 over the square root of the number of items (recall@10 of about 0.95).
        threads : int, optional
            None for one per core. Answers do not depend on it.

        Returns
        -------
        D : float32 (nq, k)
            Cosine similarity, highest first, or squared distance, least first; ties by id.
        I : int64 (nq, k)
            Ids; where there are fewer than k items -1, with D = -inf or inf.

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
        EmptyIndexError
        """
        values, ids, _ = self._search(q, check_size("k", k, 1), effort, check_threads(threads))
        return -values if self.cosine else values, ids

    def range_search(self, q: F32, radius: float, *, effort: float | None = None) -> tuple[I64, F32, I64]:
        """Find all items within a radius: more similar than it, or at a lesser squared distance.

        Below full effort, all such items in the pools that are looked at.

        Returns
        -------
        lims : int64 (nq + 1,)
            Query i has the answers ``lims[i]`` to ``lims[i + 1]``.
        D : float32
        I : int64
            As of ``search``, nearest first.

        Raises
        ------
        As ``search``.
        """
        q = check_vectors(q, self.dim, "queries", nonzero=self.cosine)
        share = self.default_effort() if effort is None else check_effort(effort)
        border = -check_radius(radius) if self.cosine else check_radius(radius)
        found = [self._within(q[i : i + 1], border, share) for i in range(len(q))]
        lims = np.cumsum([0, *(len(values) for values, _ in found)])
        values = np.concatenate([np.empty(0, np.float32), *(values for values, _ in found)])
        ids = np.concatenate([np.empty(0, np.int64), *(ids for _, ids in found)])
        return lims, -values if self.cosine else values, ids

    def _within(self, q: F32, border: float, share: float) -> tuple[F32, I64]:
        with self._lock.reading():
            rows = self._candidates(q, len(self), share)
            values = np.empty((1, len(rows)), np.float32)
            measure_rows(self._features.queries(q, cosine=self.cosine), self._features.parts, rows, self.cosine, values)
            inside = values[0] < border
            values, ids = values[0, inside], self._ids.ids(rows[inside])
        order = np.lexsort((ids, values))
        return values[order], ids[order]

    def search_partial(
        self, q: npt.ArrayLike, k: int = 10, *, effort: float | None = None, threads: int | None = 1
    ) -> tuple[F32, I64]:
        """Find the items nearest to queries of which a part is missing: NaN, in float32 (nq, dim).

        What is missing is estimated from the known rest and the stored vectors (``partial.complete``), then searched.

        Raises
        ------
        As ``search``; InputError for a query of which nothing is known.
        """
        rows, known = split_known(q, self.dim)
        with self._lock.reading():
            alive = np.flatnonzero(self._places() >= 0).astype(np.int32)
            spread = alive[np.unique(np.linspace(0, max(len(alive) - 1, 0), SAMPLE).astype(np.int64))[: len(alive)]]
            moments = Moments.of(self._features.get(spread), unit=self.cosine)
        return self.search(complete(rows, known, moments, self._near), k, effort=effort, threads=threads)

    def _near(self, query: F32) -> F32:
        """Vectors of a query's candidates by their codes, float32 (m, dim)."""
        with self._lock.reading():
            return self._features.get(self._candidates(query[None, :], 100, min(self.default_effort(), 0.999)))

    def stages(self, q: F32, k: int = 10, *, effort: float | None = None) -> Stages:
        """Search, and return how much each stage looked at, mean per query."""
        _, _, kept = self._search(q, check_size("k", k, 1), effort, 1)
        return Stages(*kept.mean(axis=0).tolist())

    def default_effort(self) -> float:
        """Effort of a search that names none."""
        if len(self) <= EXACT_BELOW:
            return 1.0
        return self._effort if self._effort is not None else min(1.0, REACH / len(self) ** 0.5)

    def _search(self, q: F32, k: int, effort: float | None, threads: int) -> tuple[F32, I64, I64]:
        """Values, least first, ids, and how much each stage looked at, int64 (nq, 4)."""
        q = check_vectors(q, self.dim, "queries", nonzero=self.cosine)
        share = self.default_effort() if effort is None else check_effort(effort)
        values, ids = np.empty((len(q), k), np.float32), np.empty((len(q), k), np.int64)
        kept = np.zeros((len(q), 4), np.int64)

        def work(start: int, stop: int) -> None:
            for at in range(start, stop, QUERIES):
                part = slice(at, min(at + QUERIES, stop))
                with self._lock.reading():
                    values[part], rows = self._answer(q[part], k, share, kept[part])
                    ids[part] = self._ids.ids(rows)

        in_parts(work, len(q), threads, least=4)
        return values, ids, kept

    def _plan(self, k: int, share: float) -> tuple[int, int, int]:
        """Groups, pools and items to keep."""
        tree = self._tree
        # A pool that has just divided may hold as few as eight.
        pools = min(tree.items.pools, max(2 + k // 8, round(share * tree.items.pools)))
        groups = max(round(4 * share * tree.pools.pools), min(120, round(0.3 * tree.pools.pools)))
        return groups, pools, min(3 * k + round(1.2 * math.sqrt(share * len(self))), POOL_ITEMS * (pools + pools // 8))

    def _found(self, q: F32, k: int, share: float) -> Found:
        """What the codes of queries, float32 (nq, dim), promise."""
        self._check_filled()
        plan = self._plan(k, share)
        return self._tree.search(self._rotation(q), plan, most=2 * plan[2])

    def _candidates(self, q: F32, k: int, share: float) -> I32:
        """Rows to be compared with one query, float32 (1, dim): int32 (r,)."""
        if share == 1.0:
            return self._every()
        return self._tree.members(self._found(q, k, share), 0)

    def _every(self) -> I32:
        self._check_filled()
        return np.flatnonzero(self._places() >= 0).astype(np.int32)

    def _answer(self, q: F32, k: int, share: float, kept: I64) -> tuple[F32, I32]:
        """Values, least first, and rows of the nearest, (nq, k); ``kept``: int64 (nq, 4), filled."""
        values, rows = np.empty((len(q), k), np.float32), np.empty((len(q), k), np.int32)
        queries, parts, ids = self._features.queries(q, cosine=self.cosine), self._features.parts, self._ids.of_rows
        if share == 1.0:
            refine_all(queries, parts, self._every(), ids, self.cosine, (values, rows))
            kept[:, 3] = len(self)
        else:
            found = self._found(q, k, share)
            counts, members = found.kept[:, 3].copy(), self._tree.items.blocks.members
            caution = MOST_CAUTION + 0.6 * math.log10(share)
            refine_promising(queries, parts, (*found[:2], counts), members, ids, self.cosine, caution, (values, rows))
            kept[:, :3], kept[:, 3] = found.kept[:, :3], counts
        return values, rows

    def tune(self, queries: F32, recall: float = 0.95, k: int = 10) -> float:
        """Find the least effort that reaches a recall, use it from now on where none is named, and return it.

        Parameters
        ----------
        queries : float32 (nq, dim)
            Like those to come; some hundred. Items of the index itself are too easy.
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
        self._effort = least_effort(self, queries, recall, k)
        return self._effort

    def __ior__(self, other: Self) -> Self:
        """Take in all items of another index, its codes and pools as they are: nothing is encoded again.

        Raises
        ------
        InputError
            Not an index, or one whose codes mean something else.
        DuplicateIdError
            Both hold an id; nothing is changed.
        """
        self._check_alike(other)
        first, second = sorted((self, other), key=id)  # two that merge with each other would wait for each other
        with first._adding, second._adding, other._lock.reading():
            self._take_over(other)
        return self

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one HDF5 file, which is whole or not there; one that was there is replaced."""
        with self._lock.reading():
            save_index(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = False) -> Self:
        """Read an index that ``save`` wrote.

        With ``mmap`` the vectors stay in the file, and only codes are read into memory; the index can still be changed:
        new vectors are kept in memory, and the file stays as it is.

        Raises
        ------
        MissingFileError
        DamagedError
            The file is cut short, altered, or no such file at all; its checksums are checked, mapped or not.
        MismatchError
            Not an index, or written by a newer version.
        """
        index: Self = load_index(cls, path, mmap=mmap)
        return index
