"""Classifiers of a table of examples against plain oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.concepts import naive_bayes
from assocmem.concepts.examples import ExampleEncoder, ExampleTable
from assocmem.concepts.naive_bayes import COUNTS_CODE_BYTES, SparseNaiveBayes
from assocmem.concepts.ridge import STRENGTHS, RandomFourierFeatures, kernel_width
from assocmem.concepts.statements import Statement
from tests.concepts import oracles
from tests.concepts.sample_memories import DIM, NAMES, clusters, few_frequencies, memory_of, vectors
from tests.strategies import law, seeds


def table_of(x):
    """Examples of one concept, with ids 0, 1, ..."""
    table = ExampleTable(ExampleEncoder(x.shape[1], None, 0))
    for id_, value in enumerate(table.encoder.encode(x)):
        table.put(id_, value, Statement(1, "ant"))
    return table


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
    """By normal equations, with the best of all strengths by fits that leave each example out."""
    x, names, ids = clusters(5, 3, 3, noise=0.8)
    with few_frequencies(count=32):
        memory = memory_of(("l2", None), (x, names, ids))
        if denied:
            memory.deny(vectors(6, 1), "ant", [5000])
        q = vectors(8, 6)
        found = memory.scores(q, reader="ridge")
        order = np.argsort(ids)
        stored = x[order].astype(np.float16).astype(np.float32)
        make, width = RandomFourierFeatures(DIM, 0), kernel_width(table_of(x[order]), np.arange(9))
        features = make(stored, width) / 127 / np.sqrt(32)
        targets = np.array([[names[i] == name for name in NAMES[:3]] for i in order.tolist()], float)
        centred = features - features.mean(axis=0)
        tried = STRENGTHS * np.linalg.eigvalsh(centred @ centred.T).clip(0).mean()
        strength = tried[int(np.argmin(oracles.errors(features, targets, tried)))]
        weights, offsets = oracles.ridge(features, targets, np.ones(9), strength)
        if denied:
            more = make(vectors(6, 1).astype(np.float16).astype(np.float32), width) / 127 / np.sqrt(32)
            wanted = more @ weights.T + offsets
            wanted[0, 0] = min(0.0, wanted[0, 0])
            features, targets = np.concatenate([features, more]), np.concatenate([targets, wanted])
            weights, offsets = oracles.ridge(features, targets, np.ones(10), strength)
        asked = make(q.astype(np.float16).astype(np.float32), width) / 127 / np.sqrt(32)
        np.testing.assert_allclose(found, asked @ weights.T + offsets, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("code_bytes", [None, 5])
def test_counts_are_a_naive_bayes_over_the_units(code_bytes):
    x, names, ids = clusters(5, 3, 3, noise=0.8)
    memory, q = memory_of(("cosine", code_bytes), (x, names, ids)), vectors(8, 4)
    encoder = ExampleEncoder(DIM, code_bytes or COUNTS_CODE_BYTES, 0)
    naive = oracles.NaiveBayes(2 * encoder.example_bytes, 3)

    def codes(rows):
        rows = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        return encoder.encode((rows.astype(np.float16) if code_bytes is None else rows).astype(np.float32)).tolist()

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


# the width of the kernel


@law
@given(seed=seeds, n=st.integers(2, 30))
def test_the_width_is_the_mean_squared_distance_to_an_eighth_of_an_octave(seed, n):
    x = vectors(seed, n)
    width = kernel_width(table_of(x), np.arange(n))
    stored = x.astype(np.float16).astype(np.float64)
    mean = np.mean([((a - b) ** 2).sum() for a in stored for b in stored])
    assert abs(np.log2(width / mean)) <= 0.126
    assert (4 * np.log2(width)) % 1 == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("x", [np.ones((1, DIM)), np.ones((5, DIM)), np.zeros((3, DIM))])
def test_identical_examples_have_a_width(x):
    x = x.astype(np.float32)
    assert kernel_width(table_of(x), np.arange(len(x))) > 0
    assert memory_of(("l2", None), (x, "ant", np.arange(len(x)))).scores(x, reader="ridge").min() > 0.5
