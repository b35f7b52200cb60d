"""Other learners of one pass, as published: nearest class mean, streaming LDA, ridge regression on projections.

Each gets the features in the form that is best for it on these sets (length 1, no mean subtracted).
"""

from __future__ import annotations

import numpy as np

from assocmem._numerics.types import F32, F64, I64
from assocmem.bench.concepts.dataset import LabelledData
from assocmem.bench.concepts.learner import Learner

FLOAT_BYTES = 4
"""Bytes of a float32."""
RIDGES = 10.0 ** np.arange(-8, 10)
"""Regularisation that random projections choose from, as published."""


class NearestMeanLearner(Learner):
    """The class with the nearest mean, by Euclidean distance."""

    def __init__(self, data: LabelledData, seed: int) -> None:
        super().__init__(data, seed)
        self.sums: F64 = np.zeros((self.classes, self.dim))
        self.counts = np.zeros(self.classes, np.int64)

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Add examples to the sums of their classes."""
        np.add.at(self.sums, y, x)
        np.add.at(self.counts, y, 1)

    def ready(self) -> None:
        """Compute the means."""
        self.means = self.sums / np.maximum(self.counts, 1)[:, None]

    def scores(self, x: F32) -> F64:
        """Return minus the squared distances."""
        wide = x.astype(np.float64)
        squared = (wide**2).sum(axis=1)[:, None] - 2 * wide @ self.means.T + (self.means**2).sum(axis=1)
        return np.asarray(np.where(self.counts > 0, -np.maximum(squared, 0), -np.inf))

    def nbytes(self) -> int:
        """Count the means and the counts."""
        return int(FLOAT_BYTES * self.classes * (self.dim + 1))


class StreamingLDALearner(Learner):
    """Running means and one running covariance: Hayes and Kanan 2020.

    The covariance follows their equation 3; the first example of a class, which has no mean yet, does not change it.
    Examples of one call are multiplied out together, which only changes the rounding.

    Parameters
    ----------
    data, seed
        As for `Learner`.
    shrinkage : float, optional
        Share of the identity matrix in the covariance, 1e-4 as published; None: by oracle approximating shrinkage
        (OAS, Chen et al. 2010), of an identity matrix with the trace of the covariance.
    """

    gives_probabilities = True

    def __init__(self, data: LabelledData, seed: int, shrinkage: float | None = 1e-4) -> None:
        super().__init__(data, seed)
        self.shrinkage = shrinkage
        self.means: F64 = np.zeros((self.classes, self.dim))
        self.counts = np.zeros(self.classes, np.int64)
        self.scatter: F64 = np.zeros((self.dim, self.dim))

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Update the mean of each example's class, and the scatter by its difference from that mean."""
        weighted = []
        total = int(self.counts.sum())
        for row, label in zip(x.astype(np.float64), y.tolist(), strict=True):
            difference = row - self.means[label]
            if self.counts[label]:
                weighted.append(np.sqrt(total / (total + 1)) * difference)
            self.counts[label] += 1
            self.means[label] += difference / self.counts[label]
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
            share, size = oas_shrinkage(covariance, max(1, total - known)), np.trace(covariance) / self.dim
            covariance = (1 - share) * covariance + max(share * size, 1e-9) * eye
        self.precision = np.linalg.inv(covariance)
        self.weights = self.precision @ self.means.T
        self.offsets = -0.5 * (self.means.T * self.weights).sum(axis=0)

    def scores(self, x: F32) -> F64:
        """Return the posteriors of Gaussians with this covariance and equal priors."""
        found = x @ self.weights + self.offsets
        return softmax(np.where(self.counts > 0, found, -np.inf))

    def novelty(self, x: F32) -> F64:
        """Return the squared Mahalanobis distance of the nearest mean."""
        nearest = np.where(self.counts > 0, x @ self.weights + self.offsets, -np.inf).max(axis=1)
        return np.asarray(((x @ self.precision) * x).sum(axis=1) - 2 * nearest)

    def nbytes(self) -> int:
        """Count the means, the counts and the covariance."""
        return int(FLOAT_BYTES * (self.classes * (self.dim + 1) + self.dim**2))


def oas_shrinkage(covariance: F64, count: int) -> float:
    """Return the oracle approximating shrinkage, 0 to 1, of a covariance from ``count`` degrees of freedom."""
    dim = len(covariance)
    square, trace = float((covariance**2).sum()), float(np.trace(covariance))
    denominator = (count + 1 - 2 / dim) * (square - trace**2 / dim)
    return 1.0 if denominator <= 0 else min(1.0, ((1 - 2 / dim) * square + trace**2) / denominator)


def softmax(scores: F64) -> F64:
    """Convert scores to probabilities, row by row."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


class RandomProjectionsLearner(Learner):
    """Ridge regression on the positive parts of random projections: RanPAC, McDonnell et al. 2023.

    The published method stores the Gram matrix of the projections and their sums by class, and these bytes are
    counted. Here the projected examples are stored, and the same regression is solved by their products, which are
    fewer. The ridge is chosen as published, on a fifth of each portion that is held out; but the squared errors of all
    portions so far are summed, because the last portion alone gives worse results.

    Parameters
    ----------
    data, seed
        As for `Learner`.
    width : int
        Number of projections.
    """

    def __init__(self, data: LabelledData, seed: int, width: int) -> None:
        super().__init__(data, seed)
        self.width = width
        self.projection = np.random.default_rng(seed).standard_normal((self.dim, width), np.float32)
        self.projected: F64 = np.empty((0, width))
        self.labels: I64 = np.empty(0, np.int64)
        self.gram: F64 = np.empty((0, 0))
        self.errors = np.zeros(len(RIDGES))

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Store the projections, and add the squared errors of each ridge on the held-out fifth."""
        # In float64: with the least published ridge, 1e-8, float32 products of similar examples are mere rounding.
        projected = np.maximum(x @ self.projection, 0).astype(np.float64)
        targets, first = np.eye(self.classes)[y], int(0.8 * len(x))
        before, gram = self.projected @ projected.T, projected @ projected.T
        if 0 < first < len(x):
            answers = ridge_answers(gram[:first, :first], targets[:first], gram[first:, :first])
            for number, found in enumerate(answers):
                self.errors[number] += ((found - targets[first:]) ** 2).sum()
        self.gram = np.block([[self.gram, before], [before.T, gram]])
        self.projected = np.concatenate([self.projected, projected])
        self.labels = np.concatenate([self.labels, y])

    def ready(self) -> None:
        """Solve the regression."""
        targets = np.eye(self.classes)[self.labels]
        values, vectors = np.linalg.eigh(self.gram)
        ridge = RIDGES[int(self.errors.argmin())]
        shrunk = (vectors.T @ targets) / (np.maximum(values, 0) + ridge)[:, None]
        self.weights = self.projected.T @ (vectors @ shrunk)
        self.known = targets.any(axis=0)

    def scores(self, x: F32) -> F64:
        """Return the outputs of the regression."""
        found = np.maximum(x @ self.projection, 0) @ self.weights
        return np.asarray(np.where(self.known, found, -np.inf))

    def nbytes(self) -> int:
        """Count the Gram matrix and the sums; the projections come from a seed."""
        return FLOAT_BYTES * (self.width**2 + self.width * self.classes)


def ridge_answers(gram: F64, targets: F64, across: F64) -> list[F64]:
    """Return the outputs of ridge regressions with each of `RIDGES`, float64 (m, classes).

    Parameters
    ----------
    gram : float64 (n, n)
        Products of the training rows.
    targets : float64 (n, classes)
    across : float64 (m, n)
        Products of the test rows with the training rows.
    """
    values, vectors = np.linalg.eigh(gram)
    left, right = across @ vectors, vectors.T @ targets
    return [left @ (right / (np.maximum(values, 0) + ridge)[:, None]) for ridge in RIDGES]
