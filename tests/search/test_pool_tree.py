"""The pool tree: every item is in exactly one pool, and in the nearest one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search import pool_tree
from assocmem.search.pool_kernels import POOL_ITEMS, QueryTables
from tests import naive_index
from tests.search.pool_helpers import CODER, WIDTH, check_tree, coded, level_codes, normal
from tests.strategies import PLAIN, law, seeds


def clustered(seed, n):
    """Vectors around centres, some of them many times."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((5, WIDTH))
    x = centres[rng.integers(0, 5, n)] + 0.4 * rng.standard_normal((n, WIDTH))
    x[rng.random(n) < 0.2] = x[0]
    return x.astype(np.float32)


class Store:
    """A tree over vectors that are their own rotation, and the vectors by member."""

    def __init__(self, x):
        self.x = x
        self.tree = pool_tree.PoolTree(CODER, CODER, lambda means: np.ascontiguousarray(means))

    def vectors(self, members):
        return self.x[members]

    def add(self, members):
        members = np.asarray(members, np.int32)
        self.tree.add(self.x[members], members, self.vectors)

    def check(self, members):
        check_tree(self.tree, members)


@law
@given(seed=seeds, few_groups=st.booleans())
def test_every_item_is_in_one_pool(seed, few_groups):
    rng = np.random.default_rng(seed)
    n = 200 if PLAIN else 900
    store, present = Store(clustered(seed, n)), set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool_tree, "SEARCH_GROUPS_FROM", 2 if few_groups else 10**9)
        patch.setattr(pool_tree, "ADD_GROUPS_FROM", 2 if few_groups else 10**9)
        for _ in range(6):
            absent = rng.permutation([m for m in range(n) if m not in present])
            new = absent[: int(rng.integers(0, 1 + len(absent)))]
            store.add(new)
            present |= set(new.tolist())
            store.check(present)
            gone = rng.permutation(sorted(present))[: int(rng.integers(0, 1 + len(present)))]
            for member in gone.tolist():
                store.tree.remove(member)
            present -= set(gone.tolist())
            store.check(present)


@pytest.mark.skipif(PLAIN, reason="thousands of items")
@pytest.mark.parametrize("few_groups", [False, True])
def test_groups_split_like_pools(monkeypatch, few_groups):
    """With enough pools to fill groups, the structure is intact, and items are found by their own vectors."""
    monkeypatch.setattr(pool_tree, "SEARCH_GROUPS_FROM", 2 if few_groups else 10**9)
    monkeypatch.setattr(pool_tree, "ADD_GROUPS_FROM", 2 if few_groups else 10**9)
    store = Store(normal(5, 12_000, WIDTH))
    for part in np.array_split(np.random.default_rng(0).permutation(12_000), 5):
        store.add(part)
    store.check(range(12_000))
    assert store.tree.pools.pool_count > 3
    found = store.tree.search(store.x[:100], (10, 60, 20))
    assert np.mean([m in store.tree.candidate_members(found, m) for m in range(100)]) > 0.95
    assert (found.counts[:, 0] > 0).all() == few_groups
    for member in range(0, 12_000, 3):
        store.tree.remove(member)
    store.check([m for m in range(12_000) if m % 3])


@law
@given(seed=seeds)
def test_items_are_added_to_the_pool_whose_mean_has_the_highest_score(seed):
    n = 70 if PLAIN else 300
    store = Store(clustered(seed, n))
    store.add(range(n - 1))
    tables = QueryTables(*CODER.tables(store.x[n - 1 :]))
    scores = naive_index.scores(store.tree.pools.arrays, tables.entries[0], tables.terms[0])
    before = {pool: set(store.tree.items.members_of(pool).tolist()) for pool in scores}
    store.add([n - 1])
    pool = int(store.tree.items.arrays.slot_of[n - 1]) // POOL_ITEMS
    if store.tree.items.pool_count == len(before):
        assert scores[pool] >= max(scores.values()) - 1e-4
        assert set(store.tree.items.members_of(pool).tolist()) == before[pool] | {n - 1}


def test_equal_items_fill_several_pools():
    store = Store(np.tile(normal(1, 1, WIDTH), (400, 1)))
    store.add(range(400))
    store.check(range(400))
    for member in range(400):
        store.tree.remove(member)
    store.check([])
    store.add(range(10))
    store.check(range(10))


@law
@given(seed=seeds)
def test_a_merged_tree_is_complete(seed):
    n = 100 if PLAIN else 600
    one, two = Store(clustered(seed, n)), Store(clustered(seed + 1, n))
    one.add(range(n // 2))
    two.add(range(n))
    for member in range(0, n, 3):
        two.tree.remove(member)
    left = [m for m in range(n) if m % 3]
    before = level_codes(two.tree.items, left)
    numbers = np.full(n, -1, np.int32)
    numbers[left] = np.arange(n, n + len(left))
    one.tree.merge(two.tree, numbers)
    one.check([*range(n // 2), *range(n, n + len(left))])
    two.check(left)
    assert level_codes(one.tree.items, range(n, n + len(left))) == before
    one.x = np.concatenate([one.x, two.x[left]])
    one.add(range(n // 2, n))
    one.check(range(n + len(left)))


@law
@given(seed=seeds)
def test_pools_are_inserted_into_their_nearest_group_after_full_groups_split(seed):
    """Here all groups are full, and after the first split another full one may be the nearest."""
    store = Store(normal(seed, 200, WIDTH))
    tree = store.tree
    for group in range(2):
        tree.pools.append(tree.pools.new_pool(), coded(store.x[64 * group :][:64], range(64 * group, 64 * group + 64)))
    tree.groups.append(tree.groups.new_pool(), coded(store.x[:2], range(2)))
    tree.insert_pools([128, 129], store.x[128:130], np.zeros(2, np.float32))
    naive_index.check_level(tree.pools.arrays, range(130))
    naive_index.check_level(tree.groups.arrays, range(tree.pools.pool_count))
    assert tree.pools.pool_count > 2
    entries, terms = tree.router.tables(store.x[129:130])
    scores = naive_index.scores(tree.groups.arrays, entries[0], terms[0])
    assert 129 in tree.pools.members_of(max(scores, key=scores.get))


def test_a_pool_makes_a_group_if_there_is_none():
    tree = Store(normal(1, 3, WIDTH)).tree
    for _ in range(2):
        tree.insert_pools([tree.items.new_pool()], normal(2, 1, WIDTH), np.zeros(1, np.float32))
        naive_index.check_level(tree.groups.arrays, [0])
        tree.remove_pool(tree.items.pool_count - 1)
        assert not tree.groups.arrays.sizes.any()
