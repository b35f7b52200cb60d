"""Kernels that compare queries with stored vectors, checked by plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search.rerank import (
    MIN_COMPARED,
    SCORE_BUCKETS,
    measure_rows,
    rerank_all,
    rerank_promising,
    sort_by_score,
)
from assocmem.search.vector_table import DTYPES
from tests.search.table_helpers import EVERY_KIND, cost, filled, vectors, widened
from tests.strategies import PLAIN, law, seeds


@law
@given(
    seed=seeds,
    kind=st.sampled_from(list(DTYPES)),
    cosine=st.booleans(),
    in_head=st.sampled_from([0, 4]),
    named=st.booleans(),
    every=st.booleans(),
)
def test_the_nearest_are_kept_and_ties_go_to_the_lower_id(seed, kind, cosine, in_head, named, every):
    rng = np.random.default_rng(seed)
    n, k = 12 if PLAIN else 30, int(rng.integers(1, 8))
    x = vectors(seed, n, kind, few=True)
    table, q = filled(x, kind, in_head), vectors(seed + 1, 3, kind, few=True)
    ids = rng.permutation(1000)[:n].astype(np.int64) if named else np.empty(0, np.int64)
    candidates = np.stack([rng.permutation(n) for _ in q]).astype(np.int32)
    counts = rng.integers(0, n + 1, 3)
    values, rows = np.empty((3, k), np.float32), np.empty((3, k), np.int32)
    if every:
        counts[:], candidates = counts[0], candidates[:1].repeat(3, axis=0)
        kept = candidates[0, : counts[0]]
        rerank_all(widened(table, q), table.parts, kept, ids, cosine, (values, rows))
    else:  # so much caution that scores do not matter
        members = rng.permutation(n).astype(np.int32)
        found = rng.standard_normal((3, n)).astype(np.float32), np.argsort(members)[candidates].astype(np.int32)
        compared = counts.copy()
        queries = widened(table, q)
        rerank_promising(queries, table.parts, (*found, compared), members, ids, cosine, 1e9, (values, rows))
        assert compared.tolist() == counts.tolist()
    for i in range(3):
        kept = candidates[i, : counts[i]].tolist()
        expected = sorted(round(cost(q[i], x[row], cosine=cosine), 5) for row in kept)[:k]
        found = rows[i][rows[i] >= 0].tolist()
        assert len(found) == len(set(found)) == min(k, len(kept))
        np.testing.assert_allclose(values[i, : len(found)], expected, rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose([cost(q[i], x[row], cosine=cosine) for row in found], expected, rtol=1e-5, atol=2e-5)
        numbers = [int(ids[row]) if named else row for row in found]
        order = list(zip(values[i].tolist(), numbers, strict=False))
        assert order == sorted(order)
        assert (values[i, len(found) :] == np.inf).all()
        assert (rows[i, len(found) :] == -1).all()


@EVERY_KIND
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("in_head", [0, 5])
def test_measure_rows_compares_all_pairs(kind, cosine, in_head):
    x, q = vectors(1, 11, kind), vectors(2, 3, kind)
    table, rows = filled(x, kind, in_head), np.array([10, 0, 4, 5, 5], np.int32)
    out = np.empty((3, 5), np.float32)
    measure_rows(widened(table, q), table.parts, rows, cosine, out)
    expected = [[cost(query, x[row], cosine=cosine) for row in rows] for query in q]
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@EVERY_KIND
def test_no_similarity_is_above_1(kind):
    x = np.maximum(vectors(3, 200, kind), 1)
    table = filled(x, kind)
    out = np.empty((200, 200), np.float32)
    measure_rows(widened(table, x), table.parts, np.arange(200, dtype=np.int32), True, out)
    assert out.min() >= -1
    np.testing.assert_allclose(np.diag(out), -1, atol=1e-6)


# candidates by descending score


@law
@given(seed=seeds, size=st.integers(1, 90), alike=st.booleans())
def test_candidates_are_sorted_to_a_bucket_of_scores(seed, size, alike):
    rng = np.random.default_rng(seed)
    scores = (rng.standard_normal(100) * 10.0 ** rng.integers(-20, 20)).astype(np.float32)
    if alike:
        scores[:] = scores[0]
    before, slots = scores.copy(), rng.permutation(1000)[:100].astype(np.int32)
    ordered = np.zeros(100, np.float32), np.zeros(100, np.int32)
    sort_by_score((scores, slots), size, ordered, np.empty(SCORE_BUCKETS + 1, np.int32))
    pairs = zip(ordered[0][:size].tolist(), ordered[1][:size].tolist(), strict=True)
    assert sorted(pairs) == sorted(zip(before[:size].tolist(), slots[:size].tolist(), strict=True))
    step = (before[:size].max() - before[:size].min()) / (SCORE_BUCKETS - 1)
    assert (np.maximum.accumulate(ordered[0][:size][::-1])[::-1] - ordered[0][:size] <= 1.001 * step).all()


def promised(seed, n, k, caution, *, cosine, noise=0.0):
    """Rows of the nearest by noisy scores, all costs, all scores, and the number of comparisons, for one query."""
    rng = np.random.default_rng(seed)
    x, q = vectors(seed, n, "float32"), vectors(seed + 1, 1, "float32")
    table = filled(x, "float32")
    values = np.array([cost(q[0], row, cosine=cosine) for row in x])
    scores = (-values / (1 if cosine else 2) + 3 + noise * np.std(values) * rng.standard_normal(n)).astype(np.float32)
    found = scores[None, :].copy(), np.arange(n, dtype=np.int32)[None, :].copy(), np.array([n])
    out, members, none = (np.empty((1, k), np.float32), np.empty((1, k), np.int32)), np.arange(n, dtype=np.int32), []
    rerank_promising(widened(table, q), table.parts, found, members, np.array(none, np.int64), cosine, caution, out)
    return out[1][0], values, scores, int(found[2][0])


@law
@given(seed=seeds, cosine=st.booleans(), k=st.integers(1, 12))
def test_exact_scores_need_only_the_first_candidates(seed, cosine, k):
    rows, values, _, compared = promised(seed, 60, k, 3.0, cosine=cosine)
    assert compared <= -(-max(k + 2, MIN_COMPARED) // 4) * 4 + SCORE_BUCKETS // 8
    found, best = np.sort(values[rows]), np.sort(values)
    step = (values.max() - values.min()) / SCORE_BUCKETS  # candidates within a bucket are in no order
    assert (found <= best[:k] + 2 * step).all()


@law
@given(seed=seeds, cosine=st.booleans(), noise=st.sampled_from([0.02, 0.1, 0.5]), caution=st.sampled_from([0.0, 2.0]))
def test_comparisons_end_where_no_candidate_can_be_among_the_nearest(seed, cosine, noise, caution):
    """A plain loop, with the same buckets but sums in another order, ends at the same candidate."""
    n, k = 30 if PLAIN else 90, 5
    rows, values, scores, compared = promised(seed, n, k, caution, cosine=cosine, noise=noise)
    high, low = scores.max(), scores.min()
    steps = ((high - scores) * (np.float32(SCORE_BUCKETS - 1) / (high - low))).astype(int)
    order = np.argsort(steps, kind="stable")
    factor, done, limit, near = 1 if cosine else 2, 0, -np.inf, False
    for row in order:
        near = near or abs(scores[row] - limit) < 1e-4 * (1 + abs(limit))
        if scores[row] < limit:
            break
        done += 1
        if done >= max(k + 2, MIN_COMPARED) and done % 4 == 0:
            errors = values[order[:done]] + factor * scores[order[:done]]
            limit = (errors.mean() - caution * errors.std() - np.sort(values[order[:done]])[k - 1]) / factor
    if near:  # rounding may decide
        return
    assert compared == done
    assert sorted(values[rows]) == pytest.approx(sorted(values[order[:done]])[:k], rel=1e-5, abs=1e-5)


def test_more_caution_compares_more_and_finds_more():
    """In a hundred queries, with errors of scores half as large as the differences of vectors."""
    compared, found = [], []
    for caution in (0.0, 1.0, 2.0, 4.0):
        counts, hits = 0, 0
        for seed in range(10 if PLAIN else 100):
            rows, values, _, count = promised(seed, 90, 5, caution, cosine=False, noise=0.5)
            counts += count
            hits += (values[rows] <= np.sort(values)[4]).sum()
        compared.append(counts)
        found.append(hits)
    assert compared == sorted(compared)
    assert found == sorted(found)
    assert compared[0] < compared[-1]
    assert found[0] < found[-1]
