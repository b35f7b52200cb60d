"""Unit counts: which units of a code go with which of a fixed set of labels, by how often they were seen together.

Teaching adds small integers to the counts of an item's winning units, so the order of teaching never matters and a
teaching can be taken back exactly. Knows arrays only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.types import F32, I64, U8, Integers
from assocmem.codes.winner_codes import UNITS, unpack
from assocmem.errors import InputError

FULL = 255
"""Weight of an example that is certain; a probability p teaches with weight round(255 p)."""


@njit(cache=True, nogil=True, boundscheck=False)
def add_counts(codes, concepts, weights, counts):  # type: ignore[no-untyped-def]
    """Add each item's weights to the counts of its winning units.

    ``codes``: uint8 (n, b), packed; ``concepts``: int64 (n, m), -1 = none; ``weights``: int64 (n, m), may be negative;
    ``counts``: int64 (32 * b, concepts), changed in place.
    """
    for i in range(codes.shape[0]):
        for m in range(concepts.shape[1]):
            concept = concepts[i, m]
            weight = weights[i, m]
            if concept < 0 or weight == 0:
                continue
            for b in range(codes.shape[1]):
                byte = np.int64(codes[i, b])  # as plain Python too: uint8 has no 256
                counts[32 * b + (byte & 15), concept] += weight
                counts[32 * b + 16 + (byte >> 4), concept] += weight


class UnitCounts:
    """Associates the units of clique codes with concepts, numbered from 0.

    Parameters
    ----------
    clusters : int
        Clusters of the codes (16 units each).
    concepts : int
        Number of concepts.
    """

    SMOOTHING = 0.5
    """Pseudo-examples per cluster, spread by how often each unit wins overall."""

    def __init__(self, clusters: int, concepts: int) -> None:
        if clusters < 2 or clusters % 2 or concepts < 1:
            raise InputError(
                f"expected an even number of clusters and at least 1 concept, found {clusters} and {concepts}"
            )
        self.clusters = clusters
        self.counts: I64 = np.zeros((clusters * UNITS, concepts), np.int64)

    @property
    def concepts(self) -> int:
        """Number of concepts."""
        return int(self.counts.shape[1])

    @property
    def weight(self) -> I64:
        """int64 (concepts,): how much was taught of each, in units of 1/255 example."""
        return np.asarray(self.counts[:UNITS].sum(axis=0))

    def teach(self, codes: U8, concepts: Integers, probabilities: npt.ArrayLike) -> None:
        """Teach n items, each with up to m concepts.

        Parameters
        ----------
        codes : uint8 (n, clusters // 2)
        concepts : integers (n, m)
            -1 = no concept.
        probabilities : (n, m)
            How sure each is, 0 to 1.

        Raises
        ------
        InputError
            Wrong shapes, unknown concepts, probabilities outside 0 to 1; nothing is taught.
        """
        self._add(codes, concepts, probabilities, 1)

    def unteach(self, codes: U8, concepts: Integers, probabilities: npt.ArrayLike) -> None:
        """Take a teaching back: afterwards the memory is as if it had never been.

        Raises
        ------
        InputError
            As ``teach``, or these items cannot have been taught; nothing is changed.
        """
        self._add(codes, concepts, probabilities, -1)

    def _add(self, codes: U8, concepts: Integers, probabilities: npt.ArrayLike, sign: int) -> None:
        codes, concepts, shares = np.asarray(codes), np.asarray(concepts), np.asarray(probabilities)
        if codes.dtype != np.uint8 or concepts.dtype.kind not in "iu" or shares.dtype.kind not in "fiu":
            raise InputError(
                "teach: expected uint8 codes, integer concepts and real probabilities, "
                f"found {codes.dtype}, {concepts.dtype} and {shares.dtype}"
            )
        if codes.ndim != 2 or codes.shape[1] != self.clusters // 2 or concepts.ndim != 2 or len(concepts) != len(codes):
            raise InputError(
                f"teach: expected codes (n, {self.clusters // 2}) and concepts (n, m), "
                f"found {codes.shape} and {concepts.shape}"
            )
        if shares.shape != concepts.shape or not ((shares >= 0) & (shares <= 1)).all():
            raise InputError(f"teach: expected probabilities 0 to 1 of shape {concepts.shape}, found other")
        if concepts.size and not -1 <= concepts.min() <= concepts.max() < self.concepts:
            raise InputError(
                f"teach: expected concepts -1 to {self.concepts - 1}, found {concepts.min()} to {concepts.max()}"
            )
        weights = np.rint(shares.astype(np.float64) * FULL).astype(np.int64)
        codes, concepts = np.ascontiguousarray(codes), np.ascontiguousarray(concepts, np.int64)
        add_counts(codes, concepts, sign * weights, self.counts)
        if sign < 0 and (self.counts[:, np.unique(concepts[concepts >= 0])] < 0).any():
            add_counts(codes, concepts, weights, self.counts)
            raise InputError("unteach: expected what was taught before, found items that cannot have been")

    def log_odds(self, concept: int) -> F32:
        """Return for each unit how much its winning speaks for the concept, float32 (16 * clusters,).

        ``log P(unit | concept) / P(unit)`` of a naive Bayes classifier; its sum over an item's winners ranks items.
        A concept that was never taught has only zeros.
        """
        return self._tables(slice(concept, concept + 1))[:, 0]

    def _tables(self, which: slice) -> F32:
        """Log-odds per unit of some concepts, float32 (16 * clusters, m)."""
        overall = self.counts.sum(axis=1, dtype=np.float64).reshape(self.clusters, UNITS, 1)
        prior = (overall + FULL / UNITS) / (overall.sum(axis=1, keepdims=True) + FULL)
        mine = self.counts[:, which].astype(np.float64).reshape(self.clusters, UNITS, -1)
        total = mine.sum(axis=1, keepdims=True)
        smooth = self.SMOOTHING * FULL
        given = np.where(total > 0, (mine + smooth * prior) / (total + smooth), prior)
        return np.asarray(np.log(given / prior).reshape(self.clusters * UNITS, -1), dtype=np.float32)

    def scores(self, codes: U8) -> F32:
        """Return the summed log-odds of every concept for n packed codes, float32 (n, concepts)."""
        tables = self._tables(slice(None))
        units = np.arange(self.clusters) * UNITS
        out = np.empty((len(codes), self.concepts), np.float32)
        for i, winners in enumerate(unpack(codes)):
            out[i] = tables[units + winners].sum(axis=0)
        return out
