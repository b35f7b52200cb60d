"""Ridge regression on byte features with the regularisation of least leave-one-out error, in closed form.

Arrays in, arrays out: features and targets of examples; weights, offsets and what each example would have been given
had it been left out. With up to as many examples as features the dual problem is solved (a matrix of examples), with
more the primal one, from sums of products alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from assocmem._numerics.rotation import inner_products
from assocmem._numerics.types import F32, F64, I8, I64
from assocmem.concepts.random_features import TOP, WAVES

UNIT = float(TOP * TOP * WAVES)
"""Inner product of a feature with itself, about."""
GRID = np.logspace(-5, 0, 21)
"""Regularisations that are tried, in mean eigenvalues; above 1 little but the classes' shares is left of an answer."""
UNKNOWN = 0.3
"""The one taken where no class has two examples, so that nothing can be left out; of a single example the least."""
_EXACT = 2**24 // TOP**2  # products of bytes that float32 can add without rounding


@dataclass(frozen=True, slots=True)
class Rows:
    """Examples to fit."""

    features: I8
    """int8 (n, d)"""
    targets: F64
    """float64 (n, C)"""
    weights: F64
    """float64 (n,)"""

    @classmethod
    def empty(cls, size: int, classes: int) -> Self:
        """Return no rows."""
        return cls(np.empty((0, size), np.int8), np.empty((0, classes)), np.empty(0))

    def joined(self, other: Rows) -> Rows:
        """Return these and others."""
        return Rows(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.weights, other.weights]),
        )


@dataclass(frozen=True, slots=True)
class Solution:
    """A linear map from features to scores."""

    weights: F32
    """float32 (C, d)"""
    offsets: F32
    """float32 (C,)"""
    left_out: F32
    """float32 (m, C): scores of the sampled examples by the map without each"""
    strength: float
    """regularisation"""

    def scores(self, features: I8) -> F32:
        """Return float32 (n, C) for int8 (n, d): about the probability of each class, not kept to 0 to 1."""
        return np.asarray(inner_products(features.astype(np.float32), self.weights) + self.offsets, dtype=np.float32)


def _single(values: F64) -> F32:
    return values.astype(np.float32)


def products(a: I8, b: I8) -> F64:
    """Inner products of byte rows, (n, d) and (m, d) -> float64 (n, m): whole numbers, whatever adds them."""
    out = np.zeros((len(a), len(b)))
    for start in range(0, a.shape[1], _EXACT):
        part = slice(start, start + _EXACT)
        out += a[:, part].astype(np.float32) @ b[:, part].astype(np.float32).T
    return out


def solve_dual(rows: Rows, sample: I64, strength: float | None = None) -> Solution:
    """Solve by a matrix of examples; ``sample``, int64 (m,), chooses the regularisation and is left out in turn.

    Targets and features are centred, unless there is but one class: then what is far from all examples scores 0.
    """
    n, roots, share = len(rows.weights), np.sqrt(rows.weights), rows.weights / rows.weights.sum()
    if rows.targets.shape[1] < 2:
        share = np.zeros(n)
    gram = products(rows.features, rows.features) / UNIT
    means = gram @ share
    gram += share @ means - means - means[:, None]
    gram *= roots * roots[:, None]
    base = share @ rows.targets
    targets = (rows.targets - base) * roots[:, None]
    if strength is None and len(sample) == n:
        # Where all are in the sample one decomposition serves both questions.
        values, vectors = np.linalg.eigh(gram)
        strength = _least_error(values, vectors, targets, share)
        scaled = vectors / (np.maximum(values, 0) + strength)
        alphas, diagonal = scaled @ (vectors.T @ targets), np.einsum("ij,ij->i", scaled, vectors)
    else:
        strength = strength or best_strength(
            products(rows.features[sample], rows.features[sample]), rows.targets[sample]
        )
        inverse = np.linalg.inv(gram + strength * np.eye(n))
        alphas, diagonal = inverse @ targets, inverse.diagonal()
    diagonal = diagonal - share / strength  # the centring leans on each example too
    left_out = ((targets - alphas / diagonal[:, None]) / roots[:, None])[sample] + base
    # Scores are alphas times centred kernels: as weights on features, the mean of the features goes to the offsets.
    alphas *= roots[:, None]
    alphas -= np.outer(share, alphas.sum(axis=0))
    weights = alphas.T @ rows.features / UNIT
    offsets = base - weights @ (share @ rows.features)
    return Solution(_single(weights), _single(offsets), _single(left_out), strength)


def best_strength(gram: F64, targets: F64) -> float:
    """Return the regularisation of least leave-one-out error for ``products`` of features, float64 (n, n)."""
    n = len(gram)
    share = np.full(n, 1 / n if targets.shape[1] > 1 else 0.0)
    means = gram @ share
    values, vectors = np.linalg.eigh((gram + share @ means - means - means[:, None]) / UNIT)
    return _least_error(values, vectors, targets - share @ targets, share)


def _least_error(values: F64, vectors: F64, targets: F64, share: F64) -> float:
    """Of ``GRID``; an example's error without it is its weight over its diagonal (Rifkin & Lippert, 2007).

    Errors of examples that are the only ones of their class say nothing: no map without them could know it.
    """
    values = np.maximum(values, 0)
    mean = max(float(values.mean()), 1e-12)
    classes = targets.argmax(axis=1)
    told = np.bincount(classes)[classes] > 1
    if not told.any():
        return float((UNKNOWN if share.any() else GRID[0]) * mean)
    turned, squares = vectors.T @ targets, vectors**2
    errors = []
    for strength in GRID * mean:
        rates = 1 / (values + strength)
        alphas, diagonal = vectors @ (turned * rates[:, None]), squares @ rates - share / strength
        errors.append(((alphas / diagonal[:, None])[told] ** 2).sum())
    return float(GRID[int(np.argmin(errors))] * mean)


class Sums:
    """Sums over examples of which weights are made: each in whole numbers, so that what is taken off was never there.

    Attributes
    ----------
    gram : float64 (d, d)
        Sum of products of features.
    by_class : dict of str to float64 (d,)
        Sum of features of each class.
    counts : dict of str to int
    """

    def __init__(self, size: int) -> None:
        self.gram: F64 = np.zeros((size, size))
        self.by_class: dict[str, F64] = {}
        self.counts: dict[str, int] = {}

    def add(self, features: I8, names: list[str], sign: int = 1) -> None:
        """Add examples, int8 (n, d), or with ``sign`` -1 take them off."""
        for start in range(0, len(features), _EXACT):
            part = features[start : start + _EXACT].astype(np.float32)
            self.gram += sign * (part.T @ part)
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(name, []).append(place)
        for name, mine in places.items():
            self.by_class[name] = self.by_class.get(name, 0.0) + sign * features[mine].sum(axis=0, dtype=np.float64)
            self.counts[name] = self.counts.get(name, 0) + sign * len(mine)
            if not self.counts[name]:
                del self.by_class[name], self.counts[name]


def solve_primal(sums: Sums, names: list[str], more: Rows, sampled: Rows, strength: float | None = None) -> Solution:
    """Solve from sums.

    Parameters
    ----------
    sums : Sums
        Over all examples of classes.
    names : list of str
        Classes, in the order of the targets.
    more : Rows
        Others to be fitted; there may be none.
    sampled : Rows
        Of those in the sums, of weight 1, that choose the regularisation and are left out in turn.
    """
    features = more.features.astype(np.float64)
    weighted = features * more.weights[:, None]
    counts = np.array([sums.counts[name] for name in names], np.float64)
    base = counts + more.weights @ more.targets
    right = np.stack([sums.by_class[name] for name in names]) + more.targets.T @ weighted
    total = float(counts.sum() + more.weights.sum())
    mean = (np.sum([sums.by_class[name] for name in names], axis=0) + weighted.sum(axis=0)) / total
    if len(base) < 2:
        mean, total_base = np.zeros_like(mean), np.zeros(1)
    else:
        total_base = base / total
    gram = (sums.gram + weighted.T @ features - total * np.outer(mean, mean)) / UNIT
    right = (right - np.outer(total_base, mean) * total) / np.sqrt(UNIT)
    targets = sampled.targets - total_base
    centred = (sampled.features - mean) / np.sqrt(UNIT)
    strength = strength or best_strength(products(sampled.features, sampled.features), sampled.targets)
    gram[np.diag_indices_from(gram)] += strength
    solved = np.linalg.solve(gram, np.concatenate([right, centred]).T)
    weights = solved[:, : len(base)].T
    pulls = np.einsum("ij,ji->i", centred, solved[:, len(base) :]) + (1 / total if len(base) > 1 else 0)
    left_out = targets - (targets - centred @ weights.T) / np.maximum(1 - pulls, 1e-9)[:, None] + total_base
    weights = weights / np.sqrt(UNIT)
    offsets = total_base - weights @ mean
    return Solution(_single(weights), _single(offsets), _single(left_out), strength)
