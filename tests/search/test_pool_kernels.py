"""Kernels that score pools and select the best, compared with plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search.pool_kernels import QueryTables, best_slots, find_threshold, list_blocks, search_pools, slots_above
from assocmem.search.pool_level import PoolLevel
from tests import naive_index
from tests.search.pool_helpers import CODER, WIDTH, coded, level_of, normal
from tests.strategies import PLAIN, law, seeds

# selecting scores


@law
@given(seed=seeds, n=st.integers(1, 400), keep=st.integers(1, 60), few=st.booleans())
def test_the_wanted_number_of_scores_exceeds_the_threshold(seed, n, keep, few):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-3, 3, n) if few else rng.standard_normal(n) * 10.0 ** rng.integers(-6, 6)).astype(
        np.float32
    )
    scores[rng.random(n) < 0.3] = -np.inf
    threshold = find_threshold(scores, n, keep)
    present = sorted(scores[scores > -np.inf].tolist(), reverse=True)
    count = sum(score > threshold for score in present)
    if len(present) <= keep:
        assert count == len(present)
    else:
        assert count >= keep
        ties = present.count(min(score for score in present if score > threshold))
        assert count <= max(keep + keep // 8, keep + ties)


@pytest.mark.parametrize("value", [0.0, -1e-30, 1e-30, -3.5, 1e20, -1e20])
def test_equal_scores_all_exceed_the_threshold(value):
    scores = np.full(50, value, np.float32)
    assert find_threshold(scores, 50, 10) < np.float32(value)


@law
@given(seed=seeds)
def test_slots_above_a_threshold_are_listed_in_order(seed):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal(16 * 6).astype(np.float32)
    before, blocks = scores.copy(), rng.permutation(50)[:6].astype(np.int32)
    slots = np.full(16 * 6, -7, np.int32)
    n = slots_above(scores, blocks, 6, np.float32(0.3), slots)
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
    above, top = PoolLevel(CODER.code_bytes), PoolLevel(CODER.code_bytes)
    for half in np.array_split(used, 2):
        above.append(above.new_pool(), coded(normal(seed + 1, len(half), WIDTH), half))
    there = [group for group in range(2) if above.arrays.sizes[group]]
    top.append(top.new_pool(), coded(normal(seed + 2, len(there), WIDTH), there))
    tables = QueryTables(*CODER.tables(normal(seed + 3, 2, WIDTH)))
    most = items + items // 8
    found = np.empty((2, most), np.float32), np.empty((2, most), np.int32)
    counts = np.full((2, 4), -1, np.int64)
    levels = level.arrays, above.arrays, top.arrays
    keep = np.array([1 if groups else 0, kept_pools, items])
    search_pools(levels, tables, tables, keep, found, counts)
    for i in range(2):
        query = tables.entries[i], tables.terms[i]
        asked = set(used.tolist())
        if groups:
            asked = set(naive_index.members_of(above.arrays, best(naive_index.scores(top.arrays, *query), 1)[0]))
            assert counts[i, 0] == 16
        scores = naive_index.scores(above.arrays, *query)
        asked = best({pool: score for pool, score in scores.items() if pool in asked}, kept_pools)
        if len(asked) > kept_pools:  # pools that nearly tie
            asked = None
        scores = naive_index.scores(level.arrays, *query)
        members = level.arrays.members[found[1][i, : counts[i, 3]]].tolist()
        assert len(members) == len(set(members))
        np.testing.assert_allclose(found[0][i, : len(members)], [scores[m] for m in members], atol=1e-4)
        if asked is None:
            continue
        inside = {m: scores[m] for pool in asked for m in naive_index.members_of(level.arrays, pool)}
        assert set(members) <= set(inside)
        assert min(items, len(inside)) <= len(members) <= most
        left = [score for m, score in inside.items() if m not in members]
        assert not left or len(members) == most or max(left) <= min(scores[m] for m in members) + 1e-4
        assert counts[i, 2] == 16 * sum(-(-int(sizes[pool]) // 16) for pool in asked)


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
    """Also if the guess from every eighth block is wrong: with equal scores, or if those blocks are the best."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 3 if kind == "sparse" else 65, pools_made)
    x = normal(seed, int(sizes.sum()), WIDTH)
    if kind == "equal":
        x[:] = x[0]
    query = normal(seed + 1, 1, WIDTH)
    level = level_of(x, sizes)
    entries, terms = CODER.tables(query)
    blocks = np.empty(4 * pools_made + 1, np.int32)
    count = list_blocks(level.arrays, blocks)
    if kind == "best in few blocks":
        level.arrays.biases[blocks[:count:8]] = np.where(
            level.arrays.biases[blocks[:count:8]] == naive_index.EMPTY_BIAS, naive_index.EMPTY_BIAS, 0x42C8
        )
    scores, slots = np.empty(16 * count, np.float32), np.empty(16 * count, np.int32)
    most = 2 * keep if roomy else keep + keep // 8
    n = best_slots(level.arrays, blocks, count, (entries[0], terms[0]), keep, most, scores, slots)
    expected = naive_index.scores(level.arrays, entries[0], terms[0])
    members = level.arrays.members[slots[:n]].tolist()
    assert len(set(members)) == n
    assert min(keep, len(expected)) <= n <= most
    np.testing.assert_allclose(scores[:n], [expected[m] for m in members], atol=1e-4)
    left = [score for m, score in expected.items() if m not in set(members)]
    if kind == "equal":
        assert not left or max(left) - min(left) < 1e-4
    else:
        assert not left or max(left) <= scores[:n].min() + 1e-4


def best(scores, keep):
    """Names of the ``keep`` highest scores, and of others that nearly equal the last of them."""
    order = sorted(scores, key=lambda name: -scores[name])
    return [name for name in order if scores[name] >= scores[order[min(keep, len(order)) - 1]] - 1e-4]
