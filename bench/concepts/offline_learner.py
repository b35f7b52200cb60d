"""The bound of the concepts benchmark: logistic regression on all examples at once. Needs scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np

from assocmem._numerics.types import F32, F64, I64
from assocmem.bench.concepts.dataset import Data
from assocmem.bench.concepts.learner import Learner

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of C, for features of which each has a variance of one on average."""
FOLDS = 3
ITERATIONS = 100
Choice = tuple[bool, float]
"""Whether each feature is scaled by its own deviation, or all by one; C."""
UNCHOSEN: Choice = (False, 1e-1)
"""What is taken where no class has two examples, so that nothing can be held out."""


class Logistic(Learner):
    """Keeps all examples, and learns them anew whenever it is asked after more were taught.

    C, and whether features are standardised or scaled by one number, are chosen by threefold cross-validation over
    the examples first answered from; later ones keep that choice.
    """

    sure = True

    def __init__(self, data: Data, seed: int, choice: Choice | None = None) -> None:
        super().__init__(data, seed)
        self.x: list[F32] = []
        self.y: list[I64] = []
        self.choice = choice

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Keep."""
        self.x.append(x)
        self.y.append(y)

    def ready(self) -> None:
        """Learn everything."""
        x, y = np.concatenate(self.x).astype(np.float64), np.concatenate(self.y)
        if self.choice is None:
            self.choice = choose(x, y)
        self.fitted = fit(x, y, *self.choice)

    def scores(self, x: F32) -> F64:
        """Return probabilities."""
        out = np.full((len(x), self.classes), -np.inf)
        labels, found = self.fitted(x.astype(np.float64))
        out[:, labels] = found
        return out

    def nbytes(self) -> int:
        """Count the examples: it can only go on with all of them."""
        return sum(part.nbytes for part in self.x)


class Fitted:
    """A fitted regression, with its scaling."""

    def __init__(self, x: F64, y: I64, each: bool, strength: float) -> None:
        from sklearn.linear_model import LogisticRegression

        self.mean = x.mean(axis=0)
        deviation = x.std(axis=0)
        self.scale = deviation + 1e-9 if each else np.full(len(deviation), np.sqrt((deviation**2).mean()) + 1e-12)
        scaled = (x - self.mean) / self.scale
        # Weights lie in the examples' span: turned into it there are fewer, and the penalty is the same.
        self.turn = np.linalg.svd(scaled, full_matrices=False)[2].T if len(x) < x.shape[1] else np.eye(x.shape[1])
        self.labels = np.unique(y)
        self.model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        if len(self.labels) > 1:
            with warnings.catch_warnings():  # that it has not quite converged, that classes are many for the examples
                warnings.simplefilter("ignore")
                self.model.fit(scaled @ self.turn, y)

    def __call__(self, x: F64) -> tuple[I64, F64]:
        """Return the known classes, int64 (c,), and their probabilities, float64 (n, c)."""
        if len(self.labels) == 1:
            return self.labels, np.ones((len(x), 1))
        return self.labels, self.model.predict_proba((x - self.mean) / self.scale @ self.turn)


def fit(x: F64, y: I64, each: bool, strength: float) -> Fitted:
    """Fit a logistic regression to features float64 (n, d) with classes int64 (n,)."""
    return Fitted(x, y, each, strength)


def choose(x: F64, y: I64) -> Choice:
    """Choose scaling and C by threefold cross-validation; every fold has a share of every class."""
    place = np.zeros(len(y), np.int64)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        place[rows] = np.arange(len(rows))
    fold = place % FOLDS
    if not fold.any():
        return UNCHOSEN
    best: tuple[float, Choice] = (-1.0, UNCHOSEN)
    for each in (False, True):
        for strength in STRENGTHS:
            hits = 0
            for held in range(FOLDS):
                out = fold == held
                # Fold 0 holds every class's first example: a class with that one alone cannot be answered there.
                if out.any() and not out.all():
                    labels, found = fit(x[~out], y[~out], each, strength)(x[out])
                    hits += int((labels[found.argmax(axis=1)] == y[out]).sum())
            best = max(best, (hits / len(y), (each, strength)), key=lambda pair: pair[0])
    return best[1]
