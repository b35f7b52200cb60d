"""A level of pools behaves like a dictionary of lists, and full pools split in two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search.pool_kernels import POOL_ITEMS
from assocmem.search.pool_level import PoolLevel, item_of, two_means
from tests import naive_index
from tests.search.pool_helpers import CODER, WIDTH, coded, level_codes, level_of, normal
from tests.strategies import law, seeds

# pools


@law
@given(seed=seeds)
def test_a_level_behaves_like_a_dictionary_of_pools(seed):
    rng = np.random.default_rng(seed)
    x, level, known = normal(seed, 300, WIDTH), PoolLevel(CODER.code_bytes), {}
    for _ in range(40):
        choice = rng.random()
        if choice < 0.5:
            absent = rng.permutation([m for m in range(300) if all(m not in pool for pool in known.values())])
            pool = level.new_pool() if rng.random() < 0.3 or not known else int(rng.choice(list(known)))
            new = absent[: int(rng.integers(1, 20))][: POOL_ITEMS - len(known.get(pool, []))]
            if len(new):
                level.append(pool, coded(x[new], new))
                known[pool] = [*known.get(pool, []), *new.tolist()]
            elif pool not in known:
                level.empty_pools.append(pool)
        elif choice < 0.8 and known:
            pool = int(rng.choice(list(known)))
            member = int(rng.choice(known[pool]))
            assert level.remove(member) == pool
            known[pool].remove(member)
        elif known:
            pool = int(rng.choice(list(known)))
            members = level.members_of(pool)
            if len(members) > 1:
                side = np.arange(len(members)) % 3 == 0
                other = level.split(pool, side)
                known[pool], known[other] = members[~side].tolist(), members[side].tolist()
        known = {pool: members for pool, members in known.items() if members}
        naive_index.check_level(level.arrays, [m for members in known.values() for m in members])
        for pool, members in known.items():
            assert sorted(level.members_of(pool).tolist()) == sorted(members)
            expected = coded(x[members], members)
            for found, wanted in zip(level.coded(np.array(members, np.int32)), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)
        used = set(range(level.pool_count)) - set(known)
        assert sorted(level.empty_pools) == sorted(used)


def test_removing_moves_the_last_item_of_the_pool_into_the_gap():
    x = normal(1, 30, WIDTH)
    level = level_of(x, [20, 10])
    before = level.coded(np.arange(30, dtype=np.int32))
    level.remove(3)
    assert level.members_of(0).tolist() == [0, 1, 2, 19, *range(4, 19)]
    left = np.array([m for m in range(30) if m != 3], np.int32)
    for found, was in zip(level.coded(left), before, strict=True):
        np.testing.assert_array_equal(found, was[left])
    naive_index.check_level(level.arrays, left.tolist())


def test_a_pool_with_room_is_the_first_in_use_or_a_new_one():
    level = level_of(normal(1, 200, WIDTH), [64, 64, 30])
    assert level.pool_with_room() == 2
    for member in range(64):
        level.remove(member)
    level.append(2, coded(normal(2, 34, WIDTH), range(34)))
    assert level.pool_with_room() == 0  # the empty one, because all others are full
    assert level.empty_pools == []


@law
@given(seed=seeds, first=st.sampled_from([[], [5], [64, 0, 3]]), second=st.sampled_from([[], [7], [2, 64, 0]]))
def test_a_merged_level_keeps_its_pools_and_codes(seed, first, second):
    x = normal(seed, 200, WIDTH)
    here, there = level_of(x, first), level_of(x[100:], second)
    for level, sizes in ((here, first), (there, second)):
        level.empty_pools.extend(pool for pool, size in enumerate(sizes) if size == 0)
    mine, theirs = sum(first), sum(second)
    codes = [*level_codes(here, range(mine)), *level_codes(there, range(theirs))]
    numbers = np.arange(mine, mine + max(1, theirs), dtype=np.int32)
    made = here.pool_count
    found = here.merge(there, numbers)
    assert found[: there.pool_count].tolist() == list(range(made, made + there.pool_count))
    naive_index.check_level(here.arrays, range(mine + theirs))
    naive_index.check_level(there.arrays, range(theirs))
    assert level_codes(here, range(mine + theirs)) == codes
    assert sorted(here.empty_pools) == np.flatnonzero(here.arrays.sizes[: here.pool_count] == 0).tolist()


def test_a_level_grows_as_one_piece():
    level = PoolLevel(CODER.code_bytes)
    for _ in range(40):
        level.new_pool()
        rows = len(level.arrays.sizes)
        assert level.pool_count <= rows
        assert {len(level.arrays.codes), len(level.arrays.scales), len(level.arrays.biases)} == {4 * rows}
        assert len(level.arrays.members) == 64 * rows
        assert (level.arrays.biases == naive_index.EMPTY_BIAS).all()
        assert (level.arrays.members == -1).all()


def test_one_of_several_items_is_an_array_of_one_item():
    x = coded(normal(1, 4, WIDTH), range(4))
    one = item_of(x, 2)
    assert [part.tolist() for part in one] == [part[2:3].tolist() for part in x]


# splitting in two


@law
@given(seed=seeds, n=st.integers(2, 64), d=st.sampled_from([1, 3, 16]))
def test_each_side_has_at_least_an_eighth(seed, n, d):
    x, side = normal(seed, n, d), np.zeros(n, np.bool_)
    means, spreads = two_means(x, side, 6)
    assert max(1, n // 8) <= side.sum() <= n - max(1, n // 8)
    sides = x[~side], x[side]
    np.testing.assert_allclose(means, [part.mean(axis=0) for part in sides], atol=1e-4)
    widths = [((part - part.mean(axis=0)) ** 2).sum(axis=1).mean() for part in sides]
    np.testing.assert_allclose(spreads, widths, rtol=1e-3, atol=1e-5)


@law
@given(seed=seeds)
def test_two_clusters_are_separated(seed):
    rng = np.random.default_rng(seed)
    second = rng.permutation(np.arange(60) < rng.integers(10, 50))
    x = (rng.standard_normal((60, 8)) + np.where(second[:, None], 20, 0)).astype(np.float32)
    side = np.zeros(60, np.bool_)
    two_means(x, side, 6)
    assert (side == second).all() or (side != second).all()


@pytest.mark.parametrize("n", [2, 3, 64])
def test_equal_vectors_are_split_in_halves(n):
    x, side = np.full((n, 4), 0.1, np.float32), np.zeros(n, np.bool_)
    means, spreads = two_means(x, side, 6)
    assert side.sum() == n - n // 2
    assert (means == np.float32(0.1)).all()
    assert spreads.tolist() == [0, 0]


@pytest.mark.parametrize("alone", [0, 31, 63])
def test_one_different_vector_splits_all_others(alone):
    x, side = np.zeros((64, 4), np.float32), np.zeros(64, np.bool_)
    x[alone] = 1
    two_means(x, side, 6)
    assert 0 < side.sum() < 64
