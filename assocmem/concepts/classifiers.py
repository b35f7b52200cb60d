"""Two classifiers of the examples in a table: ridge regression on random Fourier features, and naive Bayes by counts.

Both depend on the examples only, not on the order in which they came. They are fitted when a question is asked, and
again only after the examples have changed.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from assocmem._numerics.types import F32, F64, I8, I64, U8, Arrays, Bools
from assocmem.concepts.calibration import Calibration, Nearness, Softmax, calibrate
from assocmem.concepts.example_encoder import ExampleEncoder, Values
from assocmem.concepts.examples import ExampleTable, hash_sample
from assocmem.concepts.naive_bayes import SparseNaiveBayes
from assocmem.concepts.random_features import RandomFourierFeatures
from assocmem.concepts.ridge import FeatureSums, Solution, TrainingSet, solve_dual, solve_primal

DUAL_LIMIT = 2048
"""Examples up to which ridge regression solves the dual problem, a matrix of examples; with more, a matrix of features.
"""
DUAL_SAMPLE, PRIMAL_SAMPLE = 1024, 512
"""At most this many examples choose the regularisation, are left out in turn, and calibrate; chosen by ``hash_sample``.
"""
COUNTS_FROM = 4000
"""Concepts from which the default is to count: the weights of ridge regression take 16 KB per concept."""
COUNTS_CODE_BYTES = 128
"""Bytes of the codes whose units are counted, if the table does not store codes."""
_CHUNK = 1024


class Prediction(NamedTuple):
    """What a classifier predicts for n vectors."""

    scores: F32
    """float32 (n, concepts)"""
    probabilities: F32
    """float32 (n, concepts)"""
    familiarity: F32
    """float32 (n,)"""
    none: Bools
    """bool (n,): the vector belongs to none of the concepts"""


class Classifier(Protocol):
    """Predicts the concepts of a table of examples, in the order of ``ExampleTable.concepts``."""

    confidence: F64
    """float64 (concepts,): mean probability of its own concept that an example gets when it is left out; NaN for a
    concept of one example, and where this is not known"""

    def invalidate(self, ids: list[int]) -> None:
        """Prepare for a change of the table.

        ``ids`` are the examples in the table that will change or be removed; there may be new examples as well.
        """

    def fit(self) -> None:
        """Learn from the table if it has changed since the last time."""

    def predict(self, values: Values) -> Prediction:
        """Predict for encoded vectors."""


class RidgeClassifier:
    """Ridge regression on random Fourier features.

    With more than ``DUAL_LIMIT`` examples it keeps sums over examples. They are exact: an example that changes is
    subtracted from them, and its features are computed again for that.

    Parameters
    ----------
    examples : ExampleTable
        With at least one concept.
    seed : int
    """

    def __init__(self, examples: ExampleTable, seed: int) -> None:
        self._examples = examples
        self._features = RandomFourierFeatures(examples.encoder.decoded_dim, seed)
        self._width = 0.0
        self._sums: FeatureSums | None = None
        self._summed: dict[int, str] = {}
        """id -> concept of each example in the sums"""
        self._solution: Solution | None = None
        self._calibration: Calibration = Softmax()
        self._nearness: Nearness | None = None
        self.confidence: F64 = np.empty(0)

    def invalidate(self, ids: list[int]) -> None:
        """See ``Classifier``."""
        self._solution = None
        if self._sums is not None:
            self._subtract([id_ for id_ in ids if id_ in self._summed])

    def fit(self) -> None:
        """See ``Classifier``."""
        if self._solution is not None:
            return
        rows = self._examples.taught_rows()
        width = kernel_width(self._examples, rows)
        if width != self._width:
            self._width, self._sums, self._summed = width, None, {}
        classes, sample = self._examples.classes(rows), self._sample(rows)
        nothing = TrainingSet.empty(self._features.size, len(self._examples.concepts))
        solution = self._solve(rows, classes, sample, nothing)
        denials = self._denials(solution)
        if len(denials.weights):
            solution = self._solve(rows, classes, sample, denials, solution.strength)
        self._accept(solution, rows, classes, sample)

    def predict(self, values: Values) -> Prediction:
        """See ``Classifier``."""
        assert self._solution is not None
        assert self._nearness is not None
        vectors = self._examples.encoder.decode(values)
        scores = self._solution.scores(self._features(vectors, self._width))
        rejection = self._calibration.rejection
        familiarity = rejection.familiarity(scores, self._nearness.of(vectors))
        none = familiarity < rejection.threshold
        return Prediction(scores, self._calibration.probabilities(scores), familiarity, none)

    def to_arrays(self) -> Arrays:
        """Return the solution as arrays; no arrays if the table has changed since ``fit``."""
        return {} if self._solution is None else self._solution.to_arrays()

    def restore(self, arrays: Arrays) -> None:
        """Take over the arrays of a classifier of the same examples; ValueError if they cannot be."""
        rows = self._examples.taught_rows()
        sample = self._sample(rows)
        solution = Solution.from_arrays(arrays, self._features.size, len(self._examples.concepts), len(sample))
        self._width = kernel_width(self._examples, rows)
        self._accept(solution, rows, self._examples.classes(rows), sample)

    def _sample(self, rows: I64) -> I64:
        count = DUAL_SAMPLE if len(rows) <= DUAL_LIMIT else PRIMAL_SAMPLE
        return hash_sample(np.array(self._examples.ids, np.int64)[rows], count)

    def _accept(self, solution: Solution, rows: I64, classes: I64, sample: I64) -> None:
        mine = classes[sample]
        self._nearness = Nearness(self._examples.decoded(rows[sample]))
        counts = np.bincount(classes, minlength=len(solution.offsets))
        self._calibration = calibrate(solution.left_out, mine, counts, self._nearness.left_out())
        own = self._calibration.probabilities(solution.left_out)[np.arange(len(mine)), mine]
        sampled = np.bincount(mine, minlength=len(counts))
        sums = np.bincount(mine, own, minlength=len(counts))
        self.confidence = np.where((counts > 1) & (sampled > 0), sums / np.maximum(sampled, 1), np.nan)
        self._solution = solution

    def _solve(
        self, rows: I64, classes: I64, sample: I64, more: TrainingSet, strength: float | None = None
    ) -> Solution:
        columns = more.targets.shape[1]
        if len(rows) <= DUAL_LIMIT:
            self._sums, self._summed = None, {}
            taught = TrainingSet(self._features_of(rows), _one_hot(classes, columns), np.ones(len(rows)))
            return solve_dual(taught.joined(more), sample, strength)
        features, targets = self._features_of(rows[sample]), _one_hot(classes[sample], columns)
        sampled = TrainingSet(features, targets, np.ones(len(sample)))
        return solve_primal(self._updated_sums(rows), list(self._examples.concepts), more, sampled, strength)

    def _denials(self, solution: Solution) -> TrainingSet:
        """Return the examples that have denials only: the target of a denied concept is 0, others keep their scores."""
        table = self._examples
        rows = table.denied_rows()
        features = self._features_of(rows)
        targets = solution.scores(features).astype(np.float64)
        numbers = {name: number for number, name in enumerate(table.concepts)}
        for place, row in enumerate(rows.tolist()):
            for name in table.statements[row].denied:
                if name in numbers:
                    targets[place, numbers[name]] = min(targets[place, numbers[name]], 0.0)
        return TrainingSet(features, targets, np.ones(len(rows)))

    def _features_of(self, rows: I64) -> I8:
        return self._features(self._examples.decoded(rows), self._width)

    def _updated_sums(self, rows: I64) -> FeatureSums:
        """Add the examples to the sums that are not in them yet."""
        table = self._examples
        sums = self._sums = self._sums or FeatureSums(self._features.size)
        new = rows[[table.ids[row] not in self._summed for row in rows.tolist()]]
        for start in range(0, len(new), _CHUNK):
            part = new[start : start + _CHUNK]
            names = [table.statements[row].concept for row in part.tolist()]
            sums.add(self._features_of(part), names)
            self._summed.update(zip((table.ids[row] for row in part.tolist()), names, strict=True))
        return sums

    def _subtract(self, ids: list[int]) -> None:
        assert self._sums is not None
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            vectors = self._examples.encoder.decode(np.stack([self._examples.value(id_) for id_ in part]))
            self._sums.add(self._features(vectors, self._width), [self._summed.pop(id_) for id_ in part], -1)


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


def _one_hot(classes: I64, columns: int) -> F64:
    out = np.zeros((len(classes), columns))
    out[np.arange(len(classes)), classes] = 1
    return out


def kernel_width(examples: ExampleTable, rows: I64) -> float:
    """Return the mean squared distance of two examples, rounded to a quarter of an octave so that it seldom changes."""
    total, squares, n = np.zeros(examples.encoder.decoded_dim), 0.0, len(rows)
    for start in range(0, n, _CHUNK):
        vectors = examples.decoded(rows[start : start + _CHUNK]).astype(np.float64)
        total += vectors.sum(axis=0)
        squares += float((vectors**2).sum())
    spread = 2 * (squares / n - float((total**2).sum()) / n**2)
    if n < 2 or spread <= 1e-9 * squares / n:  # a single example, or all the same: any width serves
        spread = 2 * squares / n or 1.0
    return float(2 ** (np.round(4 * np.log2(spread)) / 4))
