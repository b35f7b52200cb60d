"""CliqueNeighbors and CliqueTransformer: a CliqueIndex with the interface of scikit-learn, which need not be installed.

If it is, they derive from its classes; see ``assocmem._numerics.estimator``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.estimator import (
    HAS_SKLEARN,
    ClassNamePrefixFeaturesOutMixin,
    Estimator,
    TransformerMixin,
    check_fitted,
    check_rows,
)
from assocmem._numerics.types import F32, F64, I64, AnyArray
from assocmem._numerics.validation import check_radius, check_size
from assocmem.errors import AssocmemError, InputError
from assocmem.search.clique_index import CliqueIndex

if TYPE_CHECKING or not HAS_SKLEARN:

    class KNeighborsMixin:
        """Stand-in: what scikit-learn's class does is replaced here, method by method."""

    class RadiusNeighborsMixin:
        """Stand-in, as above."""

else:  # functions such as sklearn.neighbors.kneighbors_graph take an estimator of these classes only
    from sklearn.neighbors._base import KNeighborsMixin, RadiusNeighborsMixin

Metric = Literal["minkowski", "euclidean", "l2", "cosine"]
Mode = Literal["connectivity", "distance"]


class CliqueNeighbors(KNeighborsMixin, RadiusNeighborsMixin, Estimator):
    """Nearest neighbours among the rows of a matrix, with the interface of ``sklearn.neighbors.NearestNeighbors``.

    Parameters
    ----------
    n_neighbors : int
    radius : float
        Of ``radius_neighbors``.
    metric : {"minkowski", "euclidean", "l2", "cosine"}
        Distances are Euclidean, for which there are three names, or 1 - similarity.
    p : int
        2. Here, as ``metric_params``, because functions of scikit-learn ask for it.
    metric_params : None
    recall : float, optional
        Promised share of the neighbours that are found, as for ``CliqueIndex.search``; 1 is exact. By default 0.95, or
        what ``index_.tune`` found. Up to 5,000 rows or 8 columns, every search is exact.
    effort : float, optional
        Instead of a promise, a fixed cost, as for ``CliqueIndex.search``.
    n_jobs : int, optional
        Threads of ``kneighbors``; None or below 1 for one per core.

    Attributes
    ----------
    index_ : CliqueIndex
        After ``fit``: the rows, as float32; ids are row numbers. More rows may be added to it.
    n_samples_fit_ : int
        Rows of ``fit``.
    effective_metric_ : str
        "euclidean" or "cosine".
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    Nothing of the matrix is kept but the rows in the index, so it may be changed after ``fit``. Rows are compared as
    float32; distances are float64.
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        radius: float = 1.0,
        metric: Metric = "minkowski",
        p: int = 2,
        metric_params: None = None,
        recall: float | None = None,
        effort: float | None = None,
        n_jobs: int | None = 1,
    ) -> None:
        self.n_neighbors, self.radius = n_neighbors, radius
        self.metric, self.p, self.metric_params = metric, p, metric_params
        self.recall, self.effort, self.n_jobs = recall, effort, n_jobs

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Index the rows of a matrix of numbers (n, columns), converted to float32; ``y`` is ignored.

        Raises
        ------
        TypeError
            A sparse matrix.
        InputError
            Anything else that is not a matrix of finite numbers, or a parameter is invalid.
        """
        if self.metric not in ("minkowski", "euclidean", "l2", "cosine"):
            raise InputError(f"metric: expected minkowski, euclidean, l2 or cosine, found {self.metric!r}")
        if self.metric != "cosine" and (self.p != 2 or self.metric_params):
            raise InputError(f"p, metric_params: expected 2 and None, found {self.p!r} and {self.metric_params!r}")
        cosine = self.metric == "cosine"
        x = check_rows(self, X, reset=True, nonzero=cosine)
        self.effective_metric_ = "cosine" if cosine else "euclidean"
        self.index_ = CliqueIndex(x.shape[1], "cosine" if cosine else "l2", features="float32")
        self.index_.add(x)
        self.n_samples_fit_ = len(x)
        return self

    @property
    def _fit_X(self) -> F32:
        """Rows of ``fit``, float32 (n, columns); scikit-learn's functions read it."""
        check_fitted(self, "_fit_X")
        return self.index_.reconstruct(np.arange(self.n_samples_fit_))

    def kneighbors(
        self,
        X: npt.ArrayLike | None = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> tuple[F64, I64] | I64:
        """Find the nearest rows of each query; without ``X``, of each fitted row, except the row itself.

        Parameters
        ----------
        X : numbers (nq, columns), optional
        n_neighbors : int, optional
            By default that of the estimator.
        return_distance : bool

        Returns
        -------
        distances : float64 (nq, n_neighbors)
            Nearest first; only with ``return_distance``.
        rows : int64 (nq, n_neighbors)

        Raises
        ------
        NotFittedError
        TypeError
            A sparse matrix.
        InputError
            There are fewer rows than neighbours, or these are no queries.
        """
        q = self._queries(X, "kneighbors")
        own = X is None
        k = check_size("n_neighbors", self.n_neighbors if n_neighbors is None else n_neighbors, 1)
        if k + own > len(self.index_):
            raise InputError(f"n_neighbors: expected n_neighbors <= {len(self.index_) - own} rows, found {k}")
        threads = self.n_jobs if self.n_jobs is not None and self.n_jobs > 0 else None
        values, rows = self.index_.search(q, k + own, recall=self.recall, effort=self.effort, threads=threads)
        short = (rows < 0).any(axis=1)
        if short.any():  # at little effort, pools can hold fewer than k rows
            values[short], rows[short] = self.index_.search(q[short], k + own, effort=1, threads=threads)
        if own:
            keep = rows != np.arange(len(q))[:, None]
            keep[keep.all(axis=1), -1] = False  # not among its own neighbours: as many others equal it
            values, rows = values[keep].reshape(len(q), k), rows[keep].reshape(len(q), k)
        return (self._distances(values), rows) if return_distance else rows

    def kneighbors_graph(
        self, X: npt.ArrayLike | None = None, n_neighbors: int | None = None, mode: Mode = "connectivity"
    ) -> Any:
        """Return the neighbours of each query as a sparse matrix.

        Parameters
        ----------
        X, n_neighbors
            As for ``kneighbors``.
        mode : {"connectivity", "distance"}
            Entries are 1, or distances.

        Returns
        -------
        graph : scipy.sparse.csr_matrix, float64 (nq, rows)
            The entries of each row are in the order of distance.

        Raises
        ------
        NotFittedError, TypeError, InputError
            As ``kneighbors``.
        AssocmemError
            SciPy is not installed.
        """
        _check_mode(mode)
        distances, rows = self.kneighbors(X, n_neighbors)
        ends = np.arange(len(rows) + 1) * rows.shape[1]
        return self._graph(distances.ravel(), rows.ravel(), ends, mode)

    def radius_neighbors(
        self,
        X: npt.ArrayLike | None = None,
        radius: float | None = None,
        return_distance: bool = True,
        sort_results: bool = False,
    ) -> tuple[AnyArray, AnyArray] | AnyArray:
        """Find all rows within a radius of each query; without ``X``, of each fitted row, except the row itself.

        Parameters
        ----------
        X : numbers (nq, columns), optional
        radius : float, optional
            Greatest distance, itself included, to the precision of float32; by default that of the estimator.
        return_distance : bool
        sort_results : bool
            Results are always sorted.

        Returns
        -------
        distances : object (nq,)
            Of arrays, float64 (found,), nearest first; only with ``return_distance``.
        rows : object (nq,)
            Of arrays, int64 (found,).

        Raises
        ------
        NotFittedError, TypeError
            As ``kneighbors``.
        InputError
            The radius is no number from 0 on, or these are no queries.
        """
        distances, rows, ends = self._within(X, radius, "radius_neighbors")
        parts = [_parts(values, ends) for values in (distances, rows)]
        return (parts[0], parts[1]) if return_distance else parts[1]

    def radius_neighbors_graph(
        self,
        X: npt.ArrayLike | None = None,
        radius: float | None = None,
        mode: Mode = "connectivity",
        sort_results: bool = False,
    ) -> Any:
        """Return the rows within a radius of each query as a sparse matrix.

        Parameters
        ----------
        X, radius, sort_results
            As for ``radius_neighbors``.
        mode : {"connectivity", "distance"}
            Entries are 1, or distances.

        Returns
        -------
        graph : scipy.sparse.csr_matrix, float64 (nq, rows)
            The entries of each row are in the order of distance.

        Raises
        ------
        NotFittedError, TypeError, InputError
            As ``radius_neighbors``.
        AssocmemError
            SciPy is not installed.
        """
        _check_mode(mode)
        return self._graph(*self._within(X, radius, "radius_neighbors_graph"), mode)

    # Parts

    def _queries(self, X: npt.ArrayLike | None, method: str) -> F32:
        check_fitted(self, method)
        return self._fit_X if X is None else check_rows(self, X, reset=False, nonzero=self.index_.cosine)

    def _distances(self, values: F32) -> F64:
        """Return the distances that similarities or squared distances of the index stand for."""
        exact = values.astype(np.float64)
        return np.maximum(1 - exact, 0) if self.index_.cosine else np.sqrt(exact)

    def _within(self, X: npt.ArrayLike | None, radius: float | None, method: str) -> tuple[F64, I64, I64]:
        """Return distances and rows of all queries, float64 and int64 (found,), and the ends of queries in them."""
        q = self._queries(X, method)
        limit = check_radius(self.radius if radius is None else radius)
        if limit < 0:
            raise InputError(f"radius: expected at least 0, found {limit}")
        # The index leaves out what is exactly at the limit: ask for the next number.
        if self.index_.cosine:
            bound = np.nextafter(np.float32(1 - limit), np.float32(-np.inf))
        else:
            bound = np.nextafter(np.float32(min(limit**2, 3e38)), np.float32(np.inf))
        ends, values, rows = self.index_.range_search(q, float(bound), recall=self.recall, effort=self.effort)
        if X is None:
            queries = np.repeat(np.arange(len(q)), np.diff(ends))
            keep = rows != queries
            values, rows = values[keep], rows[keep]
            ends = np.concatenate([[0], np.cumsum(np.bincount(queries[keep], minlength=len(q)))])
        return self._distances(values), rows, ends

    def _graph(self, distances: F64, rows: I64, ends: I64, mode: Mode) -> Any:
        data = distances if mode == "distance" else np.ones(len(rows))
        columns = max(self.n_samples_fit_, int(self.index_.ids()[-1]) + 1)  # rows may have been added to the index
        return _sparse().csr_matrix((data, rows, ends), shape=(len(ends) - 1, columns))


class CliqueTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CliqueNeighbors):
    """Rows of a matrix become a graph of their nearest neighbours, as by ``sklearn.neighbors.KNeighborsTransformer``.

    In a pipeline, an estimator with ``metric="precomputed"`` follows it.

    Parameters
    ----------
    mode : {"distance", "connectivity"}
        Entries of the graph are distances, or 1. With "distance" there is one neighbour more, because a row is its own
        first neighbour.
    n_neighbors, radius, metric, p, metric_params, recall, effort, n_jobs
        As for ``CliqueNeighbors``.

    Attributes
    ----------
    index_, n_samples_fit_, effective_metric_, n_features_in_, feature_names_in_
        As of ``CliqueNeighbors``.
    """

    def __init__(
        self,
        *,
        mode: Mode = "distance",
        n_neighbors: int = 5,
        radius: float = 1.0,
        metric: Metric = "minkowski",
        p: int = 2,
        metric_params: None = None,
        recall: float | None = None,
        effort: float | None = None,
        n_jobs: int | None = 1,
    ) -> None:
        super().__init__(
            n_neighbors,
            radius=radius,
            metric=metric,
            p=p,
            metric_params=metric_params,
            recall=recall,
            effort=effort,
            n_jobs=n_jobs,
        )
        self.mode = mode

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Index the rows of a matrix; see ``CliqueNeighbors.fit``."""
        _check_mode(self.mode)
        super().fit(X)
        self._n_features_out = self.n_samples_fit_
        return self

    def transform(self, X: npt.ArrayLike) -> Any:
        """Return the graph of the fitted rows that are nearest to each row of a matrix, (n, columns).

        Returns
        -------
        graph : scipy.sparse.csr_matrix, float64 (n, fitted rows)
            With n_neighbors + 1 entries in each row for "distance", n_neighbors for "connectivity".

        Raises
        ------
        As ``CliqueNeighbors.kneighbors_graph``.
        """
        check_fitted(self, "transform")
        k = check_size("n_neighbors", self.n_neighbors, 1)
        return self.kneighbors_graph(X, k + (self.mode == "distance"), self.mode)


def _check_mode(mode: str) -> None:
    if mode not in ("connectivity", "distance"):
        raise InputError(f"mode: expected connectivity or distance, found {mode!r}")


def _parts(values: F64 | I64, ends: I64) -> AnyArray:
    """Return an array of arrays, object (n,): the part between each two ends."""
    parts = np.empty(len(ends) - 1, dtype=object)
    for i in range(len(parts)):
        parts[i] = values[ends[i] : ends[i + 1]]
    return parts


def _sparse() -> Any:
    """Return ``scipy.sparse``, which comes with scikit-learn."""
    try:
        return importlib.import_module("scipy.sparse")
    except ImportError as error:
        raise AssocmemError(f"graph: expected SciPy, found none ({error}); pip install scikit-learn") from error
