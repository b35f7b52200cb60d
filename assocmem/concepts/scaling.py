"""Where examples lie and how far they spread, from sums that examples are added to and subtracted from.

Kernels need vectors of comparable columns around the origin: a column ten thousand times as wide as the others would
be all that a kernel sees, and an offset costs the precision of float32. What is learned is rounded, so that one more
example seldom changes it, and it changes nothing for data whose columns are alike and near the origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.types import F32, F64

TYPICAL = 0.75
"""Quantile of the variances of columns that is taken for a usual variance: up to a quarter may be far wider."""
WIDE = 16.0
"""A column with more than this many times the usual variance is scaled down to about the usual one."""
_RESOLUTION = 2.0**-24  # of a float32
STEP = 8.0
"""Means are rounded to multiples of about this many deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """How vectors are shifted and scaled before a kernel of a certain width is computed."""

    narrowing: F32 | None
    """float32 (d,): directions are multiplied with it first, and made as long as they were; None for no change"""
    centre: F32
    """float32 (d,): subtracted"""
    factors: F32
    """float32 (d,): powers of two that columns are multiplied with"""
    width: float
    """squared distance at which the kernel falls to 1/e"""

    def same(self, other: Scaling | None) -> bool:
        """Return whether another scaling, or None for no scaling, gives the same features."""
        return other is not None and (
            self.width == other.width
            and _equal(self.narrowing, other.narrowing)
            and np.array_equal(self.centre, other.centre)
            and np.array_equal(self.factors, other.factors)
        )

    def __call__(self, x: F32) -> F32:
        """Return vectors, float32 (n, d), shifted and scaled."""
        if self.narrowing is not None:
            x = narrowed(x, self.narrowing)
        return np.ascontiguousarray((x - self.centre) * self.factors)


def narrowed(x: F32, factors: F32) -> F32:
    """Return directions, float32 (n, d), after their columns are scaled: the cosine of scaled vectors."""
    return unit_rows(np.ascontiguousarray(x * factors))


def _equal(one: F32 | None, other: F32 | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


class Moments:
    """Sums of vectors and of their squares, counted from the first vector, so that an offset costs no precision.

    Attributes
    ----------
    count : int
        Vectors in the sums.
    """

    def __init__(self, dim: int) -> None:
        self.count = 0
        self._sums: F64 = np.zeros(dim)
        self._squares: F64 = np.zeros(dim)
        self._from: F64 | None = None

    def add(self, x: F32, sign: int = 1) -> None:
        """Add vectors, float32 (n, d); with ``sign`` -1 subtract them."""
        wide = x.astype(np.float64)
        if self._from is None and len(wide):
            self._from = wide[0].copy()
        if self._from is not None:
            wide -= self._from
        self.count += sign * len(x)
        self._sums += sign * wide.sum(axis=0)
        self._squares += sign * np.einsum("ij,ij->j", wide, wide)

    def scaling(self, narrowing: F32 | None = None) -> Scaling:
        """Return the scaling for the vectors in the sums, at least one, which have been narrowed before."""
        mean, variances, usual = self._spread()
        steps = np.exp2(np.round(np.log2(STEP * np.sqrt(np.maximum(variances, usual)))))
        centre = np.round(mean / steps) * steps
        # The common power of two keeps huge and tiny vectors within float32, and changes no digit.
        factors = np.exp2(-_halvings(variances, usual) - np.round(np.log2(usual) / 2))
        spread = 2 * float((variances * factors**2).sum())
        if not spread:  # a single example, or all the same: any width serves
            spread = 2 * float((np.square(mean - centre) * factors**2).sum()) or 1.0
        width = float(2 ** (np.round(4 * np.log2(spread)) / 4))
        return Scaling(narrowing, centre.astype(np.float32), factors.astype(np.float32), width)

    def narrowing(self) -> F32 | None:
        """Return factors, float32 (d,), that scale wide columns down; None if there are none."""
        _, variances, usual = self._spread()
        halvings = _halvings(variances, usual)
        return np.exp2(-halvings).astype(np.float32) if halvings.any() else None

    def _spread(self) -> tuple[F64, F64, float]:
        """Return means and variances of columns, and the usual variance."""
        n = max(1, self.count)
        mean, raw = self._sums / n, self._squares / n
        variances = raw - mean**2
        mean = mean if self._from is None else mean + self._from
        # Below this the differences are rounding errors: all vectors are the same in this column.
        variances[variances <= np.maximum(1e-9 * raw, (_RESOLUTION * mean) ** 2)] = 0
        positive = variances[variances > 0]
        if len(positive):
            return mean, variances, float(np.quantile(positive, TYPICAL, method="lower"))
        return mean, variances, float((mean**2).mean()) or 1.0


def _halvings(variances: F64, usual: float) -> F64:
    """Return how often each column is halved, float64 (d,)."""
    return np.where(variances > WIDE * usual, np.round(np.log2(np.maximum(variances, usual) / usual) / 2), 0.0)


class RunningScaling:
    """The scaling of examples that come and go.

    Parameters
    ----------
    dim : int
        Length of a vector.
    directions : bool
        Whether only the directions of vectors count. A column as wide as all others together then decides their
        lengths, so it is scaled down before they are made the same.
    """

    def __init__(self, dim: int, *, directions: bool) -> None:
        self._dim, self._directions = dim, directions
        self._moments = Moments(dim)
        self._narrowing: F32 | None = None
        self._narrowed = Moments(dim)

    def change(self, left: F32, came: F32) -> None:
        """Follow examples, float32 (n, d), that left and came."""
        for x, sign in ((left, -1), (came, 1)):
            self._moments.add(x, sign)
            if self._narrowing is not None:
                self._narrowed.add(narrowed(x, self._narrowing), sign)

    def restart(self, every: Iterable[F32]) -> None:
        """Begin again with all examples, in parts."""
        self._moments, self._narrowing = Moments(self._dim), None
        for x in every:
            self._moments.add(x)

    def scaling(self, every: Callable[[], Iterable[F32]]) -> Scaling:
        """Return the scaling of the examples; ``every`` gives all of them, in parts, if they are needed again."""
        narrowing = self._moments.narrowing() if self._directions else None
        if narrowing is None:
            self._narrowing = None
            return self._moments.scaling()
        if not _equal(narrowing, self._narrowing):
            self._narrowing, self._narrowed = narrowing, Moments(self._dim)
            for x in every():
                self._narrowed.add(narrowed(x, narrowing))
        return self._narrowed.scaling(narrowing)
