"""Recall in a clique memory: elimination for cues that contradict nothing stored, winner-take-all for the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assocmem._numerics.bits import count_ones
from assocmem._numerics.types import I32, Bools, Words
from assocmem.memory.clique_kernels import CliqueKernels
from assocmem.memory.elimination_kernels import CONTRADICTED, OPEN, SETTLED
from assocmem.memory.winner_take_all import Competition, compete, read_symbols


@dataclass(frozen=True, slots=True)
class Recall:
    """What a memory recalls for n cues."""

    messages: I32
    """int32 (n, clusters): symbols; -1 = not used, or no unit or several are left"""
    exact: Bools
    """bool (n,): one unit is left in each cluster of the message, and all of them are connected"""
    iterations: I32
    """int32 (n,): the last round that changed something, at least 1 and at most the number of rounds allowed"""
    candidates: Bools | None = None
    """bool (n, clusters, units), if asked for: the units that are left"""


@dataclass(frozen=True, slots=True)
class RecallTask:
    """The memory and the rule by which cues are completed; threads may share it."""

    kernels: CliqueKernels
    bits: Words
    units: int
    active: int
    competition: Competition
    limit: int
    """rounds"""

    @property
    def eliminates(self) -> bool:
        """Whether elimination computes the answer of the competition."""
        return self.competition.by_cluster and self.competition.winners == 0

    def complete(self, cues: I32, answer: Recall, part: slice) -> None:
        """Complete part of the cues, int32 (n, clusters), and fill that part of the answer."""
        cues = cues[part]
        messages, exact, rounds = answer.messages[part], answer.exact[part], answer.iterations[part]
        sets = np.empty((0 if answer.candidates is None else len(cues), self.bits.shape[1]), np.uint64)
        unchecked = contested = np.arange(len(cues))
        if self.eliminates:
            outcomes = np.empty((len(cues), 2), np.int32)
            self.kernels.eliminate(self.bits, cues, self.limit, messages, outcomes, sets)
            rounds[:] = outcomes[:, 0]
            exact[:] = outcomes[:, 1] == SETTLED
            contested = np.flatnonzero(outcomes[:, 1] == CONTRADICTED)
            unchecked = np.flatnonzero(outcomes[:, 1] >= OPEN)
        surplus = np.zeros(len(cues), bool)
        if len(contested):
            active, rounds[contested] = compete(self.bits, self.units, cues[contested], self.competition, self.limit)
            found = np.empty((len(contested), cues.shape[1]), np.int32)
            read_symbols(active, self.units, found)
            messages[contested] = found
            numbers = np.empty(len(contested), np.int64)
            count_ones(active, numbers)
            surplus[contested] = numbers != self.active
            if len(sets):
                sets[contested] = active
        exact[unchecked] = self._are_cliques(messages[unchecked]) & ~surplus[unchecked]
        if answer.candidates is not None:
            flags = np.unpackbits(sets.view(np.uint8), axis=1, bitorder="little")  # x86 and Arm store low bytes first
            answer.candidates[part] = flags[:, : cues.shape[1] * self.units].reshape(
                len(cues), cues.shape[1], self.units
            )

    def _are_cliques(self, messages: I32) -> Bools:
        """Return which messages have all their symbols, all connected."""
        whole = (messages >= 0).sum(axis=1) == self.active
        counts = np.empty((len(messages), 2), np.int32)
        self.kernels.count_connections(self.bits, np.ascontiguousarray(messages), True, counts)
        return np.asarray(whole & (counts[:, 0] == counts[:, 1]))
