"""All vectors compared by products of matrices: the same answers as one comparison after another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search import exact
from assocmem.search.exact import compare_all
from assocmem.search.rerank import COSINE, L2, PRODUCT, rerank_all
from assocmem.search.vector_table import VectorTable
from tests.search.table_helpers import COMPARISONS, filled, vectors
from tests.strategies import PLAIN, law


def both(table, q, mean, rows, ids, metric, k):
    """Costs and rows as ``compare_all`` finds them, and as ``rerank_all`` does."""
    ways = []
    for one_by_one in (False, True):
        out = np.empty((len(q), k), np.float32), np.empty((len(q), k), np.int32)
        if one_by_one:
            queries = table.prepare_queries(q, cosine=metric == COSINE)
            rerank_all(queries, table.parts, rows, ids, metric, out)
        else:
            compare_all(table, q, mean, rows, ids, metric, out)
        ways.append(out)
    return ways


def check_same(*arguments):
    (costs, rows), (expected_costs, expected) = both(*arguments)
    assert costs.tobytes() == expected_costs.tobytes()
    assert rows.tobytes() == expected.tobytes()


@law
@given(**COMPARISONS, block=st.sampled_from([16, 48]))
def test_answers_are_those_of_one_comparison_after_another(seed, kind, metric, in_head, named, block):
    """Vectors of few different numbers have many equal costs: ties go to the lower id."""
    rng = np.random.default_rng(seed)
    n, k, count = 40 if PLAIN else 150, int(rng.integers(1, 8)), 9 if PLAIN else 13
    x = vectors(seed, n, kind, few=bool(seed & 1))
    table, q = filled(x, kind, in_head), vectors(seed + 1, count, kind, few=bool(seed & 1))
    ids = rng.permutation(1000)[:n].astype(np.int64) if named else np.empty(0, np.int64)
    rows = np.sort(rng.permutation(n)[: rng.integers(0, n + 1)]).astype(np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "BLOCK", block)
        check_same(table, q, x.mean(axis=0, dtype=np.float32), rows, ids, metric, k)


def table_of(x):
    table = VectorTable(x.shape[1], "float32")
    table.put(np.arange(len(x), dtype=np.int32), x)
    return table


@pytest.mark.parametrize("metric", [L2, COSINE, PRODUCT])
@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e10])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("at_mean", [True, False])
def test_rounding_loses_none_of_the_nearest(metric, scale, offset, at_mean):
    """Products of vectors far from the origin say little; then more is compared."""
    rng = np.random.default_rng(3)
    n = 60 if PLAIN else 2000
    x = ((rng.standard_normal((n, 40)) + offset) * scale).astype(np.float32)
    x[n // 2 :] = x[: n - n // 2] * (1 + 1e-6 * rng.standard_normal((n - n // 2, 1)))  # near copies
    q = x[:: n // 10][:10] * np.float32(1 + 1e-6)
    mean = x.mean(axis=0) if at_mean else np.zeros(40, np.float32)
    check_same(table_of(x), q, mean, np.arange(n, dtype=np.int32), np.empty(0, np.int64), metric, 5)


def test_few_rows_are_compared_if_the_mean_is_near(monkeypatch):
    """What makes it quick: of 2,000 rows, some dozens are compared again. Broken floors would compare all or none."""
    rng = np.random.default_rng(4)
    x, q = rng.standard_normal((2000, 32)).astype(np.float32), rng.standard_normal((20, 32)).astype(np.float32)
    mean, rows, table = np.zeros(32, np.float32), np.arange(2000, dtype=np.int32), table_of(x)
    squares = (q.astype(float) ** 2).sum(axis=1)
    block, terms, longest = exact.block_of(table, rows[:512], mean, L2)
    scores = q @ block.T - terms[1]
    costs = ((q[:, None].astype(float) - x[:512]) ** 2).sum(axis=2)
    errors = exact.errors_of(squares, longest, 32, L2)
    assert (np.abs((0.5 * squares)[:, None] - 0.5 * costs - scores) < errors[:, None]).all()
    assert errors.max() < 1e-3 * costs.min()
