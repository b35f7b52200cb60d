"""CliqueMemory: stores messages as cliques of connected units, recognises them and completes them.

The theory is in ``capacity.py``, recall in ``recall.py``.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from assocmem._numerics.bits import ONE, WORD
from assocmem._numerics.threads import check_threads, parallel_for
from assocmem._numerics.types import F64, I32, Bools
from assocmem._numerics.validation import check_cues, check_messages, check_size, check_symbols
from assocmem.errors import InputError
from assocmem.memory.base import BitMemory
from assocmem.memory.clique_kernels import clique_kernels
from assocmem.memory.recall import Recall, RecallTask
from assocmem.memory.winner_take_all import Competition

RuleName = Literal["sum-of-max", "sum-of-sum", "gwsta"]
MAX_ITERATIONS = 100
"""Rounds of recall after which a competition that never settles ends."""
_THREAD_MESSAGES = 2048  # fewer are not worth a thread


class CliqueMemory(BitMemory):
    """A binary clique network (Gripon & Berrou 2011); with ``active``, one of sparse cliques (Aliabadi et al. 2014).

    A message picks one unit in each of its clusters. Storing it connects these units to each other, one bit per
    connection. Storing never clears a bit, so order and repetition do not matter, and two memories merge by OR.

    Parameters
    ----------
    clusters : int
        Clusters of units, at least 2.
    units : int
        Units per cluster: the symbols 0 to ``units - 1``.
    active : int, optional
        How many clusters each message uses; all of them by default.

    Attributes
    ----------
    bits : uint64 (clusters * units, words)
        Row u: the units that unit u is connected to, itself included. Both halves of the symmetric matrix are kept:
        rows are then read in one piece, which makes recall fast; from one half, columns would be gathered bit by bit.

    Raises
    ------
    InputError
        Impossible sizes, or more than this machine's memory.
    """

    kind = "clique"

    def __init__(self, clusters: int, units: int, *, active: int | None = None) -> None:
        self._make(clusters=clusters, units=units, active=clusters if active is None else active)

    def _set_shape(self, clusters: int, units: int, active: int) -> None:  # type: ignore[override]
        self.clusters, self.units = check_size("clusters", clusters, 2), check_size("units", units, 1)
        self.active = check_size("active", active, 2)
        if self.active > self.clusters:
            raise InputError(f"active: expected at most the {clusters} clusters there are, found {active}")
        if self.clusters * self.units > 2**31:
            raise InputError(f"expected at most 2**31 units in all, found {clusters} x {units}; take fewer")
        self._kernels = clique_kernels(self.clusters, self.units, self.active)

    @property
    def shape(self) -> dict[str, int]:
        """Clusters, units and active clusters."""
        return {"clusters": self.clusters, "units": self.units, "active": self.active}

    def _matrix_size(self) -> tuple[int, int]:
        return self.clusters * self.units, self.clusters * self.units

    @property
    def density(self) -> float:
        """Share of the possible connections that are set, not counting those of units to themselves."""
        unit = np.arange(len(self.bits))
        itself = (self.bits[unit, unit // WORD] >> (unit % WORD).astype(np.uint64)) & ONE
        possible = self.clusters * (self.clusters - 1) * self.units**2
        return (int(self._ones_per_row().sum()) - int(itself.sum())) / possible

    # Storing

    def store(self, messages: npt.ArrayLike, *, threads: int | None = None) -> None:
        """Store messages, integers (n, clusters): symbols, -1 = cluster not used.

        Raises
        ------
        InputError
            Wrong shape, dtype or symbols, or a message that does not use ``active`` clusters; nothing is stored.
        """
        self._check_writable()
        self._store(check_messages(messages, "messages", **self.shape), check_threads(threads))

    def _store(self, messages: I32, threads: int) -> None:
        def work(first: int, last: int) -> None:
            self._kernels.store(self.bits, messages, first, last)

        # Threads share out clusters instead of messages: no two threads write to the same row, so no bit is lost.
        with self._writing:
            parallel_for(work, self.clusters, threads if len(messages) > _THREAD_MESSAGES else 1)

    def forget(self, messages: npt.ArrayLike, remaining: npt.ArrayLike, *, threads: int | None = None) -> None:
        """Forget messages: afterwards the bits are those of a memory that has only ever stored ``remaining``.

        An OR cannot be undone, so the connections of the forgotten messages are cleared, and those that remaining
        messages share are set again.

        Parameters
        ----------
        messages : integers (n, clusters)
            The messages to forget.
        remaining : integers (m, clusters)
            All other messages that were stored.

        Raises
        ------
        InputError
            As for ``store``; nothing is changed.
        """
        self._check_writable()
        parts = check_threads(threads)
        gone = check_messages(messages, "messages", **self.shape)
        kept = check_messages(remaining, "remaining", **self.shape)
        touched = np.zeros(self.clusters * self.units, bool)
        for start in range(0, len(gone), _THREAD_MESSAGES):
            part = gone[start : start + _THREAD_MESSAGES]
            rows, clusters = np.nonzero(part >= 0)
            units = (clusters * self.units + part[rows, clusters]).reshape(len(part), self.active)
            touched[units] = True
            for b in range(self.active):
                word, bit = units[:, b, None] // WORD, ONE << (units[:, b, None] % WORD).astype(np.uint64)
                with self._writing:
                    np.bitwise_and.at(self.bits, (units, word), ~bit)
        offsets = np.arange(self.clusters, dtype=np.int64) * self.units
        shares = np.zeros(len(kept), bool)
        for start in range(0, len(kept), _THREAD_MESSAGES):
            part = kept[start : start + _THREAD_MESSAGES]
            cleared = touched[np.where(part >= 0, part + offsets, 0)] & (part >= 0)
            shares[start : start + _THREAD_MESSAGES] = cleared.any(axis=1)
        self._store(kept[shares], parts)

    # Recognising

    def familiar(self, messages: npt.ArrayLike) -> Bools:
        """Return for each message whether all its connections are set, bool (n,).

        Every stored message is familiar, and so is any part of it; of messages that were not stored, a share of
        ``density ** (c (c-1) / 2)`` for c symbols. The time does not depend on how much is stored.

        Parameters
        ----------
        messages : integers (n, clusters)
            Symbols, -1 = not used; at least one per message.
        """
        counts = self._count_connections(messages, True)
        return np.asarray(counts[:, 0] == counts[:, 1])

    def familiarity(self, messages: npt.ArrayLike) -> F64:
        """Return the share of each message's connections that are set, float64 (n,)."""
        counts = self._count_connections(messages, False)
        return np.asarray(counts[:, 0] / counts[:, 1])

    def _count_connections(self, messages: npt.ArrayLike, all_or_none: bool) -> I32:
        checked = check_symbols(messages, "messages", self.clusters, self.units)
        empty = np.flatnonzero((checked < 0).all(axis=1))
        if len(empty):
            raise InputError(f"messages: expected at least one symbol in each, found none in message {empty[0]}")
        counts = np.empty((len(checked), 2), np.int32)
        self._kernels.count_connections(self.bits, checked, all_or_none, counts)
        return counts

    # Recalling

    def recall(
        self,
        cues: npt.ArrayLike,
        *,
        rule: RuleName = "sum-of-max",
        iterations: int | None = None,
        guided: bool = True,
        candidates: bool = False,
        threads: int | None = None,
    ) -> Recall:
        """Complete and correct cues.

        In every round the units of a cluster compete. ``"sum-of-max"`` counts the clusters in which a unit is connected
        to an active unit, ``"sum-of-sum"`` all active units it is connected to; both count the unit itself. The best
        units of each cluster are active in the next round. ``"gwsta"`` (global winners take all, Aboudib et al. 2014)
        counts as ``"sum-of-sum"`` does; all units win that are at least as good as the k-th best of the whole network,
        where k is ``active``. Wrong symbols in a cue can be corrected, because known symbols compete too.

        Parameters
        ----------
        cues : integers (n, clusters)
            Symbols; -1 = erased; -2 = the message is known not to use the cluster.
        rule : {"sum-of-max", "sum-of-sum", "gwsta"}
        iterations : int, optional
            Rounds, at most; by default until nothing changes, or 100.
        guided : bool
            Whether it is known which clusters a sparse message uses. If so, the others are marked by -2 (not needed in
            a cue with ``active`` symbols). If not, all units compete with all: the best of the network win, or the
            ``active`` best with "gwsta".
        candidates : bool
            Whether to return the units that are left as well.
        threads : int, optional
            As many as there are cores by default; the answer does not depend on it.

        Returns
        -------
        Recall

        Raises
        ------
        InputError
            Wrong shape, dtype or symbols, an unknown rule, or a guided sparse cue that does not say which clusters
            are used.
        """
        if rule not in get_args(RuleName):
            raise InputError(f"rule: expected one of {', '.join(get_args(RuleName))}, found {rule!r}")
        limit = MAX_ITERATIONS if iterations is None else check_size("iterations", iterations, 1)
        parts = check_threads(threads)
        checked = check_cues(cues, guided=guided, **self.shape)
        answer = Recall(
            np.empty_like(checked),
            np.empty(len(checked), bool),
            np.empty(len(checked), np.int32),
            np.empty((len(checked), self.clusters, self.units), bool) if candidates else None,
        )
        dense = self.active == self.clusters
        winners = self.active if rule == "gwsta" else 0 if guided or dense else 1
        competition = Competition(rule == "sum-of-max", winners)
        task = RecallTask(self._kernels, self.bits, self.units, self.active, competition, limit)

        def work(start: int, stop: int) -> None:
            task.complete(checked, answer, slice(start, stop))

        parallel_for(work, len(checked), parts, _THREAD_MESSAGES)
        return answer
