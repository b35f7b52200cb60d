"""Kernels of similarity and of groups against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.dct_sketches import inverse_norms
from assocmem.copies.similarity import Vectors, dot, fill_norms, grow_groups, label_components, score_pairs, similarity
from tests import naive_copies as naive
from tests.copies.library import library


def vectors_of(features, sketches):
    """Return the vectors of all items, stored in reverse."""
    backwards = np.ascontiguousarray(features[::-1])
    places = np.arange(len(features))[::-1].copy()
    norms = np.empty(len(features), np.float32)
    fill_norms(backwards, places, norms)
    return Vectors(backwards, places, norms, sketches, inverse_norms(sketches))


@pytest.mark.parametrize("dim", [1, 7, 8, 30])
def test_inner_products_equal_plain_loops(dim):
    x = np.random.default_rng(dim).standard_normal((4, dim)).astype(np.float32)
    for i in range(4):
        for j in range(4):
            assert dot(x, i, j) == pytest.approx(
                sum(float(a) * float(b) for a, b in zip(x[i], x[j], strict=True)), abs=1e-5
            )


def test_similarity_equals_plain_loops():
    _, features, sketches, _ = library(originals=6, copies=2)
    sketches[::4] = 0
    features[5] = 0
    vectors = vectors_of(features, sketches)
    first, second = (part.reshape(-1) for part in np.meshgrid(np.arange(18), np.arange(18)))
    scores = np.empty(len(first), np.float32)
    score_pairs(vectors, first, second, scores)
    for i, j, score in zip(first.tolist(), second.tolist(), scores.tolist(), strict=True):
        expected = naive.similarity(features[i], features[j], sketches[i].tolist(), sketches[j].tolist())
        assert score == pytest.approx(expected, abs=1e-5)
        assert score == similarity(vectors, i, j)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_labels_are_the_connected_components(pairs):
    labels = np.arange(31)
    label_components(labels, np.array([a for a, _ in pairs], np.int64), np.array([b for _, b in pairs], np.int64))
    expected = list(range(31))
    for _ in pairs:
        for a, b in pairs:
            both = expected[a], expected[b]
            expected = [min(both) if label in both else label for label in expected]
    assert labels.tolist() == expected


def test_groups_grow_along_pairs_that_are_similar_to_the_representative():
    """0-1-2-3 is a chain; 3 is similar to 2 but not to 0, which comes first."""
    angles = np.array([0.0, 0.2, 0.4, 0.9])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    vectors = vectors_of(features, np.zeros((4, 8), np.int8))
    starts, neighbours = np.array([0, 1, 3, 5, 6]), np.array([1, 0, 2, 1, 3, 2])
    leaders, scores = np.full(4, -1), np.empty(4, np.float32)
    grow_groups(vectors, starts, neighbours, np.arange(4), np.float32(np.cos(0.5)), leaders, scores)
    assert leaders.tolist() == [0, 0, 0, 3]
    expected = [np.cos(a) + 2 * max(0, np.cos(a) - 0.9) for a in (0, 0.2, 0.4, 0)]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
