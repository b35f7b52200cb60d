"""Kernels that answer queries from pools: they look at as much as a promise of recall, or an effort, asks for.

A query goes through four steps. The codes of all pools are scored. The centres of the best pools are compared exactly,
and the best of these are probed: the codes of their items are scored. Items with promising scores are compared by
their vectors. The distance of the k-th nearest item so far says how many nearer items a pool that was not probed, or an
item that was not compared, is expected to hold: that is a lookup in three ``rates``, which ``certificate.py`` learns.
So a search leaves out what is not worth a look, and knows what it may have missed.

Heights are half squared distances (of unit vectors for the cosine), or negative inner products: the lowest is the
nearest. Scores are negative heights. Costs are what the caller gets: squared distances, negative cosines, negative
products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.byte_shuffle import sum_block
from assocmem._numerics.simd import (
    lanes_above,
    lowest_bit,
    prefetch_row,
    products,
    scaled_distance,
    score_block,
)
from assocmem._numerics.types import F32, I32, I64, RAW_KERNEL, RAW_MAXIMUM_KERNEL, U8, U16, AnyArray
from assocmem.search.pool_kernels import POOL_BLOCKS, POOL_ITEMS, SPREAD_WEIGHT, LevelArrays, QueryTables
from assocmem.search.rerank import COSINE, L2, PRODUCT, compare_row, insert_nearest

BUCKETS = 64
"""Buckets of equal width into which pools and candidates are sorted."""
FIRST_POOLS = 4
"""Pools that are probed before anything is expected of the others."""
LOWEST = np.float32(-1e38)
PRIOR = 0.5
REACH = 5.0
"""Standard deviations by which a score may be too low for its item to be a candidate."""
RATE_ENTRIES = 256
"""Entries of a table of rates."""
RATE_LOWEST, RATE_STEP = -10.0, 12.0 / RATE_ENTRIES
"""Standard deviations of the first entry, and between entries."""


class Stored(NamedTuple):
    """What is searched."""

    items: LevelArrays
    pools: LevelArrays
    pool_biases: U16
    """bfloat16 as uint16 (blocks, 16): those of ``pools``, or others"""
    centre_values: U16
    """float16 as uint16 (pools, w): centres less the mean of the index, in units of their scales"""
    centre_scales: F32
    spreads: F32
    """float32 (pools,): mean squared distances of items to the centres"""
    head: AnyArray
    tail: AnyArray
    """vectors, by row: (n, w); the rows of the tail follow those of the head"""
    ids: I64
    """int64, of each row; empty if they equal the row numbers"""
    allowed: U8
    """uint8 by row: 0 for items that must not be found; empty if all may be"""


class Queries(NamedTuple):
    """Queries, in each form that is needed."""

    vectors: F32
    """float32 (n, w), as the vectors are stored"""
    inverse_lengths: F32
    """float32 (n,)"""
    centred: F32
    """float32 (n, w), less the mean of the index"""
    offsets: F32
    """float32 (n,): what heights exceed the scores of pools' codes by: half the squared length of the centred query, or
    minus its product with the mean of the index"""
    noises: F32
    """float32 (n,): variance of the errors of scores by the rounding of tables, over the spread of a pool"""
    coarse: QueryTables
    """for the codes of pools"""
    fine: QueryTables
    """for the codes of items"""


class Model(NamedTuple):
    """What scores and distances let expect; see ``certificate.py``."""

    alpha: float
    """variance of the squared distances in a pool, over the squared distance to the centre times the spread, over 4"""
    beta: float
    """the same, over the square of the spread"""
    kappa: float
    """variance of the errors of scores, over the squared distance to the centre times the spread"""
    floor: float
    """added to the spreads of pools"""
    edges: F32
    """float32 (c - 1,): borders between classes of queries; see ``_class_of``"""
    router_rates: F32
    """float32 (c, RATE_ENTRIES): share of a pool's items as near as a height, by standard deviations; the distance to
    the centre is estimated by the pool's code"""
    pool_rates: F32
    """the same, with the distance to the centre"""
    item_rates: F32
    """share of items as near as a height, by standard deviations of the errors of scores"""


class Goal(NamedTuple):
    """How much to look at."""

    pools: int
    """pools to probe; 0 for as many as the promise asks for"""
    pool_yield: float
    """nearer items that a pool must be expected to hold to be probed"""
    item_yield: float
    """probability with which an item must be expected to be nearer to be compared"""
    least: float
    """nearer items that a pool must be expected to hold, by its code, for its centre to be compared"""
    certify: bool
    """whether to count what may have been missed"""


class Scratch(NamedTuple):
    """Room for the numbers of one query. A place is the number of a lane among all blocks of pools."""

    blocks: I32
    """all blocks of pools"""
    spreads: F32
    """spread of the pool at each place"""
    sizes: F32
    """items of the pool at each place"""
    scores: F32
    """score of the pool at each place; LOWEST when it was dealt with"""
    middles: F32
    widths: F32
    """expected mean height of the items of the pool at each place, and standard deviation of their heights"""
    heights: F32
    """height of the centre, of pools that were priced"""
    keys: F32
    places: I32
    order: I32
    """pools, in the order of their places, and of their keys"""
    starts: I32
    first_scores: F32
    first_blocks: I32
    first_errors: F32
    """scores of the items of the first pools, 16 for each block; and of each block, the errors' standard deviation"""
    found_scores: F32
    found_slots: I32
    found_errors: F32
    """candidates, and the standard deviations of their scores' errors"""
    sorted_scores: F32
    sorted_slots: I32
    sorted_errors: F32
    counts: I64
    """numbers of candidates, of comparisons, of items scored, of pools probed and priced; number of the stage"""
    stages: I32
    """int32 (pools,): stage in which a pool was probed last, of all queries of the batch"""
    sums: U16
    """uint16 (16,)"""
    lanes: F32
    """float32 (16,)"""
    reaches: F32
    """float32 (c, 2): standard deviations from which pools, and items, are worth a look, by class"""


CANDIDATES, COMPARED, SCORED, PROBED, PRICED, STAGE = 0, 1, 2, 3, 4, 5
"""Entries of ``Scratch.counts``."""
REPORTED = 5
"""Numbers that ``probe`` reports of a query."""


# Choosing


@njit(**RAW_KERNEL)
def _score_pools(stored, entries, terms, count, scratch):  # type: ignore[no-untyped-def]
    """Fill ``scores``: score the first ``count`` blocks of pools."""
    for i in range(count):
        block = np.int64(scratch.blocks[i])
        if i + 2 < count:
            prefetch_row(stored.pools.codes, np.int64(scratch.blocks[i + 2]))
        sum_block(stored.pools.codes, block, entries, scratch.sums)
        score_block(scratch.sums, stored.pools.scales, stored.pool_biases, block, terms, scratch.scores, 16 * i)


@njit(**RAW_MAXIMUM_KERNEL)
def _count_above(scores, n, threshold):  # type: ignore[no-untyped-def]
    count = np.int32(0)
    for i in range(n):
        count += np.int32(scores[i] > threshold)
    return count


@njit(**RAW_MAXIMUM_KERNEL)
def _threshold(scores, n, keep):  # type: ignore[no-untyped-def]
    """Return a score that ``keep`` to 9/8 ``keep`` of the first ``n`` scores exceed; more if many are equal."""
    if n <= keep or _count_above(scores, n, LOWEST) <= keep:
        return LOWEST
    high = scores[0]
    for i in range(n):
        high = max(high, scores[i])
    low = high
    reach = np.float32(abs(high)) * np.float32(1e-3) + np.float32(1e-30)
    while True:  # from the top down, in growing steps
        low = high - reach
        if _count_above(scores, n, low) >= keep:
            break
        reach *= np.float32(4.0)
    while True:
        middle = (low + high) * np.float32(0.5)
        if middle <= low or middle >= high:
            return low
        count = _count_above(scores, n, middle)
        if count >= keep:
            low = middle
            if count <= keep + (keep >> 3):
                return low
        else:
            high = middle


@njit(**RAW_KERNEL)
def _low_threshold(scores, n, keep, tops):  # type: ignore[no-untyped-def]
    """Return a score that a few more than ``keep`` scores reach: the ``keep``-th highest maximum of a block of 16.

    ``tops``: float32, room for ``keep``. For fewer blocks ``_threshold`` is exact, for many scores it is quicker.
    """
    if n < 32 * keep or keep > 16:
        return _threshold(scores, n, keep)
    for j in range(keep):
        tops[j] = np.float32(-np.inf)
    for at in range(0, n, 16):
        top = scores[at]
        for lane in range(1, 16):
            top = max(top, scores[at + lane])
        if top > tops[keep - 1]:
            j = keep - 1
            while j > 0 and tops[j - 1] < top:
                tops[j] = tops[j - 1]
                j -= 1
            tops[j] = top
    last = tops[keep - 1]
    return max(last - np.float32(1e-6) * abs(last), LOWEST)


@njit(**RAW_KERNEL)
def _list_above(scores, n, threshold, places):  # type: ignore[no-untyped-def]
    """List the places of scores above a threshold; ``n``: a multiple of 16. Return their number."""
    count = 0
    for at in range(0, n, 16):
        mask = lanes_above(scores, at, threshold)
        while mask != 0:
            places[count] = at + lowest_bit(np.uint64(mask))
            count += 1
            mask &= mask - 1
    return count


@njit(**RAW_KERNEL)
def _entry(value, count):  # type: ignore[no-untyped-def]
    """Return the whole part of a value as an index below ``count``; 0 for what is not a number."""
    return np.int64(min(value, count - 1.0)) if value >= 1.0 else np.int64(0)


@njit(**RAW_KERNEL)
def _sort_places(keys, places, n, order, starts):  # type: ignore[no-untyped-def]
    """Fill ``order`` with the first ``n`` places in about the order of their keys, the lowest first."""
    low = high = keys[0]
    for j in range(n):
        low = min(low, keys[j])
        high = max(high, keys[j])
    per_unit = np.float32(BUCKETS - 1) / max(high - low, np.float32(1e-30))
    for bucket in range(BUCKETS + 1):
        starts[bucket] = 0
    for j in range(n):
        starts[_entry((keys[j] - low) * per_unit, BUCKETS) + 1] += 1
    for bucket in range(BUCKETS):
        starts[bucket + 1] += starts[bucket]
    for j in range(n):
        mine = _entry((keys[j] - low) * per_unit, BUCKETS)
        order[starts[mine]] = places[j]
        starts[mine] += 1


@njit(**RAW_KERNEL)
def _rate(rates, kind, z):  # type: ignore[no-untyped-def]
    at = (z - RATE_LOWEST) * (1.0 / RATE_STEP)
    return np.float64(rates[kind, _entry(at, RATE_ENTRIES)])


@njit(**RAW_KERNEL)
def _class_of(model, tau, n, scratch):  # type: ignore[no-untyped-def]
    """Return the class of a query: how far below the mean heights of the nearest pools its nearest items are.

    Near copies are far below; their neighbours are found in other pools than those of a query far from everything.
    """
    z = np.float32(-np.inf)
    for j in range(n):
        place = np.int64(scratch.order[j])
        z = max(z, (np.float32(tau) - scratch.middles[place]) / scratch.widths[place])
    kind = 0
    for edge in range(model.edges.shape[0]):
        kind += z > model.edges[edge]
    return kind


@njit(**RAW_KERNEL)
def _pool_at(stored, scratch, place):  # type: ignore[no-untyped-def]
    return np.int64(stored.pools.members[16 * scratch.blocks[place >> 4] + (place & 15)])


@njit(**RAW_KERNEL)
def _energy(queries, i, height, metric):  # type: ignore[no-untyped-def]
    """Return the squared distance that the items of a pool are spread across."""
    if metric == PRODUCT:
        return 1.0 / np.float64(queries.inverse_lengths[i]) ** 2
    return max(2.0 * height, 0.0)


# Pools


@njit(**RAW_KERNEL)
def _price(stored, queries, i, place, model, metric, scratch):  # type: ignore[no-untyped-def]
    """Compare the centre of a pool; its middle and width are then no longer those by its code."""
    pool = _pool_at(stored, scratch, place)
    scale, spread = stored.centre_scales[pool], stored.spreads[pool] + np.float32(model.floor)
    if metric == PRODUCT:
        product, _ = products(queries.vectors[i], stored.centre_values, pool)
        height = queries.offsets[i] - product * scale
        middle = height
    else:
        height = np.float32(0.5) * scaled_distance(queries.centred[i], stored.centre_values, pool, scale)
        middle = height + np.float32(0.5) * spread
    energy = np.float32(_energy(queries, i, np.float64(height), metric))
    scratch.heights[place] = height
    scratch.middles[place] = middle
    # Two roots, because the product of two squared lengths may be out of range.
    variance = np.float32(model.alpha) * energy + np.float32(model.beta) * spread
    scratch.widths[place] = np.sqrt(variance) * np.sqrt(spread) + np.float32(1e-30)


@njit(**RAW_KERNEL)
def _price_pools(stored, queries, i, places, span, model, metric, scratch):  # type: ignore[no-untyped-def]
    """Compare the centres of the pools at those of ``places`` that ``span`` names."""
    first, last = span
    scratch.counts[PRICED] += last - first
    for j in range(first, last):
        if j + 2 < last:
            prefetch_row(stored.centre_values, _pool_at(stored, scratch, np.int64(places[j + 2])))
        _price(stored, queries, i, np.int64(places[j]), model, metric, scratch)


@njit(**RAW_MAXIMUM_KERNEL)
def _estimate_pools(model, offset, energy, lanes, scratch):  # type: ignore[no-untyped-def]
    """Fill ``middles`` and ``widths`` of all pools by their codes; ``energy``: of a product; for distances, below 0."""
    alpha, beta, half = np.float32(model.alpha), np.float32(model.beta), np.float32(0.5)
    floor = np.float32(model.floor)
    if energy < np.float32(0.0):
        for place in range(lanes):
            # An empty place has minus infinity.
            height = offset - max(scratch.scores[place], LOWEST) - half * SPREAD_WEIGHT * scratch.spreads[place]
            spread = scratch.spreads[place] + floor
            height = max(height, np.float32(0.0))
            scratch.middles[place] = height + half * spread
            variance = alpha * (height + height) + beta * spread
            scratch.widths[place] = np.sqrt(variance) * np.sqrt(spread) + np.float32(1e-30)
    else:
        for place in range(lanes):
            spread = scratch.spreads[place] + floor
            scratch.middles[place] = offset - max(scratch.scores[place], LOWEST)
            scratch.widths[place] = np.sqrt(alpha * energy + beta * spread) * np.sqrt(spread) + np.float32(1e-30)


@njit(**RAW_MAXIMUM_KERNEL)
def _standardise(tau, lanes, scratch):  # type: ignore[no-untyped-def]
    """Fill ``keys`` with the standard deviations by which ``tau`` exceeds the middles of the pools that are left."""
    goal = np.float32(tau)
    for place in range(lanes):
        z = (goal - scratch.middles[place]) / scratch.widths[place]
        scratch.keys[place] = z if scratch.scores[place] > LOWEST else LOWEST


@njit(**RAW_KERNEL)
def _expected(rates, kind, place, tau, scratch):  # type: ignore[no-untyped-def]
    """Return how many items of the pool at a place are expected to be nearer than ``tau``."""
    z = (np.float32(tau) - scratch.middles[place]) / scratch.widths[place]
    return scratch.sizes[place] * _rate(rates, kind, np.float64(z))


@njit(**RAW_KERNEL)
def _error(queries, i, model, height, spread, metric):  # type: ignore[no-untyped-def]
    """Return the standard deviation of the errors of the scores of a pool's items."""
    energy = _energy(queries, i, np.float64(height), metric)
    variance = (model.kappa * energy + np.float64(queries.noises[i])) * (np.float64(spread) + model.floor)
    return np.float32(np.sqrt(variance) + 1e-30)


@njit(**RAW_KERNEL)
def _add_candidate(stored, slot, score, error, scratch):  # type: ignore[no-untyped-def]
    if stored.allowed.shape[0] and not stored.allowed[stored.items.members[slot]]:
        return
    n = scratch.counts[CANDIDATES]
    scratch.found_scores[n] = score
    scratch.found_slots[n] = slot
    scratch.found_errors[n] = error
    scratch.counts[CANDIDATES] = n + 1


@njit(**RAW_KERNEL)
def _scan_pool(stored, queries, i, pool, height, limit, error, scratch):  # type: ignore[no-untyped-def]
    """Score the items of a pool; those with a score above a limit are candidates."""
    items, entries, terms = stored.items, queries.fine.entries[i], queries.fine.terms[i]
    sums, local = scratch.sums, scratch.lanes
    for b in range((items.sizes[pool] + 15) >> 4):
        block = np.int64(POOL_BLOCKS * pool + b)
        sum_block(items.codes, block, entries, sums)
        score_block(sums, items.scales, items.biases, block, terms, local, 0)
        mask = lanes_above(local, 0, limit + height)
        while mask != 0:
            lane = lowest_bit(np.uint64(mask))
            mask &= mask - 1
            _add_candidate(stored, 16 * block + lane, local[lane] - height, error, scratch)


@njit(**RAW_KERNEL)
def _mark_probed(stored, place, scratch):  # type: ignore[no-untyped-def]
    pool = _pool_at(stored, scratch, place)
    scratch.scores[place] = LOWEST
    scratch.stages[pool] = scratch.counts[STAGE]
    scratch.counts[PROBED] += 1
    scratch.counts[SCORED] += stored.items.sizes[pool]


@njit(**RAW_KERNEL)
def _probe_pool(stored, queries, i, place, model, kind, tau, metric, scratch):  # type: ignore[no-untyped-def]
    """Score the items of a priced pool; those that are likely enough to be nearer than ``tau`` are candidates."""
    pool = _pool_at(stored, scratch, place)
    height = scratch.heights[place]
    error = _error(queries, i, model, height, stored.spreads[pool], metric)
    limit = np.float32(-tau) + scratch.reaches[kind, 1] * error
    _scan_pool(stored, queries, i, pool, height, limit, error, scratch)
    _mark_probed(stored, place, scratch)


@njit(**RAW_KERNEL)
def _prefetch_pool(stored, place, scratch):  # type: ignore[no-untyped-def]
    pool = _pool_at(stored, scratch, place)
    for b in range((stored.items.sizes[pool] + 15) >> 4):
        prefetch_row(stored.items.codes, POOL_BLOCKS * pool + b)


# Items


@njit(**RAW_KERNEL)
def _compare(stored, queries, i, row, metric):  # type: ignore[no-untyped-def]
    both, parts = (queries.vectors, queries.inverse_lengths), (stored.head, stored.tail)
    return compare_row(both, i, parts, row, metric)


@njit(**RAW_KERNEL)
def _prefetch(stored, row):  # type: ignore[no-untyped-def]
    border = np.int64(stored.head.shape[0])
    if row < border:
        prefetch_row(stored.head, row)
    else:
        prefetch_row(stored.tail, row - border)


@njit(**RAW_KERNEL)
def _height(cost, metric):  # type: ignore[no-untyped-def]
    """Return the height of a cost."""
    if metric == L2:
        return 0.5 * np.float64(cost)
    return np.float64(cost) + 1.0 if metric == COSINE else np.float64(cost)


@njit(**RAW_KERNEL)
def _sort_found(scratch):  # type: ignore[no-untyped-def]
    """Sort candidates into buckets by their scores, the highest first."""
    n = scratch.counts[CANDIDATES]
    scores = scratch.found_scores
    high = low = scores[0]
    for j in range(n):
        high = max(high, scores[j])
        low = min(low, scores[j])
    per_unit = np.float32(BUCKETS - 1) / max(high - low, np.float32(1e-30))
    starts = scratch.starts
    for bucket in range(BUCKETS + 1):
        starts[bucket] = 0
    for j in range(n):
        starts[_entry((high - scores[j]) * per_unit, BUCKETS) + 1] += 1
    for bucket in range(BUCKETS):
        starts[bucket + 1] += starts[bucket]
    for j in range(n):
        mine = _entry((high - scores[j]) * per_unit, BUCKETS)
        at = starts[mine]
        starts[mine] += 1
        scratch.sorted_scores[at] = scores[j]
        scratch.sorted_slots[at] = scratch.found_slots[j]
        scratch.sorted_errors[at] = scratch.found_errors[j]


@njit(**RAW_KERNEL)
def _promising(model, kind, tau, least, start, scratch):  # type: ignore[no-untyped-def]
    """Return up to which sorted candidate to compare, and how many near items are expected behind it.

    ``least``: probability with which a candidate must be expected to be near.
    """
    left = 0.0
    end = np.int64(scratch.counts[CANDIDATES])
    while end > start:
        z = (tau + np.float64(scratch.sorted_scores[end - 1])) / (np.float64(scratch.sorted_errors[end - 1]) + 1e-30)
        expected = _rate(model.item_rates, kind, z)
        if expected > least:
            break
        left += expected
        end -= 1
    return end, left


@njit(**RAW_KERNEL)
def _compare_some(stored, queries, i, best, metric, span, scratch, out):  # type: ignore[no-untyped-def]
    """Compare sorted candidates from the first to the last of ``span``; return how many are the nearest so far."""
    costs, rows, k = out
    first, last = span
    for j in range(first, last):
        if j + 2 < last:
            _prefetch(stored, np.int64(stored.items.members[scratch.sorted_slots[j + 2]]))
        row = np.int64(stored.items.members[scratch.sorted_slots[j]])
        cost = _compare(stored, queries, i, row, metric)
        if best < k or cost <= costs[k - 1]:
            best = insert_nearest(cost, row, stored.ids, (costs, rows), k, best)
    scratch.counts[COMPARED] += last - first
    return best


@njit(**RAW_KERNEL)
def _keep_rest(start, scratch):  # type: ignore[no-untyped-def]
    """Keep the sorted candidates from ``start`` on only."""
    kept = 0
    for j in range(start, scratch.counts[CANDIDATES]):
        scratch.found_scores[kept] = scratch.sorted_scores[j]
        scratch.found_slots[kept] = scratch.sorted_slots[j]
        scratch.found_errors[kept] = scratch.sorted_errors[j]
        kept += 1
    scratch.counts[CANDIDATES] = kept


@njit(**RAW_KERNEL)
def _compare_found(stored, queries, i, model, kind, least, metric, scratch, out):  # type: ignore[no-untyped-def]
    """Compare candidates, the best scores first, as long as they are likely to be near; see ``_promising``.

    Returns how many nearer items are expected among those that are left.
    """
    costs, _, k = out
    if not scratch.counts[CANDIDATES]:
        return 0.0
    _sort_found(scratch)
    j = np.int64(0)
    end, left = _promising(model, kind, _height(costs[k - 1], metric), least, j, scratch)
    while j < end:
        stop = min(end, j + 16 + j // 4)
        _compare_some(stored, queries, i, k, metric, (j, stop), scratch, out)
        j = stop
        end, left = _promising(model, kind, _height(costs[k - 1], metric), least, j, scratch)
    _keep_rest(j, scratch)
    return left


# A query


@njit(**RAW_KERNEL)
def _scan_first(stored, queries, i, place, at, model, metric, scratch):  # type: ignore[no-untyped-def]
    """Write the scores of a priced pool behind the first ``at``; return how many there are now."""
    pool, items, sums = _pool_at(stored, scratch, place), stored.items, scratch.sums
    height = scratch.heights[place]
    error = _error(queries, i, model, height, stored.spreads[pool], metric)
    for b in range((items.sizes[pool] + 15) >> 4):
        block = np.int64(POOL_BLOCKS * pool + b)
        sum_block(items.codes, block, queries.fine.entries[i], sums)
        score_block(sums, items.scales, items.biases, block, queries.fine.terms[i], scratch.first_scores, at)
        for lane in range(16):
            scratch.first_scores[at + lane] -= height
        if stored.allowed.shape[0]:
            for lane in range(16):
                slot = 16 * block + lane
                if slot < POOL_ITEMS * pool + items.sizes[pool] and not stored.allowed[items.members[slot]]:
                    scratch.first_scores[at + lane] = -np.inf
        scratch.first_blocks[at >> 4] = block
        scratch.first_errors[at >> 4] = error
        at += 16
    _mark_probed(stored, place, scratch)
    return at


@njit(**RAW_KERNEL)
def _take_first(stored, n, limit, scratch):  # type: ignore[no-untyped-def]
    """Make the items of the first pools whose scores exceed a limit candidates."""
    for at in range(0, n, 16):
        mask = lanes_above(scratch.first_scores, at, limit)
        while mask != 0:
            lane = lowest_bit(np.uint64(mask))
            mask &= mask - 1
            slot = 16 * scratch.first_blocks[at >> 4] + lane
            _add_candidate(stored, slot, scratch.first_scores[at + lane], scratch.first_errors[at >> 4], scratch)
            scratch.first_scores[at + lane] = -np.inf


@njit(**RAW_KERNEL)
def _start(stored, queries, i, model, listed, lanes, metric, scratch, out):  # type: ignore[no-untyped-def]
    """Probe the few pools that look nearest, and compare some items, to learn how near the nearest are.

    ``listed``: pools to price, the nearest by their codes. Returns how many of the nearest there are, the class of the
    query, and from where to where ``order`` lists pools that are priced and not probed.
    """
    k = out[2]
    best, n, end = np.int64(0), np.int64(0), np.int64(0)
    while best < k:
        n = _list_above(
            scratch.scores, lanes, _low_threshold(scratch.scores, lanes, listed, scratch.keys), scratch.places
        )
        if not n:
            return best, 0, end, n
        _price_pools(stored, queries, i, scratch.places, (np.int64(0), n), model, metric, scratch)
        for j in range(n):
            scratch.keys[j] = scratch.middles[scratch.places[j]] - scratch.widths[scratch.places[j]]
        _sort_places(scratch.keys, scratch.places, n, scratch.order, scratch.starts)
        at, end = np.int64(0), np.int64(0)
        while end < n and (end < FIRST_POOLS or at < 4 * k):
            at = _scan_first(stored, queries, i, np.int64(scratch.order[end]), at, model, metric, scratch)
            end += 1
        wanted = k - best + 6
        _take_first(stored, at, _threshold(scratch.first_scores, at, wanted), scratch)
        if scratch.counts[CANDIDATES]:
            _sort_found(scratch)
            some = (np.int64(0), np.int64(scratch.counts[CANDIDATES]))
            best = _compare_some(stored, queries, i, best, metric, some, scratch, out)
        scratch.counts[CANDIDATES] = 0
        if best == k:
            tau = _height(out[0][k - 1], metric)
            kind = _class_of(model, tau, end, scratch)
            worst = scratch.first_errors[0]
            for block in range(at >> 4):
                worst = max(worst, scratch.first_errors[block])
            _take_first(stored, at, np.float32(-tau) + scratch.reaches[kind, 1] * worst, scratch)
            return best, kind, end, n
        _take_first(stored, at, LOWEST, scratch)
        if scratch.counts[CANDIDATES]:
            _sort_found(scratch)
            some = (np.int64(0), np.int64(scratch.counts[CANDIDATES]))
            best = _compare_some(stored, queries, i, best, metric, some, scratch, out)
        scratch.counts[CANDIDATES] = 0
        listed *= 4
    return best, _class_of(model, _height(out[0][k - 1], metric), end, scratch), end, n


@njit(**RAW_KERNEL)
def _found_in_stage(stored, rows, scratch):  # type: ignore[no-untyped-def]
    """Return how many of the nearest rows are in pools of this stage."""
    hits = 0
    for j in range(rows.shape[0]):
        hits += scratch.stages[stored.items.slot_of[rows[j]] >> 6] == scratch.counts[STAGE]
    return hits


@njit(**RAW_KERNEL)
def _list_by_codes(kind, tau, lanes, scratch):  # type: ignore[no-untyped-def]
    """Fill ``order`` with the pools that may be worth it by their codes, the likeliest first; return their number."""
    _standardise(tau, lanes, scratch)
    n = _list_above(scratch.keys, lanes, scratch.reaches[kind, 0], scratch.places)
    for j in range(n):
        scratch.first_scores[j] = -scratch.keys[scratch.places[j]]
    if n:
        _sort_places(scratch.first_scores, scratch.places, n, scratch.order, scratch.starts)
    return n


@njit(**RAW_KERNEL)
def _expected_at(rates, kind, tau, span, scratch):  # type: ignore[no-untyped-def]
    """Return how many nearer items the pools of ``order`` from the first to the last of ``span`` may hold."""
    total = 0.0
    for j in range(span[0], span[1]):
        total += _expected(rates, kind, np.int64(scratch.order[j]), tau, scratch)
    return total


@njit(**RAW_KERNEL)
def _probe_stage(stored, queries, i, model, kind, tau, least, span, metric, scratch):  # type: ignore[no-untyped-def]
    """Probe those priced pools of ``order`` that are expected to hold more than ``least`` nearer items.

    Below 0, all are probed, and nothing is expected. Returns how many they were expected to hold, and how many the
    others.
    """
    first, last = span
    scratch.counts[STAGE] += 1
    held = skipped = 0.0
    for j in range(first, last):
        place = np.int64(scratch.order[j])
        if j + 1 < last:
            _prefetch_pool(stored, np.int64(scratch.order[j + 1]), scratch)
        here = _expected(model.pool_rates, kind, place, tau, scratch) if least >= 0.0 else 0.0
        if here > least:
            held += here
            _probe_pool(stored, queries, i, place, model, kind, tau, metric, scratch)
        else:
            skipped += here
            scratch.scores[place] = LOWEST
    return held, skipped


@njit(**RAW_KERNEL)
def _expected_elsewhere(model, kind, tau, lanes, scratch):  # type: ignore[no-untyped-def]
    """Return how many nearer items the pools that were not dealt with are expected to hold, by their codes."""
    total = 0.0
    for place in range(lanes):
        if scratch.scores[place] > LOWEST:
            total += _expected(model.router_rates, kind, place, tau, scratch)
    return total


@njit(**RAW_KERNEL)
def _probe_likely(stored, queries, i, model, goal, kind, lanes, metric, scratch, out):  # type: ignore[no-untyped-def]
    """Probe the pools that are likely enough to hold nearer items, in the order of what their codes let expect.

    Before each stage, its pools are priced; those that are then not worth it are left out. What a stage held compared
    with what was expected corrects what is expected of the others. Returns the numbers of nearer items that are
    expected among candidates that were not compared, and in pools that were not probed.
    """
    costs, rows, k = out
    left = _compare_found(stored, queries, i, model, kind, goal.item_yield, metric, scratch, out)
    tau = _height(costs[k - 1], metric)
    n = _list_by_codes(kind, tau, lanes, scratch)
    at, step, trust = np.int64(0), 2 * FIRST_POOLS, 1.0
    held = expected = skipped = 0.0
    while (
        at < n and trust * _expected(model.router_rates, kind, np.int64(scratch.order[at]), tau, scratch) > goal.least
    ):
        stop = min(n, at + step)
        _price_pools(stored, queries, i, scratch.order, (at, stop), model, metric, scratch)
        least = goal.pool_yield / trust
        new, passed = _probe_stage(stored, queries, i, model, kind, tau, least, (at, stop), metric, scratch)
        skipped += passed
        at = stop
        step = max(step, at)
        left = _compare_found(stored, queries, i, model, kind, goal.item_yield, metric, scratch, out)
        tau = _height(costs[k - 1], metric)
        held = 0.5 * held + _found_in_stage(stored, rows, scratch)
        expected = 0.5 * expected + new
        trust = (held + PRIOR) / (expected + PRIOR)
    if not goal.certify:
        return left, 0.0
    return left, trust * (skipped + _expected_elsewhere(model, kind, tau, lanes, scratch))


@njit(**RAW_KERNEL)
def _sort_priced(tau, first, last, scratch):  # type: ignore[no-untyped-def]
    """Sort priced pools, those of ``order`` from the first to the last, the likeliest first; they move to the front."""
    n = last - first
    for j in range(n):
        place = np.int64(scratch.order[first + j])
        scratch.places[j] = place
        scratch.keys[j] = (scratch.middles[place] - np.float32(tau)) / scratch.widths[place]
    if n > 0:
        _sort_places(scratch.keys, scratch.places, n, scratch.order, scratch.starts)
    return n


@njit(**RAW_KERNEL)
def _probe_number(stored, queries, i, model, goal, kind, priced, lanes, metric, scratch, out):  # type: ignore[no-untyped-def]
    """Probe a number of pools, those first whose centres are nearest; returns as ``_probe_likely``.

    ``priced``: from where to where ``order`` lists priced pools.
    """
    costs, rows, k = out
    tau = _height(costs[k - 1], metric)
    n = _sort_priced(tau, priced[0], priced[1], scratch)
    wanted = goal.pools - scratch.counts[PROBED]
    at, last, step = np.int64(0), min(n, max(wanted, 0)), 2 * FIRST_POOLS
    held, expected, new, trust = 0.0, 0.0, 0.0, 1.0
    left = _compare_found(stored, queries, i, model, kind, goal.item_yield, metric, scratch, out)
    while at < last:
        stop = min(last, at + step)
        if goal.certify:
            new = _expected_at(model.pool_rates, kind, tau, (at, stop), scratch)
        _probe_stage(stored, queries, i, model, kind, tau, -1.0, (at, stop), metric, scratch)
        left = _compare_found(stored, queries, i, model, kind, goal.item_yield, metric, scratch, out)
        tau = _height(costs[k - 1], metric)
        if goal.certify:
            held = 0.5 * held + _found_in_stage(stored, rows, scratch)
            expected = 0.5 * expected + new
            trust = (held + PRIOR) / (expected + PRIOR)
        at = stop
        step = max(step, at)
    if not goal.certify:
        return left, 0.0
    rest = _expected_at(model.pool_rates, kind, tau, (last, n), scratch)
    for j in range(last, n):
        scratch.scores[scratch.order[j]] = LOWEST
    return left, trust * (rest + _expected_elsewhere(model, kind, tau, lanes, scratch))


@njit(**RAW_KERNEL)
def _answer(stored, queries, i, model, goal, lanes, metric, scratch, out):  # type: ignore[no-untyped-def]
    """Answer query ``i``; return the number of items found, and of nearer ones that are expected to be missed."""
    k = out[2]
    _score_pools(stored, queries.coarse.entries[i], queries.coarse.terms[i], lanes >> 4, scratch)
    listed = 2 * FIRST_POOLS
    if goal.pools:  # the nearest by their codes are priced, and a third more, because codes err
        listed = max(listed, goal.pools + goal.pools // 3 + 4)
    if goal.certify or not goal.pools:
        energy = np.float32(_energy(queries, i, 0.0, metric)) if metric == PRODUCT else np.float32(-1.0)
        _estimate_pools(model, queries.offsets[i], energy, lanes, scratch)
    scratch.counts[:STAGE] = 0
    scratch.counts[STAGE] += 1
    best, kind, end, n = _start(stored, queries, i, model, listed, lanes, metric, scratch, out)
    if best < k:  # everything was compared
        return best, 0.0
    if goal.pools:
        left, rest = _probe_number(stored, queries, i, model, goal, kind, (end, n), lanes, metric, scratch, out)
    else:
        left, rest = _probe_likely(stored, queries, i, model, goal, kind, lanes, metric, scratch, out)
    return best, left + rest


@njit(**RAW_KERNEL)
def probe(stored, queries, model, goal, metric, room, out):  # type: ignore[no-untyped-def]
    """Answer queries.

    ``out``: (costs float32 (n, k), rows int32 (n, k), report float32 (n, REPORTED)), filled, the nearest first; inf
    and -1 if there are fewer. The report: pools probed, items scored, items compared, nearer items that may be missed,
    and pools priced.
    """
    costs, rows, report = out
    k = costs.shape[1]
    lanes, scratch = room
    for i in range(costs.shape[0]):
        best, missed = _answer(stored, queries, i, model, goal, lanes, metric, scratch, (costs[i], rows[i], k))
        for j in range(best, k):
            costs[i, j] = np.float32(np.inf)
            rows[i, j] = -1
        report[i, 0] = scratch.counts[PROBED]
        report[i, 1] = scratch.counts[SCORED]
        report[i, 2] = scratch.counts[COMPARED]
        report[i, 3] = missed
        report[i, 4] = scratch.counts[PRICED]


@njit(**RAW_KERNEL)
def _class_by_codes(model, tau, lanes, scratch):  # type: ignore[no-untyped-def]
    """Fill ``keys`` as ``_standardise`` does; return the class of a query by the pool that is likeliest."""
    _standardise(tau, lanes, scratch)
    highest = LOWEST
    for place in range(lanes):
        highest = max(highest, scratch.keys[place])
    kind = 0
    for edge in range(model.edges.shape[0]):
        kind += highest > model.edges[edge]
    return kind


@njit(**RAW_KERNEL)
def _end_of_share(model, kind, tau, n, share, scratch):  # type: ignore[no-untyped-def]
    """Return up to which of ``n`` ordered pools to probe, so that the others hold a share of the near items."""
    total = _expected_at(model.pool_rates, kind, tau, (np.int64(0), n), scratch)
    left, end = 0.0, n
    while end > 0:
        left += _expected(model.pool_rates, kind, np.int64(scratch.order[end - 1]), tau, scratch)
        if left > share * total:
            break
        end -= 1
    return end


@njit(**RAW_KERNEL)
def probe_range(stored, queries, i, limit, goal, model, metric, room, out):  # type: ignore[no-untyped-def]
    """Find the items with costs below a limit, for query ``i``.

    ``goal.pool_yield`` is the share of them that may be missed. ``out``: (costs float32, rows int32), with room for all
    items, filled in no order. Returns their number.
    """
    lanes, scratch = room
    costs, rows = out
    tau = _height(np.float32(limit), metric)
    _score_pools(stored, queries.coarse.entries[i], queries.coarse.terms[i], lanes >> 4, scratch)
    energy = np.float32(_energy(queries, i, 0.0, metric)) if metric == PRODUCT else np.float32(-1.0)
    _estimate_pools(model, queries.offsets[i], energy, lanes, scratch)
    kind = _class_by_codes(model, tau, lanes, scratch)
    n = _list_above(scratch.keys, lanes, scratch.reaches[kind, 0], scratch.places)
    _price_pools(stored, queries, i, scratch.places, (np.int64(0), n), model, metric, scratch)
    for j in range(n):
        place = np.int64(scratch.places[j])
        scratch.keys[j] = (scratch.middles[place] - np.float32(tau)) / scratch.widths[place]
    if n:
        _sort_places(scratch.keys, scratch.places, n, scratch.order, scratch.starts)
    end = min(n, goal.pools) if goal.pools else _end_of_share(model, kind, tau, n, goal.pool_yield, scratch)
    scratch.counts[:STAGE] = 0
    for j in range(end):
        if j + 1 < end:
            _prefetch_pool(stored, np.int64(scratch.order[j + 1]), scratch)
        _probe_pool(stored, queries, i, np.int64(scratch.order[j]), model, kind, tau, metric, scratch)
    found, count = 0, scratch.counts[CANDIDATES]
    for j in range(count):
        if j + 2 < count:
            _prefetch(stored, np.int64(stored.items.members[scratch.found_slots[j + 2]]))
        row = stored.items.members[scratch.found_slots[j]]
        cost = _compare(stored, queries, i, np.int64(row), metric)
        if cost < limit:
            costs[found] = cost
            rows[found] = row
            found += 1
    return found


# What a model is learned from


@njit(**RAW_KERNEL)
def examine(stored, queries, listed, model, metric, room, out):  # type: ignore[no-untyped-def]
    """Look at all items of some pools, for each query.

    ``listed``: int32 (n, m), pools. ``out``: (by code float32 (n, m), by centre float32 (n, m), scores float32
    (n, m, 64), heights float32 (n, m, 64), rows int32 (n, m, 64)), filled: heights of the pools by their codes and by
    their centres; scores, heights and rows of their items, inf, inf and -1 beyond them.
    """
    by_code, by_centre, scores, heights, rows = out
    _, scratch = room
    local, sums = scratch.lanes, scratch.sums
    for i in range(listed.shape[0]):
        for j in range(listed.shape[1]):
            pool = np.int64(listed[i, j])
            slot = stored.pools.slot_of[pool]
            sum_block(stored.pools.codes, np.int64(slot >> 4), queries.coarse.entries[i], sums)
            terms = queries.coarse.terms[i]
            score_block(sums, stored.pools.scales, stored.pool_biases, np.int64(slot >> 4), terms, local, 0)
            scratch.blocks[0] = slot >> 4
            scratch.scores[0] = local[slot & 15]
            _price(stored, queries, i, np.int64(slot & 15), model, metric, scratch)
            by_centre[i, j] = scratch.heights[slot & 15]
            estimate = queries.offsets[i] - local[slot & 15]
            by_code[i, j] = estimate
            if metric != PRODUCT:
                by_code[i, j] = max(estimate - np.float32(0.5) * SPREAD_WEIGHT * stored.spreads[pool], np.float32(0.0))
            for at in range(rows.shape[2]):
                scores[i, j, at] = heights[i, j, at] = np.float32(np.inf)
                rows[i, j, at] = -1
            scratch.counts[CANDIDATES] = 0
            _scan_pool(stored, queries, i, pool, by_centre[i, j], LOWEST, np.float32(0.0), scratch)
            for at in range(scratch.counts[CANDIDATES]):
                row = np.int64(stored.items.members[scratch.found_slots[at]])
                scores[i, j, at] = scratch.found_scores[at]
                heights[i, j, at] = _height(_compare(stored, queries, i, row, metric), metric)
                rows[i, j, at] = row


@njit(**RAW_KERNEL)
def estimate_pools(stored, queries, metric, room, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n, pools), with the heights of all pools by their codes; inf for empty pools."""
    lanes, scratch = room
    for i in range(out.shape[0]):
        _score_pools(stored, queries.coarse.entries[i], queries.coarse.terms[i], lanes >> 4, scratch)
        for pool in range(out.shape[1]):
            out[i, pool] = np.float32(np.inf)
        for place in range(lanes):
            if scratch.scores[place] > LOWEST:
                pool = _pool_at(stored, scratch, place)
                height = queries.offsets[i] - scratch.scores[place]
                out[i, pool] = height
                if metric != PRODUCT:
                    height -= np.float32(0.5) * SPREAD_WEIGHT * stored.spreads[pool]
                    out[i, pool] = max(height, np.float32(0.0))
