"""The exhaustive engine: exact if every item is a candidate; and laws that hold for every engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import InputError
from assocmem.search.exhaustive import Block, ExhaustiveEngine
from tests import naive

DIM = 48
CODER = CliqueCoder(DIM, clusters=64)


def points(seed, n):
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def block(x, first_id=0, dead=()):
    ids = np.arange(first_id, first_id + len(x), dtype=np.int64)
    return Block(ids, CODER.encode(x), x.astype(np.float16), np.array(dead, dtype=np.int64))


def test_with_every_item_a_candidate_the_answer_is_exact():
    base, queries = points(0, 200), points(1, 7)
    engine = ExhaustiveEngine(CODER, [block(base)], candidates=200)
    similarity, ids = engine.search(queries, 10)
    true_d, true_i = naive.cosine_neighbours(queries, base.astype(np.float16), 10)
    np.testing.assert_array_equal(ids, true_i)
    np.testing.assert_allclose(similarity, true_d, atol=1e-5)


def test_the_neighbours_are_among_the_candidates_by_code():
    centres = points(2, 50)
    base = np.repeat(centres, 40, axis=0) + 0.5 * points(3, 2000)
    queries = centres[:20] + 0.5 * points(4, 20)
    _, ids = ExhaustiveEngine(CODER, [block(base)], candidates=200).search(queries, 10)
    _, truth = naive.cosine_neighbours(queries, base, 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids, truth, strict=True)]) >= 0.97


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), cut=st.integers(0, 60))
def test_the_division_into_blocks_changes_nothing(seed, cut):
    base, queries = points(seed, 60), points(seed + 1, 2)
    whole = ExhaustiveEngine(CODER, [block(base)], candidates=30).search(queries, 5)
    parts = ExhaustiveEngine(CODER, [block(base[:cut]), block(base[cut:], cut)], candidates=30).search(queries, 5)
    np.testing.assert_array_equal(whole[1], parts[1])
    np.testing.assert_array_equal(whole[0], parts[0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), dead=st.sets(st.integers(0, 39)))
def test_dead_rows_are_never_found(seed, dead):
    base, queries = points(seed, 40), points(seed + 1, 2)
    engine = ExhaustiveEngine(CODER, [block(base, dead=sorted(dead))], candidates=40)
    _, ids = engine.search(queries, 40)
    alive = [i for i in range(40) if i not in dead]
    assert len(engine) == len(alive)
    for row in ids:
        assert sorted(row[row >= 0]) == alive


def test_an_item_finds_itself_first():
    base = points(5, 100)
    similarity, ids = ExhaustiveEngine(CODER, [block(base)]).search(base[:10], 1)
    np.testing.assert_array_equal(ids[:, 0], np.arange(10))
    np.testing.assert_allclose(similarity[:, 0], 1, atol=1e-3)


def test_ties_go_to_the_older_item():
    x = np.repeat(points(6, 1), 5, axis=0)
    _, ids = ExhaustiveEngine(CODER, [block(x[:2], 10), block(x[2:], 3)]).search(x[:1], 5)
    assert ids.tolist() == [[3, 4, 5, 10, 11]]


def test_results_are_padded_if_there_are_fewer_items():
    similarity, ids = ExhaustiveEngine(CODER, [block(points(7, 3))]).search(points(8, 2), 5)
    assert (ids[:, 3:] == -1).all()
    assert (similarity[:, 3:] == 0).all()
    assert (ids[:, :3] >= 0).all()


def test_an_empty_engine_finds_nothing():
    similarity, ids = ExhaustiveEngine(CODER, []).search(points(0, 1), 3)
    assert ids.tolist() == [[-1, -1, -1]]
    assert similarity.tolist() == [[0, 0, 0]]


def test_invalid_arguments_are_refused():
    engine = ExhaustiveEngine(CODER, [block(points(0, 3))])
    with pytest.raises(InputError, match="k: expected at least 1, found 0"):
        engine.search(points(0, 1), 0)
    with pytest.raises(InputError, match=r"expected shape \(n, 48\), found \(47,\)"):
        engine.search(np.zeros(47), 1)
    with pytest.raises(InputError, match="block codes: expected shape"):
        ExhaustiveEngine(CODER, [Block(np.arange(2), np.zeros((2, 3), np.uint8), np.zeros((2, DIM), np.float16))])
