"""Calibration: scores become probabilities, and it is decided when a vector belongs to none of the concepts.

Both are learned from the scores that examples get when they are left out, so they depend on the examples only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from assocmem._numerics.rotation import inner_products, unit_rows
from assocmem._numerics.types import F32, F64, I64, Bools, Floats

FALSE_ALARMS = 0.05
"""Share of left-out examples that are rejected as "none of the concepts"."""
_MIN_CALIBRATED, _MIN_REJECTED = 8, 3
"""Left-out examples that are needed to calibrate probabilities, and to reject anything."""
_FLOORS, _POWERS = (0.003, 0.01, 0.02, 0.04, 0.08), np.linspace(0.6, 4, 18)
_FEATURES = 3


class Prediction(NamedTuple):
    """What a classifier predicts for n vectors."""

    scores: F32
    """float32 (n, concepts)"""
    probabilities: F32
    """float32 (n, concepts)"""
    familiarity: F32
    """float32 (n,)"""
    none: Bools
    """bool (n,): the vector belongs to none of the concepts"""


class Calibration(Protocol):
    """How scores become probabilities."""

    def probabilities(self, scores: F32) -> F32:
        """Return probabilities, float32 (n, C).

        The sum of each row is 1. With a single concept, its scores are clipped to 0 to 1 instead.
        """

    @property
    def rejection(self) -> Rejection:
        """When a vector belongs to none of the concepts."""


class Nearness:
    """Cosine similarity to the nearest example, measured from the mean of the examples.

    Parameters
    ----------
    examples : float32 (m, d)
        At least one.
    """

    def __init__(self, examples: F32) -> None:
        self._mean = examples.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._examples = unit_rows(examples - self._mean)

    def of(self, vectors: F32) -> F32:
        """Return the nearness of vectors, float32 (n, d) -> float32 (n,)."""
        return np.asarray(inner_products(unit_rows(vectors - self._mean), self._examples).max(axis=1))

    def left_out(self) -> F32:
        """Return the nearness of each example to the others, float32 (m,); -1 for a single example."""
        similarities = self._examples @ self._examples.T
        np.fill_diagonal(similarities, -1)
        return np.asarray(similarities.max(axis=1))


@dataclass(frozen=True, slots=True)
class Rejection:
    """Rejects a vector as none of the concepts if its best score and its nearness together are too low.

    Both are compared with those of left-out examples, in standard deviations. Their sum, the familiarity, rejects
    better than either alone.
    """

    means: tuple[float, float] = (0.0, 0.0)
    """of the best score and of the nearness"""
    deviations: tuple[float, float] = (1.0, 1.0)
    threshold: float = -np.inf
    """familiarity below which a vector is rejected"""

    @classmethod
    def learned(cls, scores: F32, nearness: F32) -> Rejection:
        """Choose the threshold by left-out examples: their scores, float32 (m, C), and nearness, float32 (m,)."""
        if len(nearness) < _MIN_REJECTED:
            return cls()
        pair = scores.max(axis=1).astype(np.float64), nearness.astype(np.float64)
        means = float(pair[0].mean()), float(pair[1].mean())
        deviations = float(pair[0].std()) + 1e-9, float(pair[1].std()) + 1e-9
        familiarity = cls(means, deviations).familiarity(scores, nearness)
        return cls(means, deviations, float(np.quantile(familiarity, FALSE_ALARMS, method="lower")))

    def familiarity(self, scores: F32, nearness: F32) -> F32:
        """Return how far best score and nearness together are above those of left-out examples, float32 (n,)."""
        pair = scores.max(axis=1).astype(np.float64), nearness.astype(np.float64)
        parts = zip(pair, self.means, self.deviations, strict=True)
        both = sum(np.clip((values - mean) / deviation, -5, 5) for values, mean, deviation in parts)
        return np.asarray(both, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Softmax:
    """Calibration if there are too few examples to learn one."""

    sharpness: float = 4.0
    rejection: Rejection = Rejection()

    def probabilities(self, scores: F32) -> F32:
        """See ``Calibration``."""
        if scores.shape[1] == 1:
            return np.clip(scores, 0, 1)
        powers = np.exp((self.sharpness * (scores - scores.max(axis=1, keepdims=True))).astype(np.float64))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class PlattCalibration:
    """Probabilities in proportion to powers of scores, except the greatest, which is how often such a guess is right.

    The greatest comes from a logistic regression on the best score, its margin, and the number of examples of its
    concept (Platt, 1999).
    """

    floor: float
    power: float
    counts: F64
    """float64 (C,): examples of each concept"""
    means: F64
    """float64 (3,): of the features of the logistic regression"""
    deviations: F64
    """float64 (3,)"""
    weights: F64
    """float64 (4,); the last one is the intercept"""
    rejection: Rejection

    def probabilities(self, scores: F32) -> F32:
        """See ``Calibration``."""
        shares = _power_shares(scores.astype(np.float64), self.floor, self.power)
        best = scores.argmax(axis=1)
        rows = np.arange(len(scores))
        top = _logistic(_with_ones((_features(scores, self.counts) - self.means) / self.deviations) @ self.weights)
        top = np.clip(top, 1.001 / scores.shape[1], 0.999)
        shares[rows, best] = 0
        shares *= ((1 - top) / np.maximum(shares.sum(axis=1), 1e-12))[:, None]
        # The concept with the best score has the greatest probability.
        shares = np.minimum(shares, 0.999 * top[:, None])
        shares[rows, best] = np.maximum(top, 1 - shares.sum(axis=1))
        return shares.astype(np.float32)


def calibrate(left_out: F32, classes: I64, counts: I64, nearness: F32) -> Calibration:
    """Learn a calibration from examples that are left out.

    Parameters
    ----------
    left_out : float32 (m, C)
        Scores of the examples.
    classes : int64 (m,)
        Their concepts.
    counts : int64 (C,)
        Examples of each concept.
    nearness : float32 (m,)
        Nearness of the examples; see ``Nearness.left_out``.
    """
    rejection = Rejection.learned(left_out, nearness)
    if len(left_out) < _MIN_CALIBRATED or left_out.shape[1] < 2:
        return Softmax(rejection=rejection)
    rows, sizes = np.arange(len(classes)), np.maximum(counts, 1).astype(np.float64)
    grown = left_out.astype(np.float64)
    # Leaving an example out takes a share of its concept's examples away, which matters if the concept has few.
    grown[rows, classes] *= (sizes / np.maximum(sizes - 1, 1))[classes]
    floor, power = min(
        ((floor, power) for floor in _FLOORS for power in _POWERS.tolist()),
        key=lambda pair: -np.log(np.maximum(_power_shares(grown, *pair)[rows, classes], 1e-12)).sum(),
    )
    features = _features(grown, sizes)
    means, deviations = features.mean(axis=0), features.std(axis=0) + 1e-9
    right = (grown.argmax(axis=1) == classes).astype(np.float64)
    weights = _logistic_regression(_with_ones((features - means) / deviations), right)
    return PlattCalibration(floor, power, sizes, means, deviations, weights, rejection)


def _power_shares(scores: F64, floor: float, power: float) -> F64:
    powers = (np.maximum(scores, 0) + floor) ** power
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _features(scores: Floats, counts: F64) -> F64:
    """Return the best score, its margin, and the log of the examples of its concept, float64 (n, 3)."""
    top = -np.partition(-scores.astype(np.float64), 1, axis=1)[:, :2]
    return np.stack([top[:, 0], top[:, 0] - top[:, 1], np.log(counts[scores.argmax(axis=1)])], axis=1)


def _with_ones(features: F64) -> F64:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _logistic(x: F64) -> F64:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def _logistic_regression(columns: F64, right: F64) -> F64:
    """Fit by Newton's method, with a prior at weight 1 for the score and 0 for the rest, for few examples."""
    prior: F64 = np.eye(_FEATURES + 1)[0]
    weights: F64 = prior.copy()
    for _ in range(25):
        guess = _logistic(columns @ weights)
        curvature = (columns * (guess * (1 - guess))[:, None]).T @ columns + np.eye(len(weights))
        weights = weights - np.linalg.solve(curvature, columns.T @ (guess - right) + weights - prior)
    return weights
