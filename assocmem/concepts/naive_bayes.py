"""Naive Bayes over the units of clique codes, with connections only between units and concepts that occurred together.

A unit is connected to a concept if it is a winner in an example of the concept (the bit); the count of the connection
says in how many examples (the value). Scores are log-odds, summed over the winners of a code.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from assocmem._numerics.types import F32, F64, I32, I64, KERNEL, U8
from assocmem.codes.winner_codes import UNITS, unpack_codes
from assocmem.concepts.calibration import Prediction, Softmax
from assocmem.concepts.examples import ExampleEncoder, ExampleTable, Values
from assocmem.concepts.unit_counts import SMOOTHING

COUNTS_CODE_BYTES = 128
"""Bytes of the codes whose units are counted, if the table does not store codes."""


@njit(**KERNEL)
def add_gains(codes, starts, concepts, gains, out):  # type: ignore[no-untyped-def]
    """Add the gains of the connections of each code's winners.

    ``codes``: uint8 (n, b), packed; ``starts``: int64 (32 * b + 1,); ``concepts``: int32 (m,); ``gains``: float32 (m,);
    ``out``: float32 (n, concepts), changed in place.
    """
    for i in range(codes.shape[0]):
        for b in range(codes.shape[1]):
            byte = np.int64(codes[i, b])
            for unit in (32 * b + (byte & 15), 32 * b + 16 + (byte >> 4)):
                for at in range(starts[unit], starts[unit + 1]):
                    out[i, concepts[at]] += gains[at]


class SparseNaiveBayes:
    """A naive Bayes classifier that stores connected pairs of units and concepts only.

    Parameters
    ----------
    codes : uint8 (n, b)
        Packed codes of the examples.
    classes : int64 (n,)
        Concept of each, numbered from 0.
    count : int
        Number of concepts.

    Attributes
    ----------
    starts : int64 (32 * b + 1,)
        Where the connections of each unit begin.
    concepts : int32 (m,)
        Concept of each connection.
    counts : int64 (m,)
        Examples of each connection.
    """

    def __init__(self, codes: U8, classes: I64, count: int) -> None:
        clusters = 2 * codes.shape[1]
        self.units = UNITS * clusters
        winners = unpack_codes(codes) + np.arange(clusters) * UNITS
        keys, counts = np.unique(winners * count + classes[:, None], return_counts=True)
        units = keys // count
        self.starts: I64 = np.searchsorted(units, np.arange(self.units + 1)).astype(np.int64)
        self.concepts: I32 = (keys % count).astype(np.int32)
        self.counts: I64 = counts.astype(np.int64)
        overall = np.bincount(winners.ravel(), minlength=self.units)
        prior = (overall + 1 / UNITS) / (len(codes) + 1)
        # log P(unit | concept) / P(unit), less its value without a connection, which is the same for all units.
        self._gains: F32 = np.log1p(self.counts / (SMOOTHING * prior[units])).astype(np.float32)
        totals = np.bincount(classes, minlength=count)
        self._base: F32 = (clusters * np.log(SMOOTHING / (totals + SMOOTHING))).astype(np.float32)

    def scores(self, codes: U8) -> F32:
        """Return the summed log-odds of every concept for packed codes, float32 (n, concepts)."""
        out = np.tile(self._base, (len(codes), 1))
        add_gains(codes, self.starts, self.concepts, self._gains, out)
        return out


class CountsClassifier:
    """Naive Bayes over the units of clique codes; see ``SparseNaiveBayes``.

    Parameters
    ----------
    examples : ExampleTable
        With at least one concept.
    seed : int
    """

    def __init__(self, examples: ExampleTable, seed: int) -> None:
        self._examples = examples
        own = examples.encoder
        self._encoder = ExampleEncoder(own.dim, COUNTS_CODE_BYTES, seed) if own.code_bytes is None else None
        self._bayes: SparseNaiveBayes | None = None
        self._calibration = Softmax()
        self.confidence: F64 = np.empty(0)

    def invalidate(self, ids: list[int]) -> None:
        """See ``Classifier``."""
        self._bayes = None

    def fit(self) -> None:
        """See ``Classifier``."""
        if self._bayes is not None:
            return
        table = self._examples
        rows, count = table.taught_rows(), len(table.concepts)
        codes = self._codes(table.values[rows])
        self._bayes = SparseNaiveBayes(codes, table.classes(rows), count)
        # Units are not independent evidence, so only a fraction of a sum of log-odds counts.
        self._calibration = Softmax(float(1 / np.sqrt(2 * codes.shape[1])))
        self.confidence = np.full(count, np.nan)

    def predict(self, values: Values) -> Prediction:
        """See ``Classifier``; ``none`` is always False."""
        assert self._bayes is not None
        scores = self._bayes.scores(self._codes(values))
        probabilities = self._calibration.probabilities(scores)
        return Prediction(scores, probabilities, scores.max(axis=1), np.zeros(len(scores), bool))

    def _codes(self, values: Values) -> U8:
        codes = values if self._encoder is None else self._encoder.encode(self._examples.encoder.decode(values))
        return np.ascontiguousarray(codes, np.uint8)
