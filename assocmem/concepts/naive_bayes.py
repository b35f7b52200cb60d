"""Connections from units to concepts, kept only where there are any, with how often each was used.

A unit is connected to a concept once an example of the concept had it among its winners (the bit), and the count says
how often (the value). Scores are those of a naive Bayes classifier over the units. Knows arrays only.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.types import F32, I32, I64, U8
from assocmem.codes.winner_codes import UNITS
from assocmem.concepts.unit_counts import UnitCounts

SMOOTHING = UnitCounts.SMOOTHING

_options = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


@njit(**_options)
def add_connections(codes, starts, concepts, gains, out):  # type: ignore[no-untyped-def]
    """Add what each winner's connections speak for.

    ``codes``: uint8 (n, b), packed; ``starts``: int64 (32 * b + 1,); ``concepts``: int32 (m,); ``gains``: float32 (m,);
    ``out``: float32 (n, concepts), changed in place.
    """
    for i in range(codes.shape[0]):
        for b in range(codes.shape[1]):
            byte = np.int64(codes[i, b])
            for unit in (32 * b + (byte & 15), 32 * b + 16 + (byte >> 4)):
                for at in range(starts[unit], starts[unit + 1]):
                    out[i, concepts[at]] += gains[at]


class Connections:
    """Units -> concepts, numbered from 0.

    Parameters
    ----------
    codes : uint8 (n, b)
        Packed codes of the examples.
    classes : int64 (n,)
        Concept of each.
    count : int
        Concepts.

    Attributes
    ----------
    starts : int64 (32 * b + 1,)
        Where each unit's connections begin.
    concepts : int32 (m,)
    counts : int64 (m,)
    """

    def __init__(self, codes: U8, classes: I64, count: int) -> None:
        self.units, self.classes = 2 * UNITS * codes.shape[1], count
        clusters = 2 * codes.shape[1]
        winners = np.empty((len(codes), clusters), np.int64)
        winners[:, 0::2], winners[:, 1::2] = codes & 15, codes >> 4
        winners += np.arange(clusters) * UNITS
        keys, counts = np.unique(winners * count + classes[:, None], return_counts=True)
        units = keys // count
        self.starts: I64 = np.searchsorted(units, np.arange(self.units + 1)).astype(np.int64)
        self.concepts: I32 = (keys % count).astype(np.int32)
        self.counts: I64 = counts.astype(np.int64)
        overall = np.bincount(winners.ravel(), minlength=self.units)
        prior = (overall + 1 / UNITS) / (len(codes) + 1)
        # log P(unit | concept) / P(unit); where nothing connects them, it is the same for all units.
        self._gains: F32 = np.log1p(self.counts / (SMOOTHING * prior[units])).astype(np.float32)
        totals = np.bincount(classes, minlength=count)
        self._base: F32 = (clusters * np.log(SMOOTHING / (totals + SMOOTHING))).astype(np.float32)

    @property
    def nbytes(self) -> int:
        """Bytes of the connections: a start per unit, a concept and a count per connection."""
        return self.starts.nbytes + self.concepts.nbytes + self._gains.nbytes

    def scores(self, codes: U8) -> F32:
        """Return the summed log-odds of every concept, float32 (n, concepts)."""
        out = np.tile(self._base, (len(codes), 1))
        add_connections(codes, self.starts, self.concepts, self._gains, out)
        return out
