"""Stored vectors, and exact comparison with them, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.errors import InputError
from assocmem.features import DTYPES, Features, measure_rows, read_rows, refine_rows
from tests.strategies import PLAIN, law, seeds

DIM = 20
KINDS = pytest.mark.parametrize("kind", DTYPES)


def vectors(seed, n, kind, *, few=False):
    """Vectors that ``kind`` keeps as they are; a few different ones make ties."""
    x = np.random.default_rng(seed).integers(0, 3 if few else 256, (n, DIM)).astype(np.float32)
    x[:, 0] += 1
    return np.minimum(x, 255) if kind == "uint8" else (x - 100) / 8


def filled(x, kind, mapped=0):
    """Features that hold ``x``, the first rows of it as if in a file."""
    whole = Features(DIM, kind)
    whole.put(np.arange(len(x), dtype=np.int32), x)
    if not mapped:
        return whole
    split = Features(DIM, kind, whole.tail[:mapped].copy())
    split.put(np.arange(mapped, len(x), dtype=np.int32), x[mapped:])
    return split


def worse(query, row, *, cosine):
    """Squared distance or minus the similarity, in double precision."""
    q, x = query.astype(float), row.astype(float)
    if not cosine:
        return sum((a - b) ** 2 for a, b in zip(q, x, strict=True))
    return -(q @ x) / np.sqrt((q @ q) * (x @ x))


def widened(features, q):
    return features.widen(q), (1 / np.linalg.norm(q.astype(float), axis=1)).astype(np.float32)


@KINDS
@pytest.mark.parametrize("mapped", [0, 3])
def test_what_is_put_is_got(kind, mapped):
    x = vectors(1, 9, kind)
    features = filled(x, kind, mapped)
    rows = np.array([8, 0, 3, 3, 2], np.int32)
    assert features.get(rows).tolist() == x[rows].tolist()
    unit = features.get(rows, unit=True)
    np.testing.assert_allclose(unit, x[rows] / np.linalg.norm(x[rows], axis=1, keepdims=True), rtol=1e-5)
    features.put(np.array([8, 4], np.int32), x[:2])
    assert features.get(np.arange(9, dtype=np.int32)).tolist() == x[[0, 1, 2, 3, 1, 5, 6, 7, 0]].tolist()


@KINDS
def test_the_zero_vector_has_no_unit_length(kind):
    features = filled(np.zeros((1, DIM), np.float32), kind)
    assert (features.get(np.zeros(1, np.int32), unit=True) == 0).all()
    out = np.empty((1, features.width), np.float32)
    read_rows(features.parts, np.zeros(1, np.int32), True, out)
    assert (out == 0).all()


@law
@given(
    seed=seeds,
    kind=st.sampled_from(list(DTYPES)),
    cosine=st.booleans(),
    mapped=st.sampled_from([0, 4]),
    named=st.booleans(),
)
def test_refining_keeps_the_nearest_and_ties_go_to_the_lower_id(seed, kind, cosine, mapped, named):
    rng = np.random.default_rng(seed)
    n, k = 12 if PLAIN else 30, int(rng.integers(1, 8))
    x = vectors(seed, n, kind, few=True)
    features, q = filled(x, kind, mapped), vectors(seed + 1, 3, kind, few=True)
    ids = rng.permutation(1000)[:n].astype(np.int64) if named else np.empty(0, np.int64)
    candidates = np.stack([rng.permutation(n)[: n - 3] for _ in q]).astype(np.int32)
    candidates[rng.random(candidates.shape) < 0.3] = -1
    values, rows = np.empty((3, k), np.float32), np.empty((3, k), np.int32)
    refine_rows(widened(features, q), features.parts, candidates, ids, cosine, (values, rows))
    for i in range(3):
        kept = candidates[i][candidates[i] >= 0].tolist()
        expected = sorted(round(worse(q[i], x[row], cosine=cosine), 5) for row in kept)[:k]
        found = rows[i][rows[i] >= 0].tolist()
        assert len(found) == len(set(found)) == min(k, len(kept))
        np.testing.assert_allclose(values[i, : len(found)], expected, rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(
            [worse(q[i], x[row], cosine=cosine) for row in found], expected, rtol=1e-5, atol=2e-5
        )
        numbers = [int(ids[row]) if named else row for row in found]
        order = list(zip(values[i].tolist(), numbers, strict=False))
        assert order == sorted(order)
        assert (values[i, len(found) :] == np.inf).all()
        assert (rows[i, len(found) :] == -1).all()


@KINDS
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("mapped", [0, 5])
def test_measuring_is_comparing_each_with_each(kind, cosine, mapped):
    x, q = vectors(1, 11, kind), vectors(2, 3, kind)
    features, rows = filled(x, kind, mapped), np.array([10, 0, 4, 5, 5], np.int32)
    out = np.empty((3, 5), np.float32)
    measure_rows(widened(features, q), features.parts, rows, cosine, out)
    expected = [[worse(query, x[row], cosine=cosine) for row in rows] for query in q]
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@KINDS
def test_a_vector_is_no_more_similar_than_equal(kind):
    x = np.maximum(vectors(3, 200, kind), 1)
    features = filled(x, kind)
    out = np.empty((200, 200), np.float32)
    measure_rows(widened(features, x), features.parts, np.arange(200, dtype=np.int32), True, out)
    assert out.min() >= -1
    np.testing.assert_allclose(np.diag(out), -1, atol=1e-6)


def test_kinds_are_named():
    with pytest.raises(InputError, match="features: expected one of float16, float32, uint8, found 'int8'"):
        Features(DIM, "int8")
    with pytest.raises(InputError, match="found None"):
        Features(DIM, None)
