"""What a ``SeenMemory`` is worth: the threshold for a wanted rate of false alarms, and false alarms and misses.

Predicted twice: by theory, which takes ties to be independent, with the densities that were measured unit by unit; and
by items of the memory's own kind, held out while the others are stored, because real messages are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F32, U16, Bools
from assocmem.errors import InputError
from assocmem.memory.familiarity import SCALE, SeenMemory, units_for
from assocmem.memory.familiarity_kernels import most_shared

ALIKE = 5
"""Messages that share so many symbols of 16 are alike: chance does that once in 10**10 pairs, and one of the two being
asked for, the other being found is no false alarm."""
FLOOR = 13.5
"""Bits; no threshold is lower: four symbols that are all tied to each other prove nothing, however rare."""
WANTED = 0.01
"""False alarms per message that is like nothing stored."""
FEWEST = 20
"""Items held out that say anything about a rate."""
DRAWS = 4000
SAMPLE = 2000
_SCANNED = 10**10
"""Comparisons of messages that a judgement may take: twenty seconds or so, at ten million items."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a memory answers. Shares are of messages; None where there were none to ask."""

    items: int
    units: int
    bytes: int
    density: float
    threshold: float
    """bits of evidence from which on a message is taken for seen"""
    theory_false: float | None
    """false alarms if ties were independent"""
    held_false: float | None
    """false alarms among items held out: like no other item (``ALIKE``), and taken for seen"""
    held: int
    """items held out that are like no other, half of which chose the threshold and half of which were counted"""
    alike: float | None
    """share of items held out that are like another item"""
    theory_miss: tuple[float | None, ...]
    """misses of near copies that keep ``KEPT`` symbols, if ties were independent"""
    measured_miss: tuple[float | None, ...]
    """misses of items of which only so many symbols were kept, each other one drawn from another item"""


KEPT = (5, 6, 7, 8, 10, 12)


def build(
    messages: U16, *, wanted: float = WANTED, units: int | None = None, seed: int = 0
) -> tuple[SeenMemory, Judgement]:
    """Store messages, and judge the memory meanwhile.

    Parameters
    ----------
    messages : uint16 (n, clusters)
    wanted : float
        Rate of false alarms that the threshold is to keep.
    units : int, optional
        Per cluster; planned by the number of messages by default.
    seed : int
        Chooses who is held out.

    Returns
    -------
    memory : SeenMemory
    judgement : Judgement
    """
    if not 0 < wanted < 1:
        raise InputError(f"wanted: expected a rate between 0 and 1, found {wanted}")
    rng = np.random.default_rng(seed)
    n, clusters = messages.shape
    memory = SeenMemory(units or units_for(n, clusters), clusters=clusters)
    held = np.sort(rng.permutation(n)[: min(SAMPLE, n // 10, max(20, _SCANNED // max(1, n)))])
    others = np.delete(messages, held, axis=0)
    memory.store(others)
    evidence = memory.evidence(messages[held])
    unlike = np.array([], bool)
    if len(held):
        shared = np.empty(len(held), np.int64)
        most_shared(messages, messages[held], held, shared)
        unlike = shared < ALIKE
    memory.store(messages[held])
    chooses = np.arange(len(held)) % 2 == 0
    by_theory, by_items = by_chance(memory, messages, rng), evidence[chooses & unlike]
    threshold = max(FLOOR, _rate_at(by_theory, wanted), _rate_at(by_items, wanted))
    counted = evidence[~chooses & unlike]
    return memory, Judgement(
        items=n,
        units=memory.units,
        bytes=memory.nbytes,
        density=memory.density,
        threshold=threshold,
        theory_false=_share(by_chance(memory, messages, rng) >= threshold),
        held_false=_share(counted >= threshold),
        held=int(unlike.sum()),
        alike=_share(~unlike),
        theory_miss=tuple(_share(by_chance(memory, messages, rng, kept) < threshold) for kept in KEPT),
        measured_miss=tuple(_share(~memory.seen(_altered(messages, rng, kept), threshold)) for kept in KEPT),
    )


def _share(flags: Bools) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _rate_at(evidence: F32, wanted: float) -> float:
    """Least threshold, in steps of the weights, that at most a share ``wanted`` reaches; 0 when too few were asked."""
    if len(evidence) < FEWEST:
        return 0.0
    return float(np.sort(evidence)[-1 - int(wanted * len(evidence))] + 1 / SCALE)


def _mixed(messages: U16, rng: np.random.Generator, count: int) -> U16:
    """Draw each symbol from another message: as popular, but none goes with another."""
    rows = rng.integers(0, len(messages), (count, messages.shape[1]))
    return messages[rows, np.arange(messages.shape[1])]


def _altered(messages: U16, rng: np.random.Generator, kept: int) -> U16:
    """Draw stored messages, keep some symbols of each, and draw each other one from another message."""
    if not len(messages):
        return messages
    mine = messages[rng.integers(0, len(messages), DRAWS // 4)]
    return np.where(_choose(rng, mine.shape, kept), mine, _mixed(messages, rng, len(mine)))


def _choose(rng: np.random.Generator, shape: tuple[int, ...], kept: int) -> Bools:
    return np.asarray(rng.random(shape).argsort(axis=1) < kept)


def by_chance(memory: SeenMemory, messages: U16, rng: np.random.Generator, kept: int = 0, count: int = DRAWS) -> F32:
    """Return the evidence for random messages, float32 (count,), in a memory where ties come about by chance.

    ``messages`` are what is stored, for the symbols' frequencies; ``kept`` symbols are those of one stored message,
    and the rest is drawn.
    """
    if not len(messages):
        return np.zeros(count, np.float32)
    known = _choose(rng, (count, memory.clusters), kept)
    one = messages[rng.integers(0, len(messages), count)]
    return memory.theory(np.where(known, one, _mixed(messages, rng, count)), known, rng)
