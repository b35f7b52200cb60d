"""The figures of the concepts benchmark, from answers: accuracy, forgetting, calibration, knees, labels needed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F64, I64, Bools

BINS = 10
WITHIN = 0.02
"""Accuracy that may be lost for fewer bits."""


def right(scores: F64, y: I64) -> Bools:
    """Whether the class of the highest score is the true one, bool (n,); of equals the first counts.

    Parameters
    ----------
    scores : float64 (n, classes)
        -inf for classes that are not known.
    y : int64 (n,)
    """
    return np.asarray(scores.argmax(axis=1) == y)


def by_class(correct: Bools, y: I64) -> dict[int, float]:
    """Return each class's accuracy."""
    return {int(label): float(correct[y == label].mean()) for label in np.unique(y)}


def forgetting(after: dict[int, float], end: dict[int, float]) -> float:
    """Mean drop of a class's accuracy from just after its group to the end; negative where it rose, nan of none.

    Parameters
    ----------
    after
        Accuracy of each class just after its group, without the last group's: it has had no time.
    end
        Accuracy of each class at the end.
    """
    drops = [after[label] - end[label] for label in after]
    return sum(drops) / len(drops) if drops else math.nan


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose probability lies in one tenth."""

    count: int
    probability: float
    """their mean"""
    right: float
    """share of them"""


def reliability(top: F64, correct: Bools, bins: int = BINS) -> list[Bin]:
    """Sort answers into equal ranges of their probability, the upper end in; empty ranges are left out.

    A millionth beyond an end is still in: shares of votes lie on the ends, but for rounding.

    Parameters
    ----------
    top : float64 (n,)
        The probability of the answer given.
    correct : bool (n,)
    """
    place = np.clip(np.ceil(np.round(top * bins, 6)).astype(np.int64) - 1, 0, bins - 1)
    masks = [place == number for number in range(bins)]
    return [Bin(int(m.sum()), float(top[m].mean()), float(correct[m].mean())) for m in masks if m.any()]


def calibration_error(top: F64, correct: Bools, bins: int = BINS) -> float:
    """Expected calibration error: how far probability and share right lie apart, over bins by their size.

    Guo et al. 2017, equation 5.
    """
    parts = reliability(top, correct, bins)
    return sum(part.count * abs(part.probability - part.right) for part in parts) / max(1, len(top))


def doubted(known: F64, unknown: F64, alarms: float) -> float:
    """Share of the unknown more doubtful than all but ``alarms`` of the known: a threshold set in hindsight.

    Parameters
    ----------
    known, unknown : float64 (n,), (m,)
        Doubts, the more the higher.
    alarms : float
        Share of the known that may be doubted too.
    """
    allowed = math.floor(alarms * len(known) + 1e-9)
    if allowed >= len(known):
        return 1.0
    threshold = np.sort(known)[::-1][allowed]
    return float((unknown > threshold).mean())


def knee(bits: Sequence[int], accuracy: Sequence[float], bound: float, within: float = WITHIN) -> int | None:
    """Return the fewest bits from which on no point lies more than ``within`` below the bound; None if never."""
    enough = None
    for count, reached in sorted(zip(bits, accuracy, strict=True), reverse=True):
        if reached < bound - within - 1e-12:
            break
        enough = count
    return enough


def bend(bits: Sequence[int], accuracy: Sequence[float]) -> int:
    """Return where the curve over the logarithm of the bits lies furthest above the line between its ends.

    Satopaa et al. 2011 ("kneedle"), without its smoothing.
    """
    x, y = np.log2(np.array(bits, float)), np.array(accuracy, float)
    line = y[0] + (y[-1] - y[0]) * (x - x[0]) / max(x[-1] - x[0], 1e-12)
    return int(bits[int((y - line).argmax())])


def labels_needed(labels: Sequence[int], accuracy: Sequence[float], target: float) -> float:
    """Return the labels at which the accuracy first reaches the target, nan if it does not."""
    return next((float(n) for n, reached in zip(labels, accuracy, strict=True) if reached >= target), math.nan)


def told(values: Sequence[float], digits: int = 3) -> str:
    """Mean and standard deviation over seeds: ``0.931 +- 0.012``; nothing of no values."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    mean = round(sum(known) / len(known), digits) + 0.0  # no minus before nothing
    if len(known) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(known):.{digits}f}"
