"""Coded items, levels and trees of pools for tests."""

from __future__ import annotations

import numpy as np

from assocmem._numerics.simd import to_bfloat16
from assocmem.codes.nibble_codes import NibbleCoder
from assocmem.search.pool_kernels import CodedItems
from assocmem.search.pool_level import PoolLevel
from tests import naive_index

WIDTH = 16
CODER = NibbleCoder(WIDTH, 8)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def coded(x, members):
    codes, scales, squares = CODER.encode(x)
    return CodedItems(codes, to_bfloat16(scales), to_bfloat16(squares * -0.5), np.asarray(members, np.int32))


def level_of(x, sizes):
    """A level with pools of these sizes and members in order."""
    level, at = PoolLevel(CODER.code_bytes), 0
    for size in sizes:
        pool = level.new_pool()
        level.append(pool, coded(x[at : at + size], range(at, at + size)))
        at += size
    return level


def level_codes(level, members):
    """Code, scale and bias of each member."""
    read = level.coded(np.array(list(members), np.int32))
    return [(code.tobytes(), int(scale), int(bias)) for code, scale, bias in zip(*read[:3], strict=True)]


def check_tree(tree, members):
    """Check the structure of a tree: members in items, used pools in pools, used groups in groups."""
    items, pools, groups = (level.arrays for _, level in tree.named_levels())
    naive_index.check_level(items, members)
    naive_index.check_level(pools, np.flatnonzero(items.sizes[: items.pool_count[0]]).tolist())
    naive_index.check_level(groups, np.flatnonzero(pools.sizes[: pools.pool_count[0]]).tolist())
    for _, level in tree.named_levels():
        assert sorted(level.empty_pools) == np.flatnonzero(level.arrays.sizes[: level.pool_count] == 0).tolist()
    assert tree.inconsistent_levels() == []
