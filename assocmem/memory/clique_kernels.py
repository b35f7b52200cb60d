"""The clique memory's kernels: store, look up, complete (``elimination.py``). Each is compiled for one shape of memory.

Clusters and units are constants to the compiler, which doubles the speed: loops over clusters and over the words of a
cluster are unrolled, and nothing of them is left in memory. The first use of a shape on a machine takes a second or
two; after that the compiled kernels come from numba's cache.

The matrix is reflexive: every unit seen is tied to itself. So the AND of a clique's rows holds the clique's own units
(one look tells whether the known units are a clique), and counting rows counts a unit for itself (the memory effect
of the literature, gamma = 1).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.bits import ONE, options
from assocmem.memory.elimination_kernels import Kernel, make_eliminate

TILE = 1024
"""Messages whose units are gathered at a time."""


class Kernels(NamedTuple):
    """Of one shape of memory."""

    store: Kernel
    edges: Kernel
    eliminate: Kernel


@cache
def kernels(clusters: int, units: int, active: int) -> Kernels:
    """Return the kernels of a shape; they are compiled when first called."""
    return Kernels(_make_store(clusters, units, active), _make_edges(units), make_eliminate(clusters, units, active))


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
