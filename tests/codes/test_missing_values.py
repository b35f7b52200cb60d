"""Missing values: estimates against plain loops, and searches with NaN."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.codes.missing_values import Moments, impute, known_distances, split_known
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import InputError
from assocmem.search.exhaustive import Block, ExhaustiveEngine


def low_rank(n, dim=24, rank=5, seed=0):
    """Return features whose numbers depend on each other, with a mean and some noise."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(rank, dim))
    return (rng.normal(size=(n, rank)) @ mixing + 0.5 + 0.1 * rng.normal(size=(n, dim))).astype(np.float32)


def hide(rows, share, seed=0):
    out = rows.copy()
    out[np.random.default_rng(seed).random(rows.shape) < share] = np.nan
    out[:, 0] = rows[:, 0]
    return out


def naive(query, stored, sample):
    """Add the weighted errors of the nearest items to the regression, one number at a time; euclidean."""
    known = [j for j in range(len(query)) if not np.isnan(query[j])]
    missing = [j for j in range(len(query)) if np.isnan(query[j])]
    mean, cov = sample.mean(axis=0), np.cov(sample.T)
    among = cov[np.ix_(known, known)] + 0.01 * np.trace(cov) / len(mean) * np.eye(len(known))

    def regress(row, j):
        return mean[j] + cov[j, known] @ np.linalg.inv(among) @ (row[known] - mean[known])

    near = sorted(stored.tolist(), key=lambda row: sum((row[j] - query[j]) ** 2 for j in known))[:20]
    near = np.array(near)
    distances = np.array([sum((row[j] - query[j]) ** 2 for j in known) for row in near])
    weights = (1 / distances) ** 2
    filled = np.array(query, float)
    for j in missing:
        errors = np.array([row[j] - regress(row, j) for row in near])
        filled[j] = regress(query, j) + (weights * errors).sum() / weights.sum()
    return filled


def test_estimates_equal_plain_loops():
    stored = low_rank(300)
    queries = hide(low_rank(6, seed=1), 0.4)
    rows, known = split_known(queries, 24)
    moments = Moments.estimate(stored.astype(np.float64), unit=False)
    filled = impute(rows, known, moments, lambda whole: stored)
    for query, found in zip(queries.astype(float), filled, strict=True):
        np.testing.assert_allclose(found, naive(query, stored.astype(float), stored.astype(float)), atol=1e-3)


@pytest.mark.parametrize("unit", [False, True])
def test_known_numbers_are_kept(unit):
    stored, queries = low_rank(200), hide(low_rank(5, seed=1), 0.5)
    rows, known = split_known(queries, 24)
    filled = impute(rows, known, Moments.estimate(stored, unit=unit), lambda whole: stored)
    assert np.isfinite(filled).all()
    for found, row, mask in zip(filled, rows, known, strict=True):
        scale = 1 if not unit else np.linalg.norm(found[mask]) / np.linalg.norm(row[mask])
        np.testing.assert_allclose(found[mask], row[mask] * scale, rtol=1e-4, atol=1e-5)
    if unit:
        np.testing.assert_allclose(np.linalg.norm(filled, axis=1), 1, rtol=1e-5)


def test_under_cosine_the_scale_of_a_query_does_not_matter():
    stored = low_rank(200)
    rows, known = split_known(hide(low_rank(5, seed=1), 0.4), 24)
    moments = Moments.estimate(stored, unit=True)
    once, again = (impute(rows * np.float32(f), known, moments, lambda whole: stored) for f in (1, 40))
    np.testing.assert_allclose(once, again, atol=1e-4)


@pytest.mark.parametrize("factor", [1, 0.01, 100])
def test_under_cosine_a_stored_item_is_completed_from_a_part_of_it(factor):
    stored = low_rank(200)
    rows, known = split_known(hide(stored[:5], 0.2) * np.float32(factor), 24)
    filled = impute(rows, known, Moments.estimate(stored, unit=True), lambda whole: stored)
    expected = stored[:5] / np.linalg.norm(stored[:5], axis=1, keepdims=True)
    np.testing.assert_allclose(filled, expected, atol=1e-3)


@pytest.mark.parametrize("unit", [False, True])
def test_known_zeros_are_completed(unit):
    stored, query = low_rank(200), np.full((1, 24), np.nan, np.float32)
    query[0, :4] = 0
    filled = impute(*split_known(query, 24), Moments.estimate(stored, unit=unit), lambda whole: stored)
    assert np.isfinite(filled).all()
    assert filled.any()
    assert not filled[0, :4].any()


def test_moments_are_the_mean_and_the_covariance():
    rows = low_rank(10)
    moments = Moments.estimate(rows, unit=False)
    np.testing.assert_allclose(moments.mean, rows.astype(float).mean(axis=0))
    np.testing.assert_allclose(moments.covariance, np.cov(rows.astype(float).T))


def test_a_batch_is_completed_like_single_queries():
    stored = low_rank(200)
    whole = low_rank(8, seed=1)
    queries = hide(whole, 0.4)
    queries[5:] = np.where(np.isnan(queries[0]), np.nan, whole[5:])  # share their mask
    moments = Moments.estimate(stored, unit=True)
    rows, known = split_known(queries, 24)
    whole = impute(rows, known, moments, lambda row: stored)
    for i in range(8):
        alone = impute(rows[[i]], known[[i]], moments, lambda row: stored)
        np.testing.assert_allclose(whole[i], alone[0], atol=1e-5)


def test_estimates_are_better_than_zeros_and_the_mean():
    stored, whole = low_rank(2_000), low_rank(200, seed=1)
    rows, known = split_known(hide(whole, 0.5), 24)
    filled = impute(rows, known, Moments.estimate(stored, unit=False), lambda row: stored)
    error = np.square(filled - whole)[~known].mean()
    assert error < 0.1 * np.square(whole - stored.mean(axis=0))[~known].mean()
    assert error < 0.1 * np.square(whole)[~known].mean()


def test_distances_count_known_numbers_only():
    features, cue, known = low_rank(7), low_rank(1, seed=1)[0], np.arange(24) % 3 > 0
    plain = known_distances(features, cue[known], known, unit=False)
    assert plain == pytest.approx([sum((row[j] - cue[j]) ** 2 for j in range(24) if known[j]) for row in features])
    directed = known_distances(features, cue[known], known, unit=True)
    cosines = [row[known] @ cue[known] / np.linalg.norm(row[known]) / np.linalg.norm(cue[known]) for row in features]
    np.testing.assert_allclose(directed, 2 - 2 * np.array(cosines), atol=1e-5)


@pytest.mark.parametrize("stored", [np.empty((0, 24), np.float32), low_rank(1), low_rank(2), np.zeros((5, 24), "f4")])
@pytest.mark.parametrize("unit", [False, True])
def test_few_stored_items_are_enough_for_finite_estimates(stored, unit):
    rows, known = split_known(hide(low_rank(3, seed=1), 0.5), 24)
    assert np.isfinite(impute(rows, known, Moments.estimate(stored, unit=unit), lambda row: stored)).all()


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (np.full((2, 24), np.nan), "only NaN in row 0"),
        (np.full((2, 24), np.inf), "found infinity"),
        (np.ones((2, 23)), r"shape \(n, 24\)"),
        (np.ones((2, 24), bool), "dtype bool"),
    ],
)
def test_invalid_queries_are_refused(queries, message):
    with pytest.raises(InputError, match=message):
        split_known(queries, 24)


# In a search


@pytest.fixture
def engine():
    features = low_rank(600)
    coder = CliqueCoder(24, clusters=32)
    blocks = [
        Block(np.arange(s, s + 300), coder.encode(features[s : s + 300]), features[s : s + 300]) for s in (0, 300)
    ]
    return features, ExhaustiveEngine(coder, blocks, candidates=100)


def test_a_search_with_missing_numbers_finds_what_the_whole_query_finds(engine):
    features, engine = engine
    whole = low_rank(100, seed=1)
    _, truth = engine.search(whole, 10)
    cues = hide(whole, 0.4)

    def recall(queries):
        similarity, found = engine.search(queries, 10)
        assert (np.diff(similarity, axis=1) <= 0).all()
        return np.mean([len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist(), strict=True)]) / 10

    assert recall(cues) > recall(np.nan_to_num(cues)) + 0.2
    assert (engine.search(hide(features[:50], 0.3), 1)[1][:, 0] == np.arange(50)).mean() > 0.9


def test_whole_queries_in_the_same_batch_are_searched_as_usual(engine):
    features, engine = engine
    queries = np.concatenate([features[:3], hide(features[3:6], 0.3)])
    for one, other in zip(engine.search(queries, 5), engine.search(queries[:3], 5), strict=True):
        np.testing.assert_allclose(one[:3], other, atol=1e-6)


def test_an_empty_engine_finds_nothing():
    engine = ExhaustiveEngine(CliqueCoder(24, clusters=32), [])
    assert (engine.search(hide(low_rank(2), 0.5), 3)[1] == -1).all()
