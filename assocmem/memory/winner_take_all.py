"""Winner-take-all among the units of a clique memory: every rule, every cue, in rounds over whole batches.

A round counts for every unit how many active units (sum-of-sum), or how many clusters with an active unit
(sum-of-max), it is tied to, itself included; the winners are active in the next round. Slower than elimination
(``elimination.py``), which computes the same for cues that contradict nothing stored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.bits import ONE, count_ones, count_rows, list_ones, options, words_for
from assocmem._numerics.types import I32, I64, U16, Words

BATCH = 256
"""Cues whose counts are in memory at a time."""


class Rule(NamedTuple):
    """How units compete."""

    by_cluster: bool
    """count clusters, not units (sum-of-max)"""
    wanted: int
    """0: every cluster has its winners; k > 0: units as good as the k-th best of all win"""


@njit(**options)
def winners(counts, cues, units, wanted, active):  # type: ignore[no-untyped-def]
    """Activate the winners.

    ``counts``: uint16 (m, X * units); ``cues``: int32 (m, X), -2 = cluster takes no part; ``wanted``: as in ``Rule``;
    ``active``: uint64 (m, w), filled. A unit without any count never wins.
    """
    for q in range(counts.shape[0]):
        for j in range(active.shape[1]):
            active[q, j] = np.uint64(0)
        least = 1
        if wanted > 0:
            tally = np.zeros(1 + counts.shape[1], np.int64)
            for a in range(cues.shape[1]):
                if cues[q, a] > -2:
                    for unit in range(a * units, (a + 1) * units):
                        tally[counts[q, unit]] += 1
            least = counts.shape[1]
            better = tally[least]
            while least > 1 and better < wanted:
                least -= 1
                better += tally[least]
        for a in range(cues.shape[1]):
            if cues[q, a] == -2:
                continue
            threshold = np.int64(least)
            if wanted == 0:
                for unit in range(a * units, (a + 1) * units):
                    threshold = max(threshold, np.int64(counts[q, unit]))
            for unit in range(a * units, (a + 1) * units):
                if counts[q, unit] >= threshold:
                    active[q, unit >> 6] |= ONE << np.uint64(unit & 63)


@njit(**options)
def read_symbols(active, units, messages):  # type: ignore[no-untyped-def]
    """Read what is left: a cluster's one active unit, else -1.

    ``active``: uint64 (m, w); ``messages``: int32 (m, X), filled.
    """
    for q in range(active.shape[0]):
        for a in range(messages.shape[1]):
            found = -1
            for unit in range(a * units, (a + 1) * units):
                if (active[q, unit >> 6] >> np.uint64(unit & 63)) & ONE != 0:
                    found = unit - a * units if found == -1 else -2
            messages[q, a] = max(found, -1)


def compete(bits: Words, units: int, cues: I32, rule: Rule, limit: int) -> tuple[Words, I32]:
    """Let the units of every cue compete until nothing changes, or ``limit`` rounds are done.

    Parameters
    ----------
    bits : uint64 (n, w)
    units : int
        Per cluster.
    cues : int32 (m, X)
        -1 = erased, -2 = the cluster takes no part.
    rule : Rule
    limit : int

    Returns
    -------
    active : uint64 (m, w)
        The units that are active at the end.
    rounds : int32 (m,)
        How many changed something.
    """
    active = np.zeros((len(cues), words_for(cues.shape[1] * units)), np.uint64)
    rounds = np.ones(len(cues), np.int32)
    for start in range(0, len(cues), BATCH):
        part = slice(start, start + BATCH)
        _compete(bits, units, cues[part], rule, limit, active[part], rounds[part])
    return active, rounds


def _compete(bits: Words, units: int, cues: I32, rule: Rule, limit: int, active: Words, rounds: I32) -> None:
    rows, clusters = np.nonzero(cues >= 0)
    known = clusters * units + cues[rows, clusters]
    np.bitwise_or.at(active, (rows, known >> 6), ONE << (known & 63).astype(np.uint64))
    counts: U16 = np.empty((len(cues), cues.shape[1] * units), np.uint16)
    running = np.arange(len(cues))
    for number in range(1, limit + 1):
        before = active[running]
        after = np.empty_like(before)
        units_on, sets = _active_units(before)
        groups, sets = _groups(units_on, sets, units if rule.by_cluster else 1)
        count_rows(bits, units_on, groups, sets, counts[: len(running)])
        winners(counts[: len(running)], cues[running], units, rule.wanted, after)
        active[running] = after
        changed = (after != before).any(axis=1)
        rounds[running[changed]] = number
        running = running[changed]
        if not len(running):
            break


def _active_units(active: Words) -> tuple[I64, I64]:
    """Units that are on, one cue behind the other, and where each cue's begin: int64 (sum,), int64 (m + 1,)."""
    numbers = np.empty(len(active), np.int64)
    count_ones(active, numbers)
    sets = np.concatenate([[0], np.cumsum(numbers)])
    units_on = np.empty(sets[-1], np.int64)
    list_ones(active, sets[:-1], units_on)
    return units_on, sets


def _groups(units_on: I64, sets: I64, size: int) -> tuple[I64, I64]:
    """Group units by cluster (``size`` units), or each for itself (1): where groups, and where each cue's, begin."""
    cluster = units_on // size
    first = np.ones(len(cluster), bool)
    first[1:] = cluster[1:] != cluster[:-1]
    first[sets[:-1][sets[:-1] < len(cluster)]] = True  # a cue's first unit begins a group
    groups = np.append(np.flatnonzero(first), len(cluster))
    return groups, np.searchsorted(groups, sets)
