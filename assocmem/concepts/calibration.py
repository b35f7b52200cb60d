"""Scores -> probabilities, and "none of these", by what examples would have been given had each been left out.

Arrays in, arrays out. Everything follows from the left-out scores, so it depends on the examples alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from assocmem._numerics.types import F32, F64, I64, Floats

ALARMS = 0.05
"""Share of examples for which "none of these" would be said, had each been left out."""
_FEW, _FEWER = 8, 3
"""Examples below which leave-one-out says too little about probabilities, and about what is none."""
_FLOORS, _POWERS = (0.003, 0.01, 0.02, 0.04, 0.08), np.linspace(0.6, 4, 18)
_FEATURES = 3


class Calibration(Protocol):
    """How scores become probabilities."""

    def probabilities(self, scores: F32) -> F32:
        """Return float32 (n, C), each row adding up to 1; of one concept only, scores kept to 0 to 1."""

    @property
    def doubt(self) -> Doubt:
        """When it is none of the concepts."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """When something is none of the concepts: when both its best score and its nearness are too low together.

    Nearness, float32 (n,), is the cosine similarity to the nearest example, from their mean. Each is compared with
    those of examples that are left out, in standard deviations; the sum measured better than either.
    """

    means: tuple[float, float] = (0.0, 0.0)
    deviations: tuple[float, float] = (1.0, 1.0)
    least: float = -np.inf
    """familiarity below which it is none of them"""

    @classmethod
    def of(cls, scores: F32, nearness: F32) -> Doubt:
        """Find it from left-out examples."""
        if len(nearness) < _FEWER:
            return cls()
        pair = scores.max(axis=1).astype(np.float64), nearness.astype(np.float64)
        means = float(pair[0].mean()), float(pair[1].mean())
        deviations = float(pair[0].std()) + 1e-9, float(pair[1].std()) + 1e-9
        bare = cls(means, deviations)
        return cls(means, deviations, float(np.quantile(bare.familiarity(scores, nearness), ALARMS, method="lower")))

    def familiarity(self, scores: F32, nearness: F32) -> F32:
        """Return float32 (n,): how far above the mean of left-out examples both are together."""
        pair = scores.max(axis=1).astype(np.float64), nearness.astype(np.float64)
        parts = zip(pair, self.means, self.deviations, strict=True)
        both = sum(np.clip((values - mean) / spread, -5, 5) for values, mean, spread in parts)
        return np.asarray(both, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Softmax:
    """Where there is nothing to calibrate by."""

    sharpness: float = 4.0
    doubt: Doubt = Doubt()

    def probabilities(self, scores: F32) -> F32:
        """See ``Calibration``."""
        if scores.shape[1] == 1:
            return np.clip(scores, 0, 1)
        powers = np.exp((self.sharpness * (scores - scores.max(axis=1, keepdims=True))).astype(np.float64))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Shares:
    """Powers of scores, shared out; the greatest is replaced by how often such a guess is right.

    Platt's logistic regression (1999) on the greatest score, its margin, and the examples of its concept.
    """

    floor: float
    power: float
    counts: F64
    """float64 (C,): examples of each concept"""
    means: F64
    deviations: F64
    weights: F64
    """float64 (4,), the last one without a feature"""
    doubt: Doubt

    def probabilities(self, scores: F32) -> F32:
        """See ``Calibration``."""
        shares = _shared(scores.astype(np.float64), self.floor, self.power)
        best = scores.argmax(axis=1)
        rows = np.arange(len(scores))
        top = _logistic(_columns((_features(scores, self.counts) - self.means) / self.deviations) @ self.weights)
        top = np.clip(top, 1.001 / scores.shape[1], 0.999)
        shares[rows, best] = 0
        shares *= ((1 - top) / np.maximum(shares.sum(axis=1), 1e-12))[:, None]
        # Of others none may be as high as the one that is named.
        shares = np.minimum(shares, 0.999 * top[:, None])
        shares[rows, best] = np.maximum(top, 1 - shares.sum(axis=1))
        return shares.astype(np.float32)


def calibrate(left_out: F32, classes: I64, counts: I64, nearness: F32) -> Calibration:
    """Find it.

    Parameters
    ----------
    left_out : float32 (m, C)
        Scores of examples that were left out.
    classes : int64 (m,)
        Their concepts.
    counts : int64 (C,)
        Examples of each concept.
    nearness : float32 (m,)
        Of examples that were left out; see ``Doubt``.
    """
    doubt = Doubt.of(left_out, nearness)
    if len(left_out) < _FEW or left_out.shape[1] < 2:
        return Softmax(doubt=doubt)
    rows, sizes = np.arange(len(classes)), np.maximum(counts, 1).astype(np.float64)
    grown = left_out.astype(np.float64)
    # Leaving one out takes a share of its concept's examples away, which shows where these are few.
    grown[rows, classes] *= (sizes / np.maximum(sizes - 1, 1))[classes]
    floor, power = min(
        ((floor, power) for floor in _FLOORS for power in _POWERS.tolist()),
        key=lambda pair: -np.log(np.maximum(_shared(grown, *pair)[rows, classes], 1e-12)).sum(),
    )
    features = _features(grown, sizes)
    means, deviations = features.mean(axis=0), features.std(axis=0) + 1e-9
    right = (grown.argmax(axis=1) == classes).astype(np.float64)
    weights = _fit(_columns((features - means) / deviations), right)
    return Shares(floor, power, sizes, means, deviations, weights, doubt)


def _shared(scores: F64, floor: float, power: float) -> F64:
    powers = (np.maximum(scores, 0) + floor) ** power
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _features(scores: Floats, counts: F64) -> F64:
    """Greatest score, margin, and log of the examples of its concept, float64 (n, 3)."""
    top = -np.partition(-scores.astype(np.float64), 1, axis=1)[:, :2]
    return np.stack([top[:, 0], top[:, 0] - top[:, 1], np.log(counts[scores.argmax(axis=1)])], axis=1)


def _columns(features: F64) -> F64:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _logistic(heights: F64) -> F64:
    return np.asarray(1 / (1 + np.exp(-np.clip(heights, -30, 30))))


def _fit(columns: F64, right: F64) -> F64:
    """Logistic regression by Newton's method, drawn to the weight 1 for the score alone where examples say little."""
    first: F64 = np.eye(_FEATURES + 1)[0]
    weights: F64 = first.copy()
    for _ in range(25):
        guess = _logistic(columns @ weights)
        curvature = (columns * (guess * (1 - guess))[:, None]).T @ columns + np.eye(len(weights))
        weights = weights - np.linalg.solve(curvature, columns.T @ (guess - right) + weights - first)
    return weights
