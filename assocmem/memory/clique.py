"""CliqueMemory: stores messages as cliques of tied units, recognises and completes them.

Arrays in, arrays out; files only by ``save`` and ``load``. Theory in ``capacity.py``, kernels in ``recall.py`` and
``compete.py``.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from assocmem._numerics.bits import ONE, WORD
from assocmem._numerics.threads import check_threads, in_parts
from assocmem._numerics.types import F64, I32, Bools
from assocmem._numerics.validation import check_complete, check_cues, check_size, check_symbols
from assocmem.errors import InputError
from assocmem.memory.base import BitMemory
from assocmem.memory.clique_kernels import kernels
from assocmem.memory.recall import Recall, Task
from assocmem.memory.winner_take_all import Rule

RuleName = Literal["sum-of-max", "sum-of-sum", "gwsta"]
LIMIT = 100
"""Rounds after which a competition that never rests is ended."""
_LEAST = 2048  # messages that are worth a thread


class CliqueMemory(BitMemory):
    """A binary clique network (Gripon & Berrou 2011); with ``active``, one of sparse cliques (Aliabadi et al. 2014).

    A message picks one unit in each of its clusters; storing it ties these units to each other, one bit per tie.
    Storing never clears a bit, so order and repetition do not matter, and two memories merge by OR.

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
        Row u: the units that unit u is tied to, itself included. Both halves of the symmetric matrix are kept: rows
        are then read in one piece, which is what makes recall quick; a half would have to be gathered bit by bit.

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
        self._kernels = kernels(self.clusters, self.units, self.active)

    @property
    def shape(self) -> dict[str, int]:
        """Clusters, units and active clusters."""
        return {"clusters": self.clusters, "units": self.units, "active": self.active}

    def _matrix_size(self) -> tuple[int, int]:
        return self.clusters * self.units, self.clusters * self.units

    @property
    def density(self) -> float:
        """Share of the possible connections that are there, each unit with itself not counted."""
        unit = np.arange(len(self.bits))
        itself = (self.bits[unit, unit // WORD] >> (unit % WORD).astype(np.uint64)) & ONE
        possible = self.clusters * (self.clusters - 1) * self.units**2
        return (self._ones() - int(itself.sum())) / possible

    # storing

    def store(self, messages: npt.ArrayLike, *, threads: int | None = None) -> None:
        """Store messages, integers (n, clusters): symbols, -1 = cluster not used.

        Raises
        ------
        InputError
            Wrong shape, dtype or symbols, or a message that does not use ``active`` clusters; nothing is stored.
        """
        self._check_writable()
        self._store(check_complete(messages, "messages", **self.shape), check_threads(threads))

    def _store(self, messages: I32, threads: int) -> None:
        def work(first: int, last: int) -> None:
            self._kernels.store(self.bits, messages, first, last)

        # Clusters are shared out, not messages: no two threads write to one row, so no bit can be lost.
        with self._writing:
            in_parts(work, self.clusters, threads if len(messages) > _LEAST else 1)

    def forget(self, messages: npt.ArrayLike, remaining: npt.ArrayLike, *, threads: int | None = None) -> None:
        """Forget messages: afterwards the bits are those of a memory that has only ever seen ``remaining``.

        An OR cannot be undone, so the connections of what is forgotten are cleared, and those that remaining messages
        share are tied again.

        Parameters
        ----------
        messages : integers (n, clusters)
            What is to be forgotten.
        remaining : integers (m, clusters)
            All other messages that were stored.

        Raises
        ------
        InputError
            As ``store``; nothing is changed.
        """
        self._check_writable()
        parts = check_threads(threads)
        gone = check_complete(messages, "messages", **self.shape)
        kept = check_complete(remaining, "remaining", **self.shape)
        touched = np.zeros(self.clusters * self.units, bool)
        for start in range(0, len(gone), _LEAST):
            part = gone[start : start + _LEAST]
            rows, clusters = np.nonzero(part >= 0)
            units = (clusters * self.units + part[rows, clusters]).reshape(len(part), self.active)
            touched[units] = True
            for b in range(self.active):
                word, bit = units[:, b, None] // WORD, ONE << (units[:, b, None] % WORD).astype(np.uint64)
                with self._writing:
                    np.bitwise_and.at(self.bits, (units, word), ~bit)
        offsets = np.arange(self.clusters, dtype=np.int64) * self.units
        shares = np.zeros(len(kept), bool)
        for start in range(0, len(kept), _LEAST):
            part = kept[start : start + _LEAST]
            shares[start : start + _LEAST] = (touched[np.where(part >= 0, part + offsets, 0)] & (part >= 0)).any(axis=1)
        self._store(kept[shares], parts)

    # asking

    def familiar(self, messages: npt.ArrayLike) -> Bools:
        """Return for each message whether all its connections are there, bool (n,).

        What was stored is familiar, and so is any part of it; of what was not, a share of ``density ** (c (c-1) / 2)``
        for c symbols. The time does not depend on how much is stored.

        Parameters
        ----------
        messages : integers (n, clusters)
            Symbols, -1 = not used; at least one per message.
        """
        counts = self._edges(messages, True)
        return np.asarray(counts[:, 0] == counts[:, 1])

    def familiarity(self, messages: npt.ArrayLike) -> F64:
        """Return the share of each message's connections that are there, float64 (n,)."""
        counts = self._edges(messages, False)
        return np.asarray(counts[:, 0] / counts[:, 1])

    def _edges(self, messages: npt.ArrayLike, all_or_none: bool) -> I32:
        checked = check_symbols(messages, "messages", self.clusters, self.units)
        lonely = np.flatnonzero((checked < 0).all(axis=1))
        if len(lonely):
            raise InputError(f"messages: expected at least one symbol in each, found none in message {lonely[0]}")
        counts = np.empty((len(checked), 2), np.int32)
        self._kernels.edges(self.bits, checked, all_or_none, counts)
        return counts

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

        In every round the units of a cluster compete: ``"sum-of-max"`` counts the clusters in which a unit is tied to
        an active unit, ``"sum-of-sum"`` all active units it is tied to, itself included in both, and the best of
        each cluster are active in the next round. ``"gwsta"`` (global winners take all, Aboudib et al. 2014) counts as
        ``"sum-of-sum"`` and lets all units win that are at least as good as the k-th best of the whole network, k
        being ``active``. Symbols of a cue may be wrong: they can lose.

        Parameters
        ----------
        cues : integers (n, clusters)
            Symbols; -1 = erased; -2 = the message is known not to use the cluster.
        rule : {"sum-of-max", "sum-of-sum", "gwsta"}
        iterations : int, optional
            At most so many rounds; by default until nothing changes, or 100.
        guided : bool
            Whether it is known which clusters a sparse message uses. If so, those it does not use are marked by -2
            (in a cue with ``active`` symbols they need not be). If not, all units compete with all: the best of the
            network win, or the ``active`` best with "gwsta".
        candidates : bool
            Whether the units that are left are wanted as well.
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
        limit = LIMIT if iterations is None else check_size("iterations", iterations, 1)
        parts = check_threads(threads)
        checked = check_cues(cues, guided=guided, **self.shape)
        answer = Recall(
            np.empty_like(checked),
            np.empty(len(checked), bool),
            np.empty(len(checked), np.int32),
            np.empty((len(checked), self.clusters, self.units), bool) if candidates else None,
        )
        dense = self.active == self.clusters
        wanted = self.active if rule == "gwsta" else 0 if guided or dense else 1
        competition = Rule(rule == "sum-of-max", wanted)
        eliminates = rule == "sum-of-max" and wanted == 0
        task = Task(self._kernels, self.bits, self.units, self.active, competition, limit, eliminates)
        in_parts(lambda start, stop: task.complete(checked, answer, slice(start, stop)), len(checked), parts, _LEAST)
        return answer
