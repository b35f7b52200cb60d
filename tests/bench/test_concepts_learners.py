"""The other learners of the concepts benchmark, compared with plain loops and with scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.faiss_learner import NEIGHBOURS, FaissNeighboursLearner, votes
from assocmem.bench.concepts.offline_learner import (
    DEFAULT_OPTIONS,
    LogisticOptions,
    OfflineLogisticLearner,
    cross_validate,
)
from assocmem.bench.concepts.streaming_learners import (
    RIDGES,
    NearestMeanLearner,
    RandomProjectionsLearner,
    StreamingLDALearner,
    oas_shrinkage,
    ridge_answers,
)
from tests.bench.conftest import blobs


def taught(make, some, portions):
    """Return a learner that was taught the portions of rows, ready to answer."""
    learner = make(some, 0)
    for rows in portions:
        learner.teach(some.x[rows], some.y[rows], rows)
    learner.ready()
    return learner


def test_the_nearest_mean_is_that_of_plain_loops():
    some = blobs()
    learner = taught(
        NearestMeanLearner, replace(some, classes=(*some.classes, "never")), np.array_split(np.arange(40), 3)
    )
    scores = learner.scores(some.x)
    for c in range(4):
        mean = some.x[:40][some.y[:40] == c].mean(axis=0)
        assert scores[:, c] == pytest.approx(-((some.x - mean) ** 2).sum(axis=1), abs=1e-3)
    assert (scores[:, 4] == -np.inf).all()


def test_streaming_lda_is_its_recurrence():
    some = blobs()
    rows = np.random.default_rng(1).permutation(len(some.y))
    learner = taught(StreamingLDALearner, some, np.array_split(rows, 5))
    means, counts, covariance = np.zeros((4, 6)), np.zeros(4), np.zeros((6, 6))
    for t, row in enumerate(rows):
        c = some.y[row]
        if counts[c]:
            difference = some.x[row] - means[c]
            covariance = (t * covariance + t / (t + 1) * np.outer(difference, difference)) / (t + 1)
        else:
            covariance = t * covariance / (t + 1)
        means[c] = (counts[c] * means[c] + some.x[row]) / (counts[c] + 1)
        counts[c] += 1
    precision = np.linalg.inv((1 - 1e-4) * covariance + 1e-4 * np.eye(6))
    linear = some.x @ precision @ means.T - 0.5 * np.einsum("ci,ij,cj->c", means, precision, means)
    distances = [[(x - mean) @ precision @ (x - mean) for mean in means] for x in some.x]
    assert learner.novelty(some.x) == pytest.approx(np.min(distances, axis=1), rel=1e-3)
    wanted = np.exp(linear - linear.max(axis=1, keepdims=True))
    assert learner.scores(some.x) == pytest.approx(wanted / wanted.sum(axis=1, keepdims=True), abs=1e-4)


def test_oracle_shrinkage_is_that_of_scikit_learn():
    covariance = pytest.importorskip("sklearn.covariance")
    x = np.random.default_rng(0).standard_normal((30, 8)) * np.arange(1, 9)
    _, wanted = covariance.oas(x, assume_centered=True)
    # scikit-learn leaves out the terms of 2 / d
    assert oas_shrinkage(x.T @ x / len(x), len(x)) == pytest.approx(wanted, rel=0.2)
    assert oas_shrinkage(np.eye(3), 5) == 1


def test_streaming_lda_with_oracle_shrinkage_separates_blobs():
    some = blobs(dim=40)
    learner = taught(partial(StreamingLDALearner, shrinkage=None), some, [np.arange(len(some.y))])
    assert metrics.is_correct(learner.scores(some.x), some.y).mean() > 0.95


def test_random_projections_are_the_published_regression():
    some = blobs()
    rows = np.random.default_rng(2).permutation(len(some.y))
    portions = np.array_split(rows, 3)
    learner = taught(partial(RandomProjectionsLearner, width=25), some, portions)
    errors, gram, sums = np.zeros(len(RIDGES)), np.zeros((25, 25)), np.zeros((25, 4))
    for portion in portions:
        h = np.maximum(some.x[portion] @ learner.projection, 0).astype(float)
        y, first = np.eye(4)[some.y[portion]], int(0.8 * len(portion))
        for number, ridge in enumerate(RIDGES):
            w = np.linalg.solve(h[:first].T @ h[:first] + ridge * np.eye(25), h[:first].T @ y[:first])
            errors[number] += ((h[first:] @ w - y[first:]) ** 2).sum()
        gram, sums = gram + h.T @ h, sums + h.T @ y
    weights = np.linalg.solve(gram + RIDGES[errors.argmin()] * np.eye(25), sums)
    wanted = np.maximum(some.x @ learner.projection, 0) @ weights
    assert learner.scores(some.x) == pytest.approx(wanted, abs=1e-3)
    assert learner.nbytes() == 4 * (25 * 25 + 25 * 4)


def test_ridge_answers_are_those_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, t, y = rng.standard_normal((20, 9)), rng.standard_normal((7, 9)), rng.standard_normal((20, 3))
    for ridge, found in list(zip(RIDGES, ridge_answers(x @ x.T, y, t @ x.T), strict=True))[6:]:
        wanted = linear.Ridge(alpha=ridge, fit_intercept=False).fit(x, y).predict(t)
        assert found == pytest.approx(wanted, abs=1e-6)


def test_neighbours_vote_and_nearer_ones_break_ties():
    pytest.importorskip("faiss")
    found = votes(np.array([0, 1, 1, 2]), np.array([[0, 1, 3], [0, 2, 1]]), 4)
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert found.sum(axis=1) == pytest.approx(1)
    some = blobs(each=20)
    learner = taught(FaissNeighboursLearner, some, np.array_split(np.arange(len(some.y)), 3))
    distances = ((some.x[:, None] - some.x) ** 2).sum(axis=2) + np.diag(np.full(len(some.y), np.inf))
    order = np.argsort(distances, axis=1)
    hits = {
        k: sum(np.bincount(some.y[near[:k]], minlength=4).argmax() == y for near, y in zip(order, some.y, strict=True))
        for k in NEIGHBOURS
    }
    assert abs(hits[learner.k] - max(hits.values())) <= 1  # ties are broken differently
    assert metrics.is_correct(learner.scores(some.x), some.y).mean() > 0.8
    assert learner.novelty(some.x) == pytest.approx(np.zeros(len(some.y)), abs=1e-4)
    learner.close()


def test_the_upper_bound_is_that_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    some = blobs(dim=60)  # more numbers than examples: they are rotated into their span
    x, y = some.x[::2].astype(float), some.y[::2]
    for standardize in (False, True):
        options = LogisticOptions(standardize, 0.1)
        learner = taught(partial(OfflineLogisticLearner, options=options), some, [np.arange(0, len(some.y), 2)])
        scale = x.std(axis=0) if standardize else np.sqrt(x.var(axis=0).mean())
        expected = linear.LogisticRegression(C=0.1, max_iter=1000).fit((x - x.mean(axis=0)) / scale, y)
        wanted = expected.predict_proba((some.x - x.mean(axis=0)) / scale)
        assert learner.scores(some.x) == pytest.approx(wanted, abs=5e-3)


def test_the_upper_bound_needs_no_second_example():
    pytest.importorskip("sklearn")
    some = blobs()
    assert cross_validate(some.x[::12].astype(float), some.y[::12]) == DEFAULT_OPTIONS
