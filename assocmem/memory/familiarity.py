"""SeenMemory: has this message, or one like it, been stored? Answered by ties alone, in a time that does not grow.

Arrays in, arrays out; files only by ``save`` and ``load``. Kernels in ``ties.py``, messages in ``symbols.py``, what the
answers are worth in ``alarms.py``.
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.bits import count_ones
from assocmem._numerics.types import F32, F64, I32, I64, U8, Bools, Integers
from assocmem._numerics.validation import as_integers, check_size
from assocmem.codes.hash_codes import CLUSTERS, SYMBOLS
from assocmem.errors import InputError
from assocmem.memory.base import BitMemory
from assocmem.memory.familiarity_kernels import LEVELS, pair_clusters, store_ties, weigh, weigh_chances

BITS_PER_TIE = 2.25
"""The most that a tie can weigh. Symbols of one picture go together more than chance has it: a tie that would be rare
by chance says less than its rarity."""
SCALE = 16
"""Weights are kept in sixteenths of a bit."""
STEP, MIDDLE = 8, 200
"""A unit's level: so many steps per doubling of its popularity, from 1 at level ``MIDDLE``."""
BYTES = 40
"""Per message, in a memory of the size that is planned for it."""
LEAST_UNITS = 64
_BATCH = 65536


def units_for(messages: int, clusters: int = CLUSTERS, *, bytes_each: float = BYTES) -> int:
    """Return the units per cluster at which a memory of so many messages takes ``bytes_each`` for each of them.

    In whole words, at least 64, at most one per symbol; from there on there are fewer bytes for each.
    """
    check_size("messages", messages, 0)
    pairs = check_size("clusters", clusters, 2) * (clusters - 1) // 2
    units = math.sqrt(8 * bytes_each * messages / pairs)
    return int(min(SYMBOLS, max(LEAST_UNITS, 64 * math.ceil(units / 64))))


class SeenMemory(BitMemory):
    """A clique memory that keeps one bit per pair of units, and weighs what it finds.

    A message ties one unit of each cluster to each other. A message is taken for seen when many of its units are all
    tied to each other, a clique, though their ties are rare: the evidence is the sum of -log2(chance of a tie) over
    the heaviest clique among its units, the chance being judged by how many ties the two units have at all. So half of
    a stored message is recognised among symbols that are wrong. (Cliques as messages: Gripon & Berrou 2011.)

    Parameters
    ----------
    units : int
        Units per cluster, a multiple of 64; the symbols 0 to 4095 share them. ``units_for`` plans it.
    clusters : int
        Symbols of a message, at most 32.

    Raises
    ------
    InputError
        Impossible sizes, or more than this machine's memory.
    """

    kind = "seen"

    def __init__(self, units: int, *, clusters: int = CLUSTERS) -> None:
        self._make(units=units, clusters=clusters)

    def _set_shape(self, units: int, clusters: int) -> None:  # type: ignore[override]
        self.units, self.clusters = check_size("units", units, LEAST_UNITS), check_size("clusters", clusters, 2)
        if units % 64 or units > SYMBOLS or clusters > 32:
            raise InputError(
                f"expected units in 64s up to {SYMBOLS} and at most 32 clusters, found {units} and {clusters}"
            )
        self._pairs = pair_clusters(clusters)
        self._ties: I64 | None = None
        self._scales: tuple[U8, I32] | None = None

    @property
    def shape(self) -> dict[str, int]:
        """Units per cluster, and clusters."""
        return {"units": self.units, "clusters": self.clusters}

    def _matrix_size(self) -> tuple[int, int]:
        return len(self._pairs) * self.units, self.units

    @property
    def pair_densities(self) -> F64:
        """Share of the possible ties that are there, float64 (pairs,): per pair of clusters."""
        ones = np.empty(len(self.bits), np.int64)
        count_ones(self.bits, ones)
        return np.asarray(ones.reshape(len(self._pairs), -1).sum(axis=1) / self.units**2)

    # storing

    def store(self, messages: npt.ArrayLike) -> None:
        """Store messages, integers (n, clusters), symbols 0 to 4095.

        Raises
        ------
        InputError
            Wrong shape, dtype or symbols; nothing is stored.
        """
        self._check_writable()
        checked = self._check(messages)
        with self._writing:
            ties = self._counted()
            for start in range(0, len(checked), _BATCH):
                folded = np.ascontiguousarray(self._fold(checked[start : start + _BATCH]).T)
                store_ties(self.bits, folded, self._pairs, ties)
            self._scales = None

    def merge(self, other: Self) -> None:
        """Take in all that another memory of the same shape has stored; InputError for any other."""
        super().merge(other)
        self._ties = self._scales = None

    def _check(self, messages: npt.ArrayLike) -> Integers:
        array = as_integers(messages, "messages")
        if array.ndim != 2 or array.shape[1] != self.clusters:
            raise InputError(f"messages: expected shape (n, {self.clusters}), found {array.shape}")
        if array.size and not 0 <= array.min() <= array.max() < SYMBOLS:
            raise InputError(f"messages: expected symbols 0 to {SYMBOLS - 1}, found {array.min()} to {array.max()}")
        return array

    def _fold(self, messages: Integers) -> I32:
        """Let neighbouring symbols share a unit: int32 (n, clusters)."""
        folded = np.empty(messages.shape, np.int32)
        np.multiply(messages, np.int32(self.units), out=folded, casting="unsafe")
        folded >>= SYMBOLS.bit_length() - 1
        return folded

    def _counted(self) -> I64:
        """Ties per unit, int64 (clusters, units), in the pairs of which it has the rows."""
        if self._ties is None:
            ones = np.empty(len(self.bits), np.int64)
            count_ones(self.bits, ones)
            self._ties = np.zeros((self.clusters, self.units), np.int64)
            np.add.at(self._ties, self._pairs[:, 0], ones.reshape(len(self._pairs), self.units))
        return self._ties

    # asking

    def scales(self) -> tuple[U8, I32]:
        """Return what ties are weighed by: levels, uint8 (clusters, units), and a table, int32 (2 * LEVELS,)."""
        scales = self._scales
        if scales is None:
            levels, mean = self._levels()
            weights = -np.log2(np.maximum(chances(mean), 1e-9))
            table = np.round(SCALE * np.clip(weights, 0, BITS_PER_TIE)).astype(np.int32)
            self._scales = scales = levels, table
        return scales

    def _levels(self) -> tuple[U8, float]:
        """Popularity: messages per unit of another cluster, were they random; as a level, and its mean."""
        rows = np.bincount(self._pairs[:, 0], minlength=self.clusters)[:, None] * self.units
        popularity = -np.log1p(-np.minimum(self._counted() / rows, 1 - 1e-9))
        with np.errstate(divide="ignore"):
            levels = np.clip(np.round(STEP * np.log2(popularity)) + MIDDLE, 0, LEVELS - 1).astype(np.uint8)
        return levels, float(popularity.mean())

    def evidence(self, messages: npt.ArrayLike, *, least: float = 0.0) -> F32:
        """Return the evidence that each message, or one like it, was stored, float32 (n,), in bits.

        Parameters
        ----------
        messages : integers (n, clusters)
        least : float
            Less than so much is not told apart from none, and comes back as 0; the more, the quicker.
        """
        return np.asarray(self._weigh(messages, least)[:, 0] / np.float32(SCALE), np.float32)

    def seen(self, messages: npt.ArrayLike, threshold: float) -> Bools:
        """Return for each message whether it, or one like it, was stored, bool (n,).

        What was stored is always seen; else the evidence must reach ``threshold``, which ``alarms.judge`` finds.
        """
        found = self._weigh(messages, threshold)
        return np.asarray((found[:, 0] > 0) | (found[:, 1] == len(self._pairs)))

    def theory(self, messages: npt.ArrayLike, known: Bools, rng: np.random.Generator) -> F32:
        """Return the evidence if ties came about independently, as often as the units' popularity has it.

        Parameters
        ----------
        messages : integers (n, clusters)
        known : bool (n, clusters)
            Symbols that stem from one stored message, and so are tied to each other.
        rng : Generator
            Draws the other ties.

        Returns
        -------
        float32 (n,), in bits
        """
        folded = self._fold(self._check(messages))
        levels, table = self.scales()
        tables = np.stack([table, chances(self._levels()[1])]).astype(np.float32)
        draws = rng.random((len(folded), len(self._pairs)), np.float32)
        out = np.empty(len(folded), np.int32)
        weigh_chances(folded, np.ascontiguousarray(known), draws, self._pairs, levels, tables, out)
        return np.asarray(out / np.float32(SCALE), np.float32)

    def _weigh(self, messages: npt.ArrayLike, least: float) -> I32:
        folded = self._fold(self._check(messages))
        found = np.empty((len(folded), 2), np.int32)
        levels, table = self.scales()
        weigh(self.bits.reshape(-1), folded, self._pairs, levels, table, max(1, math.ceil(least * SCALE)), found)
        return found


def chances(mean: float) -> F64:
    """Chance that two units are tied when messages are random, by the sum of their levels; ``mean``: popularity."""
    product = 2.0 ** ((np.arange(2 * LEVELS) - 2 * MIDDLE) / STEP)
    return np.asarray(-np.expm1(-product / max(mean, 1e-30)))
