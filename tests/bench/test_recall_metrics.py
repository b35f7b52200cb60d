"""Recall by distance, fronts and the verdict of the recall benchmark: beside plain loops and numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.bench.recall.metrics import Curve, distances, front, shares, verdicts

METRICS = ("euclidean", "angular", "hamming")


def _vectors(metric, rows, seed):
    rng = np.random.default_rng(seed)
    if metric == "hamming":
        return rng.integers(0, 2, (rows, 24)).astype(np.uint8)
    x = rng.normal(size=(rows, 24)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "angular" else x


def _plain_distance(metric, a, b):
    a, b = [float(v) for v in a], [float(v) for v in b]
    if metric == "hamming":
        return sum(x != y for x, y in zip(a, b, strict=True))
    if metric == "angular":
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def _plain_share(found, ids, threshold, k):
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
            assert found[q, i] == pytest.approx(_plain_distance(metric, base[ids[q, i]], queries[q]), abs=1e-6)


@given(st.integers(0, 1000), st.integers(1, 8))
def test_shares_are_those_of_a_plain_loop(seed, k):
    rng = np.random.default_rng(seed)
    ids = rng.integers(-1, 6, (5, 8))  # names come twice
    found = np.where(ids < 0, np.inf, ids * 0.25)
    threshold = rng.integers(0, 6, 5) * 0.25
    plain = [_plain_share(f, i, t, k) for f, i, t in zip(found, ids, threshold, strict=True)]
    assert shares(found, ids, threshold, k).tolist() == pytest.approx(plain)


def test_any_of_several_equally_near_items_counts_and_each_once():
    found = np.array([[1.0, 2.0, 2.0, 2.0]])
    threshold = np.array([2.0])
    assert shares(found, np.array([[4, 7, 8, 9]]), threshold, 3) == [1.0]
    assert shares(found, np.array([[4, 7, 7, 9]]), threshold, 3) == [pytest.approx(2 / 3)]
    assert shares(found, np.array([[4, 7, -1, -1]]), threshold, 3) == [pytest.approx(2 / 3)]


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 8)), max_size=12))
def test_the_front_holds_what_nothing_beats(points):
    recall, us = [r / 8 for r, _ in points], [float(t) for _, t in points]
    kept = front(recall, us)
    assert [recall[i] for i in kept] == sorted({recall[i] for i in kept})
    for i in range(len(points)):
        beaten = any(recall[j] >= recall[i] and us[j] <= us[i] for j in kept)
        assert beaten
        if i in kept:
            assert not any(recall[j] >= recall[i] and us[j] < us[i] for j in range(len(points)))


def test_times_between_settings_are_straight_in_recall_and_the_logarithm_of_time():
    curve = Curve("a", True, 10, (0.9, 0.7, 0.8), (100.0, 10.0, 500.0))
    assert curve.at(0.9) == pytest.approx(100)
    assert curve.at(0.8) == pytest.approx(math.sqrt(10 * 100))
    assert curve.at(0.5) == 10  # it need not be worse than its quickest setting
    assert curve.at(0.91) is None
    assert curve.reach == 0.9
    assert Curve("b", True, 1, (), ()).at(0.1) is None


OURS = Curve("ours", True, 100, (0.8, 0.96), (20.0, 40.0))
SMALL = Curve("small", False, 100, (0.6, 0.85), (10.0, 60.0))
LARGE = Curve("large", False, 5000, (0.8, 0.99), (10.0, 90.0))


def _told(found):
    return [(v.target, v.equal_memory, v.theirs, v.ratio and round(v.ratio, 3)) for v in found]


def test_the_verdict_names_the_best_of_theirs_at_any_and_at_equal_memory():
    assert _told(verdicts([SMALL, OURS, LARGE], targets=(0.8, 0.85, 0.9))) == [
        (0.8, False, "large", 0.5),
        (0.8, True, "small", round(10 * 6**0.8 / 20, 3)),
        (0.85, False, "large", round(10 * 9 ** (5 / 19) / (20 * 2 ** (5 / 16)), 3)),
        (0.85, True, "small", round(60 / (20 * 2 ** (5 / 16)), 3)),
        (0.9, False, "large", round(10 * 9 ** (10 / 19) / (20 * 2 ** (10 / 16)), 3)),
        (0.9, True, "small", None),
    ]


def test_what_is_not_reached_is_said_on_either_side():
    free, equal = verdicts([OURS, SMALL, LARGE], targets=(0.98,))
    assert (free.ours_us, free.ours_reach, free.theirs, free.ratio) == (None, 0.96, "large", None)
    assert (equal.theirs, equal.theirs_us, equal.theirs_reach) == ("small", None, 0.85)
    alone = verdicts([OURS], targets=(0.8,))
    assert [(v.theirs, v.ours_us, v.ratio) for v in alone] == [("", 20, None)] * 2
