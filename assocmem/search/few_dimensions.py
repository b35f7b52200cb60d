"""Exact search in few dimensions: a tree of boxes over the items, and items side by side in its leaves.

The tree halves the items along the widest side of their box until at most 32 are left (a k-d tree: Bentley 1975).
The items of a leaf lie in two blocks of 16, number by number, so that 16 of them are measured at once. Only items that
may be among the nearest are then compared by their stored vectors, so costs are those of every other search.

The tree is made by the first search, and again when too much has changed. Until then items that came since are
compared one by one, and those that went are passed over.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
from numba import njit

from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.simd import lanes_above, lowest_bit
from assocmem._numerics.threads import WriterLock
from assocmem._numerics.types import F32, I32, I64, LANES, RAW_KERNEL, U8
from assocmem.search.id_map import IdMap
from assocmem.search.rerank import L2, PRODUCT, compare_row, insert_nearest
from assocmem.search.vector_table import VectorTable


class Items(Protocol):
    """What is searched: a ``VectorStore``."""

    @property
    def metric(self) -> str:
        """One of "cosine", "l2", "ip"."""

    metric_number: int
    count: int
    vectors: VectorTable
    ids: IdMap

    def used_rows(self) -> I32:
        """Return the rows of all items, int32 (n,), ascending."""


LEAF_BLOCKS = 2
LEAF_ITEMS = LEAF_BLOCKS * LANES
FRESH_SHARE, LEAST_FRESH = 0.01, 256
"""Share of the items, and number, that may come or go before the tree is made again."""
ROUNDING = 1e-6
"""Relative error of coordinates in float32, with some room."""
COSINE_ROUNDING = 1e-6
"""Absolute error of a cosine in float32, with some room."""


class Tree(NamedTuple):
    """Boxes and leaves; node i has the children 2 i and 2 i + 1, the root is 1."""

    levels: int
    lows: F32
    highs: F32
    """float32 (2 leaves, dim): boxes"""
    blocks: F32
    """float32 (2 leaves, dim, 16): coordinates of the items in the leaves"""
    rows: I32
    """int32 (32 leaves,): rows of the items; -1 for none"""
    valid: U8
    """uint8 by row: whether the tree's entry of the row is that of its present item"""


def build(points: F32, rows: I32, count: int) -> Tree:
    """Make a tree of points, float32 (n, dim), n > 0; ``rows``: their rows; ``count``: number of rows there may be."""
    n, dim = points.shape
    levels = max(0, math.ceil(math.log2(n / LEAF_ITEMS)))
    order = np.arange(n)
    for level in range(levels):
        edges = _edges(n, level)
        shown = points[order]
        sizes = np.diff(edges)
        wide = np.maximum.reduceat(shown, edges[:-1]) - np.minimum.reduceat(shown, edges[:-1])
        part = np.repeat(np.arange(len(sizes)), sizes)
        keys = shown[np.arange(n), wide.argmax(axis=1)[part]]
        order = order[np.lexsort((keys, part))]
    leaves, edges = 1 << levels, _edges(n, levels)
    shown = points[order]
    lows, highs = np.empty((2 * leaves, dim), np.float32), np.empty((2 * leaves, dim), np.float32)
    lows[leaves:], highs[leaves:] = np.minimum.reduceat(shown, edges[:-1]), np.maximum.reduceat(shown, edges[:-1])
    for node in range(leaves - 1, 0, -1):
        lows[node] = np.minimum(lows[2 * node], lows[2 * node + 1])
        highs[node] = np.maximum(highs[2 * node], highs[2 * node + 1])
    leaf = np.repeat(np.arange(leaves), np.diff(edges))
    places = LEAF_ITEMS * leaf + np.arange(n) - edges[:-1][leaf]
    filled = np.zeros((LEAF_ITEMS * leaves, dim), np.float32)
    filled[places] = shown
    held = np.full(LEAF_ITEMS * leaves, -1, np.int32)
    held[places] = rows[order]
    blocks = np.ascontiguousarray(filled.reshape(LEAF_BLOCKS * leaves, LANES, dim).transpose(0, 2, 1))
    valid = np.zeros(count, np.uint8)
    valid[rows] = 1
    return Tree(levels, lows, highs, blocks, held, valid)


def _edges(n: int, level: int) -> I64:
    """Return where the parts of a level begin, and the end, int64 (2 ** level + 1,)."""
    return np.asarray(n * np.arange((1 << level) + 1) >> level, np.int64)


@njit(**RAW_KERNEL)
def _box_measure(query, tree, node, metric):  # type: ignore[no-untyped-def]
    """Return a measure that no point of a box is below: the squared distance, or minus the product."""
    total = 0.0
    for axis in range(query.shape[0]):
        value, low, high = query[axis], tree.lows[node, axis], tree.highs[node, axis]
        if metric == PRODUCT:
            total -= max(np.float64(value) * np.float64(low), np.float64(value) * np.float64(high))
        else:
            apart = max(np.float64(low) - np.float64(value), np.float64(value) - np.float64(high), 0.0)
            total += apart * apart
    return total


@njit(**RAW_KERNEL)
def _limit_of(cost, slack, metric):  # type: ignore[no-untyped-def]
    """Return up to which measure a point may have at most a cost."""
    if metric == PRODUCT:
        return cost + slack
    squared = cost if metric == L2 else max(2.0 + 2.0 * cost, 0.0) + COSINE_ROUNDING
    apart = np.sqrt(max(squared, 0.0)) * (1.0 + ROUNDING) + slack
    return apart * apart


@njit(**RAW_KERNEL)
def _measure_block(query, blocks, block, metric, lanes):  # type: ignore[no-untyped-def]
    """Fill ``lanes``, float32 (16,), with minus the measures of the items of a block."""
    for lane in range(LANES):
        lanes[lane] = np.float32(0.0)
    for axis in range(query.shape[0]):
        value = query[axis]
        if metric == PRODUCT:
            for lane in range(LANES):
                lanes[lane] += value * blocks[block, axis, lane]
        else:
            for lane in range(LANES):
                apart = blocks[block, axis, lane] - value
                lanes[lane] -= apart * apart


@njit(**RAW_KERNEL)
def _take_row(items, both, i, row, n, metric, best):  # type: ignore[no-untyped-def]
    costs, rows, k = best
    parts, ids, allowed = items
    if allowed.shape[0] and not allowed[row]:
        return n
    cost = compare_row(both, i, parts, row, metric)
    if n < k or cost <= costs[k - 1]:
        n = insert_nearest(cost, row, ids, (costs, rows), k, n)
    return n


@njit(**RAW_KERNEL)
def _search_leaf(tree, items, both, point, i, first, state, metric, lanes, best):  # type: ignore[no-untyped-def]
    """Compare the items of a leaf that may be near enough; return the number of the best, the limit, and how many."""
    costs, _, k = best
    n, limit, slack = state
    looked = 0
    for block in range(first, first + LEAF_BLOCKS):
        _measure_block(point, tree.blocks, block, metric, lanes)
        floor = np.float32(-limit)
        mask = lanes_above(lanes, 0, floor - np.float32(ROUNDING) * abs(floor) - np.float32(1e-37))
        while mask != 0:
            lane = lowest_bit(np.uint64(mask))
            mask &= mask - 1
            row = np.int64(tree.rows[LANES * block + lane])
            if row < 0 or -np.float64(lanes[lane]) > limit or not tree.valid[row]:
                continue
            looked += 1
            n = _take_row(items, both, i, row, n, metric, best)
            if n == k:
                limit = _limit_of(np.float64(costs[k - 1]), slack, metric)
    return n, limit, looked


@njit(**RAW_KERNEL)
def search_tree(tree, items, both, points, fresh, slacks, metric, room, out):  # type: ignore[no-untyped-def]
    """Find the nearest items: exact.

    ``items``: (parts as for ``rerank_all``, ids, uint8 by row: 0 for what must not be found, or empty); ``both``:
    queries as for ``rerank_all``; ``points``: float32 (n, dim), queries in the coordinates of the tree; ``fresh``:
    int32, rows that are not in the tree; ``slacks``: float64 (n,), how far rounding may move a point; ``room``: (int32
    and float64 for a stack, float32 (16,)); ``out``: (costs float32 (n, k), rows int32 (n, k), int64 (n,)), filled as
    by ``rerank_all``; the last with the number of comparisons.
    """
    costs, rows, compared = out
    nodes, bounds, lanes = room
    k, leaves = costs.shape[1], np.int64(1) << np.int64(tree.levels)
    for i in range(costs.shape[0]):
        best = (costs[i], rows[i], k)
        n, looked = np.int64(0), np.int64(0)
        for j in range(fresh.shape[0]):
            n = _take_row(items, both, i, np.int64(fresh[j]), n, metric, best)
        looked += fresh.shape[0]
        limit = _limit_of(np.float64(costs[i, k - 1]), slacks[i], metric) if n == k else np.inf
        nodes[0], bounds[0], depth = 1, -np.inf, 1
        while depth > 0:
            depth -= 1
            node = np.int64(nodes[depth])
            if bounds[depth] > limit:
                continue
            if node < leaves:
                near, far = 2 * node, 2 * node + 1
                near_bound = _box_measure(points[i], tree, near, metric)
                far_bound = _box_measure(points[i], tree, far, metric)
                if far_bound < near_bound:
                    near, far = far, near
                    near_bound, far_bound = far_bound, near_bound
                nodes[depth], bounds[depth] = far, far_bound
                nodes[depth + 1], bounds[depth + 1] = near, near_bound
                depth += 2
                continue
            first = LEAF_BLOCKS * (node - leaves)
            n, limit, more = _search_leaf(
                tree, items, both, points[i], i, first, (n, limit, slacks[i]), metric, lanes, best
            )
            looked += more
        for j in range(n, k):
            costs[i, j] = np.float32(np.inf)
            rows[i, j] = -1
        compared[i] = looked


class FewDimensions:
    """The tree of a store, and what has changed since it was made."""

    def __init__(self) -> None:
        self._tree: Tree | None = None
        self._mean: F32 = np.empty(0, np.float32)
        self._reach = 0.0
        self._fresh: dict[int, None] = {}
        self._gone = 0
        self._building = WriterLock()

    def reset(self) -> None:
        """Forget the tree."""
        self._tree, self._fresh, self._gone = None, {}, 0

    def added(self, rows: I32) -> None:
        """Follow items that came. The caller holds the store's lock to write."""
        if self._tree is not None:
            self._fresh.update(dict.fromkeys(rows.tolist()))

    def removed(self, rows: I32) -> None:
        """Follow items that went. The caller holds the store's lock to write."""
        if self._tree is None:
            return
        for row in rows.tolist():
            if row in self._fresh:
                del self._fresh[row]
            elif row < len(self._tree.valid):
                self._gone += int(self._tree.valid[row])
                self._tree.valid[row] = 0

    def search(self, store: Items, q: F32, allowed: U8 | None, out: tuple[F32, I32, I64]) -> None:
        """Search; ``out`` as for ``search_tree``. The caller holds the store's lock to read."""
        tree, mean, reach, fresh = self._current(store)
        points = _in_tree(q, mean, store.metric)
        sizes = np.abs(points).max(axis=1) + reach
        if store.metric == "ip":
            slacks = 4 * ROUNDING * q.shape[1] * np.abs(points).max(axis=1).astype(np.float64) * reach
        else:
            slacks = 4 * ROUNDING * math.sqrt(q.shape[1]) * (sizes.astype(np.float64) + np.abs(mean).max(initial=0.0))
        both = store.vectors.prepare_queries(q, cosine=store.metric == "cosine")
        stack = tree.levels + 3
        room = np.empty(stack, np.int32), np.empty(stack), np.empty(LANES, np.float32)
        items = store.vectors.parts, store.ids.row_ids, np.empty(0, np.uint8) if allowed is None else allowed
        search_tree(tree, items, both, points, fresh, slacks, store.metric_number, room, out)

    def _current(self, store: Items) -> tuple[Tree, F32, float, I32]:
        with self._building:
            most = max(LEAST_FRESH, FRESH_SHARE * store.count)
            if self._tree is None or len(self._fresh) + self._gone > most:
                rows = store.used_rows()
                x = store.vectors.get(rows)
                self._mean = _mean_of(x) if store.metric == "l2" else np.zeros(x.shape[1], np.float32)
                points = _in_tree(x, self._mean, store.metric)
                self._reach = float(np.abs(points).max(initial=0.0))
                self._tree, self._fresh, self._gone = build(points, rows, int(rows[-1]) + 1), {}, 0
            return self._tree, self._mean, self._reach, np.fromiter(self._fresh, np.int32, len(self._fresh))


def _mean_of(x: F32) -> F32:
    return np.asarray(x.mean(axis=0, dtype=np.float64), np.float32)


def _in_tree(x: F32, mean: F32, metric: str) -> F32:
    """Return vectors in the coordinates of the tree: less a mean, or of length 1."""
    return unit_rows(x) if metric == "cosine" else np.ascontiguousarray(x - mean)
