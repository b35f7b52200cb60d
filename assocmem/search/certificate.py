"""What a search may have missed: learned from the index itself, by asking it for its own items.

How many items of a pool are nearer than a height depends on the height's distance to the mean height of the pool's
items, in standard deviations. The same holds for an item that was scored and not compared. A sample of items is asked
for; of a sample of pools, all items are compared; and the shares of nearer items are counted by standard deviations.
So nothing is assumed about the distribution of the data but that distances, in these units, behave alike.

What this expects is then tried: more items are asked for, at every yield and effort of a ladder, and a search that
looks at all pools says what they should have found. Expectations are corrected by it, and promises are kept by what was
found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from assocmem._numerics.threads import WriterLock
from assocmem._numerics.types import F32, F64, I32, I64, Bools, tell_if_new
from assocmem.search._vector_store import VectorStore
from assocmem.search.pool_kernels import POOL_ITEMS, QueryTables
from assocmem.search.probing import (
    RATE_ENTRIES,
    RATE_LOWEST,
    RATE_STEP,
    REPORTED,
    Goal,
    Model,
    Queries,
    Stored,
    estimate_pools,
    examine,
    probe,
)
from assocmem.search.rerank import COSINE, PRODUCT
from assocmem.search.rooms import make_scratch

SAMPLE = 128
"""Items that are asked for."""
RANKS = (4, 8, 16, 32, 64, 128, 256)
"""Ranks of the neighbours whose heights are learned from."""
CLASSES = 5
"""Classes of queries, each with rates of its own."""
NEAREST = 4
"""Nearest pools that decide about the class."""
LEAST_SPREAD = 0.05
"""Pools with less than this share of the mean spread do not count: they hold equal items."""
SPREAD_FLOOR = 0.02
"""Share of the mean spread that is added to all: some pools hold equal items only, and would have no width."""
MEDIAN_OF_SQUARES = 0.455
"""Median of the squares of a standard normal variable."""
PRIOR_TRIES = 1e-3
"""Weight of the rates of a normal distribution, in items."""
STRATA = ((0, 24, 24), (24, 96, 24), (96, 384, 24), (384, 1536, 16), (1536, 10**9, 16))
"""Pools by rank, from and to, and how many of them are looked at."""


K = 10
"""Neighbours of the searches that promises are tried with."""
TRIED = 384
"""Queries that they are tried with, at most."""
LEAST_TRIED, TRIAL_TIME = 96, 0.08
"""Queries, at least; and seconds, about, of one trial of more."""
YIELDS = tuple(10.0 ** (-step / 2) for step in range(11))
"""Yields of pools that are tried, from 1 down; see ``Goal``."""
EFFORTS = (0.003, 0.0045, 0.006, 0.009, 0.012, 0.018, 0.025, 0.035, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75,
    0.9, 0.97)  # fmt: skip
"""Efforts that are tried."""
MOST_COPIES = 150
"""Copies of items that are looked past at most."""
ITEM_SHARE = 1.0
"""Yield of an item, over that of a pool: what a comparison costs, over what a pool costs."""
ITEM_YIELD, HALVED_AT = 0.03, 0.05
"""Probability of being near from which an item is compared at little effort; the effort at which it is half of that. At
full effort it is 0."""
MARGIN = 0.5
"""Share of what a promise allows to be missed that is aimed at: queries are not the items that it is learned from."""
MOST_OF_NUMBER = 2 * K
"""Neighbours up to which a promise may take a number of pools: what holds 10 neighbours may not hold many more."""
LISTED_SHARE = 0.5
"""Yield of a pool by its code, over that by its centre, from which its centre is compared."""
MOST_FACTOR = 20.0
"""Factor by which an expectation may be wrong; beyond that, a number is added."""
_MUCH = 0.2  # cost, over that of an exact search, from which more steps have to be worth it
_ROUNDING = 1.2e-7  # of a cosine as float32
_TIE = 1e-6  # difference of heights, over them, below which they are the same
GROWTH = 1.3
"""Growth (or shrinking) of the index after which its model is learned again."""


class Plan(NamedTuple):
    """What a search looks at, and what its expectations of missed neighbours are corrected by."""

    goal: Goal
    factor: float
    extra: float
    """added for each wanted neighbour"""

    def missed(self, expected: F32, nearest: Bools, k: int) -> F32:
        """Return how many of k neighbours are missed, float32 (n,), of what a search expects.

        ``nearest``: bool (n,), queries that equal all k neighbours that were found, so that none can be nearer.
        """
        return np.where(nearest, np.float32(0), np.float32(self.factor) * expected + np.float32(self.extra * k))


class Ladder(NamedTuple):
    """What was tried: n steps."""

    steps: F64
    """float64 (n,): logarithms of yields, falling, or of efforts, rising"""
    recalls: F64
    """float64 (n,): recall that was reached, never falling"""
    factors: F64
    extras: F64
    """float64 (n,): see ``Plan``"""
    costs: F64
    """float64 (n,): about how long a search takes, over an exact one"""

    def reaching(self, recall: float) -> tuple[float, float, float, float] | None:
        """Return step, factor, extra and cost from which a recall is reached; None if it is not."""
        above = int(np.searchsorted(self.recalls, recall))
        if above == len(self.recalls):
            return None
        below = max(above - 1, 0)
        share = (recall - self.recalls[below]) / max(self.recalls[above] - self.recalls[below], 1e-12) if above else 0.0
        return self.between(below, float(share))

    def between(self, below: int, share: float) -> tuple[float, float, float, float]:
        """Return step, factor, extra and cost at a share of the way from a step to the next."""
        above = min(below + 1, len(self.steps) - 1)
        found = [(1 - share) * column[below] + share * column[above]
                 for column in (self.steps, np.log(self.factors), self.extras, self.costs)]  # fmt: skip
        return float(found[0]), math.exp(found[1]), float(found[2]), float(found[3])


class Outlook(NamedTuple):
    """What searches of an index may be expected to do."""

    items: int
    """items when it was learned"""
    model: Model
    yields: Ladder
    efforts: Ladder
    most: int
    """neighbours up to which a promise may take a number of pools, if that is cheaper"""

    def plan(self, k: int, recall: float, pools: int) -> Plan | None:
        """Return what a search must look at to keep a promise of recall; None if an exact search is no slower.

        ``pools``: of the index.
        """
        recall = 1 - MARGIN * (1 - recall)
        likely, number = self.yields.reaching(recall), self.efforts.reaching(recall)
        if likely is not None and (number is None or k > self.most or likely[-1] <= number[-1]):
            step, factor, extra, cost = likely
            return Plan(_goal_of(math.exp(step) * k / K), factor, extra) if cost <= 1 else None
        if number is None or number[-1] > 1:
            return None
        return Plan(_goal_of_effort(math.exp(number[0]), pools), *number[1:3])

    def plan_of_effort(self, effort: float, pools: int) -> Plan:
        """Return what a search of some effort looks at, in an index of so many pools."""
        tried, at = self.efforts, math.log(max(effort, 1e-9))
        factor = math.exp(np.interp(at, tried.steps, np.log(tried.factors)))
        extra = float(np.interp(at, tried.steps, tried.extras))
        return Plan(_goal_of_effort(effort, pools), factor, extra)


def _goal_of(pool_yield: float) -> Goal:
    return Goal(0, pool_yield, min(ITEM_SHARE * pool_yield, 0.1), LISTED_SHARE * pool_yield, True)


def _goal_of_effort(effort: float, pools: int) -> Goal:
    item_yield = ITEM_YIELD / (1 + effort / HALVED_AT) * (1 - effort) ** 2
    return Goal(max(1, round(effort * pools)), 0.0, item_yield, 0.0, True)


def _try(stored: Stored, queries: Queries, model: Model, goal: Goal, metric: int, k: int) -> tuple[F32, F32]:
    """Search; return costs float32 (n, k), and the report of ``probe``, float32 (n, REPORTED)."""
    n = len(queries.vectors)
    costs, rows, report = np.empty((n, k), np.float32), np.empty((n, k), np.int32), np.empty((n, REPORTED), np.float32)
    probe(stored, queries, model, goal, metric, make_scratch(stored, model, goal), (costs, rows, report))
    return costs, report


def _as_near(costs: F32, metric: int) -> F32:
    """Return up to which costs items are as near as some, but for rounding: float32, of the shape of ``costs``."""
    heights = costs + 1 if metric == COSINE else costs
    return np.asarray(costs + _TIE * np.abs(heights) + _ROUNDING * np.abs(costs), np.float32)


def _copies(costs: F32, metric: int) -> I64:
    """Return how many others are as near as the nearest, int64 (n,), of rising costs, float32 (n, k)."""
    return np.asarray((costs <= _as_near(costs[:, :1], metric)).sum(axis=1) - 1)


def outlook_of(store: VectorStore) -> Outlook:
    """Learn what searches of a store may be expected to do. The caller holds its lock."""
    tell_if_new("searching more than a few thousand vectors", (probe,), 31)
    used = store.used_rows()
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(used, min(SAMPLE, len(used)), replace=False)).astype(np.int32)
    stored, metric = store.stored(), store.metric_number
    queries = store.queries(store.vectors.get(rows))
    model = learn_model(stored, queries, rows, metric, first_model(store.dim))
    tried = rng.choice(used, min(TRIED, len(used)), replace=False).astype(np.int32)
    trial = _Trial(store, stored, tried, model)
    yields: list[tuple[float, ...]] = []
    for pool_yield in YIELDS:
        yields.append((math.log(pool_yield), *trial.result(_goal_of(pool_yield * trial.wanted / K))))
        if yields[-1][-1] > 1 or yields[-1][1] > 0.9995 or _is_stuck(yields):
            break
    pools = store.tree.items.pools_in_use
    efforts: list[tuple[float, ...]] = []
    for effort in EFFORTS:
        efforts.append((math.log(effort), *trial.result(_goal_of_effort(effort, pools))))
        if efforts[-1][-1] > 1 or efforts[-1][1] > 0.9995:
            break
    # The copies of an item are in pools of their own, which its number of pools does not have to find.
    most = 0 if trial.wanted > K else MOST_OF_NUMBER
    return Outlook(store.count, model, _ladder(yields), _ladder([*efforts, (0.0, 1.0, 1.0, 0.0, 1.0)]), most)


def _is_stuck(results: list[tuple[float, ...]]) -> bool:
    """Return whether the last two steps cost much and found nothing more."""
    return len(results) > 2 and results[-1][-1] > _MUCH and results[-1][1] - results[-3][1] < 1e-3


def _ladder(results: list[tuple[float, ...]]) -> Ladder:
    steps, recalls, factors, extras, costs = np.array(results).T
    return Ladder(steps, np.maximum.accumulate(recalls), factors, extras, costs)


class _Trial:
    """Items that are asked for, and what should be found.

    Copies of an item do not count: queries are rarely in the index.

    Parameters
    ----------
    store, stored, model
        What is searched, and what is known of it.
    rows : int32 (n,)
        Items, in any order.

    Attributes
    ----------
    wanted : int
        Neighbours that are looked for besides the item: K, and as many as four fifths of the items have copies.
    """

    def __init__(self, store: VectorStore, stored: Stored, rows: I32, model: Model) -> None:
        self._store, self._stored, self._model = store, stored, model
        vector_bytes = stored.tail.itemsize * stored.tail.shape[1]
        # Nanoseconds, about, as measured with 128 and 1,280 dimensions; only their ratios matter.
        self._compare = 75 + 0.1 * vector_bytes
        self._centre = 35 + 0.13 * store.dim
        self._code = 0.5 + 0.045 * store.tree.coder.code_bytes
        # Between what a vector takes for many queries at once and for one: answers must not depend on that.
        self._exact = store.count * (1.5 + 0.04 * store.dim)
        everything = Goal(store.tree.items.pools_in_use, 0.0, 1e-6, 0.0, False)
        rows = rows[: self._affordable(1e-9 * store.count * self._code, len(rows))]
        self._queries = store.queries(store.vectors.get(rows))
        some = _part(self._queries, slice(0, LEAST_TRIED))
        looked = _try(stored, some, model, _goal_of(0.1), store.metric_number, K + 1 + MOST_COPIES)[0]
        self.wanted = K + int(np.quantile(_copies(looked, store.metric_number), 0.8))
        truth, _ = _try(stored, self._queries, model, everything, store.metric_number, self.wanted + 1)
        copies = _copies(truth, store.metric_number)
        self._copies = _as_near(truth[:, :1], store.metric_number)
        last = np.take_along_axis(truth, np.minimum(copies + K, self.wanted)[:, None], axis=1)
        self._limits = _as_near(last, store.metric_number)
        self._others = np.count_nonzero((truth > self._copies) & (truth <= self._limits), axis=1)
        self._seconds = 0.0

    def result(self, goal: Goal) -> tuple[float, float, float, float]:
        """Search; return the recall, what to correct expectations by, and the time over that of an exact search."""
        n = self._affordable(self._seconds, len(self._others))
        queries, stored = _part(self._queries, slice(0, n)), self._stored
        costs, report = _try(stored, queries, self._model, goal, self._store.metric_number, self.wanted + 1)
        found = np.count_nonzero((costs > self._copies[:n]) & (costs <= self._limits[:n]), axis=1)
        known = self._others[:n] > 0
        recall = float(np.minimum(found[known] / self._others[:n][known], 1).mean()) if known.any() else 1.0
        factor, extra = corrections(report[:, 3].astype(np.float64), K, recall)
        _, scored, compared, _, priced = report.mean(axis=0, dtype=np.float64)
        cost = scored * self._code + compared * self._compare + priced * self._centre
        self._seconds = 2e-9 * cost  # of a query of the next step
        return recall, factor, extra, cost / self._exact

    def _affordable(self, seconds: float, most: int) -> int:
        """Return how many queries to try that take so many seconds each."""
        return int(min(max(LEAST_TRIED, TRIAL_TIME / max(seconds, 1e-9)), most))


def _part(queries: Queries, part: slice) -> Queries:
    """Return some of the queries."""
    coarse, fine = (QueryTables(tables.entries[part], tables.terms[part]) for tables in (queries.coarse, queries.fine))
    return Queries(
        queries.vectors[part],
        queries.inverse_lengths[part],
        queries.centred[part],
        queries.offsets[part],
        queries.noises[part],
        coarse,
        fine,
    )


def corrections(missed: F64, k: int, recall: float) -> tuple[float, float]:
    """Return the factor, and the number for each neighbour, that correct what searches expect to have missed.

    With them, the mean of ``k / (k + missed)`` is the recall; the factor is at most ``MOST_FACTOR``.
    """

    def fitted(value_of: Callable[[float], F64], low: float, high: float) -> float:
        for _ in range(50):
            middle = math.sqrt(low * high)
            if (k / (k + value_of(middle))).mean() > recall:
                low = middle
            else:
                high = middle
        return high

    factor = fitted(lambda factor: factor * missed, 1e-6, MOST_FACTOR)
    if (k / (k + factor * missed)).mean() <= recall + 1e-4:
        return factor, 0.0
    return factor, fitted(lambda extra: factor * missed + extra * k, 1e-6, 1e4)


class Certificate:
    """Keeps the outlook of a store up to date: it is learned again when the store has grown or shrunk enough.

    Attributes
    ----------
    outlook : Outlook or None
    """

    def __init__(self) -> None:
        self.outlook: Outlook | None = None
        self._learning = WriterLock()
        self._planned: tuple[Outlook, tuple[Any, ...], Plan | None] | None = None

    def plan(self, store: VectorStore, k: int, promise: float, effort: float | None) -> Plan | None:
        """Return what a search looks at, None for all vectors; the one before is kept. The caller holds the lock."""
        outlook, pools = self.current(store), store.tree.items.pools_in_use
        asked, known = (k, promise, effort, pools), self._planned
        if known is not None and known[0] is outlook and known[1] == asked:
            return known[2]
        plan = outlook.plan(k, promise, pools) if effort is None else outlook.plan_of_effort(effort, pools)
        self._planned = outlook, asked, plan
        return plan

    def current(self, store: VectorStore) -> Outlook:
        """Return what searches may be expected to do. The caller holds the lock of the store."""
        known = self.outlook
        if known is not None and known.items / GROWTH <= store.count <= known.items * GROWTH:
            return known
        with self._learning:
            known = self.outlook
            if known is None or not known.items / GROWTH <= store.count <= known.items * GROWTH:
                known = self.outlook = outlook_of(store)
            return known


def _normal_rates() -> F32:
    """Return the rates of a normal distribution."""
    z = RATE_LOWEST + RATE_STEP * (np.arange(RATE_ENTRIES) + 0.5)
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z], np.float32)


def first_model(dim: int) -> Model:
    """Return a model that assumes normal distributions; enough to find neighbours to learn from."""
    rates = _normal_rates()
    table = np.repeat(rates[None], CLASSES, axis=0)
    return Model(
        1.0 / max(1, dim), 0.01, 1.0 / max(1, dim), 1e-30, np.zeros(CLASSES - 1, np.float32), table, table, table
    )


class _Sample(NamedTuple):
    """Queries, and all items of some pools of each: m pools with 64 places."""

    by_code: F64
    """float64 (n, m): heights of the pools by their codes"""
    by_centre: F64
    """float64 (n, m): the same by their centres"""
    scores: F32
    """float32 (n, m, 64)"""
    heights: F32
    """float32 (n, m, 64)"""
    valid: Bools
    """bool (n, m, 64): places with an item"""
    spread: F64
    """float64 (n, m)"""
    weights: F64
    """float64 (n, m): pools that each stands for"""
    energy: F64
    """float64 (n, m): squared distance that the items are spread across; see ``probing._energy``"""
    noises: F64
    """float64 (n, 1): see ``Queries``"""
    middle: float
    """share of the spread that is added to the height of a pool"""

    def errors(self, kappa: float) -> F64:
        """Return the standard deviations of the errors of scores, float64 (n, m, 1)."""
        return np.sqrt((kappa * self.energy + self.noises) * self.spread + 1e-60)[:, :, None]

    def deviations(self, model: tuple[float, float], energy: F64) -> F64:
        """Return the standard deviations of heights in each pool, float64 (n, m)."""
        alpha, beta = model
        return np.sqrt(alpha * energy * self.spread + beta * self.spread**2 + 1e-60)


def learn_model(stored: Stored, queries: Queries, rows: I32, metric: int, model: Model) -> Model:
    """Learn the rates.

    Parameters
    ----------
    stored, metric
        As for ``probe``.
    queries : Queries
        Those of a sample of items.
    rows : int32 (n,)
        Rows of the items, which do not count as their own neighbours.
    model : Model
        Any; its rates are not used.
    """
    sample = _examine(stored, queries, rows, metric, model)
    floor = SPREAD_FLOOR * float(stored.spreads[stored.items.sizes[: len(stored.spreads)] > 0].mean())
    sample = sample._replace(spread=sample.spread + floor)
    # One half of the items says how near the nearest are, the other half how many are nearer: a height that is chosen
    # because an item has it would have too few others below it.
    half = np.arange(POOL_ITEMS) % 2 == 0
    goals = _rank_heights(np.where(half, sample.heights, np.inf), 2 * sample.weights)
    counted = sample._replace(valid=sample.valid & ~half)
    alpha, beta = _variances(sample)
    kappa = _error_variance(sample, goals[:, -1])
    widths = sample.deviations((alpha, beta), sample.energy)
    middles = sample.by_centre + sample.middle * sample.spread
    exact = (goals[:, None, :] - middles[:, :, None]) / widths[:, :, None]  # (n, m, r)
    nearest = np.argsort(middles, axis=1)[:, :NEAREST]
    best = np.take_along_axis(exact, nearest[:, :, None], axis=1).max(axis=1)  # (n, r)
    edges = np.quantile(best, np.arange(1, CLASSES) / CLASSES)
    kinds = np.searchsorted(edges, best)
    energy = sample.energy if metric == PRODUCT else np.maximum(2 * sample.by_code, 0)
    middles = sample.by_code + sample.middle * sample.spread
    coded = (goals[:, None, :] - middles[:, :, None]) / sample.deviations((alpha, beta), energy)[:, :, None]
    # Copies of an item at the height are as near, not nearer.
    nearer = (sample.heights[:, :, :, None] < (goals - _TIE * np.abs(goals))[:, None, None, :]) & counted.valid[
        :, :, :, None
    ]
    hits = nearer.sum(axis=2) * sample.weights[:, :, None]
    tries = np.broadcast_to((counted.valid.sum(axis=2) * sample.weights)[:, :, None], hits.shape)
    tables = np.empty((3, CLASSES, RATE_ENTRIES), np.float32)
    for kind in range(CLASSES):
        chosen = np.broadcast_to((kinds == kind)[:, None, :], hits.shape)
        tables[0, kind] = _curve(coded[chosen], hits[chosen], tries[chosen])
        tables[1, kind] = _curve(exact[chosen], hits[chosen], tries[chosen])
        tables[2, kind] = _item_curve(counted, goals, np.argwhere(kinds == kind), kappa)
    return Model(alpha, beta, kappa, floor, edges.astype(np.float32), tables[0], tables[1], tables[2])


def _examine(stored: Stored, queries: Queries, rows: I32, metric: int, model: Model) -> _Sample:
    """Look at all items of some pools of each query."""
    n, count = len(rows), len(stored.centre_scales)
    room = make_scratch(stored, model, Goal(0, 0.0, 0.0, 0.0, False))
    estimates = np.empty((n, count), np.float32)
    estimate_pools(stored, queries, metric, room, estimates)
    listed, weights = _choose_pools(estimates, np.random.default_rng(0))
    m = listed.shape[1]
    by_code, by_centre = np.empty((n, m), np.float32), np.empty((n, m), np.float32)
    scores, heights = np.empty((n, m, POOL_ITEMS), np.float32), np.empty((n, m, POOL_ITEMS), np.float32)
    found = np.empty((n, m, POOL_ITEMS), np.int32)
    examine(stored, queries, listed, model, metric, room, (by_code, by_centre, scores, heights, found))
    valid = (found >= 0) & (found != rows[:, None, None])
    heights[~valid] = np.inf
    spread = stored.spreads[listed].astype(np.float64)
    if metric == PRODUCT:
        energy = np.broadcast_to((1 / queries.inverse_lengths.astype(np.float64) ** 2)[:, None], spread.shape)
    else:
        energy = np.maximum(2 * by_centre.astype(np.float64), 0)
    middle = 0.0 if metric == PRODUCT else 0.5
    coded, centred = by_code.astype(np.float64), by_centre.astype(np.float64)
    noises = queries.noises.astype(np.float64)[:, None]
    return _Sample(coded, centred, scores, heights, valid, spread, weights, energy, noises, middle)


def _error_variance(sample: _Sample, goals: F64) -> float:
    """Return the variance of the errors of scores, over energy times spread, of items nearer than some heights."""
    wide = sample.valid & (sample.spread > LEAST_SPREAD * sample.spread.mean())[:, :, None]
    near = wide & (sample.heights <= goals[:, None, None])
    near = near if near.sum() > 100 else wide
    if not near.any():
        return 1e-12
    errors = np.where(sample.valid, sample.heights, 0).astype(np.float64) + np.where(sample.valid, sample.scores, 0)
    squares = errors**2 / MEDIAN_OF_SQUARES / np.maximum(sample.spread, 1e-60)[:, :, None] - sample.noises[:, :, None]
    # From the median, because few items of pools that do not fit have errors of another size.
    return max(float(np.median((squares / np.maximum(sample.energy, 1e-60)[:, :, None])[near])), 1e-12)


def _item_curve(sample: _Sample, goals: F64, pairs: I64, kappa: float) -> F32:
    """Return the rates of items, of those queries and ranks that ``pairs``, int64 (p, 2), names."""
    errors = sample.errors(kappa)
    z, hits, tries = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for i, r in pairs:
        some = sample.valid[i] & (sample.scores[i] > -goals[i, r] - 6 * errors[i])
        z.append(((goals[i, r] + sample.scores[i]) / errors[i])[some])
        tries.append(np.broadcast_to(sample.weights[i][:, None], some.shape)[some])
        hits.append((sample.heights[i] < goals[i, r] - _TIE * abs(goals[i, r]))[some] * tries[-1])
    return _curve(np.concatenate(z), np.concatenate(hits), np.concatenate(tries))


def _choose_pools(estimates: F32, rng: np.random.Generator) -> tuple[I32, F64]:
    """Return pools to look at, int32 (n, m), the near ones more often, and how many pools each stands for, (n, m)."""
    order = np.argsort(estimates, axis=1, kind="stable")
    living = int(np.isfinite(estimates[0]).sum())
    listed, weights = [], []
    for first, last, count in STRATA:
        last = min(last, living)
        if last <= first:
            break
        chosen = min(count, last - first)
        places = np.stack([np.sort(rng.choice(last - first, chosen, replace=False)) for _ in range(len(order))]) + first
        listed.append(np.take_along_axis(order, places, axis=1))
        weights.append(np.full((len(order), chosen), (last - first) / chosen))
    return np.concatenate(listed, axis=1).astype(np.int32), np.concatenate(weights, axis=1)


def _rank_heights(heights: F32, weights: F64) -> F64:
    """Return heights of about the ranks RANKS among all items, float64 (n, r)."""
    n = len(heights)
    flat = heights.reshape(n, -1).astype(np.float64)
    order = np.argsort(flat, axis=1, kind="stable")
    each = np.repeat(weights, heights.shape[2], axis=1)
    ranks = np.cumsum(np.take_along_axis(each, order, axis=1), axis=1)
    values = np.take_along_axis(flat, order, axis=1)
    goals = np.empty((n, len(RANKS)))
    for i in range(n):
        last = max(int(np.isfinite(values[i]).sum()) - 1, 0)
        goals[i] = values[i][np.minimum(np.searchsorted(ranks[i], RANKS), last)]
    return goals


def _variances(sample: _Sample) -> tuple[float, float]:
    """Fit the variance of heights in a pool: alpha * energy * spread + beta * spread ** 2.

    Pools of equal items have no spread, and say nothing.
    """
    count = sample.valid.sum(axis=2)
    full = (count >= 8) & (sample.spread > LEAST_SPREAD * sample.spread.mean())
    if not full.any():
        return 0.1, 0.1
    values = np.where(sample.valid, sample.heights, 0.0).astype(np.float64)
    mean = values.sum(axis=2) / np.maximum(count, 1)
    squares = np.where(sample.valid, values - mean[:, :, None], 0.0) ** 2
    variance = squares.sum(axis=2) / np.maximum(count - 1, 1)
    a, b = (sample.energy * sample.spread)[full], (sample.spread**2)[full]
    matrix = np.stack([a / (a + b), b / (a + b)], axis=1)
    target = variance[full] / (a + b)
    gram = matrix.T @ matrix + 1e-9 * np.eye(2) * len(target)
    alpha, beta = np.linalg.solve(gram, matrix.T @ target)
    if alpha <= 0 or beta <= 0:
        alpha = beta = float(target.mean())
    return max(float(alpha), 1e-9), max(float(beta), 1e-9)


def _curve(z: F64, hits: F64, tries: F64) -> F32:
    """Return rates by standard deviations, float32 (RATE_ENTRIES,), never falling.

    Neighbouring entries are joined by a bell of three entries' width, and then until the rates never fall.
    """
    at = np.clip(((z - RATE_LOWEST) / RATE_STEP).astype(np.int64), 0, RATE_ENTRIES - 1)
    bell = np.exp(-0.5 * (np.arange(-8, 9) / 3.0) ** 2)
    h, t = (np.convolve(np.bincount(at, of, RATE_ENTRIES), bell, "same") for of in (hits, tries))
    prior = _normal_rates().astype(np.float64)
    return _isotonic((h + PRIOR_TRIES * prior) / (t + PRIOR_TRIES), t + PRIOR_TRIES).astype(np.float32)


def _isotonic(values: F64, weights: F64) -> F64:
    """Return the never-falling values nearest to these by weighted squares: pool adjacent violators."""
    level: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        level.append([value, weight, 1])
        while len(level) > 1 and level[-2][0] > level[-1][0]:
            top = level.pop()
            total = level[-1][1] + top[1]
            level[-1] = [(level[-1][0] * level[-1][1] + top[0] * top[1]) / total, total, level[-1][2] + top[2]]
    return np.concatenate([np.full(int(count), value) for value, _, count in level])
