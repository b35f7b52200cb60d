"""CliqueNeighbors: a CliqueIndex with the interface of scikit-learn, which need not be installed."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, F64, I64
from assocmem._numerics.validation import check_size, check_vectors
from assocmem.errors import InputError
from assocmem.search.clique_index import CliqueIndex


class CliqueNeighbors:
    """Nearest neighbours among the rows of a matrix, with the interface of ``sklearn.neighbors.NearestNeighbors``.

    Parameters
    ----------
    n_neighbors : int
    metric : {"cosine", "euclidean", "l2"}
        Distances are 1 - similarity, or Euclidean.
    effort : float, optional
        As for ``CliqueIndex.search``; 1 is exact. The default finds about 0.95 of the neighbours of features, and less
        if vectors have little structure; ``index_.tune`` finds the effort for a wanted recall.
    n_jobs : int, optional
        Threads of a search; None or below 1 for one per core.

    Attributes
    ----------
    index_ : CliqueIndex
        After ``fit``; ids are row numbers. More rows may be added to it.
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        metric: Literal["cosine", "euclidean", "l2"] = "euclidean",
        effort: float | None = None,
        n_jobs: int | None = 1,
    ) -> None:
        self.n_neighbors, self.metric, self.effort, self.n_jobs = n_neighbors, metric, effort, n_jobs

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; ``sklearn.base.clone`` calls this."""
        return {name: getattr(self, name) for name in ("n_neighbors", "metric", "effort", "n_jobs")}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; InputError for an unknown name."""
        for name, value in params.items():
            if name not in self.get_params():
                raise InputError(f"set_params: expected {', '.join(self.get_params())}, found {name!r}")
            setattr(self, name, value)
        return self

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Index the rows of a matrix of numbers, converted to float32; ``y`` is ignored."""
        if self.metric not in ("cosine", "euclidean", "l2"):
            raise InputError(f"metric: expected cosine or euclidean, found {self.metric!r}")
        x = _as_float32(X)
        if x.ndim != 2:
            raise InputError(f"X: expected shape (n, dim), found {x.shape}")
        metric: Literal["cosine", "l2"] = "cosine" if self.metric == "cosine" else "l2"
        x = check_vectors(x, x.shape[1], "X", nonzero=metric == "cosine")
        self.index_ = CliqueIndex(x.shape[1], metric, features="float32", mean=_mean(x, unit=metric == "cosine"))
        self.index_.add(x)
        self.n_features_in_, self.n_samples_fit_ = x.shape[1], len(x)
        self._fitted = x
        return self

    def kneighbors(
        self,
        X: npt.ArrayLike | None = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> tuple[F64, I64] | I64:
        """Find the nearest rows of each query; without ``X``, of each fitted row, except the row itself.

        Returns
        -------
        distances : float64 (nq, n_neighbors)
            Nearest first; only with ``return_distance``.
        rows : int64 (nq, n_neighbors)

        Raises
        ------
        InputError
            ``fit`` was not called, or there are fewer rows than neighbours.
        """
        if not hasattr(self, "index_"):
            raise InputError("kneighbors: expected a fitted object, found one without data; call fit first")
        k = check_size("n_neighbors", self.n_neighbors if n_neighbors is None else n_neighbors, 1)
        own = X is None
        q = self._fitted if X is None else _as_float32(X)
        if k + own > len(self.index_):
            raise InputError(f"n_neighbors: expected at most {len(self.index_) - own}, found {k}")
        threads = self.n_jobs if self.n_jobs is not None and self.n_jobs > 0 else None
        values, rows = self.index_.search(q, k + own, effort=self.effort, threads=threads)
        if own:
            keep = rows != np.arange(len(q))[:, None]
            keep[keep.all(axis=1), -1] = False  # not among its own neighbours: as many others equal it
            values, rows = values[keep].reshape(len(q), k), rows[keep].reshape(len(q), k)
        if not return_distance:
            return rows
        distances = values.astype(np.float64)
        return (1 - distances if self.index_.cosine else np.sqrt(distances)), rows


def _as_float32(x: npt.ArrayLike) -> F32:
    return np.ascontiguousarray(x, dtype=np.float32)


def _mean(x: F32, *, unit: bool) -> F32:
    """Return the mean of the first thousand rows, which is close enough to that of all."""
    first = x[:1000].astype(np.float64)
    if unit:
        first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-300)
    return np.asarray(first.mean(axis=0), np.float32) if len(x) else np.zeros(x.shape[1], np.float32)
