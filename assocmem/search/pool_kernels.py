"""Kernels of pools: score their codes and keep the best, add items, move them, remove them.

A pool has room for 64 items, in 4 blocks of 16. A slot is the place of an item: 16 * block + lane. All arrays of a
level are passed to the kernels as one named tuple, ``LevelArrays``. Scores are those of ``codes.nibble_codes``: the
highest is the best.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.byte_shuffle import sum_block
from assocmem._numerics.simd import lanes_above, lowest_bit, prefetch_row, score_block
from assocmem._numerics.types import F32, I32, KERNEL, LANES, MAXIMUM_KERNEL, U8, U16

POOL_BLOCKS = 4
"""Blocks of a pool."""
POOL_ITEMS = LANES * POOL_BLOCKS
"""Items of a full pool."""
EMPTY_BIAS = np.uint16(0xFF80)
"""Bias of an empty lane: minus infinity as bfloat16."""
SPREAD_WEIGHT = np.float32(0.35)
"""Share of its members' mean squared distance to their mean that is added to the squared distance of a pool: a wide
pool contains fewer near items than a narrow one at the same distance. 0.25 to 0.5 measure alike; with 0, searches must
score half as many items again."""
LOWEST_SCORE = -1e38
"""Below every score, but above minus infinity, the score of an empty lane."""


class LevelArrays(NamedTuple):
    """Codes in blocks of 16, and the pools they are in."""

    codes: U8
    """uint8 (blocks, code_bytes, 16); pool p has the blocks 4 p to 4 p + 3, because one piece is read fastest"""
    scales: U16
    """bfloat16 as uint16 (blocks, 16)"""
    biases: U16
    """bfloat16 as uint16 (blocks, 16); EMPTY_BIAS in an empty lane"""
    members: I32
    """int32 (slots,): member in each slot"""
    sizes: I32
    """int32 (pools,): items of each pool; they use its first slots"""
    slot_of: I32
    """int32 (members,): slot of each member; -1 if the level does not contain it"""
    pool_count: I32
    """int32 (1,): pools that have been made, empty ones included"""


class QueryTables(NamedTuple):
    """Tables of queries, as ``NibbleCoder.tables`` returns them."""

    entries: U8
    """uint8 (n, 2, code_bytes, 16)"""
    terms: F32
    """float32 (n, 2)"""


class CodedItems(NamedTuple):
    """Items that are added to pools."""

    codes: U8
    """uint8 (n, code_bytes)"""
    scales: U16
    """bfloat16 as uint16 (n,)"""
    biases: U16
    """bfloat16 as uint16 (n,)"""
    members: I32
    """int32 (n,)"""


# Selecting the best scores, without sorting


@njit(**MAXIMUM_KERNEL)
def _count_above(scores, n, threshold):  # type: ignore[no-untyped-def]
    count = np.int32(0)
    for i in range(n):
        count += np.int32(scores[i] > threshold)
    return count


@njit(**MAXIMUM_KERNEL)
def find_threshold(scores, n, keep):  # type: ignore[no-untyped-def]
    """Return a score that ``keep`` to 9/8 ``keep`` of the first ``n`` scores exceed; more if many scores are equal.

    The search halves an interval: a pass that counts takes a sixteenth of a comparison per score.
    """
    if n <= keep or _count_above(scores, n, np.float32(LOWEST_SCORE)) <= keep:
        return np.float32(LOWEST_SCORE)
    high = scores[0]
    for i in range(n):
        high = max(high, scores[i])
    low = high
    reach = np.float32(abs(high)) * np.float32(1e-3) + np.float32(1e-30)
    while True:  # from the top down, in growing steps
        low = high - reach
        if _count_above(scores, n, low) >= keep:
            break
        reach *= np.float32(4.0)
    while True:
        middle = (low + high) * np.float32(0.5)
        if middle <= low or middle >= high:
            return low
        count = _count_above(scores, n, middle)
        if count >= keep:
            low = middle
            if count <= keep + (keep >> 3):
                return low
        else:
            high = middle


@njit(**KERNEL)
def _guess_threshold(scores, count, keep):  # type: ignore[no-untyped-def]
    """Guess, from every eighth block, a score that a little more than ``keep`` of 16 * count scores exceed."""
    n = 2 * count
    sample = np.empty(n, np.float32)
    for i in range(count >> 3):
        for lane in range(16):
            sample[16 * i + lane] = scores[128 * i + lane]
    n = 16 * (count >> 3)
    return find_threshold(sample, n, 8 + n * keep // (12 * count))


@njit(**KERNEL)
def _keep_above(scores, slots, n, threshold):  # type: ignore[no-untyped-def]
    """Of the first ``n``, move those above a threshold to the front; return their number."""
    kept = 0
    for i in range(n):
        if scores[i] > threshold:
            scores[kept] = scores[i]
            slots[kept] = slots[i]
            kept += 1
    return kept


@njit(**KERNEL)
def slots_above(scores, blocks, count, threshold, slots):  # type: ignore[no-untyped-def]
    """List the slots, int32, whose scores exceed a threshold, in the order of the blocks; return their number.

    The scores of these slots are moved to the front of ``scores``.
    """
    n = 0
    for i in range(count):
        mask = lanes_above(scores, 16 * i, threshold)
        while mask != 0:
            lane = lowest_bit(np.uint64(mask))
            slots[n] = 16 * blocks[i] + lane
            scores[n] = scores[16 * i + lane]
            n += 1
            mask &= mask - 1
    return n


# Searching


@njit(**KERNEL)
def _score_blocks(level, blocks, count, query, scores):  # type: ignore[no-untyped-def]
    """Score the first ``count`` of ``blocks``, int32; ``query``: (entries, terms); ``scores``: filled, 16 per block."""
    entries, terms = query
    sums = np.empty(16, np.uint16)
    for i in range(count):
        block = np.int64(blocks[i])
        if i + 2 < count:  # pools are scattered in memory, so the processor cannot guess the next ones
            ahead = np.int64(blocks[i + 2])
            prefetch_row(level.codes, ahead)
            prefetch_row(level.scales, ahead)
            prefetch_row(level.biases, ahead)
        sum_block(level.codes, block, entries, sums)
        score_block(sums, level.scales, level.biases, block, terms, scores, 16 * i)


@njit(**KERNEL)
def best_slots(level, blocks, count, query, keep, most, scores, slots):  # type: ignore[no-untyped-def]
    """Score blocks and list the slots of about the ``keep`` best; return their number, at most ``most``.

    ``most``: at least 9/8 of ``keep``; ``scores``: float32, ``slots``: int32, both with room for 16 per block.
    """
    _score_blocks(level, blocks, count, query, scores)
    threshold = _guess_threshold(scores, count, keep) if count >= 64 else np.float32(LOWEST_SCORE)
    n = slots_above(scores, blocks, count, threshold, slots)
    if n < keep and threshold > np.float32(LOWEST_SCORE):  # the guess was too high, and some scores are overwritten
        _score_blocks(level, blocks, count, query, scores)
        n = slots_above(scores, blocks, count, np.float32(LOWEST_SCORE), slots)
    if n > most:
        n = _keep_above(scores, slots, n, find_threshold(scores, n, keep))
    return min(n, most)


@njit(**KERNEL)
def _best_member(level, blocks, count, query, scores):  # type: ignore[no-untyped-def]
    """Score blocks and return the member with the highest score."""
    _score_blocks(level, blocks, count, query, scores)
    best = 0
    for i in range(1, 16 * count):
        if scores[i] > scores[best]:
            best = i
    return level.members[16 * blocks[best >> 4] + (best & 15)]


@njit(**KERNEL)
def _blocks_below(level, above, slots, n, blocks):  # type: ignore[no-untyped-def]
    """List the blocks of the pools that are in ``slots`` of the level above; return their number."""
    count = 0
    for i in range(n):
        pool = above.members[slots[i]]
        for k in range((level.sizes[pool] + 15) >> 4):
            blocks[count] = POOL_BLOCKS * pool + k
            count += 1
    return count


@njit(**KERNEL)
def list_blocks(level, blocks):  # type: ignore[no-untyped-def]
    """List all blocks that contain items; return their number."""
    count = 0
    for pool in range(level.pool_count[0]):
        for k in range((level.sizes[pool] + 15) >> 4):
            blocks[count] = POOL_BLOCKS * pool + k
            count += 1
    return count


@njit(**KERNEL)
def _room(keep):  # type: ignore[no-untyped-def]
    return keep + (keep >> 3)


@njit(**KERNEL)
def search_pools(levels, coarse, fine, keep, candidates, counts):  # type: ignore[no-untyped-def]
    """Find the best groups, the best pools of these, and the best items of these, by their codes.

    ``levels``: (items, pools, groups), each ``LevelArrays``; ``coarse``: ``QueryTables`` for the codes of pools and
    groups; ``fine``: those for the codes of items; ``keep``: int64 (3,), numbers of groups, pools and items to keep;
    below 1 group, all pools are scored. ``candidates``: (scores float32 (n, r), slots int32 (n, r)), filled in no
    order, r at least 9/8 of the items to keep; ``counts``: int64 (n, 4), filled: lanes of groups, pools and items that
    were scored, and number of candidates.
    """
    items, pools, groups = levels
    widest = POOL_BLOCKS * max(groups.pool_count[0], 2 * max(keep[0], keep[1]))  # up to 1/8 more than these are kept
    if keep[0] < 1:
        widest = max(widest, POOL_BLOCKS * pools.pool_count[0])
    blocks = np.empty(widest + 1, np.int32)
    scores = np.empty(16 * blocks.shape[0], np.float32)
    slots = np.empty(scores.shape[0], np.int32)
    for i in range(counts.shape[0]):
        query = (coarse.entries[i], coarse.terms[i])
        if keep[0] > 0:
            count = list_blocks(groups, blocks)
            counts[i, 0] = count * 16
            n = best_slots(groups, blocks, count, query, keep[0], _room(keep[0]), scores, slots)
            count = _blocks_below(pools, groups, slots, n, blocks)
        else:
            counts[i, 0] = 0
            count = list_blocks(pools, blocks)
        counts[i, 1] = count * 16
        n = best_slots(pools, blocks, count, query, keep[1], _room(keep[1]), scores, slots)
        count = _blocks_below(items, pools, slots, n, blocks)
        counts[i, 2] = count * 16
        fine_query = (fine.entries[i], fine.terms[i])
        n = best_slots(items, blocks, count, fine_query, keep[2], candidates[0].shape[1], scores, slots)
        counts[i, 3] = n
        for k in range(n):
            candidates[0][i, k] = scores[k]
            candidates[1][i, k] = slots[k]


# Adding, moving, removing


@njit(**KERNEL)
def _append_item(level, pool, coded, i):  # type: ignore[no-untyped-def]
    """Add item ``i`` of ``coded`` to a pool that has room."""
    slot = POOL_ITEMS * pool + level.sizes[pool]
    block = slot >> 4
    lane = slot & 15
    for b in range(coded.codes.shape[1]):
        level.codes[block, b, lane] = coded.codes[i, b]
    level.scales[block, lane] = coded.scales[i]
    level.biases[block, lane] = coded.biases[i]
    level.members[slot] = coded.members[i]
    level.slot_of[coded.members[i]] = slot
    level.sizes[pool] += 1


@njit(**KERNEL)
def append_items(level, pool, coded):  # type: ignore[no-untyped-def]
    """Add all of ``coded`` to a pool that has room."""
    for i in range(coded.codes.shape[0]):
        _append_item(level, pool, coded, i)


@njit(**KERNEL)
def insert_items(levels, coarse, coded, start, groups_kept):  # type: ignore[no-untyped-def]
    """Add the items from ``start`` on to their nearest pools; return the first whose pool is full, and that pool.

    ``levels``, ``coarse``: as for ``search_pools``; ``groups_kept``: int, groups in which a pool is looked for; below
    1, all pools are scored.
    """
    items, pools, groups = levels
    blocks = np.empty(POOL_BLOCKS * max(pools.pool_count[0], groups.pool_count[0]) + 1, np.int32)
    scores = np.empty(16 * blocks.shape[0], np.float32)
    slots = np.empty(scores.shape[0], np.int32)
    count = list_blocks(pools, blocks)
    for i in range(start, coded.codes.shape[0]):
        query = (coarse.entries[i], coarse.terms[i])
        if groups_kept > 0:
            count = list_blocks(groups, blocks)
            n = best_slots(groups, blocks, count, query, groups_kept, _room(groups_kept), scores, slots)
            count = _blocks_below(pools, groups, slots, n, blocks)
        pool = _best_member(pools, blocks, count, query, scores)
        if items.sizes[pool] == POOL_ITEMS:
            return i, pool
        _append_item(items, pool, coded, i)
    return coded.codes.shape[0], -1


@njit(**KERNEL)
def _copy_slot(level, source, target):  # type: ignore[no-untyped-def]
    """Copy the item in one slot to another."""
    for b in range(level.codes.shape[1]):
        level.codes[target >> 4, b, target & 15] = level.codes[source >> 4, b, source & 15]
    level.scales[target >> 4, target & 15] = level.scales[source >> 4, source & 15]
    level.biases[target >> 4, target & 15] = level.biases[source >> 4, source & 15]
    level.members[target] = level.members[source]
    level.slot_of[level.members[target]] = target


@njit(**KERNEL)
def remove_member(level, member):  # type: ignore[no-untyped-def]
    """Remove a member; the last item of its pool moves into the gap. Return the pool."""
    slot = level.slot_of[member]
    pool = slot // POOL_ITEMS
    last = POOL_ITEMS * pool + level.sizes[pool] - 1
    _copy_slot(level, last, slot)
    level.slot_of[member] = -1
    level.biases[last >> 4, last & 15] = EMPTY_BIAS
    level.sizes[pool] -= 1
    return pool


@njit(**KERNEL)
def move_members(level, pool, other, side):  # type: ignore[no-untyped-def]
    """Move the members for which ``side``, bool (n,), is true to an empty pool; the order within a pool stays."""
    counts = np.zeros(2, np.int64)
    first = POOL_ITEMS * pool, POOL_ITEMS * other
    for i in range(level.sizes[pool]):
        source = first[0] + i
        which = 1 if side[i] else 0
        target = (first[1] if side[i] else first[0]) + counts[which]  # never after an item that has yet to move
        counts[which] += 1
        _copy_slot(level, source, target)
    for slot in range(first[0] + counts[0], first[0] + level.sizes[pool]):
        level.biases[slot >> 4, slot & 15] = EMPTY_BIAS
    level.sizes[pool], level.sizes[other] = counts[0], counts[1]


@njit(**KERNEL)
def write_codes(level, coded):  # type: ignore[no-untyped-def]
    """Replace the codes of members that the level contains; ``coded``: ``CodedItems``."""
    for i in range(coded.members.shape[0]):
        slot = level.slot_of[coded.members[i]]
        block = slot >> 4
        lane = slot & 15
        for b in range(coded.codes.shape[1]):
            level.codes[block, b, lane] = coded.codes[i, b]
        level.scales[block, lane] = coded.scales[i]
        level.biases[block, lane] = coded.biases[i]


@njit(**KERNEL)
def read_slots(level, slots, codes, scales, biases):  # type: ignore[no-untyped-def]
    """Copy codes (n, code_bytes), scales (n,) and biases (n,) from slots, int32 (n,)."""
    for i in range(slots.shape[0]):
        block = slots[i] >> 4
        lane = slots[i] & 15
        for b in range(codes.shape[1]):
            codes[i, b] = level.codes[block, b, lane]
        scales[i] = level.scales[block, lane]
        biases[i] = level.biases[block, lane]
