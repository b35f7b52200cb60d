"""Kernel ridge regression: random Fourier features of vectors, their closed-form solution, and the classifier.

Features are cosines and sines of pseudo-random projections of a vector, rounded to bytes. Their inner products
approximate a Gaussian kernel (Rahimi & Recht, NIPS 2007), with orthogonal directions better than with independent ones
(Yu et al., Orthogonal Random Features, NIPS 2016). Sums of products of bytes are whole numbers, so they do not depend
on the order of addition, and every feature comes from the same operations on every machine.

Features and targets of examples give weights, offsets, and the scores that each example would get if it were left out,
with the regularisation of the least leave-one-out error. The dual problem is a matrix of examples, which is cheap for
few examples; the primal problem is a matrix of features, which is made from sums over any number of examples. Both have
the same solution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit

from assocmem._numerics.rotation import inner_products, make_signs, next_power_of_two, rotate_differences
from assocmem._numerics.types import F32, F64, I8, I64, KERNEL, Arrays
from assocmem.concepts.calibration import Calibration, Nearness, Prediction, Softmax, calibrate
from assocmem.concepts.examples import ExampleTable, Values, hash_sample

FREQUENCIES = 2048
"""Directions of projection, each with a random frequency; each gives a cosine and a sine."""
AMPLITUDE = 127
"""The byte that stands for a cosine or sine of 1."""
_ROUNDS = 3  # after two, directions of sparse vectors are still too similar
STRENGTHS = np.logspace(-5, 0, 21)
"""Regularisations that are tried, in units of the mean eigenvalue; above 1 a score is little more than the share of
its class."""
_DEFAULT_STRENGTH = 0.3
"""Regularisation if no class has two examples, so that none can be left out, in the same unit. A single class takes the
least of ``STRENGTHS``."""
_EXACT = 2**24 // AMPLITUDE**2  # products of bytes that float32 can add without rounding
DUAL_LIMIT = 2048
"""Examples up to which ridge regression solves the dual problem, a matrix of examples; with more, a matrix of features.
"""
DUAL_SAMPLE, PRIMAL_SAMPLE = 1024, 512
"""At most this many examples choose the regularisation, are left out in turn, and calibrate; chosen by ``hash_sample``.
"""
_CHUNK = 1024


# Random Fourier features


@njit(**KERNEL)
def _sine(u):  # type: ignore[no-untyped-def]
    """Sine of u turns, -1/4 <= u <= 1/4, to 4e-6.

    A Taylor series, because the sines of libraries differ between machines.
    """
    x = u * np.float32(2.0 * math.pi)
    square = x * x
    tail = np.float32(1.0 / 362880.0) * square - np.float32(1.0 / 5040.0)
    tail = tail * square + np.float32(1.0 / 120.0)
    tail = tail * square - np.float32(1.0 / 6.0)
    return x + x * square * tail


@njit(**KERNEL)
def fill_features(projections, per_turn, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with cosines, then sines, of projections, times 127 and rounded.

    ``projections``: float32 (n, m); ``per_turn``: float32, turns per unit of a projection; ``out``: int8 (n, 2 m).
    """
    n, width = projections.shape
    quarter, half, top = np.float32(0.25), np.float32(0.5), np.float32(AMPLITUDE)
    for i in range(n):
        row = projections[i]
        for k in range(width):
            turns = row[k] * per_turn
            turns -= np.rint(turns)
            height = abs(turns)
            folded = turns if height <= quarter else (half if turns > np.float32(0.0) else -half) - turns
            out[i, k] = np.int8(np.rint(top * _sine(quarter - height)))
            out[i, width + k] = np.int8(np.rint(top * _sine(folded)))


class RandomFourierFeatures:
    """Features whose inner products are about ``squared_length(size) * exp(-|x - y|**2 / width)``.

    Parameters
    ----------
    dim : int
        Length of a vector.
    seed : int
        Chooses the directions.

    Attributes
    ----------
    size : int
        Length of a feature, twice the number of frequencies.
    """

    def __init__(self, dim: int, seed: int = 0) -> None:
        self.dim, self.size = dim, 2 * FREQUENCIES
        self._axes = next_power_of_two(max(16, dim))
        rotations = max(1, FREQUENCIES // self._axes)
        self._signs = [make_signs(self._axes, _ROUNDS, seed + 7919 * (number + 1)) for number in range(rotations)]
        self._mean: F32 = np.zeros(dim, np.float32)

    def __call__(self, x: F32, width: float) -> I8:
        """Return features, int8 (n, size), of C-contiguous float32 (n, dim).

        ``width`` is the squared distance at which the kernel falls to 1/e.
        """
        frequencies = self.size // 2
        projections = np.empty((len(x), frequencies), np.float32)
        rotated = np.empty((len(x), self._axes), np.float32)
        for number, signs in enumerate(self._signs):
            rotate_differences(x, self._mean, signs, rotated)
            start = number * self._axes
            projections[:, start : start + self._axes] = rotated[:, :frequencies]
        out = np.empty((len(x), self.size), np.int8)
        # A projection on a random direction of length 1 is that of a Gaussian vector, times sqrt(axes).
        per_turn = math.sqrt(2.0 * self._axes / width) / (2.0 * math.pi)
        fill_features(projections, np.float32(per_turn), out)
        return out


def squared_length(size: int) -> float:
    """Return about what the inner product of a feature with itself is: each pair of cosine and sine adds 127**2."""
    return AMPLITUDE**2 * size / 2


# The solution


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Examples to fit."""

    features: I8
    """int8 (n, d)"""
    targets: F64
    """float64 (n, C)"""
    weights: F64
    """float64 (n,)"""

    @classmethod
    def empty(cls, size: int, classes: int) -> Self:
        """Return a set of no examples."""
        return cls(np.empty((0, size), np.int8), np.empty((0, classes)), np.empty(0))

    def joined(self, other: TrainingSet) -> TrainingSet:
        """Return these examples followed by others."""
        return TrainingSet(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.weights, other.weights]),
        )


@dataclass(frozen=True, slots=True)
class Solution:
    """A linear map from features to scores."""

    weights: F32
    """float32 (C, d)"""
    offsets: F32
    """float32 (C,)"""
    left_out: F32
    """float32 (m, C): scores of the sampled examples, each by the map without this example"""
    strength: float
    """regularisation, in units of the inner product of a feature with itself"""

    def scores(self, features: I8) -> F32:
        """Return scores, float32 (n, C), of int8 (n, d): about the probability of each class, not clipped to 0 to 1."""
        return np.asarray(inner_products(features.astype(np.float32), self.weights) + self.offsets, dtype=np.float32)

    def to_arrays(self) -> Arrays:
        """Return the solution as arrays that can be stored."""
        strength = np.array([self.strength])
        return {"weights": self.weights, "offsets": self.offsets, "left_out": self.left_out, "strength": strength}

    @classmethod
    def from_arrays(cls, arrays: Arrays, size: int, classes: int, sampled: int) -> Self:
        """Undo ``to_arrays``; ValueError if the shapes do not fit features, classes and sampled examples."""
        weights, offsets, left_out = arrays["weights"], arrays["offsets"], arrays["left_out"]
        if (weights.shape, offsets.shape) != ((classes, size), (classes,)):
            raise ValueError(f"weights of shape {weights.shape}")
        if left_out.shape != (sampled, classes):
            raise ValueError(f"scores of shape {left_out.shape}")
        return cls(weights, offsets, left_out, float(arrays["strength"][0]))


def products(a: I8, b: I8) -> F64:
    """Return the inner products of byte rows, (n, d) and (m, d) -> float64 (n, m): exact, in any order of addition."""
    out = np.zeros((len(a), len(b)))
    for start in range(0, a.shape[1], _EXACT):
        part = slice(start, start + _EXACT)
        out += a[:, part].astype(np.float32) @ b[:, part].astype(np.float32).T
    return out


def solve_dual(examples: TrainingSet, sample: I64, strength: float | None = None) -> Solution:
    """Solve by a matrix of examples.

    Targets and features are centred, except with a single class: then a vector far from all examples scores 0.

    Parameters
    ----------
    examples : TrainingSet
    sample : int64 (m,)
        Examples that choose the regularisation and are left out in turn.
    strength : float, optional
        Regularisation; by default it is chosen.
    """
    n, roots, share = len(examples.weights), np.sqrt(examples.weights), examples.weights / examples.weights.sum()
    if examples.targets.shape[1] < 2:
        share = np.zeros(n)
    unit = squared_length(examples.features.shape[1])
    gram = products(examples.features, examples.features) / unit
    means = gram @ share
    gram += share @ means - means - means[:, None]
    gram *= roots * roots[:, None]
    base = share @ examples.targets
    targets = (examples.targets - base) * roots[:, None]
    if strength is None and len(sample) == n:
        # If all examples are in the sample, one decomposition answers both questions.
        values, vectors = np.linalg.eigh(gram)
        strength = _least_error(values, vectors, targets, share)
        scaled = vectors / (np.maximum(values, 0) + strength)
        alphas, diagonal = scaled @ (vectors.T @ targets), np.einsum("ij,ij->i", scaled, vectors)
    else:
        strength = strength or best_strength(examples.features[sample], examples.targets[sample])
        inverse = np.linalg.inv(gram + strength * np.eye(n))
        alphas, diagonal = inverse @ targets, inverse.diagonal()
    diagonal = diagonal - share / strength  # the means depend on each example too
    left_out = ((targets - alphas / diagonal[:, None]) / roots[:, None])[sample] + base
    # Scores are alphas times centred kernels; as weights on features, the mean of the features moves to the offsets.
    alphas *= roots[:, None]
    alphas -= np.outer(share, alphas.sum(axis=0))
    weights = alphas.T @ examples.features / unit
    offsets = base - weights @ (share @ examples.features)
    return _solution(weights, offsets, left_out, strength)


def best_strength(features: I8, targets: F64) -> float:
    """Return the regularisation with the least leave-one-out error for features, int8 (n, d)."""
    n = len(features)
    gram = products(features, features)
    share = np.full(n, 1 / n if targets.shape[1] > 1 else 0.0)
    means = gram @ share
    centred = (gram + share @ means - means - means[:, None]) / squared_length(features.shape[1])
    values, vectors = np.linalg.eigh(centred)
    return _least_error(values, vectors, targets - share @ targets, share)


def _least_error(values: F64, vectors: F64, targets: F64, share: F64) -> float:
    """Return the best of ``STRENGTHS`` for a decomposed matrix of examples.

    The error of an example that is left out is its dual weight divided by its diagonal entry (Rifkin & Lippert, 2007).
    An example that is alone in its class does not count: without it no map could know the class.
    """
    values = np.maximum(values, 0)
    mean = max(float(values.mean()), 1e-12)
    classes = targets.argmax(axis=1)
    counted = np.bincount(classes)[classes] > 1
    if not counted.any():
        return float((_DEFAULT_STRENGTH if share.any() else STRENGTHS[0]) * mean)
    turned, squares = vectors.T @ targets, vectors**2
    errors = []
    for strength in STRENGTHS * mean:
        rates = 1 / (values + strength)
        alphas, diagonal = vectors @ (turned * rates[:, None]), squares @ rates - share / strength
        errors.append(((alphas / diagonal[:, None])[counted] ** 2).sum())
    return float(STRENGTHS[int(np.argmin(errors))] * mean)


class FeatureSums:
    """Sums over examples, from which the primal problem is solved.

    They are whole numbers, so after examples are subtracted the sums are as if these had never been added.

    Attributes
    ----------
    gram : float64 (d, d)
        Sum of the outer products of features.
    by_class : dict of str to float64 (d,)
        Sum of the features of each class.
    counts : dict of str to int
        Examples of each class.
    """

    def __init__(self, size: int) -> None:
        self.gram: F64 = np.zeros((size, size))
        self.by_class: dict[str, F64] = {}
        self.counts: dict[str, int] = {}

    def add(self, features: I8, names: list[str], sign: int = 1) -> None:
        """Add examples, int8 (n, d), of named classes; with ``sign`` -1 subtract them."""
        for start in range(0, len(features), _EXACT):
            part = features[start : start + _EXACT].astype(np.float32)
            self.gram += sign * (part.T @ part)
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(name, []).append(place)
        for name, mine in places.items():
            self.by_class[name] = self.by_class.get(name, 0.0) + sign * features[mine].sum(axis=0, dtype=np.float64)
            self.counts[name] = self.counts.get(name, 0) + sign * len(mine)
            if not self.counts[name]:
                del self.by_class[name], self.counts[name]


def solve_primal(
    sums: FeatureSums, names: list[str], more: TrainingSet, sampled: TrainingSet, strength: float | None = None
) -> Solution:
    """Solve by a matrix of features.

    Parameters
    ----------
    sums : FeatureSums
        Over all examples of classes.
    names : list of str
        Classes, in the order of the targets.
    more : TrainingSet
        Further examples to fit; may be empty.
    sampled : TrainingSet
        Examples in the sums, of weight 1, that choose the regularisation and are left out in turn.
    strength : float, optional
        Regularisation; by default it is chosen.
    """
    unit = squared_length(len(sums.gram))
    features = more.features.astype(np.float64)
    weighted = features * more.weights[:, None]
    counts = np.array([sums.counts[name] for name in names], np.float64)
    base = counts + more.weights @ more.targets
    right = np.stack([sums.by_class[name] for name in names]) + more.targets.T @ weighted
    total = float(counts.sum() + more.weights.sum())
    mean = (np.sum([sums.by_class[name] for name in names], axis=0) + weighted.sum(axis=0)) / total
    if len(base) < 2:
        mean, total_base = np.zeros_like(mean), np.zeros(1)
    else:
        total_base = base / total
    gram = (sums.gram + weighted.T @ features - total * np.outer(mean, mean)) / unit
    right = (right - np.outer(total_base, mean) * total) / np.sqrt(unit)
    targets = sampled.targets - total_base
    centred = (sampled.features - mean) / np.sqrt(unit)
    strength = strength or best_strength(sampled.features, sampled.targets)
    gram[np.diag_indices_from(gram)] += strength
    solved = np.linalg.solve(gram, np.concatenate([right, centred]).T)
    weights = solved[:, : len(base)].T
    leverages = np.einsum("ij,ji->i", centred, solved[:, len(base) :]) + (1 / total if len(base) > 1 else 0)
    left_out = targets - (targets - centred @ weights.T) / np.maximum(1 - leverages, 1e-9)[:, None] + total_base
    weights = weights / np.sqrt(unit)
    offsets = total_base - weights @ mean
    return _solution(weights, offsets, left_out, strength)


def _solution(weights: F64, offsets: F64, left_out: F64, strength: float) -> Solution:
    return Solution(weights.astype(np.float32), offsets.astype(np.float32), left_out.astype(np.float32), strength)


# The classifier


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
