"""Completing cues: elimination for those that contradict nothing stored, competition for the rest; and the answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assocmem._numerics.bits import count_ones
from assocmem._numerics.types import I32, Bools, Words
from assocmem.memory.clique_kernels import Kernels
from assocmem.memory.elimination_kernels import CONTRADICTED, OPEN, SETTLED
from assocmem.memory.winner_take_all import Rule, compete, read_symbols


@dataclass(frozen=True, slots=True)
class Recall:
    """What a memory made of n cues."""

    messages: I32
    """int32 (n, clusters): symbols; -1 = not used, or no unit or several are left"""
    exact: Bools
    """bool (n,): one unit is left in each cluster of the message, and all are tied to each other"""
    iterations: I32
    """int32 (n,): rounds until nothing changed any more, at least 1 and at most as many as were allowed"""
    candidates: Bools | None = None
    """bool (n, clusters, units), when asked for: the units that are left"""


@dataclass(frozen=True, slots=True)
class Task:
    """How cues are completed; threads may share it."""

    kernels: Kernels
    bits: Words
    units: int
    active: int
    rule: Rule
    limit: int
    """rounds"""
    eliminates: bool
    """whether elimination computes the rule's own answer"""

    def complete(self, cues: I32, answer: Recall, part: slice) -> None:
        """Complete some of the cues, int32 (n, clusters), and fill their part of the answer."""
        cues = cues[part]
        messages, exact, rounds = answer.messages[part], answer.exact[part], answer.iterations[part]
        sets = np.empty((0 if answer.candidates is None else len(cues), self.bits.shape[1]), np.uint64)
        unsure = left = np.arange(len(cues))
        if self.eliminates:
            outcomes = np.empty((len(cues), 2), np.int32)
            self.kernels.eliminate(self.bits, cues, self.limit, messages, outcomes, sets)
            rounds[:] = outcomes[:, 0]
            exact[:] = outcomes[:, 1] == SETTLED
            left = np.flatnonzero(outcomes[:, 1] == CONTRADICTED)
            unsure = np.flatnonzero(outcomes[:, 1] >= OPEN)
        surplus = np.zeros(len(cues), bool)
        if len(left):
            active, rounds[left] = compete(self.bits, self.units, cues[left], self.rule, self.limit)
            found = np.empty((len(left), cues.shape[1]), np.int32)
            read_symbols(active, self.units, found)
            messages[left] = found
            numbers = np.empty(len(left), np.int64)
            count_ones(active, numbers)
            surplus[left] = numbers != self.active
            if len(sets):
                sets[left] = active
        exact[unsure] = self._are_cliques(messages[unsure]) & ~surplus[unsure]
        if answer.candidates is not None:
            flags = np.unpackbits(sets.view(np.uint8), axis=1, bitorder="little")  # x86 and Arm store low bytes first
            answer.candidates[part] = flags[:, : cues.shape[1] * self.units].reshape(
                len(cues), cues.shape[1], self.units
            )

    def _are_cliques(self, messages: I32) -> Bools:
        whole = (messages >= 0).sum(axis=1) == self.active
        counts = np.empty((len(messages), 2), np.int32)
        self.kernels.edges(self.bits, np.ascontiguousarray(messages), True, counts)
        return np.asarray(whole & (counts[:, 0] == counts[:, 1]))
