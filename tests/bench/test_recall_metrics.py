"""Recall by distance, Pareto fronts and verdicts, compared with plain loops and numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.bench.recall.metrics import Curve, distances, pareto_front, recall_at_k, verdicts

METRICS = ("euclidean", "angular", "hamming")


def _vectors(metric, rows, seed):
    rng = np.random.default_rng(seed)
    if metric == "hamming":
        return rng.integers(0, 2, (rows, 24)).astype(np.uint8)
    x = rng.normal(size=(rows, 24)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "angular" else x


def _naive_distance(metric, a, b):
    a, b = [float(v) for v in a], [float(v) for v in b]
    if metric == "hamming":
        return sum(x != y for x, y in zip(a, b, strict=True))
    if metric == "angular":
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def _naive_recall(found, ids, threshold, k):
    counted = set()
    for distance, name in zip(found[:k], ids[:k], strict=True):
        if name >= 0 and distance <= threshold * (1 + 1e-5) + 1e-6:
            counted.add(name)
    return len(counted) / k


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_of_a_plain_loop(metric):
    base, queries = _vectors(metric, 40, 0), _vectors(metric, 6, 1)
    ids = np.random.default_rng(2).integers(-1, 40, (6, 8))
    found = distances(base, queries, ids, metric)
    for q, i in np.ndindex(ids.shape):
        if ids[q, i] < 0:
            assert found[q, i] == np.inf
        else:
            assert found[q, i] == pytest.approx(_naive_distance(metric, base[ids[q, i]], queries[q]), abs=1e-6)


@given(st.integers(0, 1000), st.integers(1, 8))
def test_recall_is_that_of_a_plain_loop(seed, k):
    rng = np.random.default_rng(seed)
    ids = rng.integers(-1, 6, (5, 8))  # some ids occur twice
    found = np.where(ids < 0, np.inf, ids * 0.25)
    threshold = rng.integers(0, 6, 5) * 0.25
    naive = [_naive_recall(f, i, t, k) for f, i, t in zip(found, ids, threshold, strict=True)]
    assert recall_at_k(found, ids, threshold, k).tolist() == pytest.approx(naive)


def test_any_of_several_equally_near_items_counts_and_each_once():
    found = np.array([[1.0, 2.0, 2.0, 2.0]])
    threshold = np.array([2.0])
    assert recall_at_k(found, np.array([[4, 7, 8, 9]]), threshold, 3) == [1.0]
    assert recall_at_k(found, np.array([[4, 7, 7, 9]]), threshold, 3) == [pytest.approx(2 / 3)]
    assert recall_at_k(found, np.array([[4, 7, -1, -1]]), threshold, 3) == [pytest.approx(2 / 3)]


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 8)), max_size=12))
def test_no_point_beats_one_of_the_front(points):
    recall, us = [r / 8 for r, _ in points], [float(t) for _, t in points]
    front = pareto_front(recall, us)
    assert [recall[i] for i in front] == sorted({recall[i] for i in front})
    for i in range(len(points)):
        beaten = any(recall[j] >= recall[i] and us[j] <= us[i] for j in front)
        assert beaten
        if i in front:
            assert not any(recall[j] >= recall[i] and us[j] < us[i] for j in range(len(points)))


def test_the_logarithm_of_time_is_interpolated_linearly_in_recall():
    curve = Curve("a", True, 10, (0.9, 0.7, 0.8), (100.0, 10.0, 500.0))
    assert curve.us_at(0.9) == pytest.approx(100)
    assert curve.us_at(0.8) == pytest.approx(math.sqrt(10 * 100))
    assert curve.us_at(0.5) == 10  # an engine need not be worse than its fastest setting
    assert curve.us_at(0.91) is None
    assert curve.max_recall == 0.9
    assert Curve("b", True, 1, (), ()).us_at(0.1) is None


OURS = Curve("ours", True, 100, (0.8, 0.96), (20.0, 40.0))
SMALL = Curve("faiss:small", False, 100, (0.6, 0.85), (10.0, 60.0))
LARGE = Curve("large", False, 5000, (0.8, 0.99), (10.0, 90.0))


def _summary(found):
    return [(v.target, v.scope, v.rival, v.ratio and round(v.ratio, 3)) for v in found]


def test_verdicts_name_the_best_rival_of_all_of_faiss_and_at_equal_memory():
    huge = Curve("faiss:huge", False, 9000, (0.8, 0.99), (30.0, 120.0))
    found = verdicts([SMALL, OURS, huge, LARGE], targets=(0.8, 0.85, 0.9))
    ours_85, ours_90 = 20 * 2 ** (5 / 16), 20 * 2 ** (10 / 16)
    huge_85, huge_90 = 30 * 4 ** (5 / 19), 30 * 4 ** (10 / 19)
    assert _summary(found) == [
        (0.8, "all", "large", 0.5),
        (0.8, "faiss", "faiss:huge", 1.5),
        (0.8, "equal memory", "faiss:small", round(10 * 6**0.8 / 20, 3)),
        (0.85, "all", "large", round(10 * 9 ** (5 / 19) / ours_85, 3)),
        (0.85, "faiss", "faiss:huge", round(huge_85 / ours_85, 3)),
        (0.85, "equal memory", "faiss:small", round(60 / ours_85, 3)),
        (0.9, "all", "large", round(10 * 9 ** (10 / 19) / ours_90, 3)),
        (0.9, "faiss", "faiss:huge", round(huge_90 / ours_90, 3)),
        (0.9, "equal memory", "faiss:small", None),
    ]
    assert [v.rival_bytes for v in found[:3]] == [5000, 9000, 100]
    assert {v.bytes for v in found} == {100}


def test_a_recall_that_is_not_reached_is_reported_on_either_side():
    free, faiss, equal = verdicts([OURS, SMALL, LARGE], targets=(0.98,))
    assert (free.us, free.max_recall, free.rival, free.ratio) == (None, 0.96, "large", None)
    assert (equal.rival, equal.rival_us, equal.rival_max_recall) == ("faiss:small", None, 0.85)
    assert (faiss.rival, faiss.rival_us, faiss.ratio) == ("faiss:small", None, None)
    alone = verdicts([OURS], targets=(0.8,))
    assert [(v.rival, v.us, v.ratio) for v in alone] == [("", 20, None)] * 3
