"""Decompositions of the features of examples that follow each example that comes or goes.

Both give the same inner products in the metric ``(features' features + strength)**-1``: ``DualSolver`` from a matrix of
examples, which is cheap for few examples; ``PrimalSolver`` from a matrix of features, made from sums over any number of
examples. Up to ``SOLVED_ANEW`` examples everything is computed again after a change, in the order of ids, so that the
same examples give the same bits; with more, an inverse is updated (Sherman & Morrison, 1950), and they agree to about
ten digits.

Features are in units of their length here: ``squared_length(size)`` is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from assocmem._numerics.types import F32, F64, I8
from assocmem.concepts.random_features import EXACT, products, squared_length
from assocmem.concepts.witnesses import Products

SOLVED_ANEW = 512
"""Examples up to which every change is followed by a solution from the beginning."""
_FRESH = 256
"""Updates of an inverse of examples after which it is computed again, before rounding errors add up."""
_BLOCK = 64  # rows, so that a part of an outer product stays in the cache
_PENDING = 64
"""Examples that are kept beside an inverse of features before they are worked into it."""


class Solver(Protocol):
    """Examples of named concepts, and inner products of their features."""

    def put(self, ids: Sequence[int], features: I8, names: Sequence[str]) -> None:
        """Add examples that are not among them: features int8 (n, d), and the concept of each."""

    def drop(self, ids: Sequence[int], features: I8, names: Sequence[str]) -> None:
        """Remove examples, given as they were added."""

    def products(self, strength: float, names: Sequence[str], sample: Sequence[int], found: I8, denied: I8) -> Products:
        """Return inner products.

        Parameters
        ----------
        strength : float
            In units of the squared length of a feature.
        names : sequence of str
            All concepts, in the order of the answer.
        sample : sequence of int
            Ids of the sampled examples.
        found : int8 (m, d)
            Their features.
        denied : int8 (k, d)
            Features of denied examples, which are not among the examples.
        """

    def linear_map(self, coefficients: F64, plain: F64) -> F32:
        """Return weights on features as they are, float32 (p, d), after ``products``.

        ``coefficients``: float64 (p, C + k), of means and denied examples in the metric; ``plain``: float64 (p, C), of
        means themselves.
        """


class ClassSums:
    """Sums of the features of each class.

    They are whole numbers, so after examples are subtracted the sums are as if these had never been added.

    Attributes
    ----------
    by_class : dict of str to float64 (d,)
        Sum of the features of each class.
    counts : dict of str to int
        Examples of each class.
    """

    def __init__(self) -> None:
        self.by_class: dict[str, F64] = {}
        self.counts: dict[str, int] = {}

    def add(self, features: I8, names: Sequence[str], sign: int = 1) -> None:
        """Add examples, int8 (n, d), of named classes; with ``sign`` -1 subtract them."""
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(name, []).append(place)
        for name, mine in places.items():
            self.by_class[name] = self.by_class.get(name, 0.0) + sign * features[mine].sum(axis=0, dtype=np.float64)
            self.counts[name] = self.counts.get(name, 0) + sign * len(mine)
            if not self.counts[name]:
                del self.by_class[name], self.counts[name]

    def means(self, names: Sequence[str]) -> F64:
        """Return the mean features of classes, float64 (C, d)."""
        return np.stack([self.by_class[name] / self.counts[name] for name in names])


def add_outer_products(gram: F64, features: I8, sign: int = 1) -> None:
    """Add the outer products of features, int8 (n, d), to float64 (d, d); with ``sign`` -1 subtract them. Exact."""
    for start in range(0, len(features), EXACT):
        part = features[start : start + EXACT].astype(np.float32)
        gram += sign * (part.T @ part)


class DualSolver:
    """See ``Solver``.

    Parameters
    ----------
    size : int
        Length of a feature.
    """

    def __init__(self, size: int) -> None:
        self._unit = squared_length(size)
        self._ids: list[int] = []
        self._names: list[str] = []
        self._features: F32 = np.empty((0, size), np.float32)
        self._gram: F64 = np.empty((0, 0))
        """float64 (room, room): whole numbers, so they do not depend on when an example came"""
        self._sums = ClassSums()
        self._inverse: F64 | None = None
        """float64 (room, room), of which the examples' part counts"""
        self._strength, self._updates = 0.0, 0

    def put(self, ids: Sequence[int], features: I8, names: Sequence[str]) -> None:
        """See ``Solver``."""
        start, end = len(self._ids), len(self._ids) + len(ids)
        self._grow(end)
        self._features[start:end] = features
        crossed = products(features, self._features[:end])
        self._gram[start:end, :end] = crossed
        self._gram[:end, start:end] = crossed.T
        self._ids.extend(ids)
        self._names.extend(names)
        self._sums.add(features, names)
        if self._updatable(len(ids)):
            for place in range(start, end):
                self._border(place)

    def drop(self, ids: Sequence[int], features: I8, names: Sequence[str]) -> None:
        """See ``Solver``."""
        self._sums.add(features, names, -1)
        self._updatable(len(ids))
        for id_ in ids:
            place, last = self._ids.index(id_), len(self._ids) - 1
            inverse = self._inverse
            if place != last:
                swap = [place, last]
                self._ids[place], self._names[place] = self._ids[last], self._names[last]
                self._features[swap] = self._features[swap[::-1]]
                self._gram[swap, : last + 1] = self._gram[swap[::-1], : last + 1]
                self._gram[: last + 1, swap] = self._gram[: last + 1, swap[::-1]]
                if inverse is not None:
                    inverse[swap] = inverse[swap[::-1]]
                    inverse[:, swap] = inverse[:, swap[::-1]]
            self._ids.pop()
            self._names.pop()
            if inverse is not None:
                column = inverse[:last, last].copy()
                _add_outer(inverse, column, -1 / inverse[last, last])

    def products(self, strength: float, names: Sequence[str], sample: Sequence[int], found: I8, denied: I8) -> Products:
        """See ``Solver``."""
        self._solve(strength)
        assert self._inverse is not None
        n = len(self._ids)
        inverse = self._inverse[:n, :n]
        averages = np.zeros((len(names), n))
        numbers = {name: number for number, name in enumerate(names)}
        averages[[numbers[name] for name in self._names], np.arange(n)] = 1
        averages /= averages.sum(axis=1, keepdims=True)
        position = {id_: place for place, id_ in enumerate(self._ids)}
        places = np.array([position[id_] for id_ in sample], np.int64)
        # Among examples the metric is 1 - strength * inverse.
        across = averages @ inverse
        sample_means = averages[:, places].T - strength * across[:, places].T
        means = averages @ averages.T - strength * across @ averages.T
        plain = self._sums.means(names)
        if not len(denied):
            rows, sampled = means, sample_means
        else:
            crossed = products(self._features[:n], denied) / self._unit
            sample_denied, mean_denied = (inverse @ crossed)[places], across @ crossed
            both = (products(denied, denied) / self._unit - crossed.T @ inverse @ crossed) / strength
            rows = np.block([[means, mean_denied], [mean_denied.T, both]])
            sampled = np.hstack([sample_means, sample_denied])
        self._last = across, plain, denied, strength
        own = 1 - strength * inverse.diagonal()[places]
        squares = self._gram.diagonal()[places] / self._unit
        return Products(rows, sampled, own, plain @ plain.T / self._unit, found @ plain.T / self._unit, squares)

    def linear_map(self, coefficients: F64, plain: F64) -> F32:
        """See ``Solver``."""
        across, means, denied, strength = self._last
        assert self._inverse is not None
        n, concepts = len(self._ids), len(across)
        of_examples, out = coefficients[:, :concepts] @ across, plain @ means
        if len(denied):
            mine = coefficients[:, concepts:] / strength
            of_examples -= mine @ (products(denied, self._features[:n]) / self._unit) @ self._inverse[:n, :n]
            out += mine @ denied
        out += of_examples.astype(np.float32) @ self._features[:n]
        return np.asarray(out / self._unit, np.float32)

    def _solve(self, strength: float) -> None:
        if self._inverse is not None and strength == self._strength:
            return
        n = len(self._ids)
        order = np.array(sorted(range(n), key=self._ids.__getitem__), np.int64)
        self._ids, self._names = [self._ids[place] for place in order], [self._names[place] for place in order]
        self._features[:n] = self._features[order]
        self._gram[:n, :n] = self._gram[np.ix_(order, order)]
        matrix = self._gram[:n, :n] / self._unit
        matrix[np.diag_indices(n)] += strength
        self._inverse, self._strength, self._updates = np.zeros_like(self._gram), strength, 0
        self._inverse[:n, :n] = np.linalg.inv(matrix)

    def _updatable(self, changes: int) -> bool:
        """Return whether the inverse follows some changes; if not, it is given up."""
        self._updates += changes
        many = len(self._ids) - changes > SOLVED_ANEW
        if self._inverse is None or self._updates > _FRESH or not many:
            self._inverse = None
        return self._inverse is not None

    def _border(self, place: int) -> None:
        """Extend the inverse by the example at a place."""
        assert self._inverse is not None
        column = self._gram[:place, place] / self._unit
        turned = self._inverse[:place, :place] @ column
        rest = self._gram[place, place] / self._unit + self._strength - column @ turned
        _add_outer(self._inverse, turned, 1 / rest)
        self._inverse[:place, place] = self._inverse[place, :place] = -turned / rest
        self._inverse[place, place] = 1 / rest

    def _grow(self, count: int) -> None:
        room = len(self._features)
        if count <= room:
            return
        room, n = max(64, count + count // 2), len(self._ids)
        features, gram = np.zeros((room, self._features.shape[1]), np.float32), np.zeros((room, room))
        features[:n], gram[:n, :n] = self._features[:n], self._gram[:n, :n]
        self._features, self._gram = features, gram
        if self._inverse is not None:
            inverse = np.zeros((room, room))
            inverse[:n, :n] = self._inverse[:n, :n]
            self._inverse = inverse


def _add_outer(matrix: F64, vector: F64, factor: float) -> None:
    """Add the outer product of a vector with itself, times a factor, to the first rows and columns of a matrix."""
    n = len(vector)
    scaled = factor * vector
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        matrix[rows, :n] += np.outer(vector[rows], scaled)


class PrimalSolver:
    """See ``Solver``.

    Parameters
    ----------
    size : int
        Length of a feature.
    """

    def __init__(self, size: int) -> None:
        self._size, self._unit = size, squared_length(size)
        self._sums = ClassSums()
        self._gram: F64 = np.zeros((size, size))
        """sum of the outer products of features: whole numbers"""
        self._inverse: F64 | None = None
        self._strength = 0.0
        self._pending: list[tuple[I8, int]] = []
        """examples that are in the sums but not in the matrix, and 1 or -1 for those that left"""
        self._columns: dict[str, tuple[F64, F64]] = {}
        """of pending, sampled and denied examples, and of means: the vector, and the inverse times it"""

    def put(self, ids: Sequence[int], features: I8, names: Sequence[str]) -> None:
        """See ``Solver``."""
        self._change(features, names, 1)

    def drop(self, ids: Sequence[int], features: I8, names: Sequence[str]) -> None:
        """See ``Solver``."""
        self._change(features, names, -1)

    def products(self, strength: float, names: Sequence[str], sample: Sequence[int], found: I8, denied: I8) -> Products:
        """See ``Solver``."""
        self._solve(strength)
        means = self._sums.means(names)
        sampled = found / np.sqrt(self._unit)
        rows = np.concatenate([means, denied]) / np.sqrt(self._unit)
        places = [*(f"mean {name}" for name in names), *(f"denied {place}" for place in range(len(denied)))]
        kept = [*places, *(f"sample {id_}" for id_ in sample), *(f"pending {i}" for i in range(len(self._pending)))]
        self._columns = {name: self._columns[name] for name in kept if name in self._columns}
        row_columns = self._inverse_times(places, rows)
        sample_columns = self._inverse_times([f"sample {id_}" for id_ in sample], sampled)
        across = rows @ sample_columns.T
        inner, own = rows @ row_columns.T, np.einsum("ij,ij->i", sampled, sample_columns)
        if self._pending:
            pending, core = self._pending_columns()
            mine, theirs = rows @ pending.T, sampled @ pending.T
            row_columns = row_columns - mine @ core @ pending
            inner = inner - mine @ core @ mine.T
            across = across - mine @ core @ theirs.T
            own = own - np.einsum("ij,ij->i", theirs @ core, theirs)
        self._last = row_columns, rows[: len(names)]
        plain = rows[: len(names)]
        squares = np.einsum("ij,ij->i", sampled, sampled)
        return Products((inner + inner.T) / 2, across.T, own, plain @ plain.T, sampled @ plain.T, squares)

    def linear_map(self, coefficients: F64, plain: F64) -> F32:
        """See ``Solver``."""
        columns, means = self._last
        return np.asarray((coefficients @ columns + plain @ means) / np.sqrt(self._unit), np.float32)

    def _change(self, features: I8, names: Sequence[str], sign: int) -> None:
        self._sums.add(features, names, sign)
        few = len(features) <= _PENDING and sum(self._sums.counts.values()) > SOLVED_ANEW
        if len(self._pending) + len(features) > _PENDING or not few:
            self._work_in()
        if self._inverse is not None and few:
            self._pending += [(row, sign) for row in features]
        else:
            self._inverse, self._columns = None, {}
            add_outer_products(self._gram, features, sign)

    def _work_in(self) -> None:
        """Add the pending examples to the matrix, and to the inverse if there is one."""
        if not self._pending:
            return
        if self._inverse is not None:
            pending, core = self._pending_columns()
            np.subtract(self._inverse, pending.T @ core @ pending, out=self._inverse)
            self._columns = {
                name: (row, column - (pending @ row) @ core @ pending) for name, (row, column) in self._columns.items()
            }
        for sign in (1, -1):
            mine = [row for row, other in self._pending if other == sign]
            if mine:
                add_outer_products(self._gram, np.stack(mine), sign)
        self._pending = []

    def _pending_columns(self) -> tuple[F64, F64]:
        """Return the inverse times the pending examples, float64 (k, d), and the matrix between them, (k, k)."""
        rows = np.stack([row for row, _ in self._pending]) / np.sqrt(self._unit)
        columns = self._inverse_times([f"pending {place}" for place in range(len(rows))], rows)
        signs = np.diag([float(sign) for _, sign in self._pending])
        return columns, np.linalg.inv(signs + rows @ columns.T)

    def _solve(self, strength: float) -> None:
        if self._inverse is not None and strength == self._strength:
            return
        self._inverse, self._columns = None, {}
        self._work_in()
        matrix = self._gram / self._unit
        matrix[np.diag_indices(self._size)] += strength
        self._inverse, self._strength = np.asarray(np.linalg.inv(matrix), np.float64), strength

    def _inverse_times(self, names: list[str], rows: F64) -> F64:
        """Return the inverse times some rows, without what is pending; of rows that are known it is remembered."""
        missing = [
            place
            for place, name in enumerate(names)
            if name not in self._columns or not np.array_equal(self._columns[name][0], rows[place])
        ]
        if missing:
            assert self._inverse is not None
            for place, column in zip(missing, rows[missing] @ self._inverse, strict=True):
                self._columns[names[place]] = rows[place], column
        return np.stack([self._columns[name][1] for name in names]) if names else np.empty((0, self._size))
