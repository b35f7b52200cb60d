"""Near copies among arrays: every kernel against plain loops, and the laws that groups hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.dct_sketches import LENGTH, mirrored, scales_of
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.candidate_pairs import (
    Screen,
    candidate_pairs,
    common_winners,
    demanded,
    distinct,
    join_sorted,
    sketch_likeness,
    sort_by_symbol,
)
from assocmem.copies.grouping import COPY, SIMILAR, Pairs, describe, group, near_pairs
from assocmem.copies.lookup import find_originals
from assocmem.copies.similarity import join_trees
from assocmem.errors import InputError
from tests import naive_duplicates as naive

DIM = 64
CODER = CliqueCoder(DIM)


def library(originals=40, copies=3, noise=0.25, seed=0, sketches=True):
    """Random vectors, each with noisy copies; returns items, features, sketches and whose copy each row is."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(originals), 1 + copies)
    order = rng.permutation(len(truth))
    truth = truth[order]
    base = rng.standard_normal((originals, DIM))
    drawn = rng.standard_normal((originals, LENGTH)) * 40
    features = (base[truth] + noise * rng.standard_normal((len(truth), DIM))).astype(np.float32)
    drawings = np.clip(drawn[truth] + 40 * noise * rng.standard_normal((len(truth), LENGTH)), -127, 127).astype(np.int8)
    if not sketches:
        drawings[:] = 0
    return items_of(features, drawings), features, drawings, truth


def items_of(features, sketches, coder=CODER):
    return describe(features, coder.messages(features), coder.encode(features), sketches)


def told(groups):
    starts = groups.starts.tolist()
    return [groups.rows[a:b].tolist() for a, b in pairwise(starts)]


# kernels


def test_sorting_by_a_symbol_is_stable():
    rng = np.random.default_rng(0)
    column, order = rng.integers(0, 256, 500).astype(np.uint8), rng.permutation(500).astype(np.int32)
    out = np.empty(500, np.int32)
    sort_by_symbol(column, order, out)
    assert out.tolist() == sorted(order.tolist(), key=lambda row: column[row])


def test_common_winners_are_counted_as_plain_loops_do():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (30, 64), dtype=np.uint8)
    codes[15:] = np.where(rng.random((15, 64)) < 0.6, codes[:15], codes[15:])
    for i in range(30):
        for j in range(30):
            assert common_winners(codes.view(np.uint64), i, j) == naive.common(codes[i].tolist(), codes[j].tolist())


def test_sketches_are_compared_as_plain_loops_do():
    rng = np.random.default_rng(2)
    sketches = rng.integers(-127, 128, (12, LENGTH)).astype(np.int8)
    sketches[6:] = mirrored(sketches[:6])
    sketches[3] = 0
    for i in range(12):
        for j in range(12):
            expected = naive.sketch_cosine(sketches[i].tolist(), sketches[j].tolist())
            assert sketch_likeness(sketches, scales_of(sketches), i, j) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("split", [0, 20])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_a_join_finds_what_plain_loops_find(window, split):
    rng = np.random.default_rng(3)
    n = 50
    first, second = (rng.integers(0, 3, n).astype(np.uint8) for _ in range(2))
    order = np.array(sorted(range(n), key=lambda row: (first[row], second[row])), np.int32)
    codes = rng.integers(0, 2, (n, 8), dtype=np.uint8)  # the upper winners always agree
    sketches = rng.integers(-127, 128, (n, LENGTH)).astype(np.int8)
    sketches[::7] = 0
    scales = scales_of(sketches)
    demand = np.stack([np.linspace(1.2, -0.2, 17), np.where(np.arange(17) > 12, 0, 2)], axis=1).astype(np.float32)
    out = np.empty(n * window, np.int64)
    found = join_sorted(order, first, second, (codes.view(np.uint64), sketches, scales, demand), window, split, out)
    expected = []
    for k in range(n):
        for m in range(k + 1, min(n, k + 1 + window)):
            i, j = int(order[k]), int(order[m])
            if (first[i], second[i]) != (first[j], second[j]) or (split and (i < split) == (j < split)):
                continue
            share = demand[naive.common(codes[i].tolist(), codes[j].tolist())]
            missing = not sketches[i].any() or not sketches[j].any()
            alike = naive.sketch_cosine(sketches[i].tolist(), sketches[j].tolist())
            if share[0] <= 0 or (missing and share[1] <= 0) or (not missing and alike >= share[0]):
                expected.append(min(i, j) * n + max(i, j))
    assert out[:found].tolist() == expected
    assert expected


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_trees_are_the_connected_components(pairs):
    parents = np.arange(31)
    join_trees(parents, np.array([a for a, _ in pairs], np.int64), np.array([b for _, b in pairs], np.int64))
    labels = list(range(31))
    for _ in pairs:
        for a, b in pairs:
            labels = [min(labels[a], labels[b]) if x in (labels[a], labels[b]) else x for x in labels]
    assert parents.tolist() == labels


@given(st.lists(st.integers(0, 50)))
def test_distinct_values_are_those_of_a_set(values):
    assert distinct(np.array(values, np.int64)).tolist() == sorted(set(values))


def test_the_demand_falls_with_common_winners():
    for least in (0.6, SIMILAR, COPY, 1.3):
        demand = demanded(128, least)
        assert (np.diff(demand, axis=0) <= 0).all()
        assert demand[0, 0] == (pytest.approx(0.6 + least - 0.67) if least > 0.67 else 0)
        assert (demand[128] == 0).all() == (least <= 1.2)


# pairs


@pytest.mark.parametrize("sketches", [True, False])
def test_pairs_are_those_of_plain_loops_and_nearly_all(sketches):
    items, features, drawings, _ = library(sketches=sketches)
    for least in (COPY, SIMILAR):
        found = near_pairs(items, least)
        everything = naive.all_pairs(features, drawings, least)
        pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
        assert pairs == sorted(pairs)
        assert set(pairs) <= set(everything)
        assert len(pairs) >= 0.97 * len(everything) > 100
        np.testing.assert_allclose(found.scores, [everything[pair] for pair in pairs], atol=1e-5)


def test_half_precision_features_give_the_same_pairs():
    items, features, drawings, _ = library()
    half = near_pairs(items_of(features.astype(np.float16), drawings))
    whole = near_pairs(items)
    assert abs(len(half.first) - len(whole.first)) <= 2


def test_a_split_leaves_only_pairs_across():
    items, _, _, _ = library()
    inside, across = near_pairs(items), near_pairs(items, split=60)
    expected = {(a, b) for a, b in zip(inside.first.tolist(), inside.second.tolist(), strict=True) if a < 60 <= b}
    found = set(zip(across.first.tolist(), across.second.tolist(), strict=True))
    assert all(a < 60 <= b for a, b in found)
    assert len(found & expected) >= 0.97 * len(expected) > 20


def test_a_mirrored_copy_is_a_copy():
    _items, features, drawings, _ = library(originals=10, copies=0)
    both = items_of(np.concatenate([features, features]), np.concatenate([drawings, mirrored(drawings)]))
    pairs = near_pairs(both, 1.39)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) >= {(i, i + 10) for i in range(10)}


def test_symbols_that_all_share_cost_no_more_than_others():
    """All messages equal: every order is one run, and each item is held against the window's few only."""
    n = 400
    codes = np.zeros((n, 64), np.uint8)
    screen = Screen(codes, np.zeros((n, LENGTH), np.int8))
    found = candidate_pairs(np.zeros((n, 16), np.uint8), screen, COPY, tables=5, window=4)
    assert n - 1 <= len(found) <= 5 * 4 * n


# groups


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 0.6))
def test_groups_are_those_of_plain_loops(seed, noise):
    items, features, drawings, _ = library(originals=12, copies=4, noise=noise, seed=seed)
    pairs = near_pairs(items, COPY)
    listed = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))

    def alike(i, j):
        return naive.likeness(features[i], features[j], drawings[i].tolist(), drawings[j].tolist())

    found = group(items, pairs, COPY)
    expected = naive.groups(len(items), listed, alike, COPY)
    assert {rows[0]: set(rows) for rows in told(found)} == dict(expected)


def test_groups_come_large_first_and_members_likest_first():
    items, _, _, truth = library(originals=30, copies=3)
    found = group(items, near_pairs(items))
    sizes = [len(rows) for rows in told(found)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(found.rows.tolist())) == len(found.rows)
    starts = found.starts.tolist()
    for rows, start, stop in zip(told(found), starts[:-1], starts[1:], strict=True):
        assert len(set(truth[rows].tolist())) == 1
        assert found.scores[start] == pytest.approx(1.4, abs=1e-5)
        assert (np.diff(found.scores[start + 1 : stop]) <= 0).all()
        assert (found.scores[start:stop] >= COPY).all()
    assert len(found.rows) > 0.95 * len(truth)


def test_a_chain_is_not_swallowed_by_one_group():
    """Frames that change slowly: each is a copy of the next, the first is nothing like the last."""
    rng = np.random.default_rng(0)
    a, b = np.linalg.qr(rng.standard_normal((DIM, 2)))[0].T
    turns = np.linspace(0, np.pi, 200)[:, None]
    features = (np.cos(turns) * a + np.sin(turns) * b).astype(np.float32)
    items = items_of(features, np.zeros((200, LENGTH), np.int8))
    found = group(items, near_pairs(items))
    assert len(told(found)) > 3
    for rows in told(found):
        cosines = features[rows] @ features[rows[0]]
        assert cosines.min() > 0.933 - 1e-3


def test_many_items_that_are_the_same_are_one_group():
    """More than any window sees at once."""
    rng = np.random.default_rng(0)
    features = np.repeat(rng.standard_normal((3, DIM)), 700, axis=0).astype(np.float32)
    items = items_of(features, np.zeros((2100, LENGTH), np.int8))
    assert sorted(map(len, told(group(items, near_pairs(items))))) == [700, 700, 700]


@pytest.mark.parametrize("n", [0, 1])
def test_few_items_have_no_groups(n):
    items = items_of(np.ones((n, DIM), np.float32), np.zeros((n, LENGTH), np.int8))
    found = group(items, near_pairs(items))
    assert told(found) == []
    assert found.starts.tolist() == [0]


def test_the_same_question_has_the_same_answer():
    items, _, _, _ = library()
    one, other = (group(items, near_pairs(items)) for _ in range(2))
    assert (one.rows == other.rows).all()
    assert (one.scores == other.scores).all()


def test_zero_features_are_like_nothing():
    items = items_of(np.zeros((5, DIM), np.float32), np.zeros((5, LENGTH), np.int8))
    assert len(near_pairs(items, 0.5).first) == 0


def test_arrays_that_do_not_belong_together_are_refused():
    features = np.ones((4, DIM), np.float32)
    with pytest.raises(InputError, match="expected as many"):
        describe(features, CODER.messages(features), CODER.encode(features)[:3])
    with pytest.raises(InputError, match="expected as many"):
        describe(features, CODER.messages(features), CODER.encode(features), np.zeros((4, 7), np.int8))


def test_no_pairs_make_no_groups():
    items, _, _, _ = library(originals=5, copies=0)
    nothing = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    assert told(group(items, nothing)) == []


# originals


def test_originals_are_those_of_plain_loops():
    items, features, drawings, _ = library(originals=30, copies=1)
    queries, asked = features[:8] + np.float32(0.3), mirrored(drawings[:8])
    asked[2] = 0
    likeness, rows = find_originals(queries, asked, items, CODER, 5)
    for q in range(8):
        scores = [naive.likeness(queries[q], features[i], asked[q].tolist(), drawings[i].tolist()) for i in range(60)]
        expected = sorted(range(60), key=lambda i: (-scores[i], i))[:5]
        np.testing.assert_allclose(likeness[q], [scores[i] for i in expected], atol=1e-5)
        np.testing.assert_allclose([scores[i] for i in rows[q]], [scores[i] for i in expected], atol=1e-5)


def test_missing_originals_are_padded():
    items, features, drawings, _ = library(originals=3, copies=0)
    likeness, rows = find_originals(features[:1], drawings[:1], items, CODER, 10)
    assert (rows[0, 3:] == -1).all()
    assert (likeness[0, 3:] == 0).all()
    with pytest.raises(InputError, match="k >= 1"):
        find_originals(features[:1], drawings[:1], items, CODER, 0)
