"""Recall by elimination: sum-of-max for cues that contradict nothing stored, computed with ANDs of rows alone.

For such cues the winners of a cluster are the units that are connected to at least one active unit of every other
cluster, and a unit that lost never wins again. The kernels are made for one shape of memory, for the reasons that
``clique_kernels.py`` gives.

While a cue is completed, the units that are left are kept in ``state``, uint64 (clusters * span,): the ``span`` words
of a row that cluster a's units are in, from ``state[a * span]`` on. ``masks``, of the same size, has the bits of those
words that belong to the cluster, and ``home``, int64, says which word of a row each one is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.bits import ONE
from assocmem._numerics.simd import lowest_bit, popcount
from assocmem._numerics.types import KERNEL

Kernel = Callable[..., Any]

SETTLED, OPEN, CONTRADICTED = 0, 1, 2
"""Outcomes: each cluster has one unit left, and all of these are connected; a cluster has several units left, or
connections are unchecked; a cluster has no unit left."""

_INLINED = {**KERNEL, "inline": "always"}


class _Layout(NamedTuple):
    """Where the units of a shape are in the words of a row."""

    words: int
    """of a row"""
    span: int
    """words that a cluster's units are in, at most"""
    full: bool
    """every cluster begins and ends with a word, and every cluster is used: whole rows can be ANDed"""


def _layout(clusters: int, units: int, active: int) -> _Layout:
    whole = units % 64 == 0
    span = units // 64 if whole else 1 if 64 % units == 0 else (units + 62) // 64 + 1
    return _Layout(-(-clusters * units // 64), span, whole and active == clusters)


def _make_places(clusters: int, units: int, words: int, span: int) -> Kernel:
    @njit(**KERNEL)
    def places(masks, home):  # type: ignore[no-untyped-def]
        """Fill ``masks`` and ``home``; see the top of this module."""
        for a in range(clusters):
            for x in range(span):
                home[a * span + x] = min((a * units >> 6) + x, words - 1)
            for unit in range(a * units, (a + 1) * units):
                masks[a * span + (unit >> 6) - (a * units >> 6)] |= ONE << np.uint64(unit & 63)

    return places  # type: ignore[no-any-return]


def _make_read_cue(clusters: int, units: int, active: int) -> Kernel:
    @njit(**_INLINED)
    def read_cue(cues, q, messages, known, lost, several):  # type: ignore[no-untyped-def]
        """Read cue q; returns how many symbols are known and how many are lost.

        ``cues``: int32 (m, X); ``messages``: int32 (m, X), row q is filled with the symbols; ``known``: int64, filled
        with the known units; ``lost`` and ``several``: int64, filled with the clusters to recall.
        """
        n_known = 0
        n_lost = 0
        for a in range(clusters):
            symbol = np.int64(cues[q, a])
            messages[q, a] = max(symbol, -1)
            known[n_known] = a * units + symbol
            n_known += int(symbol >= 0)
            lost[n_lost] = several[n_lost] = a
            n_lost += int(symbol == -1)
        return n_known, 0 if n_known == active else n_lost

    return read_cue  # type: ignore[no-any-return]


def _make_start(clusters: int, units: int, active: int) -> Kernel:
    words, span, full = _layout(clusters, units, active)

    @njit(**_INLINED)
    def start(bits, known, lost, masks, home, state):  # type: ignore[no-untyped-def]
        """AND the rows of the known units into ``state``; returns whether these units are all connected.

        ``known``: int64 (k + 3,), the last three are scratch; ``lost``: int64 (e,), clusters.
        """
        n_known = known.shape[0] - 3
        absent = np.uint64(0)
        if full:
            known[n_known] = known[n_known + 1] = known[n_known + 2] = known[0]  # to AND a row again changes nothing
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
            absent = missing_connection(bits, known, n_known)
            for e in range(lost.shape[0]):
                for x in range(lost[e] * span, (lost[e] + 1) * span):
                    word = masks[x]
                    for k in range(n_known):
                        word &= bits[known[k], home[x]]
                    state[x] = word
        return absent & ONE == 0

    return start  # type: ignore[no-any-return]


@njit(**_INLINED)
def missing_connection(bits, units, count):  # type: ignore[no-untyped-def]
    """Return a word whose lowest bit is set if two of the first ``count`` units are not connected."""
    absent = np.uint64(0)
    for i in range(count):
        for k in range(i):
            absent |= ~bits[units[i], units[k] >> 6] >> np.uint64(units[k] & 63)
    return absent


def _make_read_state(units: int, span: int, *, adopt: bool) -> Kernel:
    @njit(**_INLINED)
    def read_state(state, after, home, several, count, pending, messages, q):  # type: ignore[no-untyped-def]
        """Sort clusters by the number of units they have left.

        Returns how many have a single unit, how many have several, whether none is empty, and whether the state has
        changed. ``after``: with ``adopt``, it becomes the state of these clusters first; ``several``: int64, the first
        ``count`` clusters are read, and those that have several units left are moved to the front; ``pending``: int64,
        filled with the single units of the others; ``messages``: int32 (m, X), row q is filled with their symbols, and
        -1 for several or no units.
        """
        n_pending = 0
        n_several = 0
        sound = True
        changed = np.uint64(0)
        for e in range(count):
            a = several[e]
            left = 0
            place = a * span
            for x in range(a * span, (a + 1) * span):
                if adopt:
                    changed |= after[x] ^ state[x]
                    state[x] = after[x]
                left += popcount(state[x])
                place = x if state[x] != 0 else place
            unit = 64 * home[place] + lowest_bit(state[place])
            sound &= left > 0
            messages[q, a] = unit - a * units if left == 1 else -1
            pending[n_pending] = unit
            n_pending += left == 1
            several[n_several] = a
            n_several += left > 1
        return n_pending, n_several, sound, changed != 0

    return read_state  # type: ignore[no-any-return]


def _make_prune(span: int) -> Kernel:
    @njit(**_INLINED)
    def prune(bits, pending, several, home, state, after):  # type: ignore[no-untyped-def]
        """Do one round for the clusters that have several units left, by the state of the round before.

        ``pending``: int64 (p,), units that became the only ones of their clusters; ``several``: int64 (m,), clusters;
        ``after``: as ``state``, filled for these clusters. A unit stays if it is connected to every pending unit, and
        to at least one unit left in every other of these clusters.
        """
        for e in range(several.shape[0]):
            for x in range(several[e] * span, (several[e] + 1) * span):
                word = state[x]
                for i in range(pending.shape[0]):
                    word &= bits[pending[i], home[x]]
                after[x] = word
                while several.shape[0] > 1 and word != 0:
                    row = 64 * home[x] + lowest_bit(word)
                    rest = word & (word - ONE)
                    for f in range(several.shape[0]):
                        if f == e:
                            continue
                        met = np.uint64(0)
                        for y in range(several[f] * span, (several[f] + 1) * span):
                            met |= bits[row, home[y]] & state[y]
                        if met == 0:
                            after[x] ^= word ^ rest
                            break
                    word = rest

    return prune  # type: ignore[no-any-return]


@njit(**_INLINED)
def write_units(known, lost, span, home, state, units_left):  # type: ignore[no-untyped-def]
    """Fill the units left, uint64 (w,): the known ones, and those of the lost clusters."""
    for j in range(units_left.shape[0]):
        units_left[j] = np.uint64(0)
    for k in range(known.shape[0]):
        units_left[known[k] >> 6] |= ONE << np.uint64(known[k] & 63)
    for e in range(lost.shape[0]):
        for x in range(lost[e] * span, (lost[e] + 1) * span):
            units_left[home[x]] |= state[x]


def make_eliminate(clusters: int, units: int, active: int) -> Kernel:
    """Return the kernel of a shape; it is compiled at its first call."""
    words, span, _ = _layout(clusters, units, active)
    places, start = _make_places(clusters, units, words, span), _make_start(clusters, units, active)
    read_cue, prune = _make_read_cue(clusters, units, active), _make_prune(span)
    read_start, read_round = _make_read_state(units, span, adopt=False), _make_read_state(units, span, adopt=True)

    @njit(**KERNEL)
    def eliminate(bits, cues, limit, messages, outcomes, sets):  # type: ignore[no-untyped-def]
        """Complete cues, or find that they contradict what is stored.

        Every round works from the state that the round before left. A cluster with a single unit left is pending until
        that unit's row has pruned the other clusters. ``bits``: uint64 (n, w); ``cues``: int32 (m, X); ``limit``:
        rounds; ``messages``: int32 (m, X), filled; ``outcomes``: int32 (m, 2), filled with the number of the last
        round that changed something, and SETTLED, OPEN or CONTRADICTED; ``sets``: uint64 (m or 0, w), filled with the
        units left.
        """
        state, after = np.zeros(clusters * span, np.uint64), np.zeros(clusters * span, np.uint64)
        masks, home = np.zeros(clusters * span, np.uint64), np.zeros(clusters * span, np.int64)
        places(masks, home)
        known, lost = np.zeros(clusters + 4, np.int64), np.zeros(clusters + 1, np.int64)
        pending, several = np.zeros(clusters + 1, np.int64), np.zeros(clusters + 1, np.int64)
        for q in range(cues.shape[0]):
            n_known, n_lost = read_cue(cues, q, messages, known, lost, several)
            sound = n_known > 0 and start(bits, known[: n_known + 3], lost[:n_lost], masks, home, state)
            n_pending = 0
            n_several = 0
            if sound:
                n_pending, n_several, sound, _ = read_start(state, after, home, several, n_lost, pending, messages, q)
            rounds = 1
            last = 1
            while n_pending + n_several > 1 and rounds < limit and sound:
                rounds += 1
                connected = missing_connection(bits, pending, n_pending) & ONE == 0
                prune(bits, pending[:n_pending], several[:n_several], home, state, after)
                n_pending, n_several, sound, changed = read_round(
                    state, after, home, several, n_several, pending, messages, q
                )
                sound &= connected
                if not changed:
                    break
                last = rounds
            outcomes[q, 0] = last
            unsure = n_several > 0 or n_pending > 1
            outcomes[q, 1] = CONTRADICTED if not sound else OPEN if unsure else SETTLED
            if sets.shape[0] > 0:
                write_units(known[:n_known], lost[:n_lost], span, home, state, sets[q])

    return eliminate  # type: ignore[no-any-return]
