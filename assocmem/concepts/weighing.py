"""How much each witness counts: weights of a softmax over their scores, learned from left-out examples.

Ridge regression, the discriminant and the means see the same examples in different ways, and which of them is right
depends on the data. A multinomial logistic regression with one weight for each, and one for the number of examples of
a concept, joins them by what they say of examples that are left out (stacking: Wolpert 1992; with weights above zero:
Breiman 1996). A concept counts by the root of the number of its examples, so that rare concepts are heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from assocmem._numerics.types import F64, I64, Floats
from assocmem.concepts.calibration import MIN_CALIBRATED, softmax

FLOORS = (0.003, 0.01, 0.03, 0.1)
"""What is added to scores of ridge regression before their logarithm is taken."""
CONTENDERS = 48
"""Concepts that each left-out example is compared with at most: those with the best scores, and its own."""
_PENALTY, _PENALTY_OF_FEW = 1e-3, 0.1
"""On squared weights of scores of deviation 1, where the error is about 1e-2 to 1; and over the number of examples."""
_LEAST_PRIOR, _MOST_PRIOR = -1.0, 1.0  # the number of examples, of which ridge regression already knows
_FIRST: F64 = np.array([0.5, 0.5, 0.5, 0.0])
_STEPS, _HALVINGS, _DONE = 30, 12, 1e-7


class Witnesses(NamedTuple):
    """Scores of n vectors for C concepts."""

    ridge: Floats
    """float (n, C): about probabilities"""
    discriminant: Floats
    """float (n, C): negative halved squared distances"""
    means: Floats
    """float (n, C): negative halved squared distances"""


class Weights(NamedTuple):
    """How much each witness counts."""

    floor: float = 0.03
    ridge: float = 1.0
    discriminant: float = 0.0
    means: float = 8.0
    prior: float = -0.5
    """of the log of the number of examples of a concept"""

    def scores(self, witnesses: Witnesses, counts: Floats) -> F64:
        """Return log-odds, float64 (n, C), up to a number that is the same for all concepts."""
        distances = self.discriminant * witnesses.discriminant + self.means * witnesses.means
        return self.joined(witnesses.ridge, distances, counts)

    def joined(self, ridge: Floats, distances: Floats, counts: Floats) -> F64:
        """Return the same from weighted distances: the discriminant's and those of the means, added."""
        likely = np.log(np.maximum(ridge, 0) + self.floor)
        return np.asarray(self.ridge * likely + distances + self.prior * np.log(np.maximum(counts, 1)), np.float64)


def weigh(left_out: Witnesses, classes: I64, counts: I64) -> Weights:
    """Learn weights from left-out examples.

    Parameters
    ----------
    left_out : Witnesses
        Scores of m examples.
    classes : int64 (m,)
        Their concepts.
    counts : int64 (C,)
        Examples of each concept.

    Returns
    -------
    Weights
        The default ones if there are fewer than eight examples of two concepts with several examples.
    """
    known = np.flatnonzero(counts[classes] > 1)
    mine = classes[known]
    if len(known) < MIN_CALIBRATED or len(np.unique(mine)) < 2:
        return Weights()
    scores, own = _contenders(Witnesses(*(np.asarray(part, np.float64)[known] for part in left_out)), mine, counts)
    share = np.sqrt(counts[mine]) / np.bincount(mine, minlength=len(counts))[mine]
    share /= share.sum()
    found, weights = [], _FIRST
    for floor in FLOORS:
        columns = scores.copy()
        columns[:, :, 0] = np.log(np.maximum(columns[:, :, 0], 0) + floor)
        deviations = columns.std(axis=(0, 1))
        deviations[deviations == 0] = 1.0
        deviations[-1] = 1.0
        weights, error = _fit(columns / deviations, own, share, weights)
        found.append((error, floor, weights / deviations))
    _, floor, best = min(found, key=lambda one: one[:2])
    return Weights(floor, *best.tolist())


def _contenders(left_out: Witnesses, classes: I64, counts: I64) -> tuple[F64, I64]:
    """Return columns of the regression, float64 (m, contenders, 4), and the place of the own concept, int64 (m,)."""
    rows, concepts = np.arange(len(classes)), len(counts)
    # Leaving an example out takes a share of its concept's examples away, which matters if the concept has few.
    grown = left_out.ridge.copy()
    grown[rows, classes] *= counts[classes] / (counts[classes] - 1)
    shown = np.stack([grown, left_out.discriminant, left_out.means], axis=2)
    shown = np.concatenate([shown, np.broadcast_to(np.log(counts)[None, :, None], (*grown.shape, 1))], axis=2)
    if concepts <= CONTENDERS:
        return shown, classes
    alike = sum(part / (part.std() + 1e-12) for part in (grown, left_out.discriminant, left_out.means))
    alike[rows, classes] = np.inf
    chosen = np.sort(np.argpartition(-alike, CONTENDERS, axis=1)[:, :CONTENDERS], axis=1)
    return np.take_along_axis(shown, chosen[:, :, None], axis=1), (chosen == classes[:, None]).argmax(axis=1)


def _fit(columns: F64, own: I64, share: F64, first: F64) -> tuple[F64, float]:
    """Return weights and the error that they minimise: weighted log loss and penalty, by projected Newton steps."""
    rows, (m, contenders, size) = np.arange(len(own)), columns.shape
    flat, lowest, highest = columns.reshape(-1, size), np.zeros(size), np.full(size, np.inf)
    lowest[-1], highest[-1] = _LEAST_PRIOR, _MOST_PRIOR
    truth, penalty = share @ columns[rows, own], _PENALTY + _PENALTY_OF_FEW / m

    def error_of(tried: F64) -> tuple[float, F64]:
        shares = softmax((flat @ tried).reshape(m, contenders))
        loss = -float(share @ np.log(np.maximum(shares[rows, own], 1e-300)))
        return loss + penalty * float(tried @ tried), shares

    weights, (error, shares) = first, error_of(first)
    for _ in range(_STEPS):
        expected = (shares[:, None, :] @ columns)[:, 0]
        slope = share @ expected - truth + 2 * penalty * weights
        weighted = flat * (shares * share[:, None]).reshape(-1, 1)
        curvature = weighted.T @ flat - (expected * share[:, None]).T @ expected + 2 * penalty * np.eye(size)
        free = ~((weights <= lowest) & (slope > 0) | (weights >= highest) & (slope < 0))
        step = np.zeros(size)
        if free.any():
            step[free] = -np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
        found = _shorter(error_of, weights, step, error, lowest, highest)
        if found is None:
            break
        weights, lower, shares = found
        done, error = error - lower < _DONE * error, lower
        if done:
            break
    return weights, error


def _shorter(
    error_of: Callable[[F64], tuple[float, F64]], weights: F64, step: F64, error: float, lowest: F64, highest: F64
) -> tuple[F64, float, F64] | None:
    """Return weights with a lower error along a step, halved until there is one; their error, and their shares."""
    for halving in range(_HALVINGS):
        tried = np.clip(weights + step / 2**halving, lowest, highest)
        lower, shares = error_of(tried)
        if lower < error:
            return tried, lower, shares
    return None
