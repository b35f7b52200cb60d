"""Classifiers of a table of examples against plain oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.concepts import naive_bayes
from assocmem.concepts.examples import ExampleEncoder
from assocmem.concepts.memory import ConceptMemory
from assocmem.concepts.naive_bayes import COUNTS_CODE_BYTES, SparseNaiveBayes
from assocmem.concepts.random_features import RandomFourierFeatures, squared_length
from assocmem.concepts.ridge import STRENGTHS, best_strength
from assocmem.concepts.scaling import Moments
from tests.concepts import oracles
from tests.concepts.sample_memories import DIM, NAMES, clusters, few_frequencies, memory_of, vectors
from tests.strategies import law, seeds


def test_dual_and_primal_give_the_same_answers():
    batch, q = clusters(3, 4, 10), vectors(4, 30)
    found = []
    for limits in ((2048, 16), (39, 16)):
        with few_frequencies(limits, 512):
            memory = memory_of(("cosine", None), batch)
            found.append((memory.scores(q, reader="ridge"), memory.nearest(q, 4, reader="ridge").probabilities))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-4)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-3)


@pytest.mark.parametrize("denied", [False, True])
def test_scores_are_a_plain_ridge_on_fourier_features(denied):
    """By normal equations."""
    x, names, ids = clusters(5, 3, 3, noise=0.8)
    with few_frequencies(count=32):
        memory = memory_of(("l2", None), (x, names, ids))
        if denied:
            memory.deny(vectors(6, 1), "ant", [5000])
        q = vectors(8, 6)
        found = memory.scores(q, reader="ridge")
        order = np.argsort(ids)
        moments, make = Moments(DIM), RandomFourierFeatures(DIM, 0)
        moments.add(x)
        scaling = moments.scaling()

        def features(rows):
            return make(scaling(rows), scaling.width)

        shown = features(x[order]) / 127 / np.sqrt(32)
        targets = np.array([[names[i] == name for name in NAMES[:3]] for i in order.tolist()], float)
        strength = best_strength(features(x[order]), targets)
        weights, offsets = oracles.ridge(shown, targets, np.ones(9), strength)
        if denied:
            more = features(vectors(6, 1)) / 127 / np.sqrt(32)
            wanted = more @ weights.T + offsets
            wanted[0, 0] = min(0.0, wanted[0, 0])
            shown, targets = np.concatenate([shown, more]), np.concatenate([targets, wanted])
            weights, offsets = oracles.ridge(shown, targets, np.ones(10), strength)
        expected = features(q) / 127 / np.sqrt(32) @ weights.T + offsets
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@law
@given(seed=seeds, n=st.sampled_from([6, 12]), concepts=st.integers(1, 4))
def test_the_strength_has_about_the_least_leave_one_out_error(seed, n, concepts):
    rng = np.random.default_rng(seed)
    which = np.arange(n) % concepts
    middles = rng.integers(-90, 91, (concepts, 7))
    features = np.clip(middles[which] + rng.integers(-60, 61, (n, 7)), -127, 127).astype(np.int8)
    targets, scaled = np.eye(concepts)[which], features / np.sqrt(squared_length(7))
    found = best_strength(features, targets)
    shown = scaled - (concepts > 1) * scaled.mean(axis=0)
    mean = (shown**2).sum() / n
    unit = 2 ** (np.round(4 * np.log2(max(mean, 0.03))) / 4)
    errors = oracles.errors(scaled, targets, STRENGTHS * unit, concepts > 1)
    place = int(np.abs(np.log(STRENGTHS * unit / found)).argmin())
    assert STRENGTHS[place] * unit == pytest.approx(found)
    assert errors[place] <= 1.011 * min(errors)


@law
@given(seed=seeds, concepts=st.sampled_from([8, 20]))
def test_a_concept_with_one_example_more_does_not_win_everywhere(seed, concepts):
    """An example alone in its concept is always wrong when left out; counting it would favour the largest concept."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((concepts, 16))
    odd = centres.mean(axis=0) + 1.5 * rng.standard_normal(16)
    memory = ConceptMemory(16, "l2")
    memory.teach(np.vstack([centres, odd]).astype(np.float32), [f"{i % concepts:02d}" for i in range(concepts + 1)])
    q = (centres + 0.2 * rng.standard_normal((concepts, 16))).astype(np.float32)
    assert (memory.nearest(q, 1).concepts[:, 0] == np.arange(concepts)).mean() > 0.9


@pytest.mark.parametrize("code_bytes", [None, 5])
def test_counts_are_a_naive_bayes_over_the_units(code_bytes):
    x, names, ids = clusters(5, 3, 3, noise=0.8)
    memory, q = memory_of(("cosine", code_bytes), (x, names, ids)), vectors(8, 4)
    encoder = ExampleEncoder(DIM, code_bytes or COUNTS_CODE_BYTES, 0)
    naive = oracles.NaiveBayes(2 * encoder.example_bytes, 3)

    def codes(rows):
        rows = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        return encoder.encode(rows.astype(np.float32)).tolist()

    for code, name in zip(codes(x), names, strict=True):
        naive.add(code, NAMES.index(name))
    expected = [[naive.score(code, concept) for concept in range(3)] for code in codes(q)]
    np.testing.assert_allclose(memory.scores(q, reader="counts"), expected, rtol=1e-3, atol=1e-2)


def test_a_classifier_is_fitted_again_only_after_a_change(monkeypatch):
    fitted = []

    class Watched(SparseNaiveBayes):
        def __init__(self, *args):
            fitted.append(args)
            super().__init__(*args)

    monkeypatch.setattr(naive_bayes, "SparseNaiveBayes", Watched)
    memory, q = memory_of(("cosine", None), clusters(1)), vectors(2, 3)
    for _ in range(3):
        memory.scores(q, reader="counts")
    assert len(fitted) == 1
    memory.teach(q, "bee")
    memory.scores(q, reader="counts")
    assert len(fitted) == 2


@pytest.mark.parametrize("x", [np.ones((1, DIM)), np.ones((5, DIM)), np.zeros((3, DIM))])
def test_identical_examples_score_high(x):
    x = x.astype(np.float32)
    assert memory_of(("l2", None), (x, "ant", np.arange(len(x)))).scores(x, reader="ridge").min() > 0.5
