"""Kernels of pools: scanning them and keeping the best, putting items into them and taking them out.

A level's arrays come as one named tuple, ``Blocks``; scores are those of ``symbols.py``, highest best.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.byte_shuffle import sum_block
from assocmem._numerics.simd import lift_block, prefetch_row
from assocmem.search.blocks import NOTHING, POOL_BLOCKS, POOL_ITEMS
from assocmem.search.choosing import LOWEST, floor_above, keep_above, sampled_floor, slots_above

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_options)
def _scan(level, blocks, count, query, scores):  # type: ignore[no-untyped-def]
    """Score the first ``count`` of ``blocks``, int32; ``query``: (entries, terms); ``scores``: 16 each, filled."""
    entries, terms = query
    sums = np.empty(16, np.uint16)
    for i in range(count):
        block = np.int64(blocks[i])
        if i + 2 < count:  # pools lie anywhere, so the next ones have to be asked for
            ahead = np.int64(blocks[i + 2])
            prefetch_row(level.codes, ahead)
            prefetch_row(level.scales, ahead)
            prefetch_row(level.biases, ahead)
        sum_block(level.codes, block, entries, sums)
        lift_block(sums, level.scales, level.biases, block, terms, scores, 16 * i)


@njit(**_options)
def _best(level, blocks, count, query, keep, most, scores, slots):  # type: ignore[no-untyped-def]
    """Scan blocks and list the slots of about the ``keep`` best; returns how many, at most ``most``.

    ``most``: 9/8 of ``keep`` or more; ``scores``: float32, ``slots``: int32, room for 16 each per block.
    """
    _scan(level, blocks, count, query, scores)
    floor = sampled_floor(scores, count, keep) if count >= 64 else np.float32(LOWEST)
    n = slots_above(scores, blocks, count, floor, slots)
    if n < keep and floor > np.float32(LOWEST):  # guessed too high, and what was passed over is partly overwritten
        _scan(level, blocks, count, query, scores)
        n = slots_above(scores, blocks, count, np.float32(LOWEST), slots)
    if n > most:
        n = keep_above(scores, slots, n, floor_above(scores, n, keep))
    return min(n, most)


@njit(**_options)
def _nearest(level, blocks, count, query, scores):  # type: ignore[no-untyped-def]
    """Scan blocks and return the member of the highest score."""
    _scan(level, blocks, count, query, scores)
    best = 0
    for i in range(1, 16 * count):
        if scores[i] > scores[best]:
            best = i
    return level.members[16 * blocks[best >> 4] + (best & 15)]


@njit(**_options)
def _blocks_of(level, above, slots, n, blocks):  # type: ignore[no-untyped-def]
    """List the blocks of the pools that stand at slots of the level above; returns how many."""
    count = 0
    for i in range(n):
        pool = above.members[slots[i]]
        for k in range((level.sizes[pool] + 15) >> 4):
            blocks[count] = POOL_BLOCKS * pool + k
            count += 1
    return count


@njit(**_options)
def _all_blocks(level, blocks):  # type: ignore[no-untyped-def]
    """List all blocks in use; returns how many."""
    count = 0
    for pool in range(level.made[0]):
        for k in range((level.sizes[pool] + 15) >> 4):
            blocks[count] = POOL_BLOCKS * pool + k
            count += 1
    return count


@njit(**_options)
def _room(keep):  # type: ignore[no-untyped-def]
    return keep + (keep >> 3)


@njit(**_options)
def search_pools(levels, coarse, fine, plan, found, kept):  # type: ignore[no-untyped-def]
    """Groups -> pools -> items, the best of each by their codes.

    ``levels``: (items, pools, groups), each ``Blocks``; ``coarse``: ``Tables`` for the codes of pools and groups;
    ``fine``: for those of items; ``plan``: int64 (3,), how many groups, pools and items to keep, a number of groups
    below 1 for looking at all pools; ``found``: (scores float32 (n, r), slots int32 (n, r)), in no order, r at least
    9/8 of the items to keep; ``kept``: int64 (n, 4), filled with how many groups, pools and items were scored, and how
    many of ``found`` are filled.
    """
    items, pools, groups = levels
    widest = POOL_BLOCKS * max(groups.made[0], 2 * max(plan[0], plan[1]))  # what is kept may exceed its number by 1/8
    if plan[0] < 1:
        widest = max(widest, POOL_BLOCKS * pools.made[0])
    blocks = np.empty(widest + 1, np.int32)
    scores = np.empty(16 * blocks.shape[0], np.float32)
    slots = np.empty(scores.shape[0], np.int32)
    for i in range(kept.shape[0]):
        query = (coarse.entries[i], coarse.terms[i])
        if plan[0] > 0:
            count = _all_blocks(groups, blocks)
            kept[i, 0] = count * 16
            n = _best(groups, blocks, count, query, plan[0], _room(plan[0]), scores, slots)
            count = _blocks_of(pools, groups, slots, n, blocks)
        else:
            kept[i, 0] = 0
            count = _all_blocks(pools, blocks)
        kept[i, 1] = count * 16
        n = _best(pools, blocks, count, query, plan[1], _room(plan[1]), scores, slots)
        count = _blocks_of(items, pools, slots, n, blocks)
        kept[i, 2] = count * 16
        fine_query = (fine.entries[i], fine.terms[i])
        n = _best(items, blocks, count, fine_query, plan[2], found[0].shape[1], scores, slots)
        kept[i, 3] = n
        for k in range(n):
            found[0][i, k] = scores[k]
            found[1][i, k] = slots[k]


@njit(**_options)
def _append(level, pool, coded, i):  # type: ignore[no-untyped-def]
    """Put item ``i`` of ``coded`` into a pool that has room."""
    slot = POOL_ITEMS * pool + level.sizes[pool]
    block = slot >> 4
    lane = slot & 15
    for b in range(coded.codes.shape[1]):
        level.codes[block, b, lane] = coded.codes[i, b]
    level.scales[block, lane] = coded.scales[i]
    level.biases[block, lane] = coded.biases[i]
    level.members[slot] = coded.members[i]
    level.places[coded.members[i]] = slot
    level.sizes[pool] += 1


@njit(**_options)
def append(level, pool, coded):  # type: ignore[no-untyped-def]
    """Put all of ``coded`` into a pool that has room."""
    for i in range(coded.codes.shape[0]):
        _append(level, pool, coded, i)


@njit(**_options)
def place_items(levels, coarse, coded, start, groups_kept):  # type: ignore[no-untyped-def]
    """Put items from ``start`` on into their nearest pools; returns the first whose pool is full, and that pool.

    ``levels``, ``coarse``: as for ``search_pools``; ``groups_kept``: int, below 1 for looking at all pools.
    """
    items, pools, groups = levels
    blocks = np.empty(POOL_BLOCKS * max(pools.made[0], groups.made[0]) + 1, np.int32)
    scores = np.empty(16 * blocks.shape[0], np.float32)
    slots = np.empty(scores.shape[0], np.int32)
    count = _all_blocks(pools, blocks)
    for i in range(start, coded.codes.shape[0]):
        query = (coarse.entries[i], coarse.terms[i])
        if groups_kept > 0:
            count = _all_blocks(groups, blocks)
            n = _best(groups, blocks, count, query, groups_kept, _room(groups_kept), scores, slots)
            count = _blocks_of(pools, groups, slots, n, blocks)
        pool = _nearest(pools, blocks, count, query, scores)
        if items.sizes[pool] == POOL_ITEMS:
            return i, pool
        _append(items, pool, coded, i)
    return coded.codes.shape[0], -1


@njit(**_options)
def _move(level, there, here):  # type: ignore[no-untyped-def]
    """Put what lies in one slot into another."""
    for b in range(level.codes.shape[1]):
        level.codes[here >> 4, b, here & 15] = level.codes[there >> 4, b, there & 15]
    level.scales[here >> 4, here & 15] = level.scales[there >> 4, there & 15]
    level.biases[here >> 4, here & 15] = level.biases[there >> 4, there & 15]
    level.members[here] = level.members[there]
    level.places[level.members[here]] = here


@njit(**_options)
def take_out(level, member):  # type: ignore[no-untyped-def]
    """Remove a member; the last of its pool takes its place. Returns the pool."""
    slot = level.places[member]
    pool = slot // POOL_ITEMS
    last = POOL_ITEMS * pool + level.sizes[pool] - 1
    _move(level, last, slot)
    level.places[member] = -1
    level.biases[last >> 4, last & 15] = NOTHING
    level.sizes[pool] -= 1
    return pool


@njit(**_options)
def move_members(level, pool, other, side):  # type: ignore[no-untyped-def]
    """Move the members for which ``side``, bool (n,), is true to an empty pool; all stay in their order."""
    counts = np.zeros(2, np.int64)
    first = POOL_ITEMS * pool, POOL_ITEMS * other
    for i in range(level.sizes[pool]):
        there = first[0] + i
        which = 1 if side[i] else 0
        here = (first[1] if side[i] else first[0]) + counts[which]  # never behind what is still to be moved
        counts[which] += 1
        _move(level, there, here)
    for slot in range(first[0] + counts[0], first[0] + level.sizes[pool]):
        level.biases[slot >> 4, slot & 15] = NOTHING
    level.sizes[pool], level.sizes[other] = counts[0], counts[1]


@njit(**_options)
def read_out(level, slots, codes, scales, biases):  # type: ignore[no-untyped-def]
    """Copy codes (n, code_bytes), scales (n,) and biases (n,) from slots int32 (n,)."""
    for i in range(slots.shape[0]):
        block = slots[i] >> 4
        lane = slots[i] & 15
        for b in range(codes.shape[1]):
            codes[i, b] = level.codes[block, b, lane]
        scales[i] = level.scales[block, lane]
        biases[i] = level.biases[block, lane]
