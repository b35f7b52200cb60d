"""How reliable a ``SeenMemory`` is: the threshold for a rate of false alarms, and rates of false alarms and misses.

They are predicted twice. Theory takes connections to be independent, as frequent as was counted unit by unit. Real
messages are not independent, so some of them are held out while the others are stored, and then looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F32, U16, Bools
from assocmem.errors import InputError
from assocmem.memory.familiarity import WEIGHT_SCALE, SeenMemory, units_for
from assocmem.memory.familiarity_kernels import max_overlap

ALIKE_SYMBOLS = 5
"""Messages that share this many symbols of 16 are alike. Chance does that once in 10**10 pairs, and to recognise one
because the other was stored is not a false alarm."""
MIN_THRESHOLD = 13.5
"""Bits; no threshold is lower: four symbols that are all connected prove nothing, however rare they are."""
FALSE_RATE = 0.01
"""False alarms per message that is like nothing stored."""
KEPT_SYMBOLS = (5, 6, 7, 8, 10, 12)
"""Symbols that the near copies keep whose misses are reported."""
MIN_HELD_OUT = 20
"""Messages that must be held out for a rate to mean anything."""
MAX_HELD_OUT = 2000
SIMULATIONS = 4000
_COMPARISONS = 10**10  # of messages, at most: about twenty seconds at ten million items


@dataclass(frozen=True, slots=True)
class FamiliarityReport:
    """How reliable a memory is. Shares are of messages; None if there were no messages to look up."""

    items: int
    units: int
    bytes: int
    density: float
    threshold: float
    """bits of evidence from which on a message counts as seen"""
    theory_false: float | None
    """false alarms if connections were independent"""
    held_false: float | None
    """false alarms among messages held out: like no other message (``ALIKE_SYMBOLS``), but counted as seen"""
    held: int
    """messages held out that are like no other; half of them chose the threshold, and half of them were counted"""
    alike: float | None
    """share of messages held out that are like another message"""
    theory_miss: tuple[float | None, ...]
    """misses of near copies that keep ``KEPT_SYMBOLS``, if connections were independent"""
    measured_miss: tuple[float | None, ...]
    """misses of stored messages that keep ``KEPT_SYMBOLS``, with the others replaced by other messages' symbols"""


def build_and_evaluate(
    messages: U16, *, false_rate: float = FALSE_RATE, units: int | None = None, seed: int = 0
) -> tuple[SeenMemory, FamiliarityReport]:
    """Store messages in a new memory, and measure it in between.

    Parameters
    ----------
    messages : uint16 (n, clusters)
    false_rate : float
        Rate of false alarms for which the threshold is chosen.
    units : int, optional
        Per cluster; planned by the number of messages by default.
    seed : int
        Chooses the messages that are held out.

    Returns
    -------
    memory : SeenMemory
    report : FamiliarityReport
    """
    if not 0 < false_rate < 1:
        raise InputError(f"false_rate: expected a rate between 0 and 1, found {false_rate}")
    rng = np.random.default_rng(seed)
    n, clusters = messages.shape
    memory = SeenMemory(units or units_for(n, clusters), clusters=clusters)
    held = np.sort(rng.permutation(n)[: min(MAX_HELD_OUT, n // 10, max(20, _COMPARISONS // max(1, n)))])
    others = np.delete(messages, held, axis=0)
    memory.store(others)
    evidence = memory.evidence(messages[held])
    unlike = np.array([], bool)
    if len(held):
        shared = np.empty(len(held), np.int64)
        max_overlap(messages, messages[held], held, shared)
        unlike = shared < ALIKE_SYMBOLS
    memory.store(messages[held])
    chooses = np.arange(len(held)) % 2 == 0
    simulated, measured = simulate_evidence(memory, messages, rng), evidence[chooses & unlike]
    threshold = max(MIN_THRESHOLD, _threshold_for(simulated, false_rate), _threshold_for(measured, false_rate))
    counted = evidence[~chooses & unlike]
    return memory, FamiliarityReport(
        items=n,
        units=memory.units,
        bytes=memory.nbytes,
        density=memory.density,
        threshold=threshold,
        theory_false=_share(simulate_evidence(memory, messages, rng) >= threshold),
        held_false=_share(counted >= threshold),
        held=int(unlike.sum()),
        alike=_share(~unlike),
        theory_miss=tuple(_share(simulate_evidence(memory, messages, rng, kept) < threshold) for kept in KEPT_SYMBOLS),
        measured_miss=tuple(_share(~memory.seen(_altered(messages, rng, kept), threshold)) for kept in KEPT_SYMBOLS),
    )


def simulate_evidence(
    memory: SeenMemory, messages: U16, rng: np.random.Generator, kept: int = 0, count: int = SIMULATIONS
) -> F32:
    """Return the evidence for random messages if the memory's connections were independent, float32 (count,).

    Parameters
    ----------
    memory : SeenMemory
    messages : uint16 (n, clusters)
        The stored messages: random messages have their frequencies of symbols.
    rng : Generator
    kept : int
        Symbols of each random message that are those of one stored message.
    count : int
    """
    if not len(messages):
        return np.zeros(count, np.float32)
    known = _choose(rng, (count, memory.clusters), kept)
    one = messages[rng.integers(0, len(messages), count)]
    return memory.theory(np.where(known, one, _mixed(messages, rng, count)), known, rng)


def _share(flags: Bools) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _threshold_for(evidence: F32, false_rate: float) -> float:
    """Return the least threshold, in steps of the weights, that at most this share reaches; 0 for too few messages."""
    if len(evidence) < MIN_HELD_OUT:
        return 0.0
    return float(np.sort(evidence)[-1 - int(false_rate * len(evidence))] + 1 / WEIGHT_SCALE)


def _mixed(messages: U16, rng: np.random.Generator, count: int) -> U16:
    """Draw each symbol from another message: symbols stay as popular as they are, but become independent."""
    rows = rng.integers(0, len(messages), (count, messages.shape[1]))
    return messages[rows, np.arange(messages.shape[1])]


def _altered(messages: U16, rng: np.random.Generator, kept: int) -> U16:
    """Draw stored messages, keep some symbols of each, and draw each of the others from another message."""
    if not len(messages):
        return messages
    mine = messages[rng.integers(0, len(messages), SIMULATIONS // 4)]
    return np.where(_choose(rng, mine.shape, kept), mine, _mixed(messages, rng, len(mine)))


def _choose(rng: np.random.Generator, shape: tuple[int, ...], kept: int) -> Bools:
    """Choose ``kept`` places of each row at random."""
    return np.asarray(rng.random(shape).argsort(axis=1) < kept)
