"""Kernels of the clique memory, compiled for one shape of memory: storing, familiarity, and recall by elimination.

The numbers of clusters and units are constants to the compiler. That doubles the speed: loops over clusters, and over
the words of a cluster, are unrolled, and their state is kept in registers. The first use of a shape on a machine takes
a second or two; after that the compiled kernels come from numba's cache.

The matrix is reflexive: every stored unit is connected to itself. So the AND of a clique's rows contains the clique's
own units (one look tells whether the known units are a clique), and counting rows counts a unit for itself (the memory
effect of the literature, gamma = 1).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from assocmem._numerics.bits import ONE
from assocmem._numerics.types import KERNEL
from assocmem.memory.elimination_kernels import Kernel, make_eliminate

STORE_BATCH = 1024
"""Messages whose units are gathered at a time."""


class CliqueKernels(NamedTuple):
    """The kernels of one shape of memory."""

    store: Kernel
    count_connections: Kernel
    eliminate: Kernel


@cache
def clique_kernels(clusters: int, units: int, active: int) -> CliqueKernels:
    """Return the kernels of a shape; each is compiled at its first call."""
    return CliqueKernels(
        _make_store(clusters, units, active), _make_count(units), make_eliminate(clusters, units, active)
    )


def _make_store(clusters: int, units: int, active: int) -> Kernel:
    small = np.uint16 if clusters * units <= 1 << 16 else np.uint32
    dense = active == clusters

    @njit(**KERNEL)
    def store(bits, messages, first, last):  # type: ignore[no-untyped-def]
        """Connect the units of each message, in the rows of clusters ``first`` to ``last`` - 1 only.

        Threads that share out the clusters never write to the same word. ``bits``: uint64 (n, w), changed;
        ``messages``: int32 (m, X).
        """
        gathered = np.empty((active, STORE_BATCH), small)
        for start in range(0, messages.shape[0], STORE_BATCH):
            count = min(STORE_BATCH, messages.shape[0] - start)
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


def _make_count(units: int) -> Kernel:
    @njit(**KERNEL)
    def count_connections(bits, messages, all_or_none, counts):  # type: ignore[no-untyped-def]
        """Count the connections that are set among each message's symbols, each once; for one symbol, with itself.

        With ``all_or_none`` the count stops at the first missing connection. ``bits``: uint64 (n, w); ``messages``:
        int32 (m, X), negative = not used; ``counts``: int32 (m, 2), filled with how many are set, and how many there
        could be.
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
                    connected = (bits[mine[j], unit >> 6] >> np.uint64(unit & 63)) & ONE != 0
                    present += int(connected)
                    missing |= not connected
            if k == 1:
                present = int((bits[mine[0], mine[0] >> 6] >> np.uint64(mine[0] & 63)) & ONE)
            counts[i, 0] = present
            counts[i, 1] = max(1, k * (k - 1) // 2)

    return count_connections  # type: ignore[no-any-return]
