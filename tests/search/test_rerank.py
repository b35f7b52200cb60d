"""Kernels that compare queries with stored vectors, checked by plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from assocmem.search.rerank import COSINE, L2, PRODUCT, measure_rows, rerank_all
from tests.search.table_helpers import COMPARISONS, EVERY_KIND, cost, filled, vectors, widened
from tests.strategies import PLAIN, law


@law
@given(**COMPARISONS)
def test_the_nearest_are_kept_and_ties_go_to_the_lower_id(seed, kind, metric, in_head, named):
    rng = np.random.default_rng(seed)
    n, k, count = 12 if PLAIN else 30, int(rng.integers(1, 8)), 3 if PLAIN else 11
    x = vectors(seed, n, kind, few=True)
    table, q = filled(x, kind, in_head), vectors(seed + 1, count, kind, few=True)
    ids = rng.permutation(1000)[:n].astype(np.int64) if named else np.empty(0, np.int64)
    kept = rng.permutation(n).astype(np.int32)[: rng.integers(0, n + 1)]
    values, rows = np.empty((count, k), np.float32), np.empty((count, k), np.int32)
    rerank_all(widened(table, q), table.parts, kept, ids, metric, (values, rows))
    for i in range(count):
        expected = sorted(round(cost(q[i], x[row], metric), 5) for row in kept)[:k]
        found = rows[i][rows[i] >= 0].tolist()
        assert len(found) == len(set(found)) == min(k, len(kept))
        np.testing.assert_allclose(values[i, : len(found)], expected, rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose([cost(q[i], x[row], metric) for row in found], expected, rtol=1e-5, atol=2e-5)
        numbers = [int(ids[row]) if named else row for row in found]
        order = list(zip(values[i].tolist(), numbers, strict=False))
        assert order == sorted(order)
        assert (values[i, len(found) :] == np.inf).all()
        assert (rows[i, len(found) :] == -1).all()


@EVERY_KIND
@pytest.mark.parametrize("metric", [L2, COSINE, PRODUCT])
@pytest.mark.parametrize("in_head", [0, 5])
def test_measure_rows_compares_all_pairs(kind, metric, in_head):
    x, q = vectors(1, 11, kind), vectors(2, 3, kind)
    table, rows = filled(x, kind, in_head), np.array([10, 0, 4, 5, 5], np.int32)
    out = np.empty((3, 5), np.float32)
    measure_rows(widened(table, q), table.parts, rows, metric, out)
    expected = [[cost(query, x[row], metric) for row in rows] for query in q]
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-3)


@EVERY_KIND
def test_no_similarity_is_above_1(kind):
    x = np.maximum(vectors(3, 200, kind), 1)
    table = filled(x, kind)
    out = np.empty((200, 200), np.float32)
    measure_rows(widened(table, x), table.parts, np.arange(200, dtype=np.int32), COSINE, out)
    assert out.min() >= -1
    np.testing.assert_allclose(np.diag(out), -1, atol=1e-6)
