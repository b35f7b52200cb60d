"""What the recall benchmark's raw figures say: recall by distance, fronts, and the verdict. Arrays in, numbers out.

Recall counts by distance, not by name: an item that is as near as the true k-th is found, whichever of several equal
ones it is. Distances are computed here, from the vectors, whatever the engine said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F64, I64
from assocmem.bench.recall.engine import Array, Metric

TARGETS = (0.80, 0.90, 0.95, 0.99)
RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""What rounding may add to a distance: of itself, and of the unit in which the metric counts."""


def distances(base: Array, queries: Array, ids: I64, metric: Metric) -> F64:
    """Compute the distances of named items from each query.

    Parameters
    ----------
    base : (n, dim)
        Of unit length where the metric is angular; zeros and ones for Hamming's.
    queries : (nq, dim)
        Likewise.
    ids : int64 (nq, k)
        -1 is no item.
    metric : str

    Returns
    -------
    float64 (nq, k)
        Euclidean; 1 - cosine; differing bits. Infinite for no item.
    """
    found = np.empty(ids.shape)
    for query, names, row in zip(queries, ids, found, strict=True):
        items = base[np.maximum(names, 0)]
        if metric == "hamming":
            row[:] = (items != query).sum(axis=1)
        else:
            apart = items - query  # exact enough in float32: what is near differs little
            squared = np.einsum("ij,ij->i", apart, apart)
            row[:] = squared / 2 if metric == "angular" else np.sqrt(squared)
    found[ids < 0] = np.inf
    return found


def shares(found: F64, ids: I64, threshold: F64, k: int) -> F64:
    """Recall@k of each query: the share of the first k that are as near as the true k-th.

    Parameters
    ----------
    found : float64 (nq, m)
        Distances of what was answered, in the engine's order; m at least k.
    ids : int64 (nq, m)
        An item named twice counts once.
    threshold : float64 (nq,)
        The true k-th distance.
    k : int
    """
    first = ids[:, :k]
    near = found[:, :k] <= (threshold * (1 + RELATIVE) + ABSOLUTE)[:, None]
    order = np.argsort(first, axis=1, kind="stable")
    by_name = np.take_along_axis(first, order, axis=1)
    fresh = np.ones(first.shape, bool)
    np.put_along_axis(fresh, order[:, 1:], by_name[:, 1:] != by_name[:, :-1], axis=1)
    return np.asarray((near & fresh & (first >= 0)).sum(axis=1) / k)


def front(recall: Sequence[float], us: Sequence[float]) -> list[int]:
    """Return the places of points that no other beats in both, by ascending recall."""
    order = sorted(range(len(us)), key=lambda i: (us[i], -recall[i]))
    best, kept = -math.inf, []
    for place in order:
        if recall[place] > best:
            best = recall[place]
            kept.append(place)
    return kept


@dataclass(frozen=True, slots=True)
class Curve:
    """An engine's points: what it finds and how long that takes."""

    engine: str
    ours: bool
    bytes: float
    """Of memory, per item."""
    recall: tuple[float, ...]
    us: tuple[float, ...]
    """Per query."""

    @property
    def reach(self) -> float:
        """The highest recall there is."""
        return max(self.recall, default=0.0)

    def at(self, target: float) -> float | None:
        """Microseconds at a recall, along the front: straight in recall and the logarithm of time; None: not reached.

        Below the front's first point, that point's time: an engine need not try to be worse.
        """
        places = front(self.recall, self.us)
        above = next((i for i, place in enumerate(places) if self.recall[place] >= target), None)
        if above is None:
            return None
        high = places[above]
        if above == 0:
            return self.us[high]
        low = places[above - 1]
        part = (target - self.recall[low]) / (self.recall[high] - self.recall[low])
        return math.exp((1 - part) * math.log(self.us[low]) + part * math.log(self.us[high]))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Ours beside the best of theirs at one recall."""

    target: float
    ours: str
    ours_us: float | None
    ours_reach: float
    theirs: str
    """The best that reaches the target; else the one that comes nearest to it; empty: there is none."""
    theirs_us: float | None
    theirs_reach: float
    equal_memory: bool

    @property
    def ratio(self) -> float | None:
        """Speed of ours over theirs; None where either does not get there."""
        if self.ours_us is None or self.theirs_us is None:
            return None
        return self.theirs_us / self.ours_us


def verdicts(curves: Iterable[Curve], targets: Sequence[float] = TARGETS) -> list[Verdict]:
    """Hold each of ours against the best of theirs, at any memory and at no more than its own per item."""
    everybody = list(curves)
    return [
        _verdict(ours, everybody, target, equal_memory=equal)
        for ours in everybody
        if ours.ours
        for target in targets
        for equal in (False, True)
    ]


def _verdict(ours: Curve, everybody: Sequence[Curve], target: float, *, equal_memory: bool) -> Verdict:
    rivals = [c for c in everybody if not c.ours and (not equal_memory or c.bytes <= ours.bytes)]
    timed = [(us, c) for c in rivals if (us := c.at(target)) is not None]
    us, best = min(timed, key=lambda pair: pair[0]) if timed else (None, max(rivals, key=_reach, default=None))
    name, reach = (best.engine, best.reach) if best else ("", 0.0)
    return Verdict(target, ours.engine, ours.at(target), ours.reach, name, us, reach, equal_memory)


def _reach(curve: Curve) -> float:
    return curve.reach
