"""Missing values: queries in which some numbers are unknown (NaN) are completed from stored features.

Zero is a bad guess for a missing number. Its expected value, given the known ones, is found in two steps: the linear
regression on the known numbers (from the mean and covariance of stored features, with a ridge), plus the regression's
errors for the stored items nearest in the known numbers, weighted by distance. So a regression and a kernel estimate
are combined; together they are better than either. How candidates are found and read is up to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, F64, Bools, Floats
from assocmem.errors import InputError

RIDGE = 0.01
"""Added to every variance, as a share of their mean."""
NEIGHBOURS = 20
"""Stored items whose regression errors are averaged."""
SHARPNESS = 2
"""Weights fall with this power of the squared distance."""
MOMENT_ROWS = 4000
"""Rows to estimate mean and covariance from; more rows hardly improve them."""
_SCALINGS = 3


def split_known(queries: npt.ArrayLike, dim: int) -> tuple[F32, Bools]:
    """Check queries with missing numbers; return them, float32 (n, dim), and which numbers are known, bool (n, dim).

    Raises
    ------
    InputError
        Wrong shape or dtype, infinite numbers, or a query without any number.
    """
    array = np.asarray(queries)
    if array.dtype.kind not in "fiu":
        raise InputError(f"queries: expected numbers, found dtype {array.dtype}")
    rows = np.atleast_2d(array).astype(np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise InputError(f"queries: expected shape (n, {dim}), found {array.shape}")
    if np.isinf(rows).any():
        raise InputError("queries: expected finite numbers, or NaN for missing ones; found infinity")
    known = ~np.isnan(rows)
    empty = np.flatnonzero(~known.any(axis=1))
    if len(empty):
        raise InputError(f"queries: expected at least one number in each, found only NaN in row {empty[0]}")
    return rows, known


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and covariance of stored features.

    Attributes
    ----------
    mean : float64 (d,)
    covariance : float64 (d, d)
    unit : bool
        Whether features are scaled to unit length: for cosine similarity, where the scale of a query has no meaning.
    """

    mean: F64
    covariance: F64
    unit: bool

    @classmethod
    def estimate(cls, rows: Floats, *, unit: bool) -> Moments:
        """Estimate them from rows (n, d), about ``MOMENT_ROWS``; with few rows the ridge limits the errors."""
        x: F64 = np.asarray(rows, np.float64)
        if unit:
            x = np.asarray(_unit(x), np.float64)
        mean = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
        centred = x - mean
        return cls(mean, centred.T @ centred / max(1, len(x) - 1), unit)

    def coefficients(self, known: Bools) -> F64:
        """Return the regression coefficients of the missing numbers on the known ones, float64 (known, missing)."""
        size = np.trace(self.covariance) / len(self.mean)
        among = self.covariance[np.ix_(known, known)] + (RIDGE * size + 1e-30) * np.eye(int(known.sum()))
        return np.asarray(np.linalg.solve(among, self.covariance[np.ix_(known, ~known)]))

    def predict(self, rows: F32, known: Bools, coefficients: F64) -> F32:
        """Return the expected value of the missing numbers, float32 (n, missing), for rows (n, known)."""
        return np.asarray(self.mean[~known] + (rows - self.mean[known]) @ coefficients, np.float32)


def impute(queries: F32, known: Bools, moments: Moments, candidates: Callable[[F32], F32]) -> F32:
    """Fill in the missing numbers.

    Parameters
    ----------
    queries : float32 (n, d)
        NaN where ``known`` is false. Queries with the same numbers missing share the regression: a system of as many
        equations as there are known numbers.
    known : bool (n, d)
    moments : Moments
    candidates : function of float32 (d,)
        Returns features, float32 (m, d), of stored items near to a complete query. The more there are, the better are
        the nearest of them in the known numbers.

    Returns
    -------
    float32 (n, d), of unit length if the moments are.
    """
    filled = queries.copy()
    for rows, mask in _masks(known):
        if mask.all():
            continue
        coefficients = moments.coefficients(mask)
        cues = filled[np.ix_(rows, mask)]
        expected = moments.predict(cues, mask, coefficients)
        if moments.unit:
            cues, expected = _scaled(cues, mask, moments, coefficients)
        for row, cue, guess in zip(rows, cues, expected, strict=True):
            whole = np.empty(len(mask), np.float32)
            whole[mask], whole[~mask] = cue, guess
            near = candidates(whole)
            if len(near):
                near, weights = _nearest(_unit(near) if moments.unit else near, cue, mask, moments.unit)
                errors = near[:, ~mask] - moments.predict(near[:, mask], mask, coefficients)
                whole[~mask] += weights @ errors
            filled[row] = whole
    return np.asarray(_unit(filled) if moments.unit else filled, np.float32)


def known_distances(features: F32, cue: F32, known: Bools, *, unit: bool) -> F32:
    """Return the squared distances of features (m, d) to a cue (known,) in the known numbers alone, float32 (m,).

    With ``unit``, distances are between directions: both sides are first scaled to unit length in the known numbers.
    """
    part, own = features[:, known], cue
    if unit:
        part, own = _unit(part), _unit(cue[None])[0]
    return np.asarray(np.square(part - own).sum(axis=1), np.float32)


def _masks(known: Bools) -> Iterator[tuple[npt.NDArray[np.intp], Bools]]:
    """Yield the different masks, each with the rows that have it."""
    masks, which = np.unique(known, axis=0, return_inverse=True)
    for number, mask in enumerate(masks):
        yield np.flatnonzero(which.reshape(-1) == number), mask


def _scaled(cues: F32, known: Bools, moments: Moments, coefficients: F64) -> tuple[F32, F32]:
    """Scale cues so that each has unit length together with the expected values of its missing numbers."""
    usual = np.sqrt((moments.mean[known] ** 2 + np.diag(moments.covariance)[known]).sum())
    lengths = np.sqrt(np.square(cues, dtype=np.float64).sum(axis=1, keepdims=True))
    scale = np.where(lengths > 0, lengths / max(usual, 1e-30), 1)
    for _ in range(_SCALINGS):
        scaled = np.asarray(cues / scale, np.float32)
        expected = moments.predict(scaled, known, coefficients)
        total = np.sqrt(np.square(scaled).sum(axis=1, keepdims=True) + np.square(expected).sum(axis=1, keepdims=True))
        scale = scale * np.where(total > 0, total, 1)
    return np.asarray(cues / scale, np.float32), expected


def _nearest(features: F32, cue: F32, known: Bools, unit: bool) -> tuple[F32, F32]:
    """Return the nearest in the known numbers, float32 (m, d), and their weights, float32 (m,), which sum to 1.

    With ``unit`` they are scaled so that their weighted mean fits the cue best.
    """
    distances = known_distances(features, cue, known, unit=unit)
    chosen = np.argsort(distances, kind="stable")[:NEIGHBOURS]
    near, distances = features[chosen], np.maximum(distances[chosen], 1e-9)
    weights = (distances[0] / distances) ** SHARPNESS
    weights /= weights.sum()
    if unit:
        mean = weights @ near[:, known]
        near = near * (cue @ mean / max(mean @ mean, 1e-30))
    return np.asarray(near, np.float32), np.asarray(weights, np.float32)


def _unit(rows: Floats) -> Floats:
    """Return rows scaled to unit length, in their own dtype: the moments need float64. A zero row stays zero."""
    lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), rows.dtype)
