"""Recall by winner-take-all: units compete in rounds, for every rule and every cue, in whole batches.

A round counts for every unit the active units (sum-of-sum), or the clusters with an active unit (sum-of-max), that it
is connected to, itself included. The winners are active in the next round. This is slower than elimination
(``elimination_kernels.py``), which computes the same for cues that contradict nothing stored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.bits import ONE, count_ones, count_rows, list_ones, words_for
from assocmem._numerics.types import I32, I64, KERNEL, U16, Words

CUE_BATCH = 256
"""Cues whose counts are in memory at a time."""


class Competition(NamedTuple):
    """How units compete."""

    by_cluster: bool
    """count clusters instead of units (sum-of-max)"""
    winners: int
    """0: the best of each cluster win; k > 0: all units win that are at least as good as the network's k-th best"""


@njit(**KERNEL)
def _network_threshold(counts, cue, units, winners):  # type: ignore[no-untyped-def]
    """Return the count of the ``winners``-th best unit of the clusters that take part, at least 1.

    ``counts``: uint16 (X * units,); ``cue``: int32 (X,).
    """
    tally = np.zeros(1 + counts.shape[0], np.int64)
    for a in range(cue.shape[0]):
        if cue[a] > -2:
            for unit in range(a * units, (a + 1) * units):
                tally[counts[unit]] += 1
    threshold = counts.shape[0]
    better = tally[threshold]
    while threshold > 1 and better < winners:
        threshold -= 1
        better += tally[threshold]
    return threshold


@njit(**KERNEL)
def activate_winners(counts, cues, units, winners, active):  # type: ignore[no-untyped-def]
    """Activate the winners of a round.

    ``counts``: uint16 (m, X * units); ``cues``: int32 (m, X), -2 = the cluster takes no part; ``winners``: as in
    ``Competition``; ``active``: uint64 (m, w), filled. A unit whose count is zero never wins.
    """
    for q in range(counts.shape[0]):
        for j in range(active.shape[1]):
            active[q, j] = np.uint64(0)
        least = _network_threshold(counts[q], cues[q], units, winners) if winners > 0 else 1
        for a in range(cues.shape[1]):
            if cues[q, a] == -2:
                continue
            threshold = np.int64(least)
            if winners == 0:
                for unit in range(a * units, (a + 1) * units):
                    threshold = max(threshold, np.int64(counts[q, unit]))
            for unit in range(a * units, (a + 1) * units):
                if counts[q, unit] >= threshold:
                    active[q, unit >> 6] |= ONE << np.uint64(unit & 63)


@njit(**KERNEL)
def read_symbols(active, units, messages):  # type: ignore[no-untyped-def]
    """Read the symbol of each cluster's only active unit; -1 if no unit or several are active.

    ``active``: uint64 (m, w); ``messages``: int32 (m, X), filled.
    """
    for q in range(active.shape[0]):
        for a in range(messages.shape[1]):
            found = -1
            for unit in range(a * units, (a + 1) * units):
                if (active[q, unit >> 6] >> np.uint64(unit & 63)) & ONE != 0:
                    found = unit - a * units if found == -1 else -2
            messages[q, a] = max(found, -1)


def compete(bits: Words, units: int, cues: I32, competition: Competition, limit: int) -> tuple[Words, I32]:
    """Let the units of every cue compete until nothing changes, or for ``limit`` rounds.

    Parameters
    ----------
    bits : uint64 (n, w)
    units : int
        Per cluster.
    cues : int32 (m, X)
        -1 = erased, -2 = the cluster takes no part.
    competition : Competition
    limit : int

    Returns
    -------
    active : uint64 (m, w)
        The units that are active at the end.
    rounds : int32 (m,)
        The number of the last round that changed something, at least 1.
    """
    active = np.zeros((len(cues), words_for(cues.shape[1] * units)), np.uint64)
    rounds = np.ones(len(cues), np.int32)
    for start in range(0, len(cues), CUE_BATCH):
        part = slice(start, start + CUE_BATCH)
        _compete(bits, units, cues[part], competition, limit, active[part], rounds[part])
    return active, rounds


def _compete(
    bits: Words, units: int, cues: I32, competition: Competition, limit: int, active: Words, rounds: I32
) -> None:
    """Do the same for one batch; ``active`` and ``rounds`` are filled."""
    rows, clusters = np.nonzero(cues >= 0)
    known = clusters * units + cues[rows, clusters]
    np.bitwise_or.at(active, (rows, known >> 6), ONE << (known & 63).astype(np.uint64))
    counts: U16 = np.empty((len(cues), cues.shape[1] * units), np.uint16)
    running = np.arange(len(cues))
    for number in range(1, limit + 1):
        before = active[running]
        after = np.empty_like(before)
        active_units, sets = _active_units(before)
        groups, sets = _groups(active_units, sets, units if competition.by_cluster else 1)
        count_rows(bits, active_units, groups, sets, counts[: len(running)])
        activate_winners(counts[: len(running)], cues[running], units, competition.winners, after)
        active[running] = after
        changed = (after != before).any(axis=1)
        rounds[running[changed]] = number
        running = running[changed]
        if not len(running):
            break


def _active_units(active: Words) -> tuple[I64, I64]:
    """Return the active units of all cues, int64 (sum,), and where each cue's begin, int64 (m + 1,)."""
    numbers = np.empty(len(active), np.int64)
    count_ones(active, numbers)
    sets = np.concatenate([[0], np.cumsum(numbers)])
    units = np.empty(sets[-1], np.int64)
    list_ones(active, sets[:-1], units)
    return units, sets


def _groups(active_units: I64, sets: I64, size: int) -> tuple[I64, I64]:
    """Group units by cluster (``size`` units per cluster), or each alone (1).

    Returns where the groups begin, and which group each cue's begin with, as ``count_rows`` takes them.
    """
    cluster = active_units // size
    first = np.ones(len(cluster), bool)
    first[1:] = cluster[1:] != cluster[:-1]
    first[sets[:-1][sets[:-1] < len(cluster)]] = True  # a cue's first unit begins a group
    groups = np.append(np.flatnonzero(first), len(cluster))
    return groups, np.searchsorted(groups, sets)
