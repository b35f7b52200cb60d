"""A clique memory as anybody would write it first: the yardstick that the real kernels' speed is told in.

Bits packed into words, plain loops, compiled by numba; nothing unrolled, no state kept between rounds. A row holds, for
each cluster, its units in whole words of their own. Knows nothing of the core.
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
    """Tie the units of each message to each other. ``bits``: as of ``empty``; ``messages``: int32 (m, c)."""
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
    """Go through the erased clusters once and drop units that lack support; returns whether there were any.

    ``active``: uint64 (c, words per cluster), the units that are left.
    """
    words = active.shape[1]
    changed = False
    for b in range(cue.shape[0]):
        if cue[b] >= 0:
            continue
        for w in range(words):
            left = active[b, w]
            bit = 0
            while left != 0:
                if left & np.uint64(1) != 0:
                    for a in range(cue.shape[0]):
                        if a != b and cue[a] < 0:
                            tied = np.uint64(0)
                            for x in range(words):
                                tied |= bits[b * units + w * 64 + bit, a * words + x] & active[a, x]
                            if tied == 0:
                                active[b, w] ^= np.uint64(1) << np.uint64(bit)
                                changed = True
                                break
                left >>= np.uint64(1)
                bit += 1
    return changed


@njit(cache=True)
def only_unit(active):  # type: ignore[no-untyped-def]
    """Return the one unit left in a cluster, uint64 (words,), or -1."""
    found = -1
    for w in range(active.shape[0]):
        left = active[w]
        bit = 0
        while left != 0:
            if left & np.uint64(1) != 0:
                if found >= 0:
                    return -1
                found = w * 64 + bit
            left >>= np.uint64(1)
            bit += 1
    return found


@njit(cache=True)
def recall(bits, cues, units, messages):  # type: ignore[no-untyped-def]
    """Complete cues until nothing changes. ``cues``: int32 (m, c), -1 = erased; ``messages``: the same, filled."""
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
    """Read the rows of each cue's known units and AND them, nothing else: the least that recall by rows can take.

    ``seen``: uint64 (w,), the OR of what came out, so that nothing is left out.
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
    """Keep a core's arithmetic units busy without touching memory: what two cores can do at most, compared with one."""
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
