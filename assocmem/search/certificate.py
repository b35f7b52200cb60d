"""What a search may have missed: learned from the index itself, by asking it for its own items.

How many items of a pool are nearer than a height depends on the height's distance to the mean height of the pool's
items, in standard deviations. The same holds for an item that was scored and not compared. A sample of items is asked
for; of a sample of pools, all items are compared; and the shares of nearer items are counted by standard deviations.
So nothing is assumed about the distribution of the data but that distances, in these units, behave alike.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from assocmem._numerics.threads import WriterLock
from assocmem._numerics.types import F32, F64, I32, I64, Bools
from assocmem.search._vector_store import VectorStore
from assocmem.search.pool_kernels import POOL_ITEMS
from assocmem.search.probing import (
    PRODUCT,
    RATE_ENTRIES,
    RATE_LOWEST,
    RATE_STEP,
    Goal,
    Model,
    Queries,
    Stored,
    estimate_pools,
    examine,
    make_scratch,
    probe,
)

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
TRIED = 64
"""Queries that they are tried with."""
YIELDS = tuple(10.0 ** (-step / 2) for step in range(11))
"""Yields of pools that are tried, from 1 down; see ``Goal``."""
ITEM_SHARE = 0.25
"""Yield of an item, over that of a pool: what a comparison costs, over what a pool costs."""
MARGIN = 0.5
"""Share of what a promise allows to be missed that is aimed at: queries are not the items that it is learned from."""
MOST_MISSED = 3.0
"""How many times as many neighbours as the promise allows on average may be missed by one query."""
GROWTH = 1.3
"""Growth (or shrinking) of the index after which its model is learned again."""


class Outlook(NamedTuple):
    """What searches of an index may be expected to do."""

    items: int
    """items when it was learned"""
    model: Model
    yields: F64
    """float64 (m,): yields of pools, falling"""
    recalls: F64
    """float64 (m,): recall of the ``K`` nearest that a search expects with each, rising"""
    costs: F64
    """float64 (m,): about how long a search takes with each, over an exact one"""

    def goal(self, k: int, recall: float) -> Goal | None:
        """Return what a search must look at to keep a promise of recall; None if an exact search is no slower."""
        recall = 1 - MARGIN * (1 - recall)
        wanted = np.searchsorted(self.recalls, recall)
        if wanted == len(self.recalls):
            return None
        if wanted == 0:
            pool_yield, cost = float(self.yields[0]), float(self.costs[0])
        else:
            low, high = self.recalls[wanted - 1], self.recalls[wanted]
            share = (recall - low) / max(high - low, 1e-12)
            pool_yield = float(self.yields[wanted - 1] ** (1 - share) * self.yields[wanted] ** share)
            cost = float(self.costs[wanted - 1] * (1 - share) + self.costs[wanted] * share)
        if cost > 1:
            return None
        return _goal_of(pool_yield * k / K, MOST_MISSED * k * (1 - recall) / recall)


def _goal_of(pool_yield: float, most_missed: float) -> Goal:
    return Goal(0, pool_yield, min(ITEM_SHARE * pool_yield, 0.1), most_missed)


def _try(stored: Stored, queries: Queries, model: Model, goal: Goal, metric: int, k: int) -> tuple[F32, F32]:
    """Search; return costs float32 (n, k), and the report of ``probe``, float32 (n, 4)."""
    n = len(queries.vectors)
    costs, rows, report = np.empty((n, k), np.float32), np.empty((n, k), np.int32), np.empty((n, 4), np.float32)
    probe(stored, queries, model, goal, metric, make_scratch(stored, model, goal), (costs, rows, report))
    return costs, report


def _ranks_of_others(stored: Stored, queries: Queries, model: Model, metric: int) -> int:
    """Return how many neighbours to try promises with: more than there are copies of the items that are asked for.

    Copies of an item are found where it is, and say nothing of queries that are not in the index.
    """
    for k in (K, 4 * K, 16 * K):
        costs, _ = _try(stored, queries, model, _goal_of(0.1, MOST_MISSED * k), metric, k + 1)
        if np.mean(costs[:, -1] <= costs[:, 0] + 1e-6 * abs(costs[:, 0])) < 0.2:
            break
    return k


def outlook_of(store: VectorStore) -> Outlook:
    """Learn what searches of a store may be expected to do. The caller holds its lock."""
    used = store.used_rows()
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(used, min(SAMPLE, len(used)), replace=False)).astype(np.int32)
    stored, metric = store.stored(), store.metric_number
    queries = store.queries(store.vectors.get(rows))
    model = learn_model(stored, queries, rows, metric, first_model(store.dim))
    tried = rows[np.linspace(0, len(rows) - 1, min(TRIED, len(rows))).astype(np.int64)]
    queries = store.queries(store.vectors.get(tried))
    k = _ranks_of_others(stored, queries, model, metric)
    recalls, costs = [], []
    exact = store.count * (3 + 0.04 * stored.tail.itemsize * stored.tail.shape[1])
    for pool_yield in YIELDS:
        goal = _goal_of(pool_yield * k / K, MOST_MISSED * k)
        report = _try(stored, queries, model, goal, metric, k + 1)[1]
        recalls.append(float((k / (k + report[:, 3])).mean()))
        _, scored, compared, _ = report.mean(axis=0, dtype=np.float64)
        cost = scored * (3 + 0.06 * store.tree.coder.code_bytes)
        cost += compared * (20 + 0.06 * stored.tail.itemsize * stored.tail.shape[1])
        costs.append(cost / exact)
        if costs[-1] > 1.5 or recalls[-1] > 0.9995:
            break
    rising = np.maximum.accumulate(recalls)
    return Outlook(store.count, model, np.array(YIELDS[: len(rising)]), rising, np.array(costs))


class Certificate:
    """Keeps the outlook of a store up to date: it is learned again when the store has grown or shrunk enough.

    Attributes
    ----------
    outlook : Outlook or None
    """

    def __init__(self) -> None:
        self.outlook: Outlook | None = None
        self._learning = WriterLock()

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
    nearer = (sample.heights[:, :, :, None] <= goals[:, None, None, :]) & counted.valid[:, :, :, None]
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
    room = make_scratch(stored, model, Goal(0, 0.0, 0.0, 1.0))
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
        hits.append((sample.heights[i] <= goals[i, r])[some] * tries[-1])
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
