"""Metrics of the recall benchmark: recall by distance, Pareto fronts, and engines compared at equal recall.

Recall counts by distance, not by name: an item that is as near as the true k-th is found, whichever of several equal
ones it is. Distances are computed here, from the vectors, whatever the engine reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from assocmem._numerics.types import F64, I64, AnyArray
from assocmem.bench.recall.adapter import Metric

TARGETS = (0.80, 0.90, 0.95, 0.99)
"""Recalls at which engines are compared."""
RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""Tolerance for rounding: relative to the distance, and in units of the metric."""


def distances(base: AnyArray, queries: AnyArray, ids: I64, metric: Metric) -> F64:
    """Compute the distances of given items from each query.

    Parameters
    ----------
    base : (n, dim)
        Of length 1 if the metric is angular; zeros and ones for Hamming's distance.
    queries : (nq, dim)
        Like ``base``.
    ids : int64 (nq, k)
        Row numbers of items; -1 stands for no item.
    metric : str

    Returns
    -------
    float64 (nq, k)
        Euclidean distances, 1 - cosine, or numbers of differing bits. Infinite where there is no item.
    """
    found = np.empty(ids.shape)
    for query, rows, out in zip(queries, ids, found, strict=True):
        items = base[np.maximum(rows, 0)]
        if metric == "hamming":
            out[:] = (items != query).sum(axis=1)
        else:
            differences = items - query  # exact enough in float32, because near vectors differ little
            squared = np.einsum("ij,ij->i", differences, differences)
            out[:] = squared / 2 if metric == "angular" else np.sqrt(squared)
    found[ids < 0] = np.inf
    return found


def recall_at_k(found: F64, ids: I64, threshold: F64, k: int) -> F64:
    """Compute recall@k of each query: the share of the first k answers that are as near as the true k-th.

    Parameters
    ----------
    found : float64 (nq, m)
        Distances of the answers, in the engine's order; m >= k.
    ids : int64 (nq, m)
        The answers; an item that occurs twice counts once.
    threshold : float64 (nq,)
        The true k-th distance.
    k : int

    Returns
    -------
    float64 (nq,)
    """
    first = ids[:, :k]
    near_enough = found[:, :k] <= (threshold * (1 + RELATIVE) + ABSOLUTE)[:, None]
    order = np.argsort(first, axis=1, kind="stable")
    sorted_ids = np.take_along_axis(first, order, axis=1)
    is_new = np.ones(first.shape, bool)
    np.put_along_axis(is_new, order[:, 1:], sorted_ids[:, 1:] != sorted_ids[:, :-1], axis=1)
    return np.asarray((near_enough & is_new & (first >= 0)).sum(axis=1) / k)


def pareto_front(recall: Sequence[float], us: Sequence[float]) -> list[int]:
    """Return the indices of points that no other point beats in both recall and time, by ascending recall."""
    order = sorted(range(len(us)), key=lambda i: (us[i], -recall[i]))
    best, front = -math.inf, []
    for i in order:
        if recall[i] > best:
            best = recall[i]
            front.append(i)
    return front


@dataclass(frozen=True, slots=True)
class Curve:
    """The operating points of an engine: recall and time of each setting."""

    engine: str
    is_assocmem: bool
    bytes: float
    """In memory, per item."""
    recall: tuple[float, ...]
    us: tuple[float, ...]
    """Microseconds per query."""

    @property
    def is_faiss(self) -> bool:
        """Whether it is an index of FAISS."""
        return self.engine.startswith("faiss:")

    @property
    def max_recall(self) -> float:
        """The highest recall of all points."""
        return max(self.recall, default=0.0)

    def us_at(self, target: float) -> float | None:
        """Return microseconds per query at a recall, None if it is not reached.

        Between two points of the Pareto front, the logarithm of time is interpolated linearly in recall. Below the
        first point, its time is returned: an engine need not be tuned to be worse.
        """
        front = pareto_front(self.recall, self.us)
        above = next((place for place, i in enumerate(front) if self.recall[i] >= target), None)
        if above is None:
            return None
        high = front[above]
        if above == 0:
            return self.us[high]
        low = front[above - 1]
        part = (target - self.recall[low]) / (self.recall[high] - self.recall[low])
        return math.exp((1 - part) * math.log(self.us[low]) + part * math.log(self.us[high]))


Scope = Literal["all", "faiss", "equal memory"]
"""Rivals that are compared: all, the indexes of FAISS, or those of at most the engine's own bytes per item."""
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An engine of assocmem compared with the best rival at one recall."""

    scope: Scope
    target: float
    engine: str
    bytes: float
    """In memory, per item."""
    us: float | None
    max_recall: float
    rival: str
    """The fastest rival that reaches the target; otherwise the one with the highest recall; empty if there is none."""
    rival_bytes: float
    rival_us: float | None
    rival_max_recall: float

    @property
    def ratio(self) -> float | None:
        """Speed of the engine over that of the rival; None if either does not reach the target."""
        if self.us is None or self.rival_us is None:
            return None
        return self.rival_us / self.us


def verdicts(curves: Iterable[Curve], targets: Sequence[float] = TARGETS) -> list[Verdict]:
    """Compare each engine of assocmem with the best rival, in each scope: by engine, target and scope."""
    every = list(curves)
    return [
        _compare(curve, every, target, scope)
        for curve in every
        if curve.is_assocmem
        for target in targets
        for scope in SCOPES
    ]


def _is_rival(curve: Curve, other: Curve, scope: Scope) -> bool:
    inside = {"all": True, "faiss": other.is_faiss, "equal memory": other.bytes <= curve.bytes}[scope]
    return inside and not other.is_assocmem


def _compare(curve: Curve, every: Sequence[Curve], target: float, scope: Scope) -> Verdict:
    rivals = [other for other in every if _is_rival(curve, other, scope)]
    timed = [(us, c) for c in rivals if (us := c.us_at(target)) is not None]
    us, best = min(timed, key=lambda pair: pair[0]) if timed else (None, max(rivals, key=_max_recall, default=None))
    name, size, reached = (best.engine, best.bytes, best.max_recall) if best else ("", 0.0, 0.0)
    ours = (curve.engine, curve.bytes, curve.us_at(target), curve.max_recall)
    return Verdict(scope, target, *ours, name, size, us, reached)


def _max_recall(curve: Curve) -> float:
    return curve.max_recall
