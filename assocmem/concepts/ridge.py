"""Ridge regression on byte features, in closed form, with the regularisation of the least leave-one-out error.

Features and targets of examples give weights, offsets, and the scores that each example would get if it were left out.
The dual problem is a matrix of examples, which is cheap for few examples; the primal problem is a matrix of features,
which is made from sums over any number of examples. Both have the same solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from assocmem._numerics.rotation import inner_products
from assocmem._numerics.types import F32, F64, I8, I64, Arrays
from assocmem.concepts.random_features import AMPLITUDE, squared_length

STRENGTHS = np.logspace(-5, 0, 21)
"""Regularisations that are tried, in units of the mean eigenvalue; above 1 a score is little more than the share of
its class."""
_DEFAULT_STRENGTH = 0.3
"""Regularisation if no class has two examples, so that none can be left out, in the same unit. A single class takes the
least of ``STRENGTHS``."""
_EXACT = 2**24 // AMPLITUDE**2  # products of bytes that float32 can add without rounding


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Examples to fit."""

    features: I8
    """int8 (n, d)"""
    targets: F64
    """float64 (n, C)"""
    weights: F64
    """float64 (n,)"""

    @classmethod
    def empty(cls, size: int, classes: int) -> Self:
        """Return a set of no examples."""
        return cls(np.empty((0, size), np.int8), np.empty((0, classes)), np.empty(0))

    def joined(self, other: TrainingSet) -> TrainingSet:
        """Return these examples followed by others."""
        return TrainingSet(
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
    """float32 (m, C): scores of the sampled examples, each by the map without this example"""
    strength: float
    """regularisation, in units of the inner product of a feature with itself"""

    def scores(self, features: I8) -> F32:
        """Return scores, float32 (n, C), of int8 (n, d): about the probability of each class, not clipped to 0 to 1."""
        return np.asarray(inner_products(features.astype(np.float32), self.weights) + self.offsets, dtype=np.float32)

    def to_arrays(self) -> Arrays:
        """Return the solution as arrays that can be stored."""
        strength = np.array([self.strength])
        return {"weights": self.weights, "offsets": self.offsets, "left_out": self.left_out, "strength": strength}

    @classmethod
    def from_arrays(cls, arrays: Arrays, size: int, classes: int, sampled: int) -> Self:
        """Undo ``to_arrays``; ValueError if the shapes do not fit features, classes and sampled examples."""
        weights, offsets, left_out = arrays["weights"], arrays["offsets"], arrays["left_out"]
        if (weights.shape, offsets.shape) != ((classes, size), (classes,)):
            raise ValueError(f"weights of shape {weights.shape}")
        if left_out.shape != (sampled, classes):
            raise ValueError(f"scores of shape {left_out.shape}")
        return cls(weights, offsets, left_out, float(arrays["strength"][0]))


def products(a: I8, b: I8) -> F64:
    """Return the inner products of byte rows, (n, d) and (m, d) -> float64 (n, m): exact, in any order of addition."""
    out = np.zeros((len(a), len(b)))
    for start in range(0, a.shape[1], _EXACT):
        part = slice(start, start + _EXACT)
        out += a[:, part].astype(np.float32) @ b[:, part].astype(np.float32).T
    return out


def solve_dual(examples: TrainingSet, sample: I64, strength: float | None = None) -> Solution:
    """Solve by a matrix of examples.

    Targets and features are centred, except with a single class: then a vector far from all examples scores 0.

    Parameters
    ----------
    examples : TrainingSet
    sample : int64 (m,)
        Examples that choose the regularisation and are left out in turn.
    strength : float, optional
        Regularisation; by default it is chosen.
    """
    n, roots, share = len(examples.weights), np.sqrt(examples.weights), examples.weights / examples.weights.sum()
    if examples.targets.shape[1] < 2:
        share = np.zeros(n)
    unit = squared_length(examples.features.shape[1])
    gram = products(examples.features, examples.features) / unit
    means = gram @ share
    gram += share @ means - means - means[:, None]
    gram *= roots * roots[:, None]
    base = share @ examples.targets
    targets = (examples.targets - base) * roots[:, None]
    if strength is None and len(sample) == n:
        # If all examples are in the sample, one decomposition answers both questions.
        values, vectors = np.linalg.eigh(gram)
        strength = _least_error(values, vectors, targets, share)
        scaled = vectors / (np.maximum(values, 0) + strength)
        alphas, diagonal = scaled @ (vectors.T @ targets), np.einsum("ij,ij->i", scaled, vectors)
    else:
        strength = strength or best_strength(examples.features[sample], examples.targets[sample])
        inverse = np.linalg.inv(gram + strength * np.eye(n))
        alphas, diagonal = inverse @ targets, inverse.diagonal()
    diagonal = diagonal - share / strength  # the means depend on each example too
    left_out = ((targets - alphas / diagonal[:, None]) / roots[:, None])[sample] + base
    # Scores are alphas times centred kernels; as weights on features, the mean of the features moves to the offsets.
    alphas *= roots[:, None]
    alphas -= np.outer(share, alphas.sum(axis=0))
    weights = alphas.T @ examples.features / unit
    offsets = base - weights @ (share @ examples.features)
    return _solution(weights, offsets, left_out, strength)


def best_strength(features: I8, targets: F64) -> float:
    """Return the regularisation with the least leave-one-out error for features, int8 (n, d)."""
    n = len(features)
    gram = products(features, features)
    share = np.full(n, 1 / n if targets.shape[1] > 1 else 0.0)
    means = gram @ share
    centred = (gram + share @ means - means - means[:, None]) / squared_length(features.shape[1])
    values, vectors = np.linalg.eigh(centred)
    return _least_error(values, vectors, targets - share @ targets, share)


def _least_error(values: F64, vectors: F64, targets: F64, share: F64) -> float:
    """Return the best of ``STRENGTHS`` for a decomposed matrix of examples.

    The error of an example that is left out is its dual weight divided by its diagonal entry (Rifkin & Lippert, 2007).
    An example that is alone in its class does not count: without it no map could know the class.
    """
    values = np.maximum(values, 0)
    mean = max(float(values.mean()), 1e-12)
    classes = targets.argmax(axis=1)
    counted = np.bincount(classes)[classes] > 1
    if not counted.any():
        return float((_DEFAULT_STRENGTH if share.any() else STRENGTHS[0]) * mean)
    turned, squares = vectors.T @ targets, vectors**2
    errors = []
    for strength in STRENGTHS * mean:
        rates = 1 / (values + strength)
        alphas, diagonal = vectors @ (turned * rates[:, None]), squares @ rates - share / strength
        errors.append(((alphas / diagonal[:, None])[counted] ** 2).sum())
    return float(STRENGTHS[int(np.argmin(errors))] * mean)


class FeatureSums:
    """Sums over examples, from which the primal problem is solved.

    They are whole numbers, so after examples are subtracted the sums are as if these had never been added.

    Attributes
    ----------
    gram : float64 (d, d)
        Sum of the outer products of features.
    by_class : dict of str to float64 (d,)
        Sum of the features of each class.
    counts : dict of str to int
        Examples of each class.
    """

    def __init__(self, size: int) -> None:
        self.gram: F64 = np.zeros((size, size))
        self.by_class: dict[str, F64] = {}
        self.counts: dict[str, int] = {}

    def add(self, features: I8, names: list[str], sign: int = 1) -> None:
        """Add examples, int8 (n, d), of named classes; with ``sign`` -1 subtract them."""
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


def solve_primal(
    sums: FeatureSums, names: list[str], more: TrainingSet, sampled: TrainingSet, strength: float | None = None
) -> Solution:
    """Solve by a matrix of features.

    Parameters
    ----------
    sums : FeatureSums
        Over all examples of classes.
    names : list of str
        Classes, in the order of the targets.
    more : TrainingSet
        Further examples to fit; may be empty.
    sampled : TrainingSet
        Examples in the sums, of weight 1, that choose the regularisation and are left out in turn.
    strength : float, optional
        Regularisation; by default it is chosen.
    """
    unit = squared_length(len(sums.gram))
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
    gram = (sums.gram + weighted.T @ features - total * np.outer(mean, mean)) / unit
    right = (right - np.outer(total_base, mean) * total) / np.sqrt(unit)
    targets = sampled.targets - total_base
    centred = (sampled.features - mean) / np.sqrt(unit)
    strength = strength or best_strength(sampled.features, sampled.targets)
    gram[np.diag_indices_from(gram)] += strength
    solved = np.linalg.solve(gram, np.concatenate([right, centred]).T)
    weights = solved[:, : len(base)].T
    leverages = np.einsum("ij,ji->i", centred, solved[:, len(base) :]) + (1 / total if len(base) > 1 else 0)
    left_out = targets - (targets - centred @ weights.T) / np.maximum(1 - leverages, 1e-9)[:, None] + total_base
    weights = weights / np.sqrt(unit)
    offsets = total_base - weights @ mean
    return _solution(weights, offsets, left_out, strength)


def _solution(weights: F64, offsets: F64, left_out: F64, strength: float) -> Solution:
    return Solution(weights.astype(np.float32), offsets.astype(np.float32), left_out.astype(np.float32), strength)
