"""Unit counts against an oracle in plain loops, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.concepts.unit_counts import FULL_WEIGHT, UnitCounts
from assocmem.errors import InputError

CLUSTERS = 8


class NaiveCounts:
    """Counts in a dictionary: (cluster, unit, concept) -> weight."""

    def __init__(self, clusters, concepts):
        self.clusters, self.concepts = clusters, concepts
        self.counts = {}

    def teach(self, codes, concepts, probabilities):
        for code, row, shares in zip(codes.tolist(), concepts.tolist(), probabilities.tolist(), strict=True):
            for concept, share in zip(row, shares, strict=True):
                if concept < 0:
                    continue
                for cluster, unit in enumerate(winners(code)):
                    key = (cluster, unit, concept)
                    self.counts[key] = self.counts.get(key, 0) + round(share * 255)

    def count(self, cluster, unit, concept):
        return self.counts.get((cluster, unit, concept), 0)

    def log_odds(self, cluster, unit, concept):
        """Log P(unit | concept) / P(unit), smoothed by half an example distributed like the units overall."""
        sums = [sum(self.count(cluster, u, c) for c in range(self.concepts)) for u in range(16)]
        prior = (sums[unit] + 255 / 16) / (sum(sums) + 255)
        mine = sum(self.count(cluster, u, concept) for u in range(16))
        return math.log((self.count(cluster, unit, concept) + 127.5 * prior) / (mine + 127.5) / prior)

    def score(self, code, concept):
        return sum(self.log_odds(cluster, unit, concept) for cluster, unit in enumerate(winners(code)))


def winners(code):
    return [symbol for byte in code for symbol in (byte % 16, byte // 16)]


def examples(seed, n=30, m=3, concepts=5):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, CLUSTERS // 2), dtype=np.uint8)
    codes[: n // 2] = codes[:1]  # items that agree, so that there is something to learn
    named = rng.integers(-1, concepts, (n, m))
    return codes, named, rng.random((n, m)).astype(np.float16)


def taught(*batches, concepts=5):
    memory = UnitCounts(CLUSTERS, concepts)
    for batch in batches:
        memory.teach(*batch)
    return memory


def take(batch, rows):
    return tuple(column[rows] for column in batch)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 12), m=st.integers(0, 4), concepts=st.integers(1, 6))
def test_counts_and_scores_are_those_of_the_oracle(seed, n, m, concepts):
    batch = examples(seed, n, m, concepts)
    memory, naive = taught(batch, concepts=concepts), NaiveCounts(CLUSTERS, concepts)
    naive.teach(*batch)
    for cluster in range(CLUSTERS):
        for unit in range(16):
            for concept in range(concepts):
                assert memory.counts[16 * cluster + unit, concept] == naive.count(cluster, unit, concept)
    q = np.random.default_rng(seed + 1).integers(0, 256, (3, CLUSTERS // 2), dtype=np.uint8)
    scores = memory.scores(q)
    expected = [[naive.score(code, concept) for concept in range(concepts)] for code in q.tolist()]
    assert scores.shape == (3, concepts)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_the_order_of_teaching_does_not_matter():
    batch = examples(1)
    shuffled = take(batch, np.random.default_rng(2).permutation(30))
    a, b = taught(batch), taught(shuffled)
    assert np.array_equal(a.counts, b.counts)
    assert np.array_equal(a.scores(batch[0]), b.scores(batch[0]))


def test_teaching_in_parts_is_teaching_at_once():
    batch = examples(3)
    parts = [take(batch, slice(start, start + 7)) for start in range(0, 30, 7)]
    assert np.array_equal(taught(batch).counts, taught(*parts).counts)


def test_a_teaching_that_is_undone_leaves_no_trace():
    kept, undone = examples(4), examples(5)
    memory = taught(kept, undone)
    assert not np.array_equal(memory.counts, taught(kept).counts)
    memory.unteach(*undone)
    assert np.array_equal(memory.counts, taught(kept).counts)
    assert np.array_equal(memory.scores(kept[0]), taught(kept).scores(kept[0]))


def test_items_are_recognised():
    codes = np.random.default_rng(6).integers(0, 256, (3, CLUSTERS // 2), dtype=np.uint8)
    memory = taught((codes, np.array([[0], [1], [2]]), np.ones((3, 1))))
    assert memory.scores(codes).argmax(axis=1).tolist() == [0, 1, 2]
    assert memory.weight.tolist() == [FULL_WEIGHT, FULL_WEIGHT, FULL_WEIGHT, 0, 0]


def test_a_concept_that_was_never_taught_has_zeros():
    memory = UnitCounts(CLUSTERS, 5)
    assert not memory.scores(examples(7)[0]).any()
    codes, named, shares = examples(7)
    memory.teach(codes, np.where(named == 2, -1, named), shares)
    scores = memory.scores(codes)
    assert not scores[:, 2].any()
    assert scores[:, 1].any()


GOOD = examples(8)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((GOOD[0][:, :3], GOOD[1], GOOD[2]), r"expected codes \(n, 4\).*found \(30, 3\)"),
        ((GOOD[0][:29], GOOD[1], GOOD[2]), r"found \(29, 4\) and \(30, 3\)"),
        ((GOOD[0].astype(np.float32), GOOD[1], GOOD[2]), "expected uint8 codes.*found float32"),
        ((GOOD[0], GOOD[1][:, 0], GOOD[2][:, 0]), r"and concepts \(n, m\)"),
        ((GOOD[0], GOOD[1].astype(float), GOOD[2]), "integer concepts.*float64"),
        ((GOOD[0], GOOD[1] + 1, GOOD[2]), "expected concepts -1 to 4, found 0 to 5"),
        ((GOOD[0], GOOD[1] - 1, GOOD[2]), "expected concepts -1 to 4, found -2 to 3"),
        ((GOOD[0], GOOD[1], GOOD[2][:, :2]), r"of shape \(30, 3\)"),
        ((GOOD[0], GOOD[1], GOOD[2] + 1), "expected probabilities 0 to 1"),
        ((GOOD[0], GOOD[1], -GOOD[2]), "expected probabilities 0 to 1"),
        ((GOOD[0], GOOD[1], np.where(GOOD[2] > 0.9, np.nan, GOOD[2])), "expected probabilities 0 to 1"),
        ((GOOD[0], GOOD[1], GOOD[2].astype(str)), "real probabilities"),
    ],
)
def test_invalid_items_are_refused_and_change_nothing(batch, message):
    memory = taught(examples(9))
    before = memory.counts.copy()
    for call in (memory.teach, memory.unteach):
        with pytest.raises(InputError, match=message):
            call(*batch)
        assert np.array_equal(memory.counts, before)


def test_a_teaching_that_never_was_cannot_be_undone():
    memory = taught(examples(10))
    before = memory.counts.copy()
    with pytest.raises(InputError, match="unteach: expected what was taught before"):
        memory.unteach(*examples(11))
    assert np.array_equal(memory.counts, before)


@pytest.mark.parametrize(("clusters", "concepts"), [(0, 5), (3, 5), (8, 0), (-2, 1)])
def test_invalid_sizes_are_refused(clusters, concepts):
    with pytest.raises(InputError, match=f"found {clusters} and {concepts}"):
        UnitCounts(clusters, concepts)
