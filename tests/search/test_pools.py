"""Pools: what is scanned, kept, placed, taken out and divided, against plain loops; nothing is ever lost or doubled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem._numerics.simd import to_bfloat16
from assocmem.codes.nibble_codes import SymbolCoder
from assocmem.search import choosing, pool_kernels
from assocmem.search import pool_tree as pools
from assocmem.search.blocks import POOL_ITEMS, Coded, Tables
from assocmem.search.halving import halve
from assocmem.search.pool_level import Level, grown, part_of
from tests import naive_index
from tests.strategies import PLAIN, law, seeds

WIDTH = 16
CODER = SymbolCoder(WIDTH, 8)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def clustered(seed, n):
    """Vectors around centres, some of them many times."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((5, WIDTH))
    x = centres[rng.integers(0, 5, n)] + 0.4 * rng.standard_normal((n, WIDTH))
    x[rng.random(n) < 0.2] = x[0]
    return x.astype(np.float32)


def coded(x, members):
    codes, scales, squares = CODER.encode(x)
    return Coded(codes, to_bfloat16(scales), to_bfloat16(squares * -0.5), np.asarray(members, np.int32))


def level_of(x, sizes):
    """A level with pools of these sizes, members in order."""
    level, at = Level(CODER.code_bytes), 0
    for size in sizes:
        pool = level.new_pool()
        level.append(pool, coded(x[at : at + size], range(at, at + size)))
        at += size
    return level


class Store:
    """A tree over vectors that are their own rotation, and the vectors by member."""

    def __init__(self, x):
        self.x = x
        self.tree = pools.PoolTree(CODER, CODER, lambda means: np.ascontiguousarray(means))

    def vectors(self, members):
        return self.x[members]

    def add(self, members):
        members = np.asarray(members, np.int32)
        self.tree.add(self.x[members], members, self.vectors)

    def check(self, members):
        """The structure of the whole tree: members in items, used pools in pools, used groups in groups."""
        items, above, groups = self.tree._levels()
        naive_index.check_level(items, members)
        naive_index.check_level(above, np.flatnonzero(items.sizes[: items.made[0]]).tolist())
        naive_index.check_level(groups, np.flatnonzero(above.sizes[: above.made[0]]).tolist())
        for level in (self.tree.items, self.tree.pools, self.tree.groups):
            empty = np.flatnonzero(level.blocks.sizes[: level.pools] == 0).tolist()
            assert sorted(level.vacant) == empty
        return int(items.sizes.max(initial=0))


# choosing among scores


@law
@given(seed=seeds, n=st.integers(1, 400), keep=st.integers(1, 60), few=st.booleans())
def test_a_floor_has_as_many_above_it_as_are_to_be_kept(seed, n, keep, few):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-3, 3, n) if few else rng.standard_normal(n) * 10.0 ** rng.integers(-6, 6)).astype(
        np.float32
    )
    scores[rng.random(n) < 0.3] = -np.inf
    floor = choosing.floor_above(scores, n, keep)
    there = sorted(scores[scores > -np.inf].tolist(), reverse=True)
    count = sum(score > floor for score in there)
    if len(there) <= keep:
        assert count == len(there)
    else:
        assert count >= keep
        ties = there.count(min(score for score in there if score > floor))
        assert count <= max(keep + keep // 8, keep + ties)


@pytest.mark.parametrize("value", [0.0, -1e-30, 1e-30, -3.5, 1e20, -1e20])
def test_a_floor_below_equal_scores_keeps_them_all(value):
    scores = np.full(50, value, np.float32)
    assert choosing.floor_above(scores, 50, 10) < np.float32(value)


@law
@given(seed=seeds)
def test_slots_above_a_floor_are_listed_in_order(seed):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal(16 * 6).astype(np.float32)
    before, blocks = scores.copy(), rng.permutation(50)[:6].astype(np.int32)
    slots = np.full(16 * 6, -7, np.int32)
    n = choosing.slots_above(scores, blocks, 6, np.float32(0.3), slots)
    expected = [(16 * blocks[i // 16] + i % 16, score) for i, score in enumerate(before) if score > np.float32(0.3)]
    assert n == len(expected)
    assert list(zip(slots[:n].tolist(), scores[:n].tolist(), strict=True)) == expected
    assert (slots[n:] == -7).all()


# searching


@law
@given(seed=seeds, items=st.sampled_from([1, 5, 40]), kept_pools=st.integers(1, 9), groups=st.booleans())
def test_a_search_keeps_the_best_of_each_level(seed, items, kept_pools, groups):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 30 if PLAIN else 65, 8)
    sizes[0] = max(1, sizes[0])
    x = normal(seed, int(sizes.sum()), WIDTH)
    level = level_of(x, sizes)
    used = np.flatnonzero(sizes)
    above, top = Level(CODER.code_bytes), Level(CODER.code_bytes)
    for half in np.array_split(used, 2):
        above.append(above.new_pool(), coded(normal(seed + 1, len(half), WIDTH), half))
    there = [group for group in range(2) if above.blocks.sizes[group]]
    top.append(top.new_pool(), coded(normal(seed + 2, len(there), WIDTH), there))
    tables = Tables(*CODER.tables(normal(seed + 3, 2, WIDTH)))
    most = items + items // 8
    found = np.empty((2, most), np.float32), np.empty((2, most), np.int32)
    kept = np.full((2, 4), -1, np.int64)
    levels = level.blocks, above.blocks, top.blocks
    plan = np.array([1 if groups else 0, kept_pools, items])
    pool_kernels.search_pools(levels, tables, tables, plan, found, kept)
    for i in range(2):
        query = tables.entries[i], tables.terms[i]
        asked = set(used.tolist())
        if groups:
            asked = set(naive_index.members_of(above.blocks, best(naive_index.scores(top.blocks, *query), 1)[0]))
            assert kept[i, 0] == 16
        scores = naive_index.scores(above.blocks, *query)
        asked = best({pool: score for pool, score in scores.items() if pool in asked}, kept_pools)
        if len(asked) > kept_pools:  # pools that nearly tie
            asked = None
        scores = naive_index.scores(level.blocks, *query)
        members = level.blocks.members[found[1][i, : kept[i, 3]]].tolist()
        assert len(members) == len(set(members))
        np.testing.assert_allclose(found[0][i, : len(members)], [scores[m] for m in members], atol=1e-4)
        if asked is None:
            continue
        inside = {m: scores[m] for pool in asked for m in naive_index.members_of(level.blocks, pool)}
        assert set(members) <= set(inside)
        assert min(items, len(inside)) <= len(members) <= most
        left = [score for m, score in inside.items() if m not in members]
        assert not left or len(members) == most or max(left) <= min(scores[m] for m in members) + 1e-4
        assert kept[i, 2] == 16 * sum(-(-int(sizes[pool]) // 16) for pool in asked)


@pytest.mark.skipif(PLAIN, reason="thousands of items")
@law
@given(
    seed=seeds,
    pools_made=st.sampled_from([3, 16, 40]),
    keep=st.sampled_from([1, 10, 100, 900]),
    kind=st.sampled_from(["normal", "sparse", "equal", "best in few blocks"]),
    roomy=st.booleans(),
)
def test_the_best_of_many_blocks_are_kept(seed, pools_made, keep, kind, roomy):
    """Also where the guess from every eighth block is wrong: among equal scores, or where those blocks are the best."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 3 if kind == "sparse" else 65, pools_made)
    x = normal(seed, int(sizes.sum()), WIDTH)
    if kind == "equal":
        x[:] = x[0]
    query = normal(seed + 1, 1, WIDTH)
    level = level_of(x, sizes)
    entries, terms = CODER.tables(query)
    blocks = np.empty(4 * pools_made + 1, np.int32)
    count = pool_kernels._all_blocks(level.blocks, blocks)
    if kind == "best in few blocks":
        level.blocks.biases[blocks[:count:8]] = np.where(
            level.blocks.biases[blocks[:count:8]] == naive_index.NOTHING, naive_index.NOTHING, 0x42C8
        )
    scores, slots = np.empty(16 * count, np.float32), np.empty(16 * count, np.int32)
    most = 2 * keep if roomy else keep + keep // 8
    n = pool_kernels._best(level.blocks, blocks, count, (entries[0], terms[0]), keep, most, scores, slots)
    expected = naive_index.scores(level.blocks, entries[0], terms[0])
    members = level.blocks.members[slots[:n]].tolist()
    assert len(set(members)) == n
    assert min(keep, len(expected)) <= n <= most
    np.testing.assert_allclose(scores[:n], [expected[m] for m in members], atol=1e-4)
    left = [score for m, score in expected.items() if m not in set(members)]
    if kind == "equal":
        assert not left or max(left) - min(left) < 1e-4
    else:
        assert not left or max(left) <= scores[:n].min() + 1e-4


def best(scores, keep):
    """Names of the ``keep`` highest scores, and of any that come near the last of them."""
    order = sorted(scores, key=lambda name: -scores[name])
    return [name for name in order if scores[name] >= scores[order[min(keep, len(order)) - 1]] - 1e-4]


# one level


@law
@given(seed=seeds)
def test_a_level_behaves_as_a_dictionary_of_pools(seed):
    rng = np.random.default_rng(seed)
    x, level, known = normal(seed, 300, WIDTH), Level(CODER.code_bytes), {}
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
                level.vacant.append(pool)
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
                other = level.divide(pool, side)
                known[pool], known[other] = members[~side].tolist(), members[side].tolist()
        known = {pool: members for pool, members in known.items() if members}
        naive_index.check_level(level.blocks, [m for members in known.values() for m in members])
        for pool, members in known.items():
            assert sorted(level.members_of(pool).tolist()) == sorted(members)
            expected = coded(x[members], members)
            for found, wanted in zip(level.coded(np.array(members, np.int32)), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)
        used = set(range(level.pools)) - set(known)
        assert sorted(level.vacant) == sorted(used)


def test_removing_moves_the_last_of_the_pool_into_the_gap():
    x = normal(1, 30, WIDTH)
    level = level_of(x, [20, 10])
    before = level.coded(np.arange(30, dtype=np.int32))
    level.remove(3)
    assert level.members_of(0).tolist() == [0, 1, 2, 19, *range(4, 19)]
    left = np.array([m for m in range(30) if m != 3], np.int32)
    for found, was in zip(level.coded(left), before, strict=True):
        np.testing.assert_array_equal(found, was[left])
    naive_index.check_level(level.blocks, left.tolist())


def test_a_pool_with_room_is_the_first_in_use_or_a_new_one():
    level = level_of(normal(1, 200, WIDTH), [64, 64, 30])
    assert level.roomy_pool() == 2
    for member in range(64):
        level.remove(member)
    level.append(2, coded(normal(2, 34, WIDTH), range(34)))
    assert level.roomy_pool() == 0  # vacant, as there is no other
    assert level.vacant == []


@law
@given(seed=seeds, first=st.sampled_from([[], [5], [64, 0, 3]]), second=st.sampled_from([[], [7], [2, 64, 0]]))
def test_a_level_that_is_taken_over_keeps_its_pools_and_codes(seed, first, second):
    x = normal(seed, 200, WIDTH)
    here, there = level_of(x, first), level_of(x[100:], second)
    for level, sizes in ((here, first), (there, second)):
        level.vacant.extend(pool for pool, size in enumerate(sizes) if size == 0)
    mine, theirs = sum(first), sum(second)
    codes = [*level_codes(here, range(mine)), *level_codes(there, range(theirs))]
    numbers = np.arange(mine, mine + max(1, theirs), dtype=np.int32)
    made = here.pools
    found = here.take_over(there, numbers)
    assert found[: there.pools].tolist() == list(range(made, made + there.pools))
    naive_index.check_level(here.blocks, range(mine + theirs))
    naive_index.check_level(there.blocks, range(theirs))
    assert level_codes(here, range(mine + theirs)) == codes
    assert sorted(here.vacant) == np.flatnonzero(here.blocks.sizes[: here.pools] == 0).tolist()


def level_codes(level, members):
    read = level.coded(np.array(list(members), np.int32))
    return [(code.tobytes(), int(scale), int(bias)) for code, scale, bias in zip(*read[:3], strict=True)]


def test_what_is_full_grows_and_keeps_what_is_there():
    array = np.arange(6, dtype=np.int32).reshape(3, 2)
    assert grown(array, 3) is array
    longer = grown(array, 4, -1)
    assert longer.tolist() == [[0, 1], [2, 3], [4, 5], [-1, -1]]
    assert len(grown(np.zeros(800, np.int8), 801)) == 900
    assert len(grown(np.zeros(800, np.int8), 801, exact=True)) == 801


def test_a_level_grows_as_one_piece():
    level = Level(CODER.code_bytes)
    for _ in range(40):
        level.new_pool()
        rows = len(level.blocks.sizes)
        assert level.pools <= rows
        assert {len(level.blocks.codes), len(level.blocks.scales), len(level.blocks.biases)} == {4 * rows}
        assert len(level.blocks.members) == 64 * rows
        assert (level.blocks.biases == naive_index.NOTHING).all()
        assert (level.blocks.members == -1).all()


def test_one_of_coded_items_is_as_if_it_were_all():
    x = coded(normal(1, 4, WIDTH), range(4))
    one = part_of(x, 2)
    assert [part.tolist() for part in one] == [part[2:3].tolist() for part in x]


# dividing


@law
@given(seed=seeds, n=st.integers(2, 64), d=st.sampled_from([1, 3, 16]))
def test_halves_are_neither_empty_nor_small(seed, n, d):
    x, side = normal(seed, n, d), np.zeros(n, np.bool_)
    means, spreads = halve(x, side, 6)
    assert max(1, n // 8) <= side.sum() <= n - max(1, n // 8)
    halves = x[~side], x[side]
    np.testing.assert_allclose(means, [half.mean(axis=0) for half in halves], atol=1e-4)
    widths = [((half - half.mean(axis=0)) ** 2).sum(axis=1).mean() for half in halves]
    np.testing.assert_allclose(spreads, widths, rtol=1e-3, atol=1e-5)


@law
@given(seed=seeds)
def test_halves_of_two_heaps_are_the_heaps(seed):
    rng = np.random.default_rng(seed)
    second = rng.permutation(np.arange(60) < rng.integers(10, 50))
    x = (rng.standard_normal((60, 8)) + np.where(second[:, None], 20, 0)).astype(np.float32)
    side = np.zeros(60, np.bool_)
    halve(x, side, 6)
    assert (side == second).all() or (side != second).all()


@pytest.mark.parametrize("n", [2, 3, 64])
def test_vectors_that_are_all_alike_are_halved_all_the_same(n):
    x, side = np.full((n, 4), 0.1, np.float32), np.zeros(n, np.bool_)
    means, spreads = halve(x, side, 6)
    assert side.sum() == n - n // 2
    assert (means == np.float32(0.1)).all()
    assert spreads.tolist() == [0, 0]


@pytest.mark.parametrize("alone", [0, 31, 63])
def test_one_that_is_unlike_all_others_divides_them(alone):
    x, side = np.zeros((64, 4), np.float32), np.zeros(64, np.bool_)
    x[alone] = 1
    halve(x, side, 6)
    assert 0 < side.sum() < 64


# the tree


@law
@given(seed=seeds, few_groups=st.booleans())
def test_every_item_is_in_one_pool_whatever_comes_and_goes(seed, few_groups):
    rng = np.random.default_rng(seed)
    n = 200 if PLAIN else 900
    store, present = Store(clustered(seed, n)), set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "GROUPS_FROM", 2 if few_groups else 10**9)
        patch.setattr(pools, "ADDED_BY_GROUPS_FROM", 2 if few_groups else 10**9)
        for _ in range(6):
            absent = rng.permutation([m for m in range(n) if m not in present])
            new = absent[: int(rng.integers(0, 1 + len(absent)))]
            store.add(new)
            present |= set(new.tolist())
            assert store.check(present) <= POOL_ITEMS
            gone = rng.permutation(sorted(present))[: int(rng.integers(0, 1 + len(present)))]
            for member in gone.tolist():
                store.tree.remove(member)
            present -= set(gone.tolist())
            store.check(present)


@pytest.mark.skipif(PLAIN, reason="thousands of items")
@pytest.mark.parametrize("few_groups", [False, True])
def test_groups_divide_as_pools_do(monkeypatch, few_groups):
    """So many pools that they fill groups; the structure holds, and what is asked for by its own vector is found."""
    monkeypatch.setattr(pools, "GROUPS_FROM", 2 if few_groups else 10**9)
    monkeypatch.setattr(pools, "ADDED_BY_GROUPS_FROM", 2 if few_groups else 10**9)
    store = Store(normal(5, 12_000, WIDTH))
    for part in np.array_split(np.random.default_rng(0).permutation(12_000), 5):
        store.add(part)
    store.check(range(12_000))
    assert store.tree.pools.pools > 3
    found = store.tree.search(store.x[:100], (10, 60, 20))
    assert np.mean([m in store.tree.members(found, m) for m in range(100)]) > 0.95
    assert (found.kept[:, 0] > 0).all() == few_groups
    for member in range(0, 12_000, 3):
        store.tree.remove(member)
    store.check([m for m in range(12_000) if m % 3])


@law
@given(seed=seeds)
def test_items_go_to_the_pool_whose_mean_has_the_highest_score(seed):
    n = 70 if PLAIN else 300
    store = Store(clustered(seed, n))
    store.add(range(n - 1))
    tables = Tables(*CODER.tables(store.x[n - 1 :]))
    _, above, _ = store.tree._levels()
    scores = naive_index.scores(above, tables.entries[0], tables.terms[0])
    before = {pool: set(store.tree.items.members_of(pool).tolist()) for pool in scores}
    store.add([n - 1])
    pool = int(store.tree.items.blocks.places[n - 1]) // POOL_ITEMS
    if store.tree.items.pools == len(before):
        assert scores[pool] >= max(scores.values()) - 1e-4
        assert set(store.tree.items.members_of(pool).tolist()) == before[pool] | {n - 1}


def test_equal_items_fill_pools_too():
    store = Store(np.tile(normal(1, 1, WIDTH), (400, 1)))
    store.add(range(400))
    assert store.check(range(400)) <= POOL_ITEMS
    for member in range(400):
        store.tree.remove(member)
    store.check([])
    store.add(range(10))
    store.check(range(10))


@law
@given(seed=seeds)
def test_a_tree_that_is_taken_over_is_whole(seed):
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
    one.tree.take_over(two.tree, numbers)
    one.check([*range(n // 2), *range(n, n + len(left))])
    two.check(left)
    assert level_codes(one.tree.items, range(n, n + len(left))) == before
    one.x = np.concatenate([one.x, two.x[left]])
    one.add(range(n // 2, n))
    one.check(range(n + len(left)))


@law
@given(seed=seeds)
def test_a_pool_that_is_entered_stands_in_its_nearest_group_and_full_ones_divide_before(seed):
    """Also where all groups are full, and another one, itself full, may be the nearest after the first has divided."""
    store = Store(normal(seed, 200, WIDTH))
    tree = store.tree
    for group in range(2):
        tree.pools.append(tree.pools.new_pool(), coded(store.x[64 * group :][:64], range(64 * group, 64 * group + 64)))
        tree._enter_groups([group], store.x[group : group + 1], np.zeros(1, np.float32))
    tree._enter([128, 129], store.x[128:130], np.zeros(2, np.float32))
    naive_index.check_level(tree.pools.blocks, range(130))
    naive_index.check_level(tree.groups.blocks, range(tree.pools.pools))
    assert tree.pools.pools > 2
    entries, terms = tree.router.tables(store.x[129:130])
    scores = naive_index.scores(tree.groups.blocks, entries[0], terms[0])
    assert 129 in tree.pools.members_of(max(scores, key=scores.get))


def test_the_first_pool_after_all_were_left_makes_a_group():
    tree = Store(normal(1, 3, WIDTH)).tree
    for _ in range(2):
        tree._enter([tree.items.new_pool()], normal(2, 1, WIDTH), np.zeros(1, np.float32))
        naive_index.check_level(tree.groups.blocks, [0])
        tree._leave(tree.items.pools - 1)
        assert not tree.groups.blocks.sizes.any()
