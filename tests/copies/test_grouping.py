"""Pairs and groups of near copies against plain loops, and the laws of groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.copies.grouping import COPY, SIMILAR, CopyPairs, find_pairs, group_pairs, make_items
from assocmem.errors import InputError
from tests import naive_copies as naive
from tests.copies.library import CODER, DIM, items_of, library, listed, no_sketches

# Pairs


@pytest.mark.parametrize("sketches", [True, False])
def test_pairs_are_those_of_plain_loops_and_few_are_missed(sketches):
    items, features, drawings, _ = library(sketches=sketches)
    for least in (COPY, SIMILAR):
        found = find_pairs(items, least)
        everything = naive.all_pairs(features, drawings, least)
        pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
        assert pairs == sorted(pairs)
        assert set(pairs) <= set(everything)
        assert len(pairs) >= 0.97 * len(everything) > 100
        np.testing.assert_allclose(found.scores, [everything[pair] for pair in pairs], atol=1e-5)


def test_half_precision_features_give_the_same_pairs():
    items, features, drawings, _ = library()
    half = find_pairs(items_of(features.astype(np.float16), drawings))
    whole = find_pairs(items)
    assert abs(len(half.first) - len(whole.first)) <= 2


def test_a_split_leaves_only_pairs_across():
    items, _, _, _ = library()
    inside, across = find_pairs(items), find_pairs(items, split=60)
    expected = {(a, b) for a, b in zip(inside.first.tolist(), inside.second.tolist(), strict=True) if a < 60 <= b}
    found = set(zip(across.first.tolist(), across.second.tolist(), strict=True))
    assert all(a < 60 <= b for a, b in found)
    assert len(found & expected) >= 0.97 * len(expected) > 20


def test_a_mirrored_copy_is_a_copy():
    _items, features, drawings, _ = library(originals=10, copies=0)
    both = items_of(np.concatenate([features, features]), np.concatenate([drawings, naive.mirrored(drawings)]))
    pairs = find_pairs(both, 1.39)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) >= {(i, i + 10) for i in range(10)}


# Groups


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 0.6))
def test_groups_equal_plain_loops(seed, noise):
    items, features, drawings, _ = library(originals=12, copies=4, noise=noise, seed=seed)
    pairs = find_pairs(items, COPY)
    rows = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))

    def similarity_of(i, j):
        return naive.similarity(features[i], features[j], drawings[i].tolist(), drawings[j].tolist())

    found = group_pairs(items, pairs, COPY)
    expected = naive.groups(len(items), rows, similarity_of, COPY)
    assert {members[0]: set(members) for members in listed(found)} == dict(expected)


def test_large_groups_and_similar_members_go_first():
    items, _, _, truth = library(originals=30, copies=3)
    found = group_pairs(items, find_pairs(items))
    sizes = [len(rows) for rows in listed(found)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(found.rows.tolist())) == len(found.rows)
    starts = found.starts.tolist()
    for rows, start, stop in zip(listed(found), starts[:-1], starts[1:], strict=True):
        assert len(set(truth[rows].tolist())) == 1
        assert found.scores[start] == pytest.approx(1.4, abs=1e-5)
        assert (np.diff(found.scores[start + 1 : stop]) <= 0).all()
        assert (found.scores[start:stop] >= COPY).all()
    assert len(found.rows) > 0.95 * len(truth)


def test_a_chain_is_not_one_group():
    """Frames that change slowly: each is a copy of the next, but the first and the last are not similar."""
    rng = np.random.default_rng(0)
    a, b = np.linalg.qr(rng.standard_normal((DIM, 2)))[0].T
    turns = np.linspace(0, np.pi, 200)[:, None]
    features = (np.cos(turns) * a + np.sin(turns) * b).astype(np.float32)
    items = items_of(features, no_sketches(200))
    found = group_pairs(items, find_pairs(items))
    assert len(listed(found)) > 3
    for rows in listed(found):
        cosines = features[rows] @ features[rows[0]]
        assert cosines.min() > 0.933 - 1e-3


def test_many_equal_items_are_one_group():
    """There are more of them than a window has room for."""
    rng = np.random.default_rng(0)
    features = np.repeat(rng.standard_normal((3, DIM)), 700, axis=0).astype(np.float32)
    items = items_of(features, no_sketches(2100))
    assert sorted(map(len, listed(group_pairs(items, find_pairs(items))))) == [700, 700, 700]


@pytest.mark.parametrize("n", [0, 1])
def test_few_items_have_no_groups(n):
    items = items_of(np.ones((n, DIM), np.float32), no_sketches(n))
    found = group_pairs(items, find_pairs(items))
    assert listed(found) == []
    assert found.starts.tolist() == [0]


def test_the_result_is_deterministic():
    items, _, _, _ = library()
    one, other = (group_pairs(items, find_pairs(items)) for _ in range(2))
    assert (one.rows == other.rows).all()
    assert (one.scores == other.scores).all()


def test_zero_features_are_similar_to_nothing():
    items = items_of(np.zeros((5, DIM), np.float32), no_sketches(5))
    assert len(find_pairs(items, 0.5).first) == 0


def test_arrays_that_do_not_fit_together_are_refused():
    features = np.ones((4, DIM), np.float32)
    with pytest.raises(InputError, match="expected as many"):
        make_items(features, CODER.messages(features), CODER.encode(features)[:3])
    with pytest.raises(InputError, match="expected as many"):
        make_items(features, CODER.messages(features), CODER.encode(features), np.zeros((4, 7), np.int8))


def test_no_pairs_make_no_groups():
    items, _, _, _ = library(originals=5, copies=0)
    nothing = CopyPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    assert listed(group_pairs(items, nothing)) == []
