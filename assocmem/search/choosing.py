"""Choosing the best of many scores, without putting them in order."""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.simd import lanes_above, lowest_bit

LOWEST = -1e38
"""Below every score, and above minus infinity, which empty lanes have."""

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}
_no_nan = {**_options, "fastmath": {"nnan", "nsz"}}  # a greatest value may be looked for in any order


@njit(**_no_nan)
def _count_above(scores, n, floor):  # type: ignore[no-untyped-def]
    count = np.int32(0)
    for i in range(n):
        count += np.int32(scores[i] > floor)
    return count


@njit(**_no_nan)
def floor_above(scores, n, keep):  # type: ignore[no-untyped-def]
    """Return a score that ``keep`` to 9/8 ``keep`` of the first ``n`` are above, or nearly, where many are equal.

    Found by halving: a pass that counts is a sixteenth of a compare per score.
    """
    if n <= keep or _count_above(scores, n, np.float32(LOWEST)) <= keep:
        return np.float32(LOWEST)
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


@njit(**_options)
def sampled_floor(scores, count, keep):  # type: ignore[no-untyped-def]
    """Guess a score that a little more than ``keep`` of 16 * count are above, from every eighth block."""
    n = 2 * count
    sample = np.empty(n, np.float32)
    for i in range(count >> 3):
        for lane in range(16):
            sample[16 * i + lane] = scores[128 * i + lane]
    n = 16 * (count >> 3)
    return floor_above(sample, n, 8 + n * keep // (12 * count))


@njit(**_options)
def keep_above(scores, slots, n, floor):  # type: ignore[no-untyped-def]
    """Of the first n, move those above a floor to the front; returns how many."""
    kept = 0
    for i in range(n):
        if scores[i] > floor:
            scores[kept] = scores[i]
            slots[kept] = slots[i]
            kept += 1
    return kept


@njit(**_options)
def slots_above(scores, blocks, count, floor, slots):  # type: ignore[no-untyped-def]
    """List the slots, int32, of scores above a floor in the order of the blocks; returns how many.

    The scores that were listed are moved to the front of ``scores``.
    """
    n = 0
    for i in range(count):
        mask = lanes_above(scores, 16 * i, floor)
        while mask != 0:
            lane = lowest_bit(np.uint64(mask))
            slots[n] = 16 * blocks[i] + lane
            scores[n] = scores[16 * i + lane]
            n += 1
            mask &= mask - 1
    return n
