"""SeenMemory: tells whether a message, or a similar one, was stored, in a time that does not depend on how many were.

Messages come from ``codes/hash_codes.py``. How reliable the answers are is measured in ``familiarity_eval.py``.
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, F64, I32, I64, U8, Bools, Integers
from assocmem._numerics.validation import check_size
from assocmem.codes.hash_codes import ALPHABET, DEFAULT_CLUSTERS, check_messages
from assocmem.errors import InputError
from assocmem.memory.base import BitMemory
from assocmem.memory.familiarity_kernels import (
    POPULARITY_LEVELS,
    pair_clusters,
    score_cues,
    score_simulated_cues,
    store_connections,
)

MAX_WEIGHT = 2.25
"""Bits that a connection counts, at most. Symbols of one picture are not independent: a connection that would be rare
by chance is weaker evidence than its rarity says."""
WEIGHT_SCALE = 16
"""Weights are stored in sixteenths of a bit."""
LEVELS_PER_DOUBLING, MIDDLE_LEVEL = 8, 200
"""A unit's level: this many levels per doubling of its popularity; a popularity of 1 is the middle level."""
MESSAGE_BYTES = 40
"""Bytes per message, in a memory of the planned size."""
MIN_UNITS = 64
_BATCH = 65536


def units_for(messages: int, clusters: int = DEFAULT_CLUSTERS, *, bytes_each: float = MESSAGE_BYTES) -> int:
    """Return the units per cluster at which a memory takes ``bytes_each`` for each of this many messages.

    The result is a multiple of 64, at least 64 and at most one unit per symbol; for more messages than that, there are
    fewer bytes for each.
    """
    check_size("messages", messages, 0)
    pairs = check_size("clusters", clusters, 2) * (clusters - 1) // 2
    units = math.sqrt(8 * bytes_each * messages / pairs)
    return int(min(ALPHABET, max(MIN_UNITS, 64 * math.ceil(units / 64))))


class SeenMemory(BitMemory):
    """A clique memory for familiarity: it stores one bit per pair of units and weighs the connections it finds.

    A message connects its units to each other, one unit per cluster. A message counts as seen if many of its units are
    all connected, a clique, although their connections are rare. The evidence is the sum of -log2(probability of a
    connection) over the heaviest clique among its units; the probability follows from the number of connections that
    the two units have in all. So half of a stored message is recognised among symbols that are wrong. (Cliques as
    messages: Gripon & Berrou 2011.)

    Parameters
    ----------
    units : int
        Units per cluster, a multiple of 64; the symbols 0 to 4095 share them. ``units_for`` plans it.
    clusters : int
        Symbols of a message, at most 32.

    Attributes
    ----------
    bits : uint64 (pairs of clusters * units, units / 64)

    Raises
    ------
    InputError
        Impossible sizes, or more than this machine's memory.
    """

    kind = "seen"

    def __init__(self, units: int, *, clusters: int = DEFAULT_CLUSTERS) -> None:
        self._make(units=units, clusters=clusters)

    def _set_shape(self, units: int, clusters: int) -> None:  # type: ignore[override]
        self.units, self.clusters = check_size("units", units, MIN_UNITS), check_size("clusters", clusters, 2)
        if units % 64 or units > ALPHABET or clusters > 32:
            raise InputError(
                f"expected units in 64s up to {ALPHABET} and at most 32 clusters, found {units} and {clusters}"
            )
        self._pairs = pair_clusters(clusters)
        self._connections: I64 | None = None
        self._scales: tuple[U8, I32] | None = None

    @property
    def shape(self) -> dict[str, int]:
        """Units per cluster, and clusters."""
        return {"units": self.units, "clusters": self.clusters}

    def _matrix_size(self) -> tuple[int, int]:
        return len(self._pairs) * self.units, self.units

    @property
    def pair_densities(self) -> F64:
        """Share of the possible connections that are set, float64 (pairs,): per pair of clusters."""
        ones = self._ones_per_row()
        return np.asarray(ones.reshape(len(self._pairs), -1).sum(axis=1) / self.units**2)

    # Storing

    def store(self, messages: npt.ArrayLike) -> None:
        """Store messages, integers (n, clusters), symbols 0 to 4095.

        Raises
        ------
        InputError
            Wrong shape, dtype or symbols; nothing is stored.
        """
        self._check_writable()
        checked = check_messages(messages, self.clusters)
        with self._writing:
            connections = self._count_connections()
            for start in range(0, len(checked), _BATCH):
                units = np.ascontiguousarray(self._to_units(checked[start : start + _BATCH]).T)
                store_connections(self.bits, units, self._pairs, connections)
            self._scales = None

    def merge(self, other: Self) -> None:
        """Add all that another memory of the same shape has stored; InputError for any other."""
        super().merge(other)
        self._connections = self._scales = None

    def _to_units(self, messages: Integers) -> I32:
        """Return the units of the symbols, int32 (n, clusters); neighbouring symbols share a unit."""
        units = np.empty(messages.shape, np.int32)
        np.multiply(messages, np.int32(self.units), out=units, casting="unsafe")
        units >>= ALPHABET.bit_length() - 1
        return units

    def _count_connections(self) -> I64:
        """Return the connections per unit, int64 (clusters, units), in those pairs for which it has a row."""
        if self._connections is None:
            self._connections = np.zeros((self.clusters, self.units), np.int64)
            ones = self._ones_per_row().reshape(len(self._pairs), self.units)
            np.add.at(self._connections, self._pairs[:, 0], ones)
        return self._connections

    # Asking

    def scales(self) -> tuple[U8, I32]:
        """Return the weights of connections: levels, uint8 (clusters, units), and a table by the sum of two levels.

        The table is int32 (2 * POPULARITY_LEVELS,), in units of 1 / WEIGHT_SCALE bits.
        """
        scales = self._scales
        if scales is None:
            levels, mean = self._levels()
            weights = -np.log2(np.maximum(connection_probabilities(mean), 1e-9))
            table = np.round(WEIGHT_SCALE * np.clip(weights, 0, MAX_WEIGHT)).astype(np.int32)
            self._scales = scales = levels, table
        return scales

    def _levels(self) -> tuple[U8, float]:
        """Return the units' popularity as levels, and the mean popularity.

        The popularity is the number of messages per unit of another cluster that would explain a unit's connections if
        messages were random.
        """
        rows = np.bincount(self._pairs[:, 0], minlength=self.clusters)[:, None] * self.units
        shares = self._count_connections() / np.maximum(rows, 1)  # of two clusters, one has no rows
        popularity = -np.log1p(-np.minimum(shares, 1 - 1e-9))
        with np.errstate(divide="ignore"):
            levels = np.round(LEVELS_PER_DOUBLING * np.log2(popularity)) + MIDDLE_LEVEL
        return np.clip(levels, 0, POPULARITY_LEVELS - 1).astype(np.uint8), float(popularity.mean())

    def evidence(self, messages: npt.ArrayLike, *, least: float = 0.0) -> F32:
        """Return the evidence that each message, or a similar one, was stored, float32 (n,), in bits.

        Parameters
        ----------
        messages : integers (n, clusters)
        least : float
            Evidence below this is returned as 0. A higher value makes the answer faster.
        """
        return np.asarray(self._score(messages, least)[:, 0] / np.float32(WEIGHT_SCALE), np.float32)

    def seen(self, messages: npt.ArrayLike, threshold: float) -> Bools:
        """Return for each message whether it, or a similar one, was stored, bool (n,).

        A stored message is always seen. For others the evidence must reach ``threshold``, in bits;
        ``familiarity_eval.build_and_evaluate`` finds one.
        """
        found = self._score(messages, threshold)
        return np.asarray((found[:, 0] > 0) | (found[:, 1] == len(self._pairs)))

    def theory(self, messages: npt.ArrayLike, known: Bools, rng: np.random.Generator) -> F32:
        """Return the evidence if connections were independent, and as frequent as the units' popularity says.

        Parameters
        ----------
        messages : integers (n, clusters)
        known : bool (n, clusters)
            Symbols of one stored message, which are therefore connected.
        rng : Generator
            Draws the other connections.

        Returns
        -------
        float32 (n,), in bits
        """
        units = self._to_units(check_messages(messages, self.clusters))
        levels, table = self.scales()
        tables = np.stack([table, connection_probabilities(self._levels()[1])]).astype(np.float32)
        draws = rng.random((len(units), len(self._pairs)), np.float32)
        out = np.empty(len(units), np.int32)
        score_simulated_cues(units, np.ascontiguousarray(known), draws, self._pairs, levels, tables, out)
        return np.asarray(out / np.float32(WEIGHT_SCALE), np.float32)

    def _score(self, messages: npt.ArrayLike, least: float) -> I32:
        """Return int32 (n, 2): the weight of the heaviest clique, 0 if below ``least`` bits, and the connections."""
        units = self._to_units(check_messages(messages, self.clusters))
        found = np.empty((len(units), 2), np.int32)
        levels, table = self.scales()
        lightest = max(1, math.ceil(least * WEIGHT_SCALE))
        score_cues(self.bits.reshape(-1), units, self._pairs, levels, table, lightest, found)
        return found


def connection_probabilities(mean: float) -> F64:
    """Return the probability that two units are connected if messages are random, by the sum of their levels.

    Parameters
    ----------
    mean : float
        Mean popularity.

    Returns
    -------
    float64 (2 * POPULARITY_LEVELS,)
    """
    product = 2.0 ** ((np.arange(2 * POPULARITY_LEVELS) - 2 * MIDDLE_LEVEL) / LEVELS_PER_DOUBLING)
    return np.asarray(-np.expm1(-product / max(mean, 1e-30)))
