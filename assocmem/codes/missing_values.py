"""Partial cues: feature vectors of which some numbers are missing (NaN), completed from what is stored.

What is missing is no zero. Its expected value, given the rest, is found in two steps: the linear regression on the
known numbers (mean and covariance of stored features, with a ridge), plus what that regression got wrong for the stored
items nearest in the known numbers, weighted by distance: regression and kernel estimate in one, better than either.
Arrays in, arrays out; knows no index: how candidates are found and read, the caller says.
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
NEAREST = 20
"""Stored items whose regression errors are taken over."""
SHARPNESS = 2
"""Weights fall with this power of the squared distance."""
SAMPLE = 4000
"""Rows that mean and covariance are worth being estimated from."""
_SCALINGS = 3


def split_known(queries: npt.ArrayLike, dim: int) -> tuple[F32, Bools]:
    """Check partial cues: float32 (n, dim), NaN where nothing is known; and bool (n, dim), where something is.

    Raises
    ------
    InputError
        Wrong shape or dtype, infinite numbers, or a cue without any number.
    """
    array = np.asarray(queries)
    if array.dtype.kind not in "fiu":
        raise InputError(f"queries: expected numbers, found dtype {array.dtype}")
    rows = np.atleast_2d(array).astype(np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise InputError(f"queries: expected shape (n, {dim}), found {array.shape}")
    if np.isinf(rows).any():
        raise InputError("queries: expected finite numbers, or NaN for what is missing; found infinity")
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
        Whether features are scaled to unit length: for cosine, where a cue's own scale means nothing.
    """

    mean: F64
    covariance: F64
    unit: bool

    @classmethod
    def of(cls, rows: Floats, *, unit: bool) -> Moments:
        """Estimate them from some rows (n, d), ``SAMPLE`` or so; of few rows the ridge makes the best."""
        x: F64 = np.asarray(rows, np.float64)
        if unit:
            x = np.asarray(_unit(x), np.float64)
        mean = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
        centred = x - mean
        return cls(mean, centred.T @ centred / max(1, len(x) - 1), unit)

    def regression(self, known: Bools) -> F64:
        """Return the coefficients of the missing numbers on the known ones, float64 (known, missing)."""
        size = np.trace(self.covariance) / len(self.mean)
        among = self.covariance[np.ix_(known, known)] + (RIDGE * size + 1e-30) * np.eye(int(known.sum()))
        return np.asarray(np.linalg.solve(among, self.covariance[np.ix_(known, ~known)]))

    def expect(self, rows: F32, known: Bools, coefficients: F64) -> F32:
        """Return the expected value of the missing numbers, float32 (n, missing), for rows (n, known)."""
        return np.asarray(self.mean[~known] + (rows - self.mean[known]) @ coefficients, np.float32)


def complete(queries: F32, known: Bools, moments: Moments, candidates: Callable[[F32], F32]) -> F32:
    """Fill in what is missing.

    Parameters
    ----------
    queries : float32 (n, d)
        NaN where ``known`` is false. Cues with the same numbers missing share the regression: a system of equations
        as large as there are known numbers.
    known : bool (n, d)
    moments : Moments
    candidates : function of float32 (d,)
        Returns features, float32 (m, d), of stored items near to a complete query; the more of them, the better the
        nearest of them in the known numbers.

    Returns
    -------
    float32 (n, d), of unit length where the moments are.
    """
    filled = queries.copy()
    for rows, mask in _masks(known):
        if mask.all():
            continue
        coefficients = moments.regression(mask)
        cues = filled[np.ix_(rows, mask)]
        expected = moments.expect(cues, mask, coefficients)
        if moments.unit:
            cues, expected = _scaled(cues, mask, moments, coefficients)
        for row, cue, guess in zip(rows, cues, expected, strict=True):
            whole = np.empty(len(mask), np.float32)
            whole[mask], whole[~mask] = cue, guess
            near = candidates(whole)
            if len(near):
                near, weights = _nearest(_unit(near) if moments.unit else near, cue, mask, moments.unit)
                wrong = near[:, ~mask] - moments.expect(near[:, mask], mask, coefficients)
                whole[~mask] += weights @ wrong
            filled[row] = whole
    return np.asarray(_unit(filled) if moments.unit else filled, np.float32)


def known_distances(features: F32, cue: F32, known: Bools, *, unit: bool) -> F32:
    """Squared distances of features (m, d) to a cue (known,) in the known numbers alone, float32 (m,).

    With ``unit``, of directions: both sides are brought to the same length in the known numbers first.
    """
    part, own = features[:, known], cue
    if unit:
        part, own = _unit(part), _unit(cue[None])[0]
    return np.asarray(np.square(part - own).sum(axis=1), np.float32)


def _masks(known: Bools) -> Iterator[tuple[npt.NDArray[np.intp], Bools]]:
    """Yield the different masks, with the rows that have them."""
    masks, which = np.unique(known, axis=0, return_inverse=True)
    for number, mask in enumerate(masks):
        yield np.flatnonzero(which.reshape(-1) == number), mask


def _scaled(cues: F32, known: Bools, moments: Moments, coefficients: F64) -> tuple[F32, F32]:
    """Bring cues to the scale at which they and what is expected of the rest have unit length together."""
    usual = np.sqrt((moments.mean[known] ** 2 + np.diag(moments.covariance)[known]).sum())
    lengths = np.sqrt(np.square(cues, dtype=np.float64).sum(axis=1, keepdims=True))
    scale = np.where(lengths > 0, lengths / max(usual, 1e-30), 1)
    for _ in range(_SCALINGS):
        scaled = np.asarray(cues / scale, np.float32)
        expected = moments.expect(scaled, known, coefficients)
        total = np.sqrt(np.square(scaled).sum(axis=1, keepdims=True) + np.square(expected).sum(axis=1, keepdims=True))
        scale = scale * np.where(total > 0, total, 1)
    return np.asarray(cues / scale, np.float32), expected


def _nearest(features: F32, cue: F32, known: Bools, unit: bool) -> tuple[F32, F32]:
    """Return the nearest in the known numbers, float32 (m, d), and their weights, float32 (m,), which sum to 1.

    With ``unit`` they are scaled so that their weighted mean fits the cue best.
    """
    distances = known_distances(features, cue, known, unit=unit)
    chosen = np.argsort(distances, kind="stable")[:NEAREST]
    near, distances = features[chosen], np.maximum(distances[chosen], 1e-9)
    weights = (distances[0] / distances) ** SHARPNESS
    weights /= weights.sum()
    if unit:
        mean = weights @ near[:, known]
        near = near * (cue @ mean / max(mean @ mean, 1e-30))
    return np.asarray(near, np.float32), np.asarray(weights, np.float32)


def _unit(rows: Floats) -> Floats:
    """Rows scaled to unit length; a zero row stays zero."""
    lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), rows.dtype)
