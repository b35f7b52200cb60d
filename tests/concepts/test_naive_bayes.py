"""Sparse naive Bayes against an oracle with a dictionary, and against ``UnitCounts``."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assocmem.concepts.naive_bayes import SparseNaiveBayes, add_gains
from assocmem.concepts.unit_counts import UnitCounts
from tests.concepts.oracles import NaiveBayes
from tests.naive_index import unpack
from tests.strategies import law, seeds


def examples(seed, n, width, concepts):
    """Codes that agree in part, and concepts; some concepts may have no example."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, width), dtype=np.uint8)
    codes[: n // 2, : (width + 1) // 2] = codes[:1, : (width + 1) // 2]
    return codes, rng.integers(0, concepts, n)


cases = {"seed": seeds, "n": st.integers(1, 12), "width": st.sampled_from([1, 2, 3, 8]), "concepts": st.integers(1, 6)}


@law
@given(**cases)
def test_scores_are_those_of_the_oracle(seed, n, width, concepts):
    codes, classes = examples(seed, n, width, concepts)
    memory, naive = SparseNaiveBayes(codes, classes, concepts), NaiveBayes(2 * width, concepts)
    for code, concept in zip(codes.tolist(), classes.tolist(), strict=True):
        naive.add(code, concept)
    q = np.concatenate([codes[:3], examples(seed + 1, 3, width, concepts)[0]])
    expected = [[naive.score(code, concept) for concept in range(concepts)] for code in q.tolist()]
    found = memory.scores(q)
    assert (found.dtype, found.shape) == (np.float32, (len(q), concepts))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@law
@given(**cases)
def test_scores_are_those_of_certain_examples_in_unit_counts(seed, n, width, concepts):
    codes, classes = examples(seed, n, width, concepts)
    counts = UnitCounts(2 * width, concepts)
    counts.teach(codes, classes[:, None], np.ones((n, 1)))
    q = examples(seed + 1, 4, width, concepts)[0]
    found, taught = SparseNaiveBayes(codes, classes, concepts).scores(q), np.unique(classes)
    np.testing.assert_allclose(found[:, taught], counts.scores(q)[:, taught], rtol=1e-4, atol=1e-4)


@law
@given(**cases)
def test_units_and_concepts_that_occurred_together_are_connected_and_no_others(seed, n, width, concepts):
    codes, classes = examples(seed, n, width, concepts)
    memory, expected = SparseNaiveBayes(codes, classes, concepts), {}
    for code, concept in zip(codes.tolist(), classes.tolist(), strict=True):
        for cluster, unit in enumerate(unpack(code)):
            key = (16 * cluster + unit, concept)
            expected[key] = expected.get(key, 0) + 1
    found = {}
    for unit in range(memory.units):
        for at in range(memory.starts[unit], memory.starts[unit + 1]):
            found[unit, int(memory.concepts[at])] = int(memory.counts[at])
    assert found == expected
    assert memory.starts[0] == 0
    assert memory.starts[-1] == len(memory.concepts) == len(expected)


@law
@given(seed=seeds)
def test_the_order_of_examples_changes_no_bit(seed):
    codes, classes = examples(seed, 15, 4, 3)
    order = np.random.default_rng(seed + 1).permutation(15)
    q = examples(seed + 2, 5, 4, 3)[0]
    one, other = SparseNaiveBayes(codes, classes, 3), SparseNaiveBayes(codes[order], classes[order], 3)
    assert one.scores(q).tobytes() == other.scores(q).tobytes()


def test_the_kernel_adds_the_gains_of_each_winner():
    codes = np.array([[0xF2], [0x02]], np.uint8)
    starts = np.zeros(33, np.int64)
    starts[3:] += 2  # unit 2 of the first cluster
    starts[17:] += 1  # unit 0 of the second
    starts[32:] += 1  # unit 15 of the second
    concepts, gains = np.array([0, 2, 0, 1], np.int32), np.array([1, 2, 4, 8], np.float32)
    out = np.full((2, 3), 100, np.float32)
    add_gains(codes, starts, concepts, gains, out)
    assert out.tolist() == [[101, 108, 102], [105, 100, 102]]


def test_examples_are_recognised():
    codes = np.random.default_rng(6).integers(0, 256, (40, 8), dtype=np.uint8)
    assert SparseNaiveBayes(codes, np.arange(40), 40).scores(codes).argmax(axis=1).tolist() == list(range(40))
