"""The classifier of a table of examples: three witnesses on random Fourier features, joined and calibrated.

Examples that come and go change sums and an inverse, not the whole solution; see ``assocmem.concepts.solvers``. The
regularisation has the least leave-one-out error on a sample of examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from assocmem._numerics.rotation import inner_products
from assocmem._numerics.types import F32, F64, I8, I64, Arrays
from assocmem.concepts import witnesses
from assocmem.concepts.calibration import Calibration, Nearness, Prediction, Rejection, Softmax, calibrate
from assocmem.concepts.examples import ExampleTable, Values, hash_sample
from assocmem.concepts.random_features import RandomFourierFeatures, products, squared_length
from assocmem.concepts.scaling import RunningScaling, Scaling
from assocmem.concepts.solvers import SOLVED_ANEW, DualSolver, PrimalSolver, Solver
from assocmem.concepts.weighing import Weights, Witnesses, weigh

STRENGTHS = np.logspace(-5, 0, 21)
"""Regularisations that are tried, in units of the mean eigenvalue; above 1 a score is little more than the share of
its class."""
_DEFAULT_STRENGTH = 0.3
"""Regularisation if no class has two examples, so that none can be left out, in the same unit. A single class takes the
least of ``STRENGTHS``."""
_LEAST_SPREAD = 0.03  # of features of length 1: with less all examples are about the same, and nothing can be inverted
_TOLERANCE = 0.01  # of the least error: regularisations that differ by less are equally good
DUAL_LIMIT = 2048
"""Examples up to which a matrix of examples is decomposed; with more, a matrix of features."""
SAMPLE, STRENGTH_SAMPLE = 512, 384
"""At most this many examples are left out in turn and calibrate, and choose the regularisation; see ``hash_sample``."""
_CHUNK = 1024
_FEW = 64  # examples that may leave one by one; when more leave, everything is computed again


@dataclass(frozen=True, slots=True)
class Solution:
    """Linear maps from features to scores, and how they are joined."""

    weights: F32
    """float32 (2 C, d): of ridge regression, and of weighted distances to means"""
    offsets: F32
    """float32 (2 C,)"""
    left_out: F32
    """float32 (m, C): scores of ridge regression of the sampled examples, each without this example"""
    left_out_joined: F32
    """float32 (m, C): the same of all witnesses joined, in units of log-odds"""
    joining: Weights
    strength: float
    """regularisation, in units of the inner product of a feature with itself"""

    def witnesses(self, features: I8) -> tuple[F32, F32]:
        """Return scores of ridge regression and weighted distances, float32 (n, C) each, of int8 (n, d)."""
        found = inner_products(features.astype(np.float32), self.weights) + self.offsets
        concepts = found.shape[1] // 2
        return np.asarray(found[:, :concepts], np.float32), np.asarray(found[:, concepts:], np.float32)

    def to_arrays(self) -> Arrays:
        """Return the solution as arrays that can be stored."""
        return {
            "weights": self.weights,
            "offsets": self.offsets,
            "left_out": self.left_out,
            "left_out_joined": self.left_out_joined,
            "joining": np.array(self.joining),
            "strength": np.array([self.strength]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, size: int, classes: int, sampled: int) -> Self:
        """Undo ``to_arrays``; ValueError if the arrays do not fit features, classes and sampled examples."""
        expected = {
            "weights": (2 * classes, size),
            "offsets": (2 * classes,),
            "left_out": (sampled, classes),
            "left_out_joined": (sampled, classes),
            "joining": (len(Weights._fields),),
            "strength": (1,),
        }
        found = {name: arrays[name].shape for name in expected if name in arrays}
        if found != expected:
            raise ValueError(f"a solution of shapes {found}")
        return cls(
            arrays["weights"],
            arrays["offsets"],
            arrays["left_out"],
            arrays["left_out_joined"],
            Weights(*arrays["joining"].tolist()),
            float(arrays["strength"][0]),
        )


def best_strength(features: I8, targets: F64) -> float:
    """Return the regularisation with the least leave-one-out error for features, int8 (n, d).

    The error of an example that is left out is its dual weight divided by its diagonal entry (Rifkin & Lippert, 2007).
    An example that is alone in its class does not count: without it no map could know the class.
    """
    n = len(features)
    gram = products(features, features)
    share = np.full(n, 1 / n if targets.shape[1] > 1 else 0.0)
    means = gram @ share
    centred = (gram + share @ means - means - means[:, None]) / squared_length(features.shape[1])
    # The unit is rounded to a quarter of an octave, so that one more example seldom changes it.
    mean = float(2 ** (np.round(4 * np.log2(max(float(centred.trace()) / n, _LEAST_SPREAD))) / 4))
    classes = targets.argmax(axis=1)
    counted = np.bincount(classes)[classes] > 1
    if not counted.any():
        return float((_DEFAULT_STRENGTH if share.any() else STRENGTHS[0]) * mean)
    values, vectors = np.linalg.eigh(centred)
    values = np.maximum(values, 0)
    turned, squares = vectors.T @ (targets - share @ targets), vectors**2
    errors = []
    for strength in STRENGTHS * mean:
        rates = 1 / (values + strength)
        alphas, diagonal = vectors @ (turned * rates[:, None]), squares @ rates - share / strength
        errors.append(((alphas / diagonal[:, None])[counted] ** 2).sum())
    return float(STRENGTHS[_roundest(np.array(errors))] * mean)


def _roundest(errors: F64) -> int:
    """Return the place of an error that is about the least: the roundest of such places, so that it seldom changes."""
    good = errors <= (1 + _TOLERANCE) * errors.min()
    for step in (4, 2):
        rounded = np.where(good[::step], errors[::step], np.inf)
        if good[::step].any():
            return step * int(rounded.argmin())
    return int(errors.argmin())


class RidgeClassifier:
    """Ridge regression, the discriminant and the means, on random Fourier features.

    Parameters
    ----------
    examples : ExampleTable
        With at least one concept.
    seed : int
    directions : bool
        Whether only the directions of vectors count.
    """

    def __init__(self, examples: ExampleTable, seed: int, *, directions: bool = False) -> None:
        self._examples = examples
        self._features = RandomFourierFeatures(examples.encoder.decoded_dim, seed)
        self._running = RunningScaling(examples.encoder.decoded_dim, directions=directions)
        self._scaling: Scaling | None = None
        self._solver: Solver | None = None
        self._known: dict[int, str] | None = None
        """id -> concept of each example in the solver, once it has been filled"""
        self._leaving: dict[int, tuple[Values, str]] = {}
        """examples in the solver that have changed since: what they were"""
        self._changed: set[int] = set()
        self._sampled: dict[int, I8] = {}
        """id -> features of sampled examples"""
        self._chosen: tuple[bytes, bytes, float] = b"", b"", 0.0
        """examples that chose the regularisation, their classes, and what they chose"""
        self._solution: Solution | None = None
        self._counts: F64 = np.empty(0)
        self._calibration: Calibration = Softmax()
        self._nearness: Nearness | None = None
        self.confidence: F64 = np.empty(0)

    def invalidate(self, ids: Sequence[int]) -> None:
        """See ``Classifier``."""
        self._solution = None
        if self._known is None:
            return
        for id_ in ids:
            if id_ in self._known:
                self._leaving[id_] = self._examples.value(id_).copy(), self._known.pop(id_)
            self._sampled.pop(id_, None)
        self._changed.update(ids)

    def fit(self) -> None:
        """See ``Classifier``."""
        if self._solution is not None:
            return
        rows = self._examples.taught_rows()
        self._follow(rows)
        classes, ids = self._examples.classes(rows), self._examples.ids_of(rows)
        sample = hash_sample(ids, SAMPLE, classes)
        self._accept(self._solve(rows, ids, classes, sample), rows, classes, sample)

    def predict(self, values: Values) -> Prediction:
        """See ``Classifier``."""
        assert self._solution is not None
        assert self._nearness is not None
        vectors = self._examples.encoder.decode(values)
        scores, distances = self._solution.witnesses(self._features_of(vectors))
        rejection = self._calibration.rejection
        familiarity = rejection.familiarity(scores, self._nearness.of(vectors))
        none = familiarity < rejection.threshold
        joined = scores
        if scores.shape[1] > 1:
            joined = self._solution.joining.joined(scores, distances, self._counts).astype(np.float32)
        return Prediction(scores, self._calibration.probabilities(joined), familiarity, none)

    def to_arrays(self) -> Arrays:
        """Return the solution as arrays; no arrays if the table has changed since ``fit``."""
        return {} if self._solution is None else self._solution.to_arrays()

    def restore(self, arrays: Arrays) -> None:
        """Take over the arrays of a classifier of the same examples; ValueError if they cannot be."""
        rows = self._examples.taught_rows()
        classes = self._examples.classes(rows)
        sample = hash_sample(self._examples.ids_of(rows), SAMPLE, classes)
        solution = Solution.from_arrays(arrays, self._features.size, len(self._examples.concepts), len(sample))
        self._scaling = self._scaling_of(rows)
        self._accept(solution, rows, classes, sample)

    def _accept(self, solution: Solution, rows: I64, classes: I64, sample: I64) -> None:
        mine, concepts = classes[sample], len(solution.offsets) // 2
        self._nearness = Nearness(self._examples.decoded(rows[sample]))
        counts = np.bincount(classes, minlength=concepts)
        rejection = Rejection.learned(solution.left_out, self._nearness.left_out())
        left_out = solution.left_out_joined if concepts > 1 else solution.left_out
        self._calibration = calibrate(left_out, mine, counts, rejection)
        own = self._calibration.probabilities(left_out)[np.arange(len(mine)), mine]
        sampled = np.bincount(mine, minlength=len(counts))
        sums = np.bincount(mine, own, minlength=len(counts))
        self.confidence = np.where((counts > 1) & (sampled > 0), sums / np.maximum(sampled, 1), np.nan)
        self._counts, self._solution = counts.astype(np.float64), solution

    def _solve(self, rows: I64, ids: I64, classes: I64, sample: I64) -> Solution:
        table = self._examples
        assert self._solver is not None
        concepts, mine = len(table.concepts), classes[sample]
        strength = self._strength(rows, ids, classes)
        found = self._features_of_sample(rows[sample], ids[sample])
        denied_rows = table.denied_rows()
        denied = self._features_of(table.decoded(denied_rows))
        inner = self._solver.products(strength, table.concepts, ids[sample].tolist(), found, denied)
        counts = np.bincount(classes, minlength=concepts).astype(np.float64)
        regression = witnesses.ridge(_without_denied(inner, concepts), counts, mine, np.empty((0, concepts)))
        if len(denied_rows):
            guesses = inner.rows[concepts:, :concepts] @ regression.coefficients.T + regression.offsets
            regression = witnesses.ridge(inner, counts, mine, self._denials(denied_rows, guesses))
        within = witnesses.discriminant(inner, counts, mine)
        near = witnesses.nearest_means(inner, counts, mine)
        left_out = Witnesses(regression.left_out, within.left_out, near.left_out)
        joining = weigh(left_out, mine, counts.astype(np.int64))
        distances = np.zeros((concepts, len(inner.rows)))
        distances[:, :concepts] = joining.discriminant * within.coefficients
        plain = joining.means * near.coefficients
        return Solution(
            self._solver.linear_map(
                np.concatenate([regression.coefficients, distances]), np.concatenate([np.zeros_like(plain), plain])
            ),
            np.concatenate(
                [regression.offsets, joining.discriminant * within.offsets + joining.means * near.offsets]
            ).astype(np.float32),
            regression.left_out.astype(np.float32),
            joining.scores(left_out, counts).astype(np.float32),
            joining,
            strength,
        )

    def _strength(self, rows: I64, ids: I64, classes: I64) -> float:
        choosing = hash_sample(ids, STRENGTH_SAMPLE)
        key = ids[choosing].tobytes(), classes[choosing].tobytes()
        if self._chosen[:2] != key:
            concepts = len(self._examples.concepts)
            features = self._features_of(self._examples.decoded(rows[choosing]))
            self._chosen = *key, best_strength(features, np.eye(concepts)[classes[choosing]])
        return self._chosen[2]

    def _features_of_sample(self, rows: I64, ids: I64) -> I8:
        known = self._sampled
        missing = [place for place, id_ in enumerate(ids.tolist()) if id_ not in known]
        if missing:
            features = self._features_of(self._examples.decoded(rows[missing]))
            known.update(zip(ids[missing].tolist(), features, strict=True))
        self._sampled = {id_: known[id_] for id_ in ids.tolist()}
        return np.stack(list(self._sampled.values()))

    def _denials(self, rows: I64, guesses: F64) -> F64:
        """Return targets of examples that have denials only: 0 for a denied concept, for others their guesses."""
        targets, table = guesses.copy(), self._examples
        numbers = {name: number for number, name in enumerate(table.concepts)}
        for place, row in enumerate(rows.tolist()):
            for name in table.statements[row].denied:
                if name in numbers:
                    targets[place, numbers[name]] = min(targets[place, numbers[name]], 0.0)
        return targets

    def _features_of(self, vectors: F32) -> I8:
        assert self._scaling is not None
        return self._features(self._scaling(vectors), self._scaling.width)

    def _scaling_of(self, rows: I64, *, follow: bool = False) -> Scaling:
        def every() -> Iterator[F32]:
            return (self._examples.decoded(rows[start : start + _CHUNK]) for start in range(0, len(rows), _CHUNK))

        if not follow:
            self._running.restart(every())
        return self._running.scaling(every)

    # following the table

    def _follow(self, rows: I64) -> None:
        """Bring the solver to the examples in the table, by what has changed or from the beginning."""
        table = self._examples
        coming = [id_ for id_ in sorted(self._changed) if table.is_taught(id_)]
        self._forget_unchanged(coming)
        few = self._known is not None and len(self._leaving) <= _FEW and len(coming) <= len(rows) // 2
        follow = few and len(rows) > SOLVED_ANEW
        if follow:
            left, came = (table.encoder.decode(part) for part in (self._left_values(), self._values(coming)))
            self._running.change(left, came)
        scaling = self._scaling_of(rows, follow=follow)
        kind = DualSolver if len(rows) <= DUAL_LIMIT else PrimalSolver
        if few and isinstance(self._solver, kind) and scaling.same(self._scaling):
            leaving = self._features_of(table.encoder.decode(self._left_values()))
            if len(leaving):
                self._solver.drop(list(self._leaving), leaving, [name for _, name in self._leaving.values()])
            self._put(coming)
        else:
            self._scaling, self._solver, self._known = scaling, kind(self._features.size), {}
            self._sampled, self._chosen = {}, (b"", b"", 0.0)
            self._put(table.ids_of(rows).tolist())
        self._leaving, self._changed = {}, set()

    def _forget_unchanged(self, coming: list[int]) -> None:
        """Take examples from those that leave and come if they are what they were."""
        table = self._examples
        for id_ in [id_ for id_ in coming if id_ in self._leaving]:
            value, name = self._leaving[id_]
            if table.concept_of(id_) == name and table.value(id_).tobytes() == value.tobytes():
                assert self._known is not None
                self._known[id_] = name
                del self._leaving[id_]
                coming.remove(id_)

    def _put(self, ids: list[int]) -> None:
        assert self._solver is not None
        assert self._known is not None
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            names = [self._examples.concept_of(id_) for id_ in part]
            self._solver.put(part, self._features_of(self._examples.encoder.decode(self._values(part))), names)
            self._known.update(zip(part, names, strict=True))

    def _values(self, ids: list[int]) -> Values:
        table = self._examples
        return np.stack([table.value(id_) for id_ in ids]) if ids else table.encoder.empty(0)

    def _left_values(self) -> Values:
        left = [value for value, _ in self._leaving.values()]
        return np.stack(left) if left else self._examples.encoder.empty(0)


def _without_denied(inner: witnesses.Products, concepts: int) -> witnesses.Products:
    return inner._replace(rows=inner.rows[:concepts, :concepts], sample=inner.sample[:, :concepts])
