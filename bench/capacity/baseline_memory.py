"""A straightforward clique memory: the baseline that the speed of the real kernels is compared with.

Bits packed into words, plain loops, compiled by numba; nothing is unrolled, no state is kept between rounds. A row
holds the units of each cluster in whole words of their own. Uses nothing of the core.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.types import Words


def empty(clusters: int, units: int) -> Words:
    """Return the bits of an empty memory, uint64 (clusters * units, clusters * words per cluster)."""
    return np.zeros((clusters * units, clusters * -(-units // 64)), np.uint64)


@njit(cache=True)
def store(bits, messages, units):  # type: ignore[no-untyped-def]
    """Connect the units of each message with each other. ``bits``: as of ``empty``; ``messages``: int32 (m, c)."""
    words = -(-units // 64)
    for i in range(messages.shape[0]):
        for a in range(messages.shape[1]):
            for b in range(messages.shape[1]):
                if a != b:
                    symbol = messages[i, b]
                    bits[a * units + messages[i, a], b * words + (symbol >> 6)] |= np.uint64(1) << np.uint64(
                        symbol & 63
                    )


@njit(cache=True)
def eliminate(bits, cue, units, active):  # type: ignore[no-untyped-def]
    """Go through the erased clusters once and remove units without support; returns whether there were any.

    ``active``: uint64 (c, words per cluster), the remaining units.
    """
    words = active.shape[1]
    changed = False
    for b in range(cue.shape[0]):
        if cue[b] >= 0:
            continue
        for w in range(words):
            rest = active[b, w]
            bit = 0
            while rest != 0:
                if rest & np.uint64(1) != 0:
                    for a in range(cue.shape[0]):
                        if a != b and cue[a] < 0:
                            support = np.uint64(0)
                            for x in range(words):
                                support |= bits[b * units + w * 64 + bit, a * words + x] & active[a, x]
                            if support == 0:
                                active[b, w] ^= np.uint64(1) << np.uint64(bit)
                                changed = True
                                break
                rest >>= np.uint64(1)
                bit += 1
    return changed


@njit(cache=True)
def only_unit(active):  # type: ignore[no-untyped-def]
    """Return the only active unit of a cluster, or -1. ``active``: uint64 (words,)."""
    found = -1
    for w in range(active.shape[0]):
        rest = active[w]
        bit = 0
        while rest != 0:
            if rest & np.uint64(1) != 0:
                if found >= 0:
                    return -1
                found = w * 64 + bit
            rest >>= np.uint64(1)
            bit += 1
    return found


@njit(cache=True)
def recall(bits, cues, units, messages):  # type: ignore[no-untyped-def]
    """Complete cues until nothing changes. ``cues``: int32 (m, c), -1 = erased; ``messages``: int32 (m, c), filled."""
    words = -(-units // 64)
    active = np.zeros((cues.shape[1], words), np.uint64)
    for q in range(cues.shape[0]):
        for b in range(cues.shape[1]):
            if cues[q, b] < 0:
                for w in range(words):
                    word = ~np.uint64(0)
                    for a in range(cues.shape[1]):
                        if cues[q, a] >= 0:
                            word &= bits[a * units + cues[q, a], b * words + w]
                    active[b, w] = word
        while eliminate(bits, cues[q], units, active):
            pass
        for b in range(cues.shape[1]):
            messages[q, b] = cues[q, b] if cues[q, b] >= 0 else only_unit(active[b])


@njit(cache=True, boundscheck=False, error_model="numpy")
def and_rows(bits, cues, units, seen):  # type: ignore[no-untyped-def]
    """Read the rows of each cue's known units and AND them, nothing else: the minimum for a recall by rows.

    ``seen``: uint64 (w,), the OR of all results, so that the compiler cannot leave anything out.
    """
    both = np.empty(bits.shape[1], np.uint64)
    for q in range(cues.shape[0]):
        both[:] = ~np.uint64(0)
        for a in range(cues.shape[1]):
            if cues[q, a] >= 0:
                row = a * units + cues[q, a]
                for j in range(bits.shape[1]):
                    both[j] &= bits[row, j]
        for j in range(bits.shape[1]):
            seen[j] |= both[j]


@njit(cache=True, nogil=True)
def spin(rounds):  # type: ignore[no-untyped-def]
    """Keep a core's arithmetic units busy without memory access: the upper bound of what two cores gain over one."""
    a, b, c, d = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    shift = np.uint64(13)
    for _ in range(rounds):
        a ^= a << shift
        b ^= b << shift
        c ^= c << shift
        d ^= d << shift
        a += b
        b ^= c
        c += d
        d ^= a
    return a ^ b ^ c ^ d
