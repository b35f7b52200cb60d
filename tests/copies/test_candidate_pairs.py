"""Candidate pairs: every kernel against plain loops, the filter, and the bound on comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.codes.dct_sketches import SKETCH_LENGTH, inverse_norms
from assocmem.copies.candidate_pairs import (
    PairFilter,
    candidate_pairs,
    common_winners,
    make_filter,
    pairs_in_window,
    required_similarity,
    sketch_similarity,
    sort_by_symbol,
    sorted_unique,
)
from assocmem.copies.grouping import COPY, SIMILAR
from tests import naive_copies as naive
from tests.copies.library import no_sketches


def test_sorting_by_a_symbol_is_stable():
    rng = np.random.default_rng(0)
    column, order = rng.integers(0, 256, 500).astype(np.uint8), rng.permutation(500).astype(np.int32)
    out = np.empty(500, np.int32)
    sort_by_symbol(column, order, out)
    assert out.tolist() == sorted(order.tolist(), key=lambda row: column[row])


def test_common_winners_equal_plain_loops():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (30, 64), dtype=np.uint8)
    codes[15:] = np.where(rng.random((15, 64)) < 0.6, codes[:15], codes[15:])
    for i in range(30):
        for j in range(30):
            expected = naive.common_winners(codes[i].tolist(), codes[j].tolist())
            assert common_winners(codes.view(np.uint64), i, j) == expected


def test_sketch_similarity_equals_plain_loops():
    rng = np.random.default_rng(2)
    sketches = rng.integers(-127, 128, (12, SKETCH_LENGTH)).astype(np.int8)
    sketches[6:] = naive.mirrored(sketches[:6])
    sketches[3] = 0
    for i in range(12):
        for j in range(12):
            expected = naive.sketch_cosine(sketches[i].tolist(), sketches[j].tolist())
            assert sketch_similarity(sketches, inverse_norms(sketches), i, j) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("split", [0, 20])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_pairs_in_a_window_equal_plain_loops(window, split):
    rng = np.random.default_rng(3)
    n = 50
    first, second = (rng.integers(0, 3, n).astype(np.uint8) for _ in range(2))
    order = np.array(sorted(range(n), key=lambda row: (first[row], second[row])), np.int32)
    codes = rng.integers(0, 2, (n, 8), dtype=np.uint8)  # the upper winners always agree
    sketches = rng.integers(-127, 128, (n, SKETCH_LENGTH)).astype(np.int8)
    sketches[::7] = 0
    required = np.stack([np.linspace(1.2, -0.2, 17), np.where(np.arange(17) > 12, 0, 2)], axis=1).astype(np.float32)
    pair_filter = PairFilter(codes.view(np.uint64), sketches, inverse_norms(sketches), required)
    out = np.empty(n * window, np.int64)
    found = pairs_in_window(order, first, second, pair_filter, window, split, out)
    expected = []
    for k in range(n):
        for m in range(k + 1, min(n, k + 1 + window)):
            i, j = int(order[k]), int(order[m])
            if (first[i], second[i]) != (first[j], second[j]) or (split and (i < split) == (j < split)):
                continue
            least = required[naive.common_winners(codes[i].tolist(), codes[j].tolist())]
            missing = not sketches[i].any() or not sketches[j].any()
            cosine = naive.sketch_cosine(sketches[i].tolist(), sketches[j].tolist())
            if least[0] <= 0 or (missing and least[1] <= 0) or (not missing and cosine >= least[0]):
                expected.append(min(i, j) * n + max(i, j))
    assert out[:found].tolist() == expected
    assert expected


@given(st.lists(st.integers(0, 50)))
def test_sorted_unique_values_are_those_of_a_set(values):
    assert sorted_unique(np.array(values, np.int64)).tolist() == sorted(set(values))


def test_the_required_similarity_falls_with_common_winners():
    for least in (0.6, SIMILAR, COPY, 1.3):
        required = required_similarity(128, least)
        assert (np.diff(required, axis=0) <= 0).all()
        assert required[0, 0] == (pytest.approx(0.6 + least - 0.67) if least > 0.67 else 0)
        assert (required[128] == 0).all() == (least <= 1.2)


@pytest.mark.parametrize("code_bytes", [4, 8, 20])
def test_the_filter_does_not_count_padding_as_common_winners(code_bytes):
    codes = np.random.default_rng(4).integers(0, 256, (6, code_bytes), dtype=np.uint8)
    pair_filter = make_filter(codes, no_sketches(6), COPY)
    expected = required_similarity(2 * code_bytes, COPY)
    for i in range(6):
        for j in range(6):
            winners = naive.common_winners(codes[i].tolist(), codes[j].tolist())
            found = pair_filter.required[common_winners(pair_filter.codes, i, j)]
            assert found.tolist() == expected[winners].tolist()


def test_symbols_that_all_items_share_cost_no_more_than_others():
    """All messages are equal: every order is one run, and each item is compared with the window's few only."""
    n = 400
    pair_filter = make_filter(np.zeros((n, 64), np.uint8), no_sketches(n), COPY)
    found = candidate_pairs(np.zeros((n, 16), np.uint8), pair_filter, passes=5, window=4)
    assert n - 1 <= len(found) <= 5 * 4 * n
