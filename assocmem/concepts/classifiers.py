"""Two ways to read a table of examples: connections that are counted, and ridge regression on random Fourier features.

Both give what depends on the examples alone, not on the way they came. Each looks at what changed when it is asked.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from assocmem._numerics.types import F32, I8, I64, U8, Bools
from assocmem.concepts.calibration import Calibration, Softmax, calibrate
from assocmem.concepts.examples import Examples, Keeper, Values
from assocmem.concepts.naive_bayes import Connections
from assocmem.concepts.nearness import Nearness
from assocmem.concepts.random_features import RandomWaves
from assocmem.concepts.ridge import Rows, Solution, Sums, solve_dual, solve_primal

SAMPLE = 1024
"""Examples that choose the regularisation and calibrate: all up to here, above those of least hashed id."""
DUAL_UP_TO = 2048
"""Examples up to which a matrix of them is solved; above, one of features."""
CALIBRATED = 512
"""Examples that are left out in turn where there are more than ``DUAL_UP_TO``."""
COUNTED_FROM = 4000
"""Concepts from which on connections are counted, unless a reader is named: weights would take 16 KB per concept."""
COUNTED_BYTES = 128
"""Of the codes whose units are counted, where examples are no codes themselves."""
_CHUNK = 1024
STATE = ("weights", "offsets", "left_out", "strength")
"""Arrays of a solution."""


class Answer(NamedTuple):
    """Of n vectors."""

    scores: F32
    """float32 (n, concepts)"""
    probabilities: F32
    """float32 (n, concepts)"""
    familiarity: F32
    """float32 (n,)"""
    none: Bools
    """bool (n,): it is none of the concepts"""


class Reader(Protocol):
    """What answers for a table of examples."""

    confidence: np.ndarray[Any, np.dtype[np.float64]]
    """float64 (concepts,): probability that examples are given for their own concept when left out, on the average; NaN
    where there is but one, or where that is not known"""

    def changed(self, ids: list[int]) -> None:
        """Hear which examples are about to change or go; new ones may come with any call."""

    def refresh(self, names: tuple[str, ...]) -> None:
        """Take in what changed."""

    def answer(self, values: Values) -> Answer:
        """Answer for vectors as the table keeps them."""


class RidgeReader:
    """See ``ridge``: exact, whatever the order; the features of an example are made anew when it is taken off."""

    def __init__(self, examples: Examples, seed: int) -> None:
        self._examples = examples
        self._waves = RandomWaves(examples.keeper.shown, seed)
        self._solution: Solution | None = None
        self._sums: Sums | None = None
        self._summed: dict[int, str] = {}
        """id -> concept of what is in the sums"""
        self._width = 0.0
        self._calibration: Calibration = Softmax()
        self._nearness: Nearness | None = None
        self.confidence: np.ndarray[Any, np.dtype[np.float64]] = np.empty(0)

    def changed(self, ids: list[int]) -> None:
        """See ``Reader``."""
        self._solution = None
        if self._sums is not None:
            self._take_off([id_ for id_ in ids if id_ in self._summed])

    def refresh(self, names: tuple[str, ...]) -> None:
        """See ``Reader``."""
        if self._solution is not None:
            return
        table = self._examples
        rows = table.rows()
        width = kernel_width(table, rows)
        if width != self._width:
            self._width, self._sums, self._summed = width, None, {}
        classes = _classes(table, rows, names)
        sample = self._sampled(rows)
        nothing = Rows.empty(RandomWaves.SIZE, len(names))
        solution = self._solve(rows, classes, names, sample, nothing)
        denials = self._denials(names, solution)
        if len(denials.weights):
            solution = self._solve(rows, classes, names, sample, denials, solution.strength)
        self._accept(solution, rows, classes, sample)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """What was found, as arrays; nothing when it no longer holds."""
        found = self._solution
        if found is None:
            return {}
        strength = np.array([found.strength])
        return {"weights": found.weights, "offsets": found.offsets, "left_out": found.left_out, "strength": strength}

    def restore(self, names: tuple[str, ...], state: dict[str, np.ndarray[Any, Any]]) -> None:
        """Take over what was found for the same examples."""
        rows = self._examples.rows()
        sample = self._sampled(rows)
        size, (weights, offsets, left_out, strength) = RandomWaves.SIZE, (state[part] for part in STATE)
        found = Solution(weights, offsets, left_out, float(strength[0]))
        if (found.weights.shape, found.offsets.shape) != ((len(names), size), (len(names),)):
            raise ValueError(f"weights of shape {found.weights.shape}")
        if found.left_out.shape != (len(sample), len(names)):
            raise ValueError(f"scores of shape {found.left_out.shape}")
        self._width = kernel_width(self._examples, rows)
        self._accept(found, rows, _classes(self._examples, rows, names), sample)

    def _sampled(self, rows: I64) -> I64:
        few = len(rows) <= DUAL_UP_TO
        return least_hashed(np.array(self._examples.ids, np.int64)[rows], SAMPLE if few else CALIBRATED)

    def _accept(self, solution: Solution, rows: I64, classes: I64, sample: I64) -> None:
        table, mine = self._examples, classes[sample]
        self._nearness = Nearness(table.keeper.show(table.values[rows[sample]]))
        counts = np.bincount(classes, minlength=len(solution.offsets))
        self._calibration = calibrate(solution.left_out, mine, counts, self._nearness.left_out())
        own = self._calibration.probabilities(solution.left_out)[np.arange(len(mine)), mine]
        sampled = np.bincount(mine, minlength=len(counts))
        sums = np.bincount(mine, own, minlength=len(counts))
        self.confidence = np.where((counts > 1) & (sampled > 0), sums / np.maximum(sampled, 1), np.nan)
        self._solution = solution

    def _solve(
        self, rows: I64, classes: I64, names: tuple[str, ...], sample: I64, more: Rows, strength: float | None = None
    ) -> Solution:
        values, columns = self._examples.values, more.targets.shape[1]
        if len(rows) <= DUAL_UP_TO:
            self._sums, self._summed = None, {}
            taught = Rows(self._features(values[rows]), _one_hot(classes, columns), np.ones(len(rows)))
            return solve_dual(taught.joined(more), sample, strength)
        features, targets = self._features(values[rows[sample]]), _one_hot(classes[sample], columns)
        sampled = Rows(features, targets, np.ones(len(sample)))
        return solve_primal(self._brought_up(rows), list(names), more, sampled, strength)

    def _denials(self, names: tuple[str, ...], solution: Solution) -> Rows:
        """Return examples that were only said what they are not: fitted to 0 there, elsewhere to what they have."""
        table = self._examples
        rows = table.rows(said=False)
        features = self._features(table.values[rows])
        targets = solution.scores(features).astype(np.float64)
        numbers = {name: number for number, name in enumerate(names)}
        for place, row in enumerate(rows.tolist()):
            for name in table.sayings[row].denied:
                if name in numbers:
                    targets[place, numbers[name]] = min(targets[place, numbers[name]], 0.0)
        return Rows(features, targets, np.ones(len(rows)))

    def _features(self, values: Values) -> I8:
        return self._waves(self._examples.keeper.show(values), self._width)

    def _brought_up(self, rows: I64) -> Sums:
        """Add to the sums what is not yet in them."""
        table = self._examples
        sums = self._sums = self._sums or Sums(RandomWaves.SIZE)
        fresh = [row for row in rows.tolist() if table.ids[row] not in self._summed]
        for start in range(0, len(fresh), _CHUNK):
            part = fresh[start : start + _CHUNK]
            names = [table.sayings[row].concept for row in part]
            sums.add(self._features(table.values[part]), names)
            self._summed.update(zip((table.ids[row] for row in part), names, strict=True))
        return sums

    def _take_off(self, ids: list[int]) -> None:
        assert self._sums is not None
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            values = np.stack([self._examples.value(id_) for id_ in part])
            self._sums.add(self._features(values), [self._summed.pop(id_) for id_ in part], -1)

    def answer(self, values: Values) -> Answer:
        """See ``Reader``."""
        assert self._solution is not None
        assert self._nearness is not None
        shown = self._examples.keeper.show(values)
        scores = self._solution.scores(self._waves(shown, self._width))
        doubt = self._calibration.doubt
        familiarity = doubt.familiarity(scores, self._nearness.of(shown))
        return Answer(scores, self._calibration.probabilities(scores), familiarity, familiarity < doubt.least)

    def strength(self) -> float:
        """Regularisation that was found, in units of a likeness of 1."""
        assert self._solution is not None
        return self._solution.strength

    def waves(self, values: Values) -> I8:
        """Return features, int8 (n, RandomWaves.SIZE), of vectors as the table keeps them."""
        return self._features(values)


class CountReader:
    """See ``connections``."""

    def __init__(self, examples: Examples, seed: int) -> None:
        self._examples = examples
        own = examples.keeper
        self._keeper = Keeper(own.dim, COUNTED_BYTES, seed) if own.code_bytes is None else None
        self._connections: Connections | None = None
        self._calibration = Softmax()
        self.confidence: np.ndarray[Any, np.dtype[np.float64]] = np.empty(0)

    def changed(self, ids: list[int]) -> None:
        """See ``Reader``."""
        self._connections = None

    def refresh(self, names: tuple[str, ...]) -> None:
        """See ``Reader``."""
        if self._connections is not None:
            return
        table = self._examples
        rows = table.rows()
        codes = self._codes(table.values[rows])
        self._connections = Connections(codes, _classes(table, rows, names), len(names))
        # Units are no independent witnesses: of a sum of log-odds a fraction is worth believing.
        self._calibration = Softmax(float(1 / np.sqrt(2 * codes.shape[1])))
        self.confidence = np.full(len(names), np.nan)

    def _codes(self, values: Values) -> U8:
        codes = values if self._keeper is None else self._keeper.keep(self._examples.keeper.show(values))
        return np.ascontiguousarray(codes, np.uint8)

    def answer(self, values: Values) -> Answer:
        """See ``Reader``; it knows of nothing that it is none."""
        assert self._connections is not None
        scores = self._connections.scores(self._codes(values))
        shares = self._calibration.probabilities(scores)
        return Answer(scores, shares, scores.max(axis=1), np.zeros(len(scores), bool))


def _classes(table: Examples, rows: I64, names: tuple[str, ...]) -> I64:
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[table.sayings[row].concept] for row in rows.tolist()], np.int64)


def _one_hot(classes: I64, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    out = np.zeros((len(classes), columns))
    out[np.arange(len(classes)), classes] = 1
    return out


def kernel_width(table: Examples, rows: I64) -> float:
    """Mean squared distance of two examples, to a quarter of an octave: so that it seldom changes."""
    total, squares, n = np.zeros(table.keeper.shown), 0.0, len(rows)
    for start in range(0, n, _CHUNK):
        shown = table.keeper.show(table.values[rows[start : start + _CHUNK]]).astype(np.float64)
        total += shown.sum(axis=0)
        squares += float((shown**2).sum())
    spread = 2 * (squares / n - float((total**2).sum()) / n**2)
    if n < 2 or spread <= 1e-9 * squares / n:  # one example, or all alike: any width will do
        spread = 2 * squares / n or 1.0
    return float(2 ** (np.round(4 * np.log2(spread)) / 4))


def least_hashed(ids: I64, count: int) -> I64:
    """Positions of the ``count`` ids of least hash, ascending: a sample that depends on nothing but the ids."""
    if len(ids) <= count:
        return np.arange(len(ids))
    hashed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashed ^= hashed >> np.uint64(31)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.sort(np.lexsort((ids, hashed))[:count])
