"""Naive Bayes over the units of clique codes, with counts for every unit and each of a fixed set of concepts.

Teaching adds small integers to the counts of an item's winning units, so the order of teaching does not matter and a
teaching can be undone exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.types import F32, I64, KERNEL, U8, Integers
from assocmem.codes.winner_codes import UNITS, unpack_codes
from assocmem.errors import InputError

FULL_WEIGHT = 255
"""Weight of an example that is certain; an example of probability p has the weight round(255 p)."""
SMOOTHING = 0.5
"""Pseudo-examples per cluster, distributed like the winners of all concepts together."""


@njit(**KERNEL)
def add_counts(codes, concepts, weights, counts):  # type: ignore[no-untyped-def]
    """Add the weights of each item to the counts of its winning units.

    ``codes``: uint8 (n, b), packed; ``concepts``: int64 (n, m), -1 for no concept; ``weights``: int64 (n, m), may be
    negative; ``counts``: int64 (32 * b, concepts), changed in place.
    """
    for i in range(codes.shape[0]):
        for m in range(concepts.shape[1]):
            concept = concepts[i, m]
            weight = weights[i, m]
            if concept < 0 or weight == 0:
                continue
            for b in range(codes.shape[1]):
                byte = np.int64(codes[i, b])  # also without numba: a uint8 overflows at 256
                counts[32 * b + (byte & 15), concept] += weight
                counts[32 * b + 16 + (byte >> 4), concept] += weight


class UnitCounts:
    """Counts how often each unit of clique codes wins in items of each concept; concepts are numbered from 0.

    Parameters
    ----------
    clusters : int
        Clusters of the codes (16 units each).
    concepts : int
        Number of concepts.
    """

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
        """Weight of all items taught for each concept, int64 (concepts,), in units of 1/255 example."""
        return np.asarray(self.counts[:UNITS].sum(axis=0))

    def teach(self, codes: U8, concepts: Integers, probabilities: npt.ArrayLike) -> None:
        """Add n items, each with up to m concepts.

        Parameters
        ----------
        codes : uint8 (n, clusters // 2)
        concepts : integers (n, m)
            -1 for no concept.
        probabilities : (n, m)
            Probability of each concept, 0 to 1.

        Raises
        ------
        InputError
            Invalid shapes or dtypes, unknown concepts, probabilities outside 0 to 1; nothing is added.
        """
        self._add(codes, concepts, probabilities, 1)

    def unteach(self, codes: U8, concepts: Integers, probabilities: npt.ArrayLike) -> None:
        """Subtract n items; afterwards the counts are as if these items had never been taught.

        Raises
        ------
        InputError
            As for ``teach``, or these items cannot have been taught; nothing is changed.
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
        weights = np.rint(shares.astype(np.float64) * FULL_WEIGHT).astype(np.int64)
        codes, concepts = np.ascontiguousarray(codes), np.ascontiguousarray(concepts, np.int64)
        add_counts(codes, concepts, sign * weights, self.counts)
        if sign < 0 and (self.counts[:, np.unique(concepts[concepts >= 0])] < 0).any():
            add_counts(codes, concepts, weights, self.counts)
            raise InputError("unteach: expected what was taught before, found items that cannot have been")

    def scores(self, codes: U8) -> F32:
        """Return the log-odds of every concept for n packed codes, float32 (n, concepts).

        They are the sum of ``log P(unit | concept) / P(unit)`` over the winners of a code, as in a naive Bayes
        classifier; 0 for a concept that was never taught.
        """
        log_odds = self._log_odds()
        units = np.arange(self.clusters) * UNITS
        out = np.empty((len(codes), self.concepts), np.float32)
        for i, winners in enumerate(unpack_codes(codes)):
            out[i] = log_odds[units + winners].sum(axis=0)
        return out

    def _log_odds(self) -> F32:
        """Return ``log P(unit | concept) / P(unit)``, float32 (16 * clusters, concepts)."""
        counts = self.counts.astype(np.float64).reshape(self.clusters, UNITS, -1)
        overall = counts.sum(axis=2, keepdims=True)
        prior = (overall + FULL_WEIGHT / UNITS) / (overall.sum(axis=1, keepdims=True) + FULL_WEIGHT)
        total = counts.sum(axis=1, keepdims=True)
        smooth = SMOOTHING * FULL_WEIGHT
        given = np.where(total > 0, (counts + smooth * prior) / (total + smooth), prior)
        return np.asarray(np.log(given / prior).reshape(self.clusters * UNITS, -1), dtype=np.float32)
