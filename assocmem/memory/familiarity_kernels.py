"""Kernels of the familiarity memory: storing connections, and the heaviest clique among a cue's units.

A message of c symbols has c (c - 1) / 2 pairs of clusters. Pair p is a table of units x units bits, with rows for one
of its clusters and columns for the other: bit ``s_b`` of row ``p * units + s_a``. Each cluster has the rows of about
half of its pairs, so that the ones per row tell how popular every unit is.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.bits import ONE
from assocmem._numerics.simd import lowest_bit, prefetch
from assocmem._numerics.types import I64, KERNEL

MAX_STEPS = 400
"""Units that the search for the heaviest clique tries, one after the other. A few dozen are enough unless the memory is
much too full; then the limit bounds the time, and some evidence is missed."""
POPULARITY_LEVELS = 256
"""Levels of a unit's popularity; the sum of two units' levels looks up the weight of a connection between them."""


def pair_clusters(clusters: int) -> I64:
    """List the pairs, int64 (clusters * (clusters - 1) / 2, 2): the cluster of the rows and that of the columns.

    Each cluster comes first in the pairs with the next half of the others, in a circle.
    """
    pairs = []
    for distance in range(1, clusters // 2 + 1):
        both_ways = 2 * distance == clusters  # the opposite cluster would be paired from both sides
        firsts = range(clusters // 2 if both_ways else clusters)
        pairs += [(first, (first + distance) % clusters) for first in firsts]
    return np.array(sorted(pairs), np.int64)


@njit(**KERNEL)
def store_connections(bits, messages, pairs, connections):  # type: ignore[no-untyped-def]
    """Set the bits of every message's connections, and count new ones at the unit whose row it is.

    All messages' connections of one pair of clusters are stored first, then those of the next pair: its table has two
    megabytes at most. ``bits``: uint64 (pairs * units, units / 64), changed; ``messages``: int32 (clusters, n), all
    symbols below units; ``pairs``: int64 (pairs, 2); ``connections``: int64 (clusters, units), changed.
    """
    units = connections.shape[1]
    for p in range(pairs.shape[0]):
        rows, columns, counts = messages[pairs[p, 0]], messages[pairs[p, 1]], connections[pairs[p, 0]]
        table = bits[p * units : (p + 1) * units]
        for i in range(messages.shape[1]):
            word = np.uint32(columns[i]) >> np.uint32(6)
            bit = np.uint64(columns[i]) & np.uint64(63)
            fresh = ~(table[rows[i], word] >> bit) & ONE
            table[rows[i], word] |= ONE << bit
            counts[rows[i]] += np.int64(fresh)


@njit(**KERNEL)
def max_weight_clique(connected, weights, least, stack):  # type: ignore[no-untyped-def]
    """Return the weight of the heaviest clique: units that are all connected, by the sum of their connections' weights.

    Branch and bound, for each first unit of a clique: half of the weights that units have within its neighbourhood is
    an upper bound for any clique there. ``connected``: uint64 (c,), the units that each one is connected to, c < 64;
    ``weights``: int32 (c, c), of the connections; ``least``: lighter cliques count as 0; ``stack``: int64 (c + 1, 5),
    scratch.
    """
    best = np.int64(least) - 1
    steps = MAX_STEPS
    after = (ONE << np.uint64(connected.shape[0])) - ONE
    for first in range(connected.shape[0]):
        after &= after - ONE
        candidates = connected[first] & after
        bound = 0
        rest = candidates
        while rest != np.uint64(0):
            unit = lowest_bit(rest)
            rest &= rest - ONE
            share = 2 * weights[first, unit]
            others = connected[unit] & candidates
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
                gone = candidates & ~connected[unit]
                candidates &= connected[unit]
                while gone != np.uint64(0):
                    bound -= stack[lowest_bit(gone), 4]
                    gone &= gone - ONE
                best = max(best, weight)
    return best if best >= least else 0


@njit(**KERNEL)
def score_cues(bits, messages, pairs, levels, table, least, out):  # type: ignore[no-untyped-def]
    """Find the heaviest clique among the stored connections between each cue's units, and count the connections.

    While one cue is read, the words for the next one are prefetched: a hundred cache misses cost little more than one.
    ``bits``: uint64 (words,), those of ``store_connections``, flat; ``messages``: int32 (n, clusters); ``pairs``: int64
    (pairs, 2); ``levels``: uint8 (clusters, units); ``table``: int32 (2 * POPULARITY_LEVELS,), the weight of a
    connection by the sum of its units' levels; ``out``: int32 (n, 2), filled with the weight, 0 below ``least``, and
    the number of connections.
    """
    clusters, units = levels.shape
    count = pairs.shape[0]
    connected = np.empty(clusters, np.uint64)
    weights = np.empty((clusters, clusters), np.int32)
    level = np.empty(clusters, np.int64)
    stack = np.empty((clusters + 1, 5), np.int64)
    places = np.empty((2, count), np.uint64)
    shifts = np.empty((2, count), np.uint64)
    for i in range(messages.shape[0] + 1 if messages.shape[0] else 0):
        now, later = 1 - (i & 1), i & 1
        following = min(i, messages.shape[0] - 1)
        for a in range(clusters):
            connected[a] = np.uint64(0)
            level[a] = levels[a, messages[max(0, i - 1), a]]
        connections = np.uint64(0)
        for p in range(count):
            a, b = pairs[p, 0], pairs[p, 1]
            column = np.uint64(messages[following, b])
            place = np.uint64(p * units + messages[following, a]) * np.uint64(units >> 6) + (column >> np.uint64(6))
            prefetch(bits, np.int64(place))
            if i > 0:
                bit = (bits[places[now, p]] >> shifts[now, p]) & ONE
                connections += bit
                connected[a] |= bit << np.uint64(b)
                connected[b] |= bit << np.uint64(a)
                weights[a, b] = weights[b, a] = table[level[a] + level[b]]
            places[later, p] = place
            shifts[later, p] = column & np.uint64(63)
        if i > 0:
            out[i - 1, 0] = max_weight_clique(connected, weights, least, stack)
            out[i - 1, 1] = connections


@njit(**KERNEL)
def score_simulated_cues(messages, known, draws, pairs, levels, tables, out):  # type: ignore[no-untyped-def]
    """Do as ``score_cues``, in a memory whose connections are drawn at random: what theory predicts.

    ``messages``: int32 (n, clusters); ``known``: bool (n, clusters), symbols of one stored message, which are all
    connected; ``draws``: float32 (n, pairs), from 0 to 1; ``pairs``: int64 (pairs, 2); ``levels``: uint8 (clusters,
    units); ``tables``: float32 (2, 2 * POPULARITY_LEVELS), by the sum of two units' levels the weight and the
    probability of a connection; ``out``: int32 (n,), filled with weights.
    """
    clusters = levels.shape[0]
    connected = np.empty(clusters, np.uint64)
    weights = np.empty((clusters, clusters), np.int32)
    stack = np.empty((clusters + 1, 5), np.int64)
    for i in range(messages.shape[0]):
        for a in range(clusters):
            connected[a] = np.uint64(0)
        for p in range(pairs.shape[0]):
            a, b = pairs[p, 0], pairs[p, 1]
            place = np.int64(levels[a, messages[i, a]]) + np.int64(levels[b, messages[i, b]])
            weights[a, b] = weights[b, a] = np.int32(tables[0, place])
            if (known[i, a] and known[i, b]) or draws[i, p] < tables[1, place]:
                connected[a] |= ONE << np.uint64(b)
                connected[b] |= ONE << np.uint64(a)
        out[i] = max_weight_clique(connected, weights, 0, stack)


@njit(**KERNEL)
def max_overlap(messages, cues, skip, out):  # type: ignore[no-untyped-def]
    """Find the greatest number of symbols that any message shares with each cue, in the same clusters.

    ``messages``: uint16 (n, clusters); ``cues``: uint16 (m, clusters); ``skip``: int64 (m,), a message that is not
    compared, or -1; ``out``: int64 (m,), filled; 0 if there is no message.
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
