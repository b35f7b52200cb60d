"""The upper bound of the concepts benchmark: logistic regression on all examples at once. Needs scikit-learn."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from assocmem._numerics.types import F32, F64, I64
from assocmem.bench.concepts.dataset import LabelledData
from assocmem.bench.concepts.learner import Learner

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of C, for features with a mean variance of 1."""
FOLDS = 3
ITERATIONS = 100


class LogisticOptions(NamedTuple):
    """Scaling and regularisation."""

    standardize: bool
    """Whether each feature is scaled by its own deviation, or all by the same number."""
    strength: float
    """C"""


DEFAULT_OPTIONS = LogisticOptions(standardize=False, strength=1e-1)
"""Used if no class has two examples, so that none can be held out."""


class OfflineLogisticLearner(Learner):
    """Stores all examples, and learns them from the beginning whenever more were taught.

    C, and whether features are standardised or scaled by the same number, are chosen by threefold cross-validation
    over the first examples that are learned; they stay the same afterwards.
    """

    gives_probabilities = True

    def __init__(self, data: LabelledData, seed: int, options: LogisticOptions | None = None) -> None:
        super().__init__(data, seed)
        self.x: list[F32] = []
        self.y: list[I64] = []
        self.options = options

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Store examples."""
        self.x.append(x)
        self.y.append(y)

    def ready(self) -> None:
        """Learn all examples."""
        x, y = np.concatenate(self.x).astype(np.float64), np.concatenate(self.y)
        if self.options is None:
            self.options = cross_validate(x, y)
        self.fitted = FittedLogistic(x, y, self.options)

    def scores(self, x: F32) -> F64:
        """Return probabilities."""
        out = np.full((len(x), self.classes), -np.inf)
        labels, found = self.fitted.predict(x.astype(np.float64))
        out[:, labels] = found
        return out

    def nbytes(self) -> int:
        """Count the examples: all of them are needed to go on learning."""
        return sum(part.nbytes for part in self.x)


class FittedLogistic:
    """A logistic regression fitted to features, float64 (n, d), of classes, int64 (n,), with its scaling."""

    def __init__(self, x: F64, y: I64, options: LogisticOptions) -> None:
        from sklearn.linear_model import LogisticRegression

        self.mean = x.mean(axis=0)
        deviation = x.std(axis=0)
        common = np.full(len(deviation), np.sqrt((deviation**2).mean()) + 1e-12)
        self.scale = deviation + 1e-9 if options.standardize else common
        scaled = (x - self.mean) / self.scale
        # Weights are in the span of the examples: rotated into it, they are fewer, and the penalty is the same.
        self.rotation = np.linalg.svd(scaled, full_matrices=False)[2].T if len(x) < x.shape[1] else np.eye(x.shape[1])
        self.labels = np.unique(y)
        self.model = LogisticRegression(C=options.strength, max_iter=ITERATIONS)
        if len(self.labels) > 1:
            with warnings.catch_warnings():  # of incomplete convergence, and of many classes for few examples
                warnings.simplefilter("ignore")
                self.model.fit(scaled @ self.rotation, y)

    def predict(self, x: F64) -> tuple[I64, F64]:
        """Return the known classes, int64 (c,), and their probabilities, float64 (n, c)."""
        if len(self.labels) == 1:
            return self.labels, np.ones((len(x), 1))
        return self.labels, self.model.predict_proba((x - self.mean) / self.scale @ self.rotation)


def cross_validate(x: F64, y: I64) -> LogisticOptions:
    """Choose scaling and C by threefold cross-validation; every fold has a share of every class."""
    place = np.zeros(len(y), np.int64)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        place[rows] = np.arange(len(rows))
    fold = place % FOLDS
    if not fold.any():
        return DEFAULT_OPTIONS
    best: tuple[float, LogisticOptions] = (-1.0, DEFAULT_OPTIONS)
    for standardize in (False, True):
        for strength in STRENGTHS:
            options, hits = LogisticOptions(standardize, strength), 0
            for held in range(FOLDS):
                out = fold == held
                # Fold 0 has the first example of every class: a class without others cannot be predicted there.
                if out.any() and not out.all():
                    labels, found = FittedLogistic(x[~out], y[~out], options).predict(x[out])
                    hits += int((labels[found.argmax(axis=1)] == y[out]).sum())
            best = max(best, (hits / len(y), options), key=lambda pair: pair[0])
    return best[1]
