"""Exact nearest neighbours of a few queries among very many vectors, updated in parts; and statistics of distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.types import F32, I64, KERNEL

PART = 4096
"""Vectors that are compared with all queries at a time."""
DEEP = 100
"""Neighbours from which the local intrinsic dimension is estimated."""


@njit(**KERNEL)
def keep_nearest(scores, start, values, rows):  # type: ignore[no-untyped-def]
    """Merge the scores of new rows into the least scores so far.

    ``scores``: float32 (nq, n), of the rows from ``start`` on; ``values``: float32 (nq, k), ascending; ``rows``: int64
    (nq, k). Of equal scores, the earlier row stays first.
    """
    last = values.shape[1] - 1
    for i in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            score = scores[i, j]
            if score < values[i, last]:
                at = last
                while at > 0 and values[i, at - 1] > score:
                    values[i, at] = values[i, at - 1]
                    rows[i, at] = rows[i, at - 1]
                    at -= 1
                values[i, at] = score
                rows[i, at] = start + j


class NearestRows:
    """The nearest rows of each query among the vectors added so far.

    Parameters
    ----------
    queries : float32 (nq, dim)
    k : int

    Attributes
    ----------
    rows : int64 (nq, k)
        Nearest first; -1 as long as there are fewer than k.
    """

    def __init__(self, queries: F32, k: int) -> None:
        self.queries = queries
        self._squares = np.einsum("ij,ij->i", queries, queries)
        self._values = np.full((len(queries), k), np.inf, np.float32)
        self.rows: I64 = np.full((len(queries), k), -1, np.int64)

    def add(self, x: F32, start: int = 0) -> None:
        """Add vectors, float32 (n, dim), which are the rows from ``start`` on."""
        for at in range(0, len(x), PART):
            part = x[at : at + PART]
            scores = np.einsum("ij,ij->i", part, part) - 2 * (self.queries @ part.T)
            keep_nearest(scores, start + at, self._values, self.rows)

    @property
    def distances(self) -> F32:
        """Euclidean distances, float32 (nq, k), as exact as float32 products; infinite where there is no row."""
        squared: F32 = np.maximum(self._values + self._squares[:, None], 0)
        return np.sqrt(squared)


def nearest_rows(queries: F32, x: F32, k: int) -> tuple[F32, I64]:
    """Return the distances, float32 (nq, k), and rows, int64 (nq, k), of the k nearest."""
    found = NearestRows(queries, k)
    found.add(x)
    return found.distances, found.rows


class Percentiles(NamedTuple):
    """The 10th, 50th and 90th percentile over the queries."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class NeighbourhoodStats:
    """How far neighbours are, and in how many directions."""

    items: int
    first: Percentiles
    """Distance of the nearest."""
    tenth: Percentiles
    """Distance of the tenth."""
    dimension: Percentiles
    """Local intrinsic dimension: how fast distances rise from the 10th to the `DEEP`-th neighbour, as in Amsaleg et
    al., "Estimating local intrinsic dimensionality", KDD 2015, but without the nearest, which may be near copies."""

    def difference(self, other: NeighbourhoodStats) -> float:
        """Return the mean absolute difference of the medians' logarithms."""
        pairs = [(getattr(self, name).middle, getattr(other, name).middle) for name in ("first", "tenth", "dimension")]
        return float(np.mean([abs(np.log(max(a, 1e-9) / max(b, 1e-9))) for a, b in pairs]))


def neighbourhood_stats(queries: F32, x: F32) -> NeighbourhoodStats:
    """Measure the neighbourhoods of queries, float32 (nq, dim), among x, float32 (n, dim), n > 10."""
    found, _ = nearest_rows(queries, x, min(DEEP, len(x)))
    depth = found.shape[1]
    deepest = np.maximum(found[:, -1:], 1e-9)
    logs = np.log(deepest / np.maximum(found[:, 9:-1], 1e-6 * deepest)).mean(axis=1)
    steps = 1 / np.arange(10, depth)  # in one dimension, the logarithms of the i-th and the next differ by 1 / i
    dimension = np.cumsum(steps[::-1]).mean() / np.maximum(logs, 1e-9)
    columns = (found[:, 0], found[:, 9], dimension)
    percentiles = (Percentiles(*np.percentile(column, (10, 50, 90)).tolist()) for column in columns)
    return NeighbourhoodStats(len(x), *percentiles)
