"""Recall by elimination: sum-of-max for cues that contradict nothing stored, with ANDs of rows alone.

The winners of a cluster are then the units that are tied to at least one active unit of every other cluster, and a unit
that lost never comes back. Made for one shape of memory at a time, as all kernels of ``recall.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.bits import ONE, options
from assocmem._numerics.simd import lowest_bit, popcount

Kernel = Callable[..., Any]
SETTLED, OPEN, CONTRADICTED = 0, 1, 2
"""One unit in each cluster, all tied to each other; more than one, or not checked; no unit is left somewhere."""

_inlined = {**options, "inline": "always"}


class _Layout(NamedTuple):
    """How the units of a shape lie in words."""

    words: int
    """of a row"""
    span: int
    """words that a cluster's units lie in, at most"""
    full: bool
    """every cluster begins and ends with a word, and every cluster is used: whole rows can be ANDed"""


def _layout(clusters: int, units: int, active: int) -> _Layout:
    whole = units % 64 == 0
    span = units // 64 if whole else 1 if 64 % units == 0 else (units + 62) // 64 + 1
    return _Layout(-(-clusters * units // 64), span, whole and active == clusters)


def _make_places(clusters: int, units: int, words: int, span: int) -> Kernel:
    @njit(**options)
    def places(masks, home):  # type: ignore[no-untyped-def]
        """Fill the row word that each word of the state stands for, and its bits that belong to the cluster."""
        for a in range(clusters):
            for x in range(span):
                home[a * span + x] = min((a * units >> 6) + x, words - 1)
            for unit in range(a * units, (a + 1) * units):
                masks[a * span + (unit >> 6) - (a * units >> 6)] |= ONE << np.uint64(unit & 63)

    return places  # type: ignore[no-any-return]


def _make_start(clusters: int, units: int, active: int) -> Kernel:
    words, span, full = _layout(clusters, units, active)

    @njit(**_inlined)
    def start(bits, known, lost, masks, home, state):  # type: ignore[no-untyped-def]
        """AND the rows of the known units; returns whether these are all tied to each other.

        ``known``: int64 (k + 3,), room for three more; ``lost``: int64 (e,), clusters; ``state``: as in ``eliminate``.
        """
        n_known = known.shape[0] - 3
        absent = np.uint64(0)
        if full:
            known[n_known] = known[n_known + 1] = known[n_known + 2] = known[0]  # ANDed again: nothing changes
            r0, r1, r2, r3 = known[0], known[1], known[2], known[3]
            for j in range(words):
                state[j] = bits[r0, j] & bits[r1, j] & bits[r2, j] & bits[r3, j]
            for k in range(4, n_known, 4):
                r0, r1, r2, r3 = known[k], known[k + 1], known[k + 2], known[k + 3]
                for j in range(words):
                    state[j] &= bits[r0, j] & bits[r1, j] & bits[r2, j] & bits[r3, j]
            for k in range(n_known):
                absent |= ~state[known[k] >> 6] >> np.uint64(known[k] & 63)
        else:
            absent = untied(bits, known, n_known)
            for e in range(lost.shape[0]):
                for x in range(lost[e] * span, (lost[e] + 1) * span):
                    word = masks[x]
                    for k in range(n_known):
                        word &= bits[known[k], home[x]]
                    state[x] = word
        return absent & ONE == 0

    return start  # type: ignore[no-any-return]


@njit(**_inlined)
def untied(bits, units, count):  # type: ignore[no-untyped-def]
    """Return a word whose lowest bit is set when two of the first ``count`` units are not tied."""
    absent = np.uint64(0)
    for i in range(count):
        for k in range(i):
            absent |= ~bits[units[i], units[k] >> 6] >> np.uint64(units[k] & 63)
    return absent


def _make_look(span: int) -> Kernel:
    @njit(**_inlined)
    def look(state, home, a):  # type: ignore[no-untyped-def]
        """Return how many units cluster ``a`` has left, and one of them."""
        left = 0
        place = a * span
        for x in range(a * span, (a + 1) * span):
            left += popcount(state[x])
            place = x if state[x] != 0 else place
        return left, 64 * home[place] + lowest_bit(state[place])

    return look  # type: ignore[no-any-return]


def _make_thin(span: int) -> Kernel:
    @njit(**_inlined)
    def thin(bits, pending, multiple, home, state, after):  # type: ignore[no-untyped-def]
        """One round for the clusters that have several units left, by the state of the round before.

        ``pending``: int64 (p,), units that became the only ones of their clusters; ``multiple``: int64 (m,), clusters;
        ``after``: as ``state``, filled for them. A unit stays that is tied to every pending one, and to at least one
        unit left of every other multiple cluster.
        """
        for e in range(multiple.shape[0]):
            for x in range(multiple[e] * span, (multiple[e] + 1) * span):
                word = state[x]
                for i in range(pending.shape[0]):
                    word &= bits[pending[i], home[x]]
                after[x] = word
                while multiple.shape[0] > 1 and word != 0:
                    row = 64 * home[x] + lowest_bit(word)
                    rest = word & (word - ONE)
                    for f in range(multiple.shape[0]):
                        if f == e:
                            continue
                        met = np.uint64(0)
                        for y in range(multiple[f] * span, (multiple[f] + 1) * span):
                            met |= bits[row, home[y]] & state[y]
                        if met == 0:
                            after[x] ^= word ^ rest
                            break
                    word = rest

    return thin  # type: ignore[no-any-return]


def make_eliminate(clusters: int, units: int, active: int) -> Kernel:
    """Return the kernel of a shape; it is compiled when first called."""
    words, span, _ = _layout(clusters, units, active)
    places, start = _make_places(clusters, units, words, span), _make_start(clusters, units, active)
    look, thin = _make_look(span), _make_thin(span)

    @njit(**options)
    def eliminate(bits, cues, limit, messages, outcomes, sets):  # type: ignore[no-untyped-def]
        """Complete cues, or find that they contradict what is stored.

        Rounds are synchronous, each by the state the last one left. What is left of a cluster lies in ``span`` words
        of ``state``; a cluster with one unit left is ``pending`` until that unit's row has thinned out the others.
        ``bits``: uint64 (n, w); ``cues``: int32 (m, X); ``limit``: rounds; ``messages``: int32 (m, X), filled;
        ``outcomes``: int32 (m, 2), filled: rounds that changed something, and SETTLED, OPEN or CONTRADICTED;
        ``sets``: uint64 (m or 0, w), filled with the units left.
        """
        state = np.zeros(clusters * span, np.uint64)
        after = np.zeros(clusters * span, np.uint64)
        masks = np.zeros(clusters * span, np.uint64)
        home = np.zeros(clusters * span, np.int64)
        places(masks, home)
        known, lost = np.zeros(clusters + 4, np.int64), np.zeros(clusters + 1, np.int64)
        pending, multiple = np.zeros(clusters + 1, np.int64), np.zeros(clusters + 1, np.int64)
        for q in range(cues.shape[0]):
            n_known = 0
            n_lost = 0
            for a in range(clusters):
                symbol = np.int64(cues[q, a])
                messages[q, a] = max(symbol, -1)
                known[n_known] = a * units + symbol
                n_known += int(symbol >= 0)
                lost[n_lost] = a
                n_lost += int(symbol == -1)
            if n_known == active:
                n_lost = 0
            sound = n_known > 0 and start(bits, known[: n_known + 3], lost[:n_lost], masks, home, state)
            n_pending = 0
            n_multiple = 0
            for e in range(n_lost if sound else 0):
                left, unit = look(state, home, lost[e])
                sound &= left > 0
                messages[q, lost[e]] = unit - lost[e] * units if left == 1 else -1
                pending[n_pending] = unit
                n_pending += left == 1
                multiple[n_multiple] = lost[e]
                n_multiple += left > 1
            rounds = 1
            last = 1
            while n_pending + n_multiple > 1 and rounds < limit and sound:
                rounds += 1
                sound = untied(bits, pending, n_pending) & ONE == 0
                thin(bits, pending[:n_pending], multiple[:n_multiple], home, state, after)
                n_pending = 0
                still = 0
                changed = np.uint64(0)
                for e in range(n_multiple):
                    a = multiple[e]
                    for x in range(a * span, (a + 1) * span):
                        changed |= after[x] ^ state[x]
                        state[x] = after[x]
                    left, unit = look(state, home, a)
                    sound &= left > 0
                    messages[q, a] = unit - a * units if left == 1 else -1
                    pending[n_pending] = unit
                    n_pending += left == 1
                    multiple[still] = a
                    still += left > 1
                n_multiple = still
                if changed == 0:
                    break
                last = rounds
            outcomes[q, 0] = last
            unsure = n_multiple > 0 or n_pending > 1
            outcomes[q, 1] = CONTRADICTED if not sound else OPEN if unsure else SETTLED
            if sets.shape[0] > 0:
                for j in range(words):
                    sets[q, j] = np.uint64(0)
                for k in range(n_known):
                    sets[q, known[k] >> 6] |= ONE << np.uint64(known[k] & 63)
                for e in range(n_lost):
                    for x in range(lost[e] * span, (lost[e] + 1) * span):
                        sets[q, home[x]] |= state[x]

    return eliminate  # type: ignore[no-any-return]
