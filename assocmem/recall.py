"""The clique memory's kernels: store, look up, complete. Compiled for one shape of memory at a time.

Clusters and units are constants to the compiler, which doubles the speed: loops over clusters and over the words of a
cluster are unrolled, and nothing of them is left in memory. The first use of a shape on a machine takes a second or
two; after that the compiled kernels come from numba's cache.

The matrix is reflexive: every unit seen is tied to itself. So the AND of a clique's rows holds the clique's own units
(one look tells whether the known units are a clique), and counting rows counts a unit for itself (the memory effect
of the literature, gamma = 1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from assocmem.bits import ONE, options
from assocmem.intrinsics import lowest_bit, popcount

Kernel = Callable[..., Any]

TILE = 1024
"""Messages whose units are gathered at a time."""
SETTLED, OPEN, CONTRADICTED = 0, 1, 2
"""One unit in each cluster, all tied to each other; more than one, or not checked; no unit is left somewhere."""


class Kernels(NamedTuple):
    """Of one shape of memory."""

    store: Kernel
    edges: Kernel
    eliminate: Kernel


@cache
def kernels(clusters: int, units: int, active: int) -> Kernels:
    """Return the kernels of a shape; they are compiled when first called."""
    return Kernels(_make_store(clusters, units, active), _make_edges(units), _make_eliminate(clusters, units, active))


def _make_store(clusters: int, units: int, active: int) -> Kernel:
    small = np.uint16 if clusters * units <= 1 << 16 else np.uint32
    dense = active == clusters

    @njit(**options)
    def store(bits, messages, first, last):  # type: ignore[no-untyped-def]
        """Tie the units of each message: only the rows of clusters ``first`` to ``last`` - 1.

        Threads that share out the clusters never meet in a word. ``bits``: uint64 (n, w); ``messages``: int32 (m, X).
        """
        gathered = np.empty((active, TILE), small)
        for start in range(0, messages.shape[0], TILE):
            count = min(TILE, messages.shape[0] - start)
            for i in range(count):
                k = 0
                for a in range(clusters):
                    symbol = messages[start + i, a]
                    if dense or symbol >= 0:
                        gathered[k, i] = a * units + symbol
                        k += 1
            for a in range(first if dense else 0, last if dense else active):
                for i in range(count):
                    row = np.int64(gathered[a, i])
                    if not dense and (row < first * units or row >= last * units):
                        continue
                    for b in range(active):
                        unit = np.int64(gathered[b, i])
                        bits[row, unit >> 6] |= ONE << np.uint64(unit & 63)

    return store  # type: ignore[no-any-return]


def _make_edges(units: int) -> Kernel:
    @njit(**options)
    def edges(bits, messages, all_or_none, counts):  # type: ignore[no-untyped-def]
        """Count the connections present among each message's symbols, each once; with a lone symbol, with itself.

        With ``all_or_none`` the count stops at the first one missing. ``bits``: uint64 (n, w); ``messages``: int32
        (m, X), negative = not used; ``counts``: int32 (m, 2), filled: present, and how many there could be.
        """
        mine = np.empty(messages.shape[1], np.int64)
        for i in range(messages.shape[0]):
            k = 0
            present = 0
            missing = False
            for a in range(messages.shape[1]):
                if messages[i, a] < 0:
                    continue
                unit = a * units + np.int64(messages[i, a])
                mine[k] = unit
                k += 1
                for j in range(k - 1):
                    if missing and all_or_none:
                        break
                    tied = (bits[mine[j], unit >> 6] >> np.uint64(unit & 63)) & ONE != 0
                    present += int(tied)
                    missing |= not tied
            if k == 1:
                present = int((bits[mine[0], mine[0] >> 6] >> np.uint64(mine[0] & 63)) & ONE)
            counts[i, 0] = present
            counts[i, 1] = max(1, k * (k - 1) // 2)

    return edges  # type: ignore[no-any-return]


def _make_eliminate(clusters: int, units: int, active: int) -> Kernel:
    words = -(-clusters * units // 64)
    whole = units % 64 == 0  # then a cluster begins and ends with a word
    span = units // 64 if whole else 1 if 64 % units == 0 else (units + 62) // 64 + 1
    full = whole and active == clusters

    @njit(**options)
    def eliminate(bits, cues, limit, messages, outcomes, sets):  # type: ignore[no-untyped-def]
        """Sum-of-max for cues that contradict nothing stored: then the winners of a cluster are the units that
        are tied to at least one active unit of every other cluster, and a unit that lost never comes back.

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
        for a in range(clusters):
            for x in range(span):
                home[a * span + x] = min((a * units >> 6) + x, words - 1)
            for unit in range(a * units, (a + 1) * units):
                masks[a * span + (unit >> 6) - (a * units >> 6)] |= ONE << np.uint64(unit & 63)
        known = np.zeros(clusters + 4, np.int64)
        lost = np.zeros(clusters + 1, np.int64)
        pending = np.zeros(clusters + 1, np.int64)
        multiple = np.zeros(clusters + 1, np.int64)
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
            contradicted = n_known == 0
            if full and n_known > 0:
                known[n_known] = known[n_known + 1] = known[n_known + 2] = known[0]
                r0, r1, r2, r3 = known[0], known[1], known[2], known[3]
                for j in range(words):
                    state[j] = bits[r0, j] & bits[r1, j] & bits[r2, j] & bits[r3, j]
                for k in range(4, n_known, 4):
                    r0, r1, r2, r3 = known[k], known[k + 1], known[k + 2], known[k + 3]
                    for j in range(words):
                        state[j] &= bits[r0, j] & bits[r1, j] & bits[r2, j] & bits[r3, j]
                absent = np.uint64(0)
                for k in range(n_known):
                    absent |= ~state[known[k] >> 6] >> np.uint64(known[k] & 63)
                contradicted = absent & ONE != 0
            elif n_known > 0:
                for i in range(n_known):
                    for k in range(i):
                        unit = known[k]
                        contradicted |= (bits[known[i], unit >> 6] >> np.uint64(unit & 63)) & ONE == 0
                for e in range(n_lost):
                    for x in range(lost[e] * span, (lost[e] + 1) * span):
                        word = masks[x]
                        for k in range(n_known):
                            word &= bits[known[k], home[x]]
                        state[x] = word
            n_pending = 0
            n_multiple = 0
            for e in range(n_lost):
                a = lost[e]
                left = 0
                place = a * span
                for x in range(a * span, (a + 1) * span):
                    left += popcount(state[x])
                    place = x if state[x] != 0 else place
                contradicted |= left == 0
                unit = 64 * home[place] + lowest_bit(state[place])
                messages[q, a] = unit - a * units if left == 1 else -1
                pending[n_pending] = unit
                n_pending += left == 1
                multiple[n_multiple] = a
                n_multiple += left > 1
            rounds = 1
            last = 1
            while n_pending + n_multiple > 1 and rounds < limit and not contradicted:
                rounds += 1
                for i in range(n_pending):
                    for k in range(i):
                        unit = pending[k]
                        contradicted |= (bits[pending[i], unit >> 6] >> np.uint64(unit & 63)) & ONE == 0
                for e in range(n_multiple):
                    a = multiple[e]
                    for x in range(a * span, (a + 1) * span):
                        word = state[x]
                        for i in range(n_pending):
                            word &= bits[pending[i], home[x]]
                        after[x] = word
                        while n_multiple > 1 and word != 0:
                            lowest = word & (~word + ONE)
                            word ^= lowest
                            row = 64 * home[x] + lowest_bit(lowest)
                            for f in range(n_multiple):
                                if f == e:
                                    continue
                                met = np.uint64(0)
                                for y in range(multiple[f] * span, (multiple[f] + 1) * span):
                                    met |= bits[row, home[y]] & state[y]
                                if met == 0:
                                    after[x] ^= lowest
                                    break
                n_pending = 0
                still = 0
                changed = np.uint64(0)
                for e in range(n_multiple):
                    a = multiple[e]
                    left = 0
                    place = a * span
                    for x in range(a * span, (a + 1) * span):
                        changed |= after[x] ^ state[x]
                        state[x] = after[x]
                        left += popcount(state[x])
                        place = x if state[x] != 0 else place
                    contradicted |= left == 0
                    unit = 64 * home[place] + lowest_bit(state[place])
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
            outcomes[q, 1] = CONTRADICTED if contradicted else OPEN if unsure else SETTLED
            if sets.shape[0] > 0:
                for j in range(words):
                    sets[q, j] = np.uint64(0)
                for k in range(n_known):
                    sets[q, known[k] >> 6] |= ONE << np.uint64(known[k] & 63)
                for e in range(n_lost):
                    for x in range(lost[e] * span, (lost[e] + 1) * span):
                        sets[q, home[x]] |= state[x]

    return eliminate  # type: ignore[no-any-return]
