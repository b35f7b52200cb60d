"""Others that learn classes in one pass, by the papers: nearest mean, streaming LDA, ridge on random projections.

Each is given the features in the way that serves it best on the sets here (length one, no mean taken off). Knows
arrays only.
"""

from __future__ import annotations

import numpy as np

from assocmem._numerics.types import F32, F64, I64
from assocmem.bench.concepts.dataset import Data
from assocmem.bench.concepts.learner import Learner

FLOAT = 4
"""Bytes of a number."""
RIDGES = 10.0 ** np.arange(-8, 10)
"""What random projections choose from, as published."""


class NearestMean(Learner):
    """The class with the nearest mean, by Euclidean distance."""

    def __init__(self, data: Data, seed: int) -> None:
        super().__init__(data, seed)
        self.sums: F64 = np.zeros((self.classes, self.dim))
        self.counts = np.zeros(self.classes, np.int64)

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Add to the sums."""
        np.add.at(self.sums, y, x)
        np.add.at(self.counts, y, 1)

    def ready(self) -> None:
        """Divide."""
        self.means = self.sums / np.maximum(self.counts, 1)[:, None]

    def scores(self, x: F32) -> F64:
        """Return minus the squared distances."""
        wide = x.astype(np.float64)
        apart = (wide**2).sum(axis=1)[:, None] - 2 * wide @ self.means.T + (self.means**2).sum(axis=1)
        return np.asarray(np.where(self.counts > 0, -np.maximum(apart, 0), -np.inf))

    def nbytes(self) -> int:
        """Count the means and the counts."""
        return int(FLOAT * self.classes * (self.dim + 1))


class StreamingLDA(Learner):
    """Running means and one running covariance: Hayes and Kanan 2020.

    The covariance follows their equation 3; the first example of a class, which has no mean yet, leaves it alone.
    Examples of one call are added up before they are multiplied out, which changes nothing but the rounding.

    Parameters
    ----------
    data, seed
        As `Learner`.
    shrinkage : float, optional
        Share of the identity that takes the covariance's place, 1e-4 as published; None: as Chen et al. 2010 (OAS)
        find it, of the identity as large as the covariance.
    """

    sure = True

    def __init__(self, data: Data, seed: int, shrinkage: float | None = 1e-4) -> None:
        super().__init__(data, seed)
        self.shrinkage = shrinkage
        self.means: F64 = np.zeros((self.classes, self.dim))
        self.counts = np.zeros(self.classes, np.int64)
        self.scatter: F64 = np.zeros((self.dim, self.dim))

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Update the mean of each example's class, and the scatter by what it differed from that."""
        weighted = []
        total = int(self.counts.sum())
        for row, label in zip(x.astype(np.float64), y.tolist(), strict=True):
            apart = row - self.means[label]
            if self.counts[label]:
                weighted.append(np.sqrt(total / (total + 1)) * apart)
            self.counts[label] += 1
            self.means[label] += apart / self.counts[label]
            total += 1
        if weighted:
            stacked = np.array(weighted)
            self.scatter += stacked.T @ stacked

    def ready(self) -> None:
        """Invert the shrunk covariance."""
        total = max(1, int(self.counts.sum()))
        covariance, eye = self.scatter / total, np.eye(self.dim)
        if self.shrinkage is not None:
            covariance = (1 - self.shrinkage) * covariance + self.shrinkage * eye
        else:
            known = int((self.counts > 0).sum())
            covariance *= total / max(1, total - known)
            share, size = oas(covariance, max(1, total - known)), np.trace(covariance) / self.dim
            covariance = (1 - share) * covariance + max(share * size, 1e-9) * eye
        self.precision = np.linalg.inv(covariance)
        self.weights = self.precision @ self.means.T
        self.offsets = -0.5 * (self.means.T * self.weights).sum(axis=0)

    def scores(self, x: F32) -> F64:
        """Return the posterior of Gaussians with this covariance, all classes as likely before."""
        found = x @ self.weights + self.offsets
        return softmax(np.where(self.counts > 0, found, -np.inf))

    def doubt(self, x: F32) -> F64:
        """Return the least squared Mahalanobis distance of a mean."""
        nearest = np.where(self.counts > 0, x @ self.weights + self.offsets, -np.inf).max(axis=1)
        return np.asarray(((x @ self.precision) * x).sum(axis=1) - 2 * nearest)

    def nbytes(self) -> int:
        """Count means, counts and the covariance."""
        return int(FLOAT * (self.classes * (self.dim + 1) + self.dim**2))


def oas(covariance: F64, count: int) -> float:
    """Return the oracle approximating shrinkage of a covariance from ``count`` degrees of freedom, 0 to 1."""
    dim = len(covariance)
    square, trace = float((covariance**2).sum()), float(np.trace(covariance))
    below = (count + 1 - 2 / dim) * (square - trace**2 / dim)
    return 1.0 if below <= 0 else min(1.0, ((1 - 2 / dim) * square + trace**2) / below)


def softmax(scores: F64) -> F64:
    """Turn scores into probabilities by row."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


class RandomProjections(Learner):
    """Ridge regression on the positive parts of random projections: RanPAC, McDonnell et al. 2023.

    What it keeps is the Gram matrix of the projections and their sums by class, and so its bytes are counted. Here
    the projected examples are kept, and the same regression is solved by their products, which are fewer. The ridge
    is chosen as there, on a fifth of each portion that is held out; the squared errors of all portions so far are
    added up, for the last portion alone does worse.

    Parameters
    ----------
    data, seed
        As `Learner`.
    width : int
        Projections.
    """

    def __init__(self, data: Data, seed: int, width: int) -> None:
        super().__init__(data, seed)
        self.width = width
        self.projection = np.random.default_rng(seed).standard_normal((self.dim, width), np.float32)
        self.kept: F64 = np.empty((0, width))
        self.labels: I64 = np.empty(0, np.int64)
        self.gram: F64 = np.empty((0, 0))
        self.errors = np.zeros(len(RIDGES))

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Keep the projections, and add up what each ridge errs on the held-out fifth."""
        # The published ridges begin at 1e-8, where the rounding of float32 products of like examples is all there is.
        projected = np.maximum(x @ self.projection, 0).astype(np.float64)
        targets, first = np.eye(self.classes)[y], int(0.8 * len(x))
        before, gram = self.kept @ projected.T, projected @ projected.T
        if 0 < first < len(x):
            answers = ridge_answers(gram[:first, :first], targets[:first], gram[first:, :first])
            for number, found in enumerate(answers):
                self.errors[number] += ((found - targets[first:]) ** 2).sum()
        self.gram = np.block([[self.gram, before], [before.T, gram]])
        self.kept = np.concatenate([self.kept, projected])
        self.labels = np.concatenate([self.labels, y])

    def ready(self) -> None:
        """Solve."""
        targets = np.eye(self.classes)[self.labels]
        values, vectors = np.linalg.eigh(self.gram)
        ridge = RIDGES[int(self.errors.argmin())]
        shrunk = (vectors.T @ targets) / (np.maximum(values, 0) + ridge)[:, None]
        self.weights = self.kept.T @ (vectors @ shrunk)
        self.known = targets.any(axis=0)

    def scores(self, x: F32) -> F64:
        """Return the regression's answers."""
        found = np.maximum(x @ self.projection, 0) @ self.weights
        return np.asarray(np.where(self.known, found, -np.inf))

    def nbytes(self) -> int:
        """Count Gram matrix and sums; the projections come from a seed."""
        return FLOAT * (self.width**2 + self.width * self.classes)


def ridge_answers(gram: F64, targets: F64, across: F64) -> list[F64]:
    """Answers of ridge regressions for every one of `RIDGES`, each float64 (m, classes).

    Parameters
    ----------
    gram : float64 (n, n)
        Products of the rows learned from.
    targets : float64 (n, classes)
    across : float64 (m, n)
        Products of the rows asked for with them.
    """
    values, vectors = np.linalg.eigh(gram)
    left, seen = across @ vectors, vectors.T @ targets
    return [left @ (seen / (np.maximum(values, 0) + ridge)[:, None]) for ridge in RIDGES]
