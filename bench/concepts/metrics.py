"""Metrics of the concepts benchmark: accuracy, forgetting, calibration, novelty, bits and labels needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F64, I64, Bools

BINS = 10
TOLERANCE = 0.02
"""Loss of accuracy that is accepted for fewer bits."""


def is_correct(scores: F64, y: I64) -> Bools:
    """Return whether the class of the highest score is the true one, bool (n,); of equal scores the first counts.

    Parameters
    ----------
    scores : float64 (n, classes)
        -inf for unknown classes.
    y : int64 (n,)
    """
    return np.asarray(scores.argmax(axis=1) == y)


def accuracy_by_class(correct: Bools, y: I64) -> dict[int, float]:
    """Return the accuracy of each class."""
    return {int(label): float(correct[y == label].mean()) for label in np.unique(y)}


def forgetting(after: dict[int, float], end: dict[int, float]) -> float:
    """Return the mean drop of a class's accuracy from just after its group to the end.

    Parameters
    ----------
    after
        Accuracy of each class just after its group, without the last group, which has had no time to forget.
    end
        Accuracy of each class at the end.

    Returns
    -------
    float
        Negative if accuracy rose, nan if ``after`` is empty.
    """
    drops = [after[label] - end[label] for label in after]
    return sum(drops) / len(drops) if drops else math.nan


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers whose probability is in one tenth."""

    count: int
    probability: float
    """mean of the answers"""
    right: float
    """share of the answers that are correct"""


def reliability_bins(top: F64, correct: Bools, bins: int = BINS) -> list[ReliabilityBin]:
    """Divide answers into equal ranges of their probability, including the upper end; empty ranges are left out.

    Probabilities are rounded to six decimals first, because shares of votes are at the ends but for rounding.

    Parameters
    ----------
    top : float64 (n,)
        Probabilities of the answers.
    correct : bool (n,)
    bins : int
    """
    place = np.clip(np.ceil(np.round(top * bins, 6)).astype(np.int64) - 1, 0, bins - 1)
    masks = [place == number for number in range(bins)]
    return [ReliabilityBin(int(m.sum()), float(top[m].mean()), float(correct[m].mean())) for m in masks if m.any()]


def calibration_error(top: F64, correct: Bools, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean difference of probability and accuracy, bins weighted by size.

    Guo et al. 2017, equation 5.
    """
    parts = reliability_bins(top, correct, bins)
    return sum(part.count * abs(part.probability - part.right) for part in parts) / max(1, len(top))


def novel_share(known: F64, novel: F64, false_alarms: float) -> float:
    """Return the share of novel rows beyond the threshold that ``false_alarms`` of the known exceed (in hindsight).

    Parameters
    ----------
    known, novel : float64 (n,), (m,)
        Novelty scores.
    false_alarms : float
        Share of the known rows that may exceed the threshold.
    """
    allowed = math.floor(false_alarms * len(known) + 1e-9)
    if allowed >= len(known):
        return 1.0
    threshold = np.sort(known)[::-1][allowed]
    return float((novel > threshold).mean())


def bits_within(
    bits: Sequence[int], accuracy: Sequence[float], bound: float, tolerance: float = TOLERANCE
) -> int | None:
    """Return the fewest bits from which on all points are at most ``tolerance`` below the bound; None if none are."""
    enough = None
    for count, reached in sorted(zip(bits, accuracy, strict=True), reverse=True):
        if reached < bound - tolerance - 1e-12:
            break
        enough = count
    return enough


def knee(bits: Sequence[int], accuracy: Sequence[float]) -> int:
    """Return where the curve over the logarithm of the bits is furthest above the line between its ends.

    Satopaa et al. 2011 ("kneedle"), without its smoothing.
    """
    x, y = np.log2(np.array(bits, float)), np.array(accuracy, float)
    line = y[0] + (y[-1] - y[0]) * (x - x[0]) / max(x[-1] - x[0], 1e-12)
    return int(bits[int((y - line).argmax())])


def labels_needed(labels: Sequence[int], accuracy: Sequence[float], target: float) -> float:
    """Return the number of labels at which the accuracy first reaches the target, nan if it does not."""
    return next((float(n) for n, reached in zip(labels, accuracy, strict=True) if reached >= target), math.nan)
