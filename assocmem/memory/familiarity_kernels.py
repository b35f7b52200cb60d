"""Kernels of the memory that tells what was seen (``seen.py``): storing ties, and weighing those between a cue's units.

A message of c symbols has c (c - 1) / 2 pairs of clusters. Pair p is a table of units x units bits, rows for one of its
clusters and columns for the other: bit ``s_b`` of row ``p * units + s_a``. Each cluster has the rows of about half of
its pairs, so that ones counted by rows tell how popular every unit is.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.bits import ONE, options
from assocmem._numerics.simd import lowest_bit, prefetch
from assocmem._numerics.types import I64

STEPS = 400
"""Units that are tried, one after the other, in the search for the heaviest clique: a few dozen are enough unless the
memory is much too full, and then time stays bounded and some evidence is left out."""
LEVELS = 256
"""Steps of a unit's popularity; two units' steps, added, look up the weight of a tie between them."""


def pair_clusters(clusters: int) -> I64:
    """List the pairs, int64 (clusters * (clusters - 1) / 2, 2): the cluster of the rows and that of the columns.

    Each cluster comes first in the pairs with the next half of the others, in a circle.
    """
    pairs = []
    for distance in range(1, clusters // 2 + 1):
        both_ways = 2 * distance == clusters  # the one opposite would be met from both sides
        firsts = range(clusters // 2 if both_ways else clusters)
        pairs += [(first, (first + distance) % clusters) for first in firsts]
    return np.array(sorted(pairs), np.int64)


@njit(**options)
def store_ties(bits, messages, pairs, ties):  # type: ignore[no-untyped-def]
    """Set the bits of every message's ties, and count those that are new at the unit that has the row.

    All messages' ties of one pair of clusters, then those of the next: its table is two megabytes at most.
    ``bits``: uint64 (pairs * units, units / 64); ``messages``: int32 (clusters, n), all symbols below units;
    ``pairs``: int64 (pairs, 2); ``ties``: int64 (clusters, units), added to.
    """
    units = ties.shape[1]
    for p in range(pairs.shape[0]):
        rows, columns, counts = messages[pairs[p, 0]], messages[pairs[p, 1]], ties[pairs[p, 0]]
        table = bits[p * units : (p + 1) * units]
        for i in range(messages.shape[1]):
            word = np.uint32(columns[i]) >> np.uint32(6)
            bit = np.uint64(columns[i]) & np.uint64(63)
            fresh = ~(table[rows[i], word] >> bit) & ONE
            table[rows[i], word] |= ONE << bit
            counts[rows[i]] += np.int64(fresh)


@njit(**options)
def heaviest(tied, weights, least, stack):  # type: ignore[no-untyped-def]
    """Weight of the heaviest clique: units that are all tied to each other, by the sum of their ties' weights.

    Branch and bound, by the clique's first unit: half of the weights that units have within its neighbourhood is at
    least what any clique there can have. ``tied``: uint64 (c,), per unit those it is tied to, c < 64; ``weights``:
    int32 (c, c), where tied; ``least``: lighter cliques are not looked for, and count as 0; ``stack``: int64 (c + 1,
    5), scratch.
    """
    best = np.int64(least) - 1
    steps = STEPS
    after = (ONE << np.uint64(tied.shape[0])) - ONE
    for first in range(tied.shape[0]):
        after &= after - ONE
        candidates = tied[first] & after
        bound = 0
        rest = candidates
        while rest != np.uint64(0):
            unit = lowest_bit(rest)
            rest &= rest - ONE
            share = 2 * weights[first, unit]
            others = tied[unit] & candidates
            while others != np.uint64(0):
                share += weights[unit, lowest_bit(others)]
                others &= others - ONE
            stack[unit, 4] = share
            bound += share
        stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = candidates, 0, 0, bound
        top = 1
        while top > 0:
            top -= 1
            candidates, clique = np.uint64(stack[top, 0]), np.uint64(stack[top, 1])
            weight, bound = stack[top, 2], stack[top, 3]
            while candidates != np.uint64(0) and bound > 2 * best and steps > 0:
                steps -= 1
                unit = lowest_bit(candidates)
                candidates &= candidates - ONE
                stack[top, 0], stack[top, 1], stack[top, 2] = candidates, clique, weight
                stack[top, 3] = bound - stack[unit, 4]
                top += 1
                weight += weights[first, unit]
                rest = clique
                while rest != np.uint64(0):
                    weight += weights[unit, lowest_bit(rest)]
                    rest &= rest - ONE
                clique |= ONE << np.uint64(unit)
                gone = candidates & ~tied[unit]
                candidates &= tied[unit]
                while gone != np.uint64(0):
                    bound -= stack[lowest_bit(gone), 4]
                    gone &= gone - ONE
                best = max(best, weight)
    return best if best >= least else 0


@njit(**options)
def weigh(bits, messages, pairs, levels, table, least, out):  # type: ignore[no-untyped-def]
    """Weigh the heaviest clique among the ties that are stored between each cue's units, and count the ties.

    While one cue is read, the words that the next one needs are on their way: a hundred cache misses cost little more
    than one. ``bits``: uint64 (words,), those of ``store_ties`` in one row; ``messages``, ``pairs``: as there;
    ``levels``: uint8 (clusters, units); ``table``: int32 (2 * LEVELS,), the weight of a tie by the sum of its units'
    levels; ``out``: int32 (n, 2), filled: the weight, 0 below ``least``, and the number of ties.
    """
    clusters, units = levels.shape
    count = pairs.shape[0]
    tied = np.empty(clusters, np.uint64)
    weights = np.empty((clusters, clusters), np.int32)
    level = np.empty(clusters, np.int64)
    stack = np.empty((clusters + 1, 5), np.int64)
    places = np.empty((2, count), np.uint64)
    shifts = np.empty((2, count), np.uint64)
    for i in range(messages.shape[0] + 1 if messages.shape[0] else 0):
        now, later = 1 - (i & 1), i & 1
        following = min(i, messages.shape[0] - 1)
        for a in range(clusters):
            tied[a] = np.uint64(0)
            level[a] = levels[a, messages[max(0, i - 1), a]]
        ties = np.uint64(0)
        for p in range(count):
            a, b = pairs[p, 0], pairs[p, 1]
            column = np.uint64(messages[following, b])
            place = np.uint64(p * units + messages[following, a]) * np.uint64(units >> 6) + (column >> np.uint64(6))
            prefetch(bits, np.int64(place))
            if i > 0:
                bit = (bits[places[now, p]] >> shifts[now, p]) & ONE
                ties += bit
                tied[a] |= bit << np.uint64(b)
                tied[b] |= bit << np.uint64(a)
                weights[a, b] = weights[b, a] = table[level[a] + level[b]]
            places[later, p] = place
            shifts[later, p] = column & np.uint64(63)
        if i > 0:
            out[i - 1, 0] = heaviest(tied, weights, least, stack)
            out[i - 1, 1] = ties


@njit(**options)
def weigh_chances(messages, known, draws, pairs, levels, tables, out):  # type: ignore[no-untyped-def]
    """Weigh as ``weigh`` does, in a memory where ties between units come about by chance alone: the theory.

    ``known``: bool (n, clusters), symbols that stem from one stored message, and so are tied to each other; ``draws``:
    float32 (n, pairs), from 0 to 1; ``tables``: float32 (2, 2 * LEVELS), by the sum of two units' levels the weight of
    a tie and the chance that there is one; ``out``: int32 (n,), filled.
    """
    clusters = levels.shape[0]
    tied = np.empty(clusters, np.uint64)
    weights = np.empty((clusters, clusters), np.int32)
    stack = np.empty((clusters + 1, 5), np.int64)
    for i in range(messages.shape[0]):
        for a in range(clusters):
            tied[a] = np.uint64(0)
        for p in range(pairs.shape[0]):
            a, b = pairs[p, 0], pairs[p, 1]
            place = np.int64(levels[a, messages[i, a]]) + np.int64(levels[b, messages[i, b]])
            weights[a, b] = weights[b, a] = np.int32(tables[0, place])
            if (known[i, a] and known[i, b]) or draws[i, p] < tables[1, place]:
                tied[a] |= ONE << np.uint64(b)
                tied[b] |= ONE << np.uint64(a)
        out[i] = heaviest(tied, weights, 0, stack)


@njit(**options)
def most_shared(messages, cues, skip, out):  # type: ignore[no-untyped-def]
    """Most symbols that any message has in common with each cue, in the same clusters.

    ``messages``: uint16 (n, clusters); ``cues``: uint16 (m, clusters); ``skip``: int64 (m,), a message that does not
    count, or -1; ``out``: int64 (m,), filled; 0 when there is no message.
    """
    for j in range(cues.shape[0]):
        best = 0
        for i in range(messages.shape[0]):
            shared = 0
            for c in range(cues.shape[1]):
                shared += messages[i, c] == cues[j, c]
            if shared > best and i != skip[j]:
                best = shared
        out[j] = best
