"""Vectors as strangers bring them: away from the origin, in tight clusters, in few dimensions, many times the same."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest

from assocmem.errors import PrecisionWarning
from assocmem.search.clique_index import CliqueIndex

N = 9000


def gauss(rng, n, d=32):
    return rng.standard_normal((n, d))


def clusters(rng, n, *, spread=0.3, d=48):
    weights = 1 / np.arange(1, 11) ** 1.2
    centres = np.random.default_rng(5).standard_normal((10, d))
    return centres[rng.choice(10, n, p=weights / weights.sum())] + spread * rng.standard_normal((n, d))


def tight_clusters(rng, n):
    centres = np.random.default_rng(5).standard_normal((60, 32))
    return centres[rng.integers(0, 60, n)] + 0.003 * rng.standard_normal((n, 32))


def drift(rng, n):
    return rng.standard_normal((n, 32)) + np.linspace(0, 30, n)[:, None] * np.eye(32)[3]


def constant_columns(rng, n):
    return np.concatenate([rng.standard_normal((n, 10)), np.full((n, 20), 7.0)], axis=1)


def many_times(rng, n):
    different = np.random.default_rng(5).standard_normal((n // 12, 32))
    return different[np.arange(n) % (n // 12)] if n > 1000 else rng.standard_normal((n, 32))


def surface(rng, n):
    fixed = np.random.default_rng(5)
    outwards, across = fixed.standard_normal((5, 64)), fixed.standard_normal((64, 64)) / 8
    return np.tanh(np.tanh(rng.standard_normal((n, 5)) @ outwards) @ across)


def words(rng, n):
    x = np.zeros((n, 300))
    topic = rng.integers(0, 40, n)[:, None]
    x[np.arange(n)[:, None], (topic * 7 + rng.integers(0, 20, (n, 8))) % 300] = 1
    return x


DATA = {
    "gauss": gauss,
    "offset": lambda rng, n: gauss(rng, n) + 100,
    "one far column": lambda rng, n: gauss(rng, n) * np.r_[300, np.ones(31)] + np.r_[1e4, np.zeros(31)],
    "clusters": clusters,
    "tight clusters": tight_clusters,
    "drift": drift,
    "constant columns": constant_columns,
    "many times": many_times,
    "surface": surface,
    "words": words,
    "tiny": lambda rng, n: gauss(rng, n) * 1e-6,
}


def made(name, metric="l2", **more):
    """An index of one kind of data, and queries of the same kind; what it says of its precision is not of interest."""
    rng = np.random.default_rng(1)
    x, q = (np.ascontiguousarray(DATA[name](rng, n), np.float32) for n in (N, 200))
    index = CliqueIndex(x.shape[1], metric, **more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        index.add(x)
    return index, q


def recall(index, q, k=10, **how):
    """Share of the places that are filled by something as near as the k-th, and the share that the index expects."""
    truth = index.search(q, k, effort=1.0)[0][:, -1:]
    values, _, report = index.search(q, k, report=True, **how)
    margin = 1e-5 * np.abs(truth)
    near = values <= truth + margin if index.metric == "l2" else values >= truth - margin
    return near.mean(), float(report.recall.mean())


@pytest.mark.parametrize("name", DATA)
def test_the_default_finds_nine_of_ten_wherever_the_data_lies(name):
    index, q = made(name, features="float32")
    found, expected = recall(index, q)
    assert found >= 0.9
    assert expected >= 0.85


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
@pytest.mark.parametrize("name", ["offset", "clusters", "many times", "words"])
def test_recall_rises_to_1_with_effort(name, metric):
    index, q = made(name, metric, features="float32")
    found = [recall(index, q, effort=effort)[0] for effort in (0.02, 0.1, 0.4, 0.999)]
    assert all(later >= earlier - 0.01 for earlier, later in pairwise(found))
    assert found[-1] >= 0.995


@pytest.mark.parametrize("name", ["gauss", "surface", "clusters", "drift"])
def test_what_is_expected_is_about_what_is_found(name):
    index, q = made(name, features="float32")
    for promise in (0.8, 0.95):
        found, expected = recall(index, q, recall=promise)
        assert found >= promise - 0.03
        assert abs(found - expected) < 0.06


def test_the_same_is_found_at_every_offset():
    plain, q = made("gauss", features="float32")
    rng = np.random.default_rng(1)
    x = gauss(rng, N).astype(np.float32)
    for offset in (10, 1000):
        moved = CliqueIndex(32, "l2", features="float32")
        moved.add(x + np.float32(offset))
        share = recall(moved, q + np.float32(offset), effort=0.2)[0]
        assert share == pytest.approx(recall(plain, q, effort=0.2)[0], abs=0.05)


@pytest.mark.parametrize("start", [0.0, 1e6])
def test_the_mean_follows_the_items(start):
    """The first items are not like the others."""
    rng = np.random.default_rng(1)
    index = CliqueIndex(32, "l2", features="float32")
    index.add((gauss(rng, 70) + start).astype(np.float32))
    x, q = (gauss(rng, n).astype(np.float32) + 20 for n in (N, 100))
    index.add(x)
    assert np.linalg.norm(index.mean - 20) < 2.0
    assert recall(index, q)[0] >= 0.9


# few dimensions


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
@pytest.mark.parametrize("dim", [1, 2, 3, 8])
def test_few_dimensions_are_searched_exactly_by_few_comparisons(dim, metric):
    rng = np.random.default_rng(dim)
    x, q = (rng.standard_normal((n, dim)).astype(np.float32) + 3 for n in (4000, 50))
    index = CliqueIndex(dim, metric)
    index.add(x)
    values, ids, report = index.search(q, 7, report=True)
    double = q.astype(np.float64), x.astype(np.float64)
    if metric == "l2":
        costs = ((double[0][:, None] - double[1][None]) ** 2).sum(axis=2)
    else:
        costs = -(double[0] @ double[1].T)
        if metric == "cosine":
            costs /= np.linalg.norm(double[0], axis=1)[:, None] * np.linalg.norm(double[1], axis=1)
    expected = np.sort(costs, axis=1)[:, :7]
    np.testing.assert_allclose(values if metric == "l2" else -values, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(costs, ids, axis=1), expected, rtol=1e-4, atol=1e-5)
    assert (report.recall == 1).all()
    assert (report.complete == 1).all()
    if metric == "l2" and dim < 8:
        assert report.compared.mean() < 2000


# float16


@pytest.mark.parametrize(
    ("scale", "offset"), [(1.0, 3000.0), (1e-9, 0.0), (1e-7, 0.0), (1e-4, 48.85)], ids=["far", "1e-9", "1e-7", "street"]
)
def test_vectors_that_float16_cannot_tell_apart_are_widened_and_that_is_said(scale, offset):
    x = (np.random.default_rng(0).standard_normal((1000, 24)) * scale + offset).astype(np.float32)
    index = CliqueIndex(24, "l2")
    with pytest.warns(PrecisionWarning, match="expected values that float16 can tell apart"):
        index.add(x)
    assert (index.search(x[:300], 1, effort=1)[1][:, 0] == np.arange(300)).all()
    np.testing.assert_array_equal(index.reconstruct(index.ids()), x)


def test_single_vectors_that_float16_cannot_tell_apart_are_noticed_too():
    x = (np.random.default_rng(0).standard_normal((200, 24)) + 3000).astype(np.float32)
    index = CliqueIndex(24, "l2")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for row in x:
            index.add(row)
    assert [one.category for one in caught] == [PrecisionWarning]
    assert (index.search(x[100:], 1, effort=1)[1][:, 0] == np.arange(100, 200)).all()


def test_float16_stays_where_it_is_good_enough():
    x = np.random.default_rng(0).standard_normal((1000, 24)).astype(np.float32) + 5
    index = CliqueIndex(24, "l2")
    index.add(x)
    assert index.stats().memory["vectors"] < 1000 * 32 * 4


# memory


def test_memory_of_removed_items_is_given_back(tmp_path):
    rng = np.random.default_rng(0)
    x = gauss(rng, 12000, 64).astype(np.float32)
    index, fresh = CliqueIndex(64, "l2"), CliqueIndex(64, "l2")
    ids = index.add(x)
    index.remove(ids[:10800])
    fresh.add(x[10800:])
    assert index.memory_bytes < 1.6 * fresh.memory_bytes
    assert index.ids().tolist() == list(range(10800, 12000))
    assert (index.search(x[11000:11100], 1)[1][:, 0] == np.arange(11000, 11100)).all()
    for name, one in (("removed", index), ("fresh", fresh)):
        one.save(tmp_path / name)
    assert (tmp_path / "removed").stat().st_size < 1.5 * (tmp_path / "fresh").stat().st_size
    assert index.add(x[:1]).tolist() == [12000]


def test_compact_and_clear():
    rng = np.random.default_rng(0)
    x = gauss(rng, 3000).astype(np.float32)
    index = CliqueIndex(32, "l2")
    ids = index.add(x, ids=np.arange(3000) * 3)
    index.remove(ids[::2])
    before = index.search(x[:50], 5, effort=1)
    index.compact()
    for old, new in zip(before, index.search(x[:50], 5, effort=1), strict=True):
        np.testing.assert_array_equal(new, old)
    assert index.ids().tolist() == ids[1::2].tolist()
    index.clear()
    assert len(index) == 0
    assert index.add(x[:2]).tolist() == [ids[-1] + 1, ids[-1] + 2]
