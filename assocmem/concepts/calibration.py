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
MIN_CALIBRATED, _MIN_REJECTED = 8, 3
"""Left-out examples that are needed to calibrate probabilities, and to reject anything."""
_LEAST_DOUBT = 1e-6


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
        return softmax(self.sharpness * scores).astype(np.float32)


@dataclass(frozen=True, slots=True)
class PlattCalibration:
    """Probabilities of a softmax, except the greatest, which is how often such a guess is right.

    The greatest comes from a logistic regression on its log-odds, its margin, and the number of examples of its
    concept (Platt, 1999).
    """

    counts: F64
    """float64 (C,): examples of each concept"""
    weights: F64
    """float64 (4,); the last one is the intercept"""
    rejection: Rejection

    def probabilities(self, scores: F32) -> F32:
        """See ``Calibration``."""
        shares = softmax(scores)
        best = scores.argmax(axis=1)
        rows = np.arange(len(scores))
        columns = _features(shares, best, self.counts)
        top = _logistic(columns @ self.weights)
        top = np.clip(top, 1.001 / scores.shape[1], 0.999)
        shares[rows, best] = 0
        shares *= ((1 - top) / np.maximum(shares.sum(axis=1), 1e-12))[:, None]
        # The concept with the best score has the greatest probability.
        shares = np.minimum(shares, 0.999 * top[:, None])
        shares[rows, best] = np.maximum(top, 1 - shares.sum(axis=1))
        return shares.astype(np.float32)


def softmax(scores: Floats) -> F64:
    """Return probabilities in proportion to the exponentials of scores, float64 (n, C)."""
    raised = np.exp((scores - scores.max(axis=1, keepdims=True)).astype(np.float64))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def calibrate(left_out: Floats, classes: I64, counts: I64, rejection: Rejection) -> Calibration:
    """Learn a calibration from examples that are left out.

    Parameters
    ----------
    left_out : float (m, C)
        Scores of the examples, in units of log-odds. A concept that is sampled more thinly than others weighs more.
    classes : int64 (m,)
        Their concepts.
    counts : int64 (C,)
        Examples of each concept.
    rejection : Rejection
    """
    known = counts[classes] > 1  # a concept of one example is not known without it
    if known.sum() < MIN_CALIBRATED or left_out.shape[1] < 2:
        return Softmax(1.0, rejection)
    sizes = np.maximum(counts, 1).astype(np.float64)
    best, shares = left_out[known].argmax(axis=1), softmax(left_out[known])
    features = _features(shares, best, sizes)
    right = (best == classes[known]).astype(np.float64)
    mine = classes[known]
    share = sizes[mine] / np.bincount(mine, minlength=len(sizes))[mine]
    return PlattCalibration(sizes, _logistic_regression(features, right, share / share.mean()), rejection)


def _features(shares: F64, best: I64, counts: F64) -> F64:
    """Return columns of the logistic regression, float64 (n, 4).

    They are the log-odds of the best score, its margin, how much more examples its concept has than others, and 1.
    """
    top = np.clip(shares[np.arange(len(best)), best], _LEAST_DOUBT, 1 - _LEAST_DOUBT)
    margins = top - np.partition(shares, -2, axis=1)[:, -2]
    sizes = np.log(counts)
    return np.stack([np.log(top / (1 - top)), margins, (sizes - sizes.mean())[best], np.ones(len(best))], axis=1)


def _logistic(x: F64) -> F64:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def _logistic_regression(columns: F64, right: F64, share: F64) -> F64:
    """Fit by Newton's method; the prior, for few examples, is that the softmax is right: a weight of 1 for log-odds."""
    prior: F64 = np.eye(columns.shape[1])[0]
    signs = np.where(right > 0, -1.0, 1.0)

    def error_of(weights: F64) -> float:
        losses = np.logaddexp(0, signs * (columns @ weights))
        return float(share @ losses + ((weights - prior) ** 2).sum() / 2)

    weights, error = prior, error_of(prior)
    for _ in range(25):
        guess = _logistic(columns @ weights)
        curvature = (columns * (share * guess * (1 - guess))[:, None]).T @ columns + np.eye(len(weights))
        step = np.linalg.solve(curvature, columns.T @ (share * (guess - right)) + weights - prior)
        # A whole step can overshoot where nearly all guesses are right.
        tried = [(error_of(weights - step / 2**halving), halving) for halving in range(8)]
        least, halving = min(tried)
        if least >= error - 1e-9:
            break
        weights, error = weights - step / 2**halving, least
    return weights
