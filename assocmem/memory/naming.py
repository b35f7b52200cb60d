"""NamingMemory: answers *which* message was stored, in a time that does not depend on how many were.

It follows ``SeenMemory``, which only says *whether*. Digits of a number as further clusters of the clique were tried
first: of copies that keep half of their symbols they named 67% among 10,000 messages and 37% among a million, at 100
bytes each, because the digits of the messages that share a row mix. Whole numbers do not mix.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.simd import prefetch
from assocmem._numerics.types import I64, KERNEL, U32, AnyArray
from assocmem._numerics.validation import as_integers, check_size
from assocmem.codes.hash_codes import ALPHABET, DEFAULT_CLUSTERS, check_messages
from assocmem.errors import InputError
from assocmem.memory.base import BitMemory

TABLES = 40
"""Pairs of clusters that numbers are stored by. A copy that keeps half of its symbols keeps 9.3 of 40 pairs."""
SLOTS = 4
"""Numbers that a row keeps."""
LOAD = 2.5
"""Messages per row: a sixteenth of the rows then has more than it keeps."""
NAMED = 4
"""Numbers that a message is answered with, at most."""
LEAST_VOTES = 2
"""Tables that must name a number: in one table, every cue meets somebody."""
MOST = 2**32 - 2
"""The greatest number; 0 stands for an empty slot, so numbers are kept plus one."""
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2 ** 64 / the golden ratio, odd
_STIR = np.uint32(0x85EBCA6B)  # odd, without a pattern


class Names(NamedTuple):
    """The numbers that n messages are answered with, the likeliest first."""

    numbers: I64
    """int64 (n, NAMED); -1 where fewer than LEAST_VOTES tables name one"""
    votes: I64
    """int64 (n, NAMED): tables that name it; 0 for -1"""


def table_pairs(clusters: int, tables: int = TABLES) -> I64:
    """List pairs of clusters, int64 (tables, 2), in which every cluster occurs about as often as any other."""
    pairs = [(i, (i + step) % clusters) for step in range(1, clusters) for i in range(clusters)]
    return np.array([pairs[n % len(pairs)] for n in range(tables)], np.int64)


def rows_for(messages: int) -> int:
    """Return the rows per table for so many messages: ``LOAD`` messages per row."""
    return max(64, math.ceil(check_size("messages", messages, 0) / LOAD))


# Kernels


@njit(**KERNEL)
def row_of(first, second, table, rows):  # type: ignore[no-untyped-def]
    """Return the row for two symbols in a table of ``rows`` rows."""
    mixed = (np.uint64(first) * np.uint64(ALPHABET) + np.uint64(second) + np.uint64(1)) * _MIX
    high = (mixed ^ (mixed >> np.uint64(29))) * _MIX >> np.uint64(32)
    return np.int64(table) * rows + np.int64(high * np.uint64(rows) >> np.uint64(32))


@njit(**KERNEL)
def precedence(number, table):  # type: ignore[no-untyped-def]
    """Return a pseudo-random uint32; a full row keeps the numbers of which it is least."""
    mixed = (np.uint32(number) + np.uint32(table) * np.uint32(0x9E3779B9)) * _STIR
    return (mixed ^ (mixed >> np.uint32(15))) * _STIR


@njit(**KERNEL)
def keep(slots, row, number, table):  # type: ignore[no-untyped-def]
    """Put a number into a row, unless it is there; a full row drops the number with the greatest precedence.

    What a row holds then depends on which numbers were put into it, and not on their order. ``slots``: uint32
    (tables * rows, SLOTS), 0 if empty, changed.
    """
    last, place = precedence(number, table), -1
    for slot in range(SLOTS):
        held = slots[row, slot]
        if held == number:
            return
        if held == 0:
            slots[row, slot] = number
            return
        theirs = precedence(held, table)
        if theirs > last:
            last, place = theirs, slot
    if place >= 0:
        slots[row, place] = number


@njit(**KERNEL)
def store_numbers(slots, messages, numbers, pairs):  # type: ignore[no-untyped-def]
    """Put each message's number into the rows of its pairs of symbols.

    ``slots``: uint32 (tables * rows, SLOTS), changed; ``messages``: uint16 (n, clusters); ``numbers``: uint32 (n,),
    from 1 on; ``pairs``: int64 (tables, 2).
    """
    rows = slots.shape[0] // pairs.shape[0]
    for table in range(pairs.shape[0]):
        for i in range(messages.shape[0]):
            row = row_of(messages[i, pairs[table, 0]], messages[i, pairs[table, 1]], table, rows)
            keep(slots, row, numbers[i], table)


@njit(**KERNEL)
def merge_rows(slots, others, tables):  # type: ignore[no-untyped-def]
    """Put all numbers of other rows into the same rows. Both: uint32 (tables * rows, SLOTS)."""
    rows = slots.shape[0] // tables
    for row in range(slots.shape[0]):
        for slot in range(SLOTS):
            if others[row, slot] != 0:
                keep(slots, row, others[row, slot], row // rows)


@njit(**KERNEL)
def count_vote(tally, used, count, number):  # type: ignore[no-untyped-def]
    """Count a vote for a number in a hash table, and return how many numbers are in it.

    ``tally``: uint32 (a power of two, 2), numbers and votes, changed; ``used``: int64, filled with the places taken.
    """
    last = np.int64(tally.shape[0] - 1)
    at = np.int64((number * _STIR) >> np.uint32(8)) & last
    while tally[at, 0] != 0 and tally[at, 0] != number:
        at = (at + 1) & last
    if tally[at, 0] == 0:
        tally[at, 0] = number
        used[count] = at
        count += 1
    tally[at, 1] += np.uint32(1)
    return count


@njit(**KERNEL)
def rank_number(numbers, votes, number, given):  # type: ignore[no-untyped-def]
    """Insert a number by its votes, most first, then by itself. Both: int64 (NAMED,), changed."""
    rank = NAMED
    while rank > 0 and (given > votes[rank - 1] or (given == votes[rank - 1] and number < numbers[rank - 1])):
        if rank < NAMED:
            numbers[rank], votes[rank] = numbers[rank - 1], votes[rank - 1]
        rank -= 1
    if rank < NAMED:
        numbers[rank], votes[rank] = number, given


@njit(**KERNEL)
def name_messages(words, slots, messages, pairs, numbers, votes):  # type: ignore[no-untyped-def]
    """Find the numbers that most rows of a message name.

    ``words``: uint64 (tables * rows * 2,) and ``slots``: uint32 (tables * rows, SLOTS), the same memory; ``messages``:
    uint16 (n, clusters); ``pairs``: int64 (tables, 2); ``numbers``, ``votes``: int64 (n, NAMED), filled.
    """
    tables = pairs.shape[0]
    rows = slots.shape[0] // tables
    places = np.empty(tables, np.int64)
    size = np.int64(1)
    while size < 2 * SLOTS * tables:
        size *= 2
    tally = np.zeros((size, 2), np.uint32)
    used = np.empty(SLOTS * tables, np.int64)
    for i in range(messages.shape[0]):
        for table in range(tables):
            places[table] = row_of(messages[i, pairs[table, 0]], messages[i, pairs[table, 1]], table, rows)
            prefetch(words, 2 * places[table])
        count = 0
        for table in range(tables):
            for slot in range(SLOTS):
                if slots[places[table], slot] == 0:
                    break
                count = count_vote(tally, used, count, slots[places[table], slot])
        numbers[i] = -1
        votes[i] = 0
        for place in used[:count]:
            if tally[place, 1] >= LEAST_VOTES:
                rank_number(numbers[i], votes[i], np.int64(tally[place, 0]) - 1, np.int64(tally[place, 1]))
            tally[place] = 0


class NamingMemory(BitMemory):
    """A memory that names messages: pairs of their symbols lead to rows, and rows hold numbers.

    Each of ``tables`` pairs of clusters has its rows; the pair's two symbols choose one by a hash. A message is
    answered with the numbers that most of its rows hold: the wrong symbols of a near copy lead to rows of other
    messages, which agree on nothing (locality-sensitive hashing: Indyk & Motwani 1998; Gionis, Indyk & Motwani 1999). A
    full row keeps a sample of its numbers that does not depend on their order, so popular symbols, as of pages of text,
    take no more room or time than others, and memories merge.

    Parameters
    ----------
    rows : int
        Rows per table, at least 64. ``rows_for`` plans them.
    tables : int
    clusters : int
        Symbols of a message.

    Attributes
    ----------
    bits : uint64 (tables * rows, 2)
        Four numbers of 32 bits per row.

    Raises
    ------
    InputError
        Impossible sizes, or more than this machine's memory.
    """

    kind = "naming"

    def __init__(self, rows: int, *, tables: int = TABLES, clusters: int = DEFAULT_CLUSTERS) -> None:
        self._make(rows=rows, tables=tables, clusters=clusters)

    def _set_shape(self, rows: int, tables: int, clusters: int) -> None:  # type: ignore[override]
        self.rows, self.tables = check_size("rows", rows, 64), check_size("tables", tables, 1)
        self.clusters = check_size("clusters", clusters, 2)
        if rows >= 2**32:
            raise InputError(f"expected fewer than 2 ** 32 rows, found {rows}")
        self._pairs = table_pairs(clusters, tables)

    @property
    def shape(self) -> dict[str, int]:
        """Rows, tables and clusters."""
        return {"rows": self.rows, "tables": self.tables, "clusters": self.clusters}

    def _matrix_size(self) -> tuple[int, int]:
        return self.tables * self.rows, 32 * SLOTS

    @property
    def density(self) -> float:
        """Share of the slots that hold a number."""
        return float(np.count_nonzero(self._slots)) / self._slots.size

    @property
    def _slots(self) -> U32:
        return np.asarray(self.bits.view(np.uint32))

    def store(self, messages: npt.ArrayLike, numbers: npt.ArrayLike) -> None:
        """Store messages, integers (n, clusters), symbols 0 to 4095, under numbers, integers (n,), 0 to ``MOST``.

        Raises
        ------
        InputError
            Wrong shape, dtype, symbols or numbers; nothing is stored.
        """
        self._check_writable()
        checked, names = (
            np.ascontiguousarray(check_messages(messages, self.clusters), np.uint16),
            as_integers(numbers, "numbers"),
        )
        if names.shape != (len(checked),):
            raise InputError(f"numbers: expected shape ({len(checked)},), found {names.shape}")
        if names.size and not 0 <= names.min() <= names.max() <= MOST:
            raise InputError(f"numbers: expected 0 to {MOST}, found {names.min()} to {names.max()}")
        with self._writing:
            store_numbers(self._slots, checked, (names.astype(np.int64) + 1).astype(np.uint32), self._pairs)

    def merge(self, other: Self) -> None:
        """Add all that another memory of the same shape has stored; InputError for any other."""
        self._check_writable()
        if not isinstance(other, NamingMemory) or self.shape != other.shape:
            raise InputError(f"merge: expected a {self.kind} memory of {self.shape}, found {other!r}")
        with self._writing:
            merge_rows(self._slots, other._slots, self.tables)

    def __eq__(self, other: object) -> bool:
        """Return whether shape and numbers are equal, in whatever slots of a row they are."""
        if not isinstance(other, NamingMemory):
            return NotImplemented
        return self.shape == other.shape and np.array_equal(np.sort(self._slots, 1), np.sort(other._slots, 1))

    __hash__ = None

    def names(self, messages: npt.ArrayLike) -> Names:
        """Return the numbers that messages, integers (n, clusters), or similar ones, were most likely stored under."""
        checked = np.ascontiguousarray(check_messages(messages, self.clusters), np.uint16)
        numbers, votes = (np.empty((len(checked), NAMED), np.int64) for _ in range(2))
        name_messages(self.bits.reshape(-1), self._slots, checked, self._pairs, numbers, votes)
        return Names(numbers, votes)

    def theory(self, kept: int, messages: int) -> float:
        """Return the share of copies that are named, if messages are random.

        A row keeps a number with the probability that fewer than ``SLOTS`` others in it have a lesser precedence; the
        pairs of symbols that a copy keeps are counted exactly, over all choices of ``kept`` symbols, by sampling 4,096.
        """
        held = _held_share(messages / self.rows)
        alike = np.random.default_rng(0).random((4096, self.clusters)).argsort(axis=1) < kept
        pairs = (alike[:, self._pairs[:, 0]] & alike[:, self._pairs[:, 1]]).sum(axis=1)
        missed = (1 - held) ** pairs + pairs * held * (1 - held) ** np.maximum(pairs - 1, 0)
        return float(np.where(pairs < LEAST_VOTES, 0, 1 - missed).mean())


def _held_share(load: float) -> float:
    """Return the probability that a row with Poisson(load) other numbers keeps one: min(1, SLOTS / all of them)."""
    counts: AnyArray = np.arange(200)
    chances = np.exp(counts * math.log(max(load, 1e-12)) - load - np.array([math.lgamma(n + 1) for n in counts]))
    return float((chances * np.minimum(1, SLOTS / (counts + 1))).sum())
