"""Pools of coded items, and the engine that searches the nearest of them, compared with the exhaustive engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import InputError
from assocmem.search.exhaustive import Block, ExhaustiveEngine
from assocmem.search.pooled import PooledEngine, Pools, default_effort
from tests import naive

DIM = 48
CODER = CliqueCoder(DIM, clusters=64)


def clustered(n, seed=0, centres=60):
    """Points around centres, and queries of the same distribution."""
    rng = np.random.default_rng(seed)
    middle = rng.standard_normal((centres, DIM))
    points = middle[rng.integers(0, centres, n + 50)] + 0.5 * rng.standard_normal((n + 50, DIM))
    return points[:n].astype(np.float16), points[n:].astype(np.float32)


def block(x, ids, dead=()):
    return Block(np.asarray(ids, np.int64), CODER.encode(x), x, np.array(dead, np.int64))


def pooled(x, ids):
    pools = Pools(CODER)
    pools.add(x, np.asarray(ids, np.int64))
    return pools


def codes_by_id(pools):
    members = np.flatnonzero(pools.ids >= 0)
    codes = pools.tree.items.coded(members.astype(np.int32)).codes
    return dict(zip(pools.ids[members].tolist(), codes.tolist(), strict=True))


# the engine


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), dead=st.sets(st.integers(0, 299)), k=st.integers(1, 20))
def test_full_effort_equals_the_exhaustive_engine(seed, dead, k):
    x, queries = clustered(300, seed)
    blocks = [block(x[:100], range(100)), block(x[100:], range(500, 700), [row - 100 for row in dead if row >= 100])]
    expected = ExhaustiveEngine(CODER, blocks, candidates=40).search(queries[:3], k)
    engine = PooledEngine(CODER, blocks, pooled(x, [*range(100), *range(500, 700)]), candidates=40)
    for ours, theirs in zip(engine.search(queries[:3], k, effort=1.0), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_default_effort_finds_nearly_all():
    x, queries = clustered(6000)
    engine = PooledEngine(CODER, [block(x, range(6000))], pooled(x, range(6000)), candidates=200)
    assert default_effort(6000) < 0.4
    _, truth = naive.cosine_neighbours(queries, x, 10)
    _, ids = engine.search(queries, 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids, truth, strict=True)]) >= 0.95


def test_similarities_and_order_are_those_of_the_exhaustive_engine():
    x, queries = clustered(3000)
    x[1500:] = x[:1500]  # all items twice: ties go to the older one
    blocks = [block(x, np.arange(3000)[::-1])]
    engine = PooledEngine(CODER, blocks, pooled(x, np.arange(3000)[::-1]), candidates=100)
    whole = ExhaustiveEngine(CODER, blocks, candidates=3000)
    similarity, ids = engine.search(queries, 10, effort=0.3)
    known = [dict(zip(i.tolist(), d.tolist(), strict=True)) for d, i in zip(*whole.search(queries, 3000), strict=True)]
    assert [[table[i] for i in row] for table, row in zip(known, ids.tolist(), strict=True)] == similarity.tolist()
    keys = [list(zip((-d).tolist(), i.tolist(), strict=True)) for d, i in zip(similarity, ids, strict=True)]
    assert all(row == sorted(set(row)) for row in keys)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), effort=st.floats(0.01, 1))
def test_dead_and_unknown_items_are_never_found(seed, effort):
    """Pools may be outdated: items that only they contain are skipped."""
    x, queries = clustered(400, seed)
    engine = PooledEngine(CODER, [block(x[:200], range(200), range(0, 200, 2))], pooled(x, range(400)), candidates=60)
    _, ids = engine.search(queries[:5], 30, effort=effort)
    assert set(ids[ids >= 0].tolist()) <= set(range(1, 200, 2))


def test_items_that_are_not_in_the_pools_yet_are_found():
    x, _ = clustered(2000)
    blocks = [block(x[:1500], range(1500)), block(x[1500:], range(1500, 2000), [3])]
    engine = PooledEngine(CODER, blocks, pooled(x[:1500], range(1500)), candidates=100)
    assert 1503 not in engine.search(x[1500:].astype(np.float32), 1, effort=0.02)[1]
    found = engine.search(x[1504:1600].astype(np.float32), 1, effort=0.02)[1][:, 0]
    np.testing.assert_array_equal(found, np.arange(1504, 1600))


def test_more_pools_are_searched_if_they_contain_too_few_items():
    x, queries = clustered(2000)
    engine = PooledEngine(CODER, [block(x, range(2000))], pooled(x, range(2000)), candidates=10)
    _, ids = engine.search(queries[:4], 400, effort=0.001)
    assert (ids >= 0).all()


def test_results_are_padded_if_there_are_fewer_items():
    x, queries = clustered(20)
    engine = PooledEngine(CODER, [block(x, range(20))], pooled(x, range(20)))
    similarity, ids = engine.search(queries[:2], 25, effort=0.5)
    assert (np.sort(ids[:, :20]) == np.arange(20)).all()
    assert (ids[:, 20:] == -1).all()
    assert (similarity[:, 20:] == 0).all()


@pytest.mark.parametrize("pools", [Pools(CODER), pooled(clustered(5)[0], range(5))])
def test_an_engine_without_items_finds_nothing(pools):
    similarity, ids = PooledEngine(CODER, [], pools).search(np.ones(DIM), 3, effort=0.5)
    assert ids.tolist() == [[-1, -1, -1]]
    assert similarity.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("effort", [0, -0.1, 1.1, float("nan"), "much"])
def test_invalid_effort_is_refused(effort):
    x, _ = clustered(5)
    for engine in (ExhaustiveEngine(CODER, [block(x, range(5))]), PooledEngine(CODER, [], pooled(x, range(5)))):
        with pytest.raises(InputError, match="effort: expected a number above 0 and at most 1"):
            engine.search(x[:1], 1, effort=effort)


def test_missing_values_of_queries_are_estimated():
    x, _ = clustered(3000)
    engine = PooledEngine(CODER, [block(x, range(3000))], pooled(x, range(3000)))
    cue = x[7].astype(np.float32)
    cue[::3] = np.nan
    assert engine.search(cue, 1, effort=0.5)[1] == 7


# the pools


def test_codes_equal_those_of_the_coder():
    x, _ = clustered(1000)
    codes = codes_by_id(pooled(x, range(1000)))
    assert codes == dict(enumerate(CODER.encode(x).tolist()))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_pools_contain_what_was_added_and_not_removed(seed, data):
    x, _ = clustered(600, seed)
    pools, there = Pools(CODER), set()
    for _ in range(4):
        new = np.array(sorted(set(data.draw(st.sets(st.integers(0, 599), max_size=300))) - there), np.int64)
        pools.add(x[new], new)
        there |= set(new.tolist())
        gone = data.draw(st.sets(st.integers(0, 650), max_size=300))
        pools.remove(np.array(sorted(gone), np.int64))
        there -= gone
        assert pools.known().tolist() == sorted(there)
        assert len(pools) == len(there)
    assert len(pools.ids) <= 600
    codes = CODER.encode(x).tolist()
    assert codes_by_id(pools) == {i: codes[i] for i in there}


def test_room_of_removed_items_is_used_again():
    x, _ = clustered(300)
    pools = pooled(x, range(300))
    pools.remove(np.arange(300))
    assert (len(pools), pools.fill) == (0, 0)
    pools.add(x, np.arange(1000, 1300))
    engine = PooledEngine(CODER, [block(x, range(1000, 1300))], pools)
    assert engine.search(x[5].astype(np.float32), 1, effort=0.2)[1] == 1005


def test_wide_features_and_few_clusters():
    coder = CliqueCoder(600, clusters=24)
    x = np.random.default_rng(0).standard_normal((200, 600)).astype(np.float16)
    pools = Pools(coder)
    pools.add(x, np.arange(200))
    engine = PooledEngine(coder, [Block(np.arange(200), coder.encode(x), x)], pools, candidates=20)
    assert (engine.search(x[:20], 1, effort=0.9)[1][:, 0] == np.arange(20)).mean() >= 0.8
