"""CliqueConcepts: a ConceptMemory with the interface of scikit-learn's classifiers, which need not be installed.

If it is, the class derives from its classes; see ``assocmem._numerics.estimator``.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.estimator import (
    ClassifierMixin,
    Estimator,
    check_fitted,
    check_labelled_rows,
    check_rows,
)
from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.types import F32, F64, AnyArray
from assocmem._numerics.validation import check_name
from assocmem.concepts.memory import ConceptMemory
from assocmem.errors import InputError

_LEAST = 1e-12
"""Probability that stands for 0 when logarithms are taken."""
_BLOCK = 32
"""Rows that are asked about together, always as many: sums of float32 depend on the shape of a product, and the answer
about a row must not depend on the other rows. Larger blocks are no quicker, row by row."""


class CliqueConcepts(ClassifierMixin, Estimator):
    """A classifier that learns one example at a time, and new labels at any time: ``ConceptMemory``.

    Parameters
    ----------
    metric : {"euclidean", "l2", "cosine"}
        With "cosine" only the direction of a row counts.
    code_bytes : int, optional
        Store examples as clique codes of this many bytes, 1 to 512; by default as float32 vectors.
    reader : {"ridge", "counts"}, optional
        Classifier; by default "ridge" for fewer than 4,000 labels. See ``ConceptMemory.reader``.
    seed : int
        Chooses rotations and features.

    Attributes
    ----------
    classes_ : (C,)
        Labels, sorted.
    memory_ : ConceptMemory
        The examples; their ids count from 0 in the order of the rows, so equal rows are different examples. The name
        of a concept is that of the label, or "label 3" and so on if that is no name.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    Batches in any order give the same answers as one ``fit``, except with ``code_bytes``: the mean of the first rows is
    subtracted from all rows then, before they are encoded.
    """

    def __init__(
        self,
        *,
        metric: Literal["euclidean", "l2", "cosine"] = "euclidean",
        code_bytes: int | None = None,
        reader: Literal["ridge", "counts"] | None = None,
        seed: int = 0,
    ) -> None:
        self.metric, self.code_bytes, self.reader, self.seed = metric, code_bytes, reader, seed

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Learn from labelled rows alone; what was learned before is forgotten.

        Parameters
        ----------
        X : numbers (n, columns)
        y : (n,)
            Labels: whole numbers, text, or anything else that sorts.

        Raises
        ------
        TypeError
            A sparse matrix.
        InputError
            These are no rows with labels, or a parameter is invalid.
        """
        rows, labels = check_labelled_rows(self, X, y, reset=True, nonzero=self._is_cosine())
        self._start(rows)
        self._learn(rows, labels, np.unique(labels))
        return self

    def partial_fit(self, X: npt.ArrayLike, y: npt.ArrayLike, classes: npt.ArrayLike | None = None) -> Self:
        """Learn from more labelled rows. Nothing is solved until something is predicted.

        Parameters
        ----------
        X, y
            As for ``fit``.
        classes : (c,), optional
            Labels that may come later. Without examples, their probability is 0. They need not be given: labels may
            be new at any time.

        Raises
        ------
        TypeError, InputError
            As ``fit``; or the labels are text where others are numbers. Nothing is learned.
        """
        first = not self.__sklearn_is_fitted__()
        rows, labels = check_labelled_rows(self, X, y, reset=first, nonzero=self._is_cosine())
        parts = [labels] if classes is None else [labels, np.asarray(classes)]
        parts = parts if first else [*parts, self.classes_]
        if len({part.dtype.kind in "OUST" for part in parts}) > 1:
            raise InputError(f"y: expected labels of one kind, found {', '.join(str(part.dtype) for part in parts)}")
        every = np.unique(np.concatenate(parts))
        if first:
            self._start(rows)
        self._learn(rows, labels, every)
        return self

    def predict(self, X: npt.ArrayLike) -> AnyArray:
        """Return the most probable label of each row, (n,).

        Raises
        ------
        NotFittedError, TypeError, InputError
        """
        check_fitted(self, "predict")
        return np.asarray(self.classes_[self._probabilities(X).argmax(axis=1)])

    def predict_proba(self, X: npt.ArrayLike) -> F64:
        """Return the probability of each label, float64 (n, C), in the order of ``classes_``; each row adds up to 1.

        Raises
        ------
        NotFittedError, TypeError, InputError
        """
        check_fitted(self, "predict_proba")
        return self._probabilities(X)

    def decision_function(self, X: npt.ArrayLike) -> F64:
        """Return the log of the probability of each label, float64 (n, C); of two labels the log-odds of the second,
        float64 (n,).

        Raises
        ------
        NotFittedError, TypeError, InputError
        """
        check_fitted(self, "decision_function")
        logs = np.log(np.maximum(self._probabilities(X), _LEAST))
        return np.asarray(logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs)

    # Parts

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether something was learned."""
        return hasattr(self, "memory_")

    def _is_cosine(self) -> bool:
        if self.metric not in ("euclidean", "l2", "cosine"):
            raise InputError(f"metric: expected euclidean, l2 or cosine, found {self.metric!r}")
        return self.metric == "cosine"

    def _start(self, rows: F32) -> None:
        """Make an empty memory for rows like these."""
        cosine = self._is_cosine()
        mean = None
        if self.code_bytes is not None:
            mean = (unit_rows(rows) if cosine else rows).mean(axis=0, dtype=np.float64)
        self.memory_ = ConceptMemory(
            rows.shape[1], "cosine" if cosine else "l2", mean=mean, code_bytes=self.code_bytes, seed=self.seed
        )
        self.classes_: AnyArray = np.empty(0)
        self._names: list[str] = []
        self._taught = 0

    def _learn(self, rows: F32, labels: AnyArray, classes: AnyArray) -> None:
        """Teach rows; ``classes`` are all labels so far, and theirs, sorted."""
        self._names = _extended(dict(zip(self.classes_.tolist(), self._names, strict=True)), classes.tolist())
        self.classes_ = classes
        names = [self._names[number] for number in np.searchsorted(classes, labels).tolist()]
        self.memory_.teach(rows, names, ids=np.arange(self._taught, self._taught + len(rows)))
        self._taught += len(rows)

    def _probabilities(self, X: npt.ArrayLike) -> F64:
        """Return probabilities, float64 (n, C); a label without examples has none."""
        rows = check_rows(self, X, reset=False, nonzero=self._is_cosine())
        places = {name: place for place, name in enumerate(self._names)}
        columns = np.array([places[name] for name in self.memory_.concepts], np.int64)
        out = np.zeros((len(rows), len(self.classes_)))
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            full = np.concatenate([block, np.repeat(block[:1], _BLOCK - len(block), axis=0)])
            found = self.memory_.probabilities(full, reader=self.reader)[0][: len(block)]
            out[start : start + _BLOCK, columns] = found if len(columns) > 1 else 1
        return np.asarray(out / out.sum(axis=1, keepdims=True))


def _extended(names: dict[object, str], labels: list[object]) -> list[str]:
    """Return a name of a concept for each label: that of ``names``, the label itself, or a number."""
    used = set(names.values())
    for label in labels:
        if label in names:
            continue
        name, number = str(label), 0
        while name in used or not _is_name(name):
            number += 1
            name = f"label {number}"
        names[label] = name
        used.add(name)
    return [names[label] for label in labels]


def _is_name(text: str) -> bool:
    try:
        return check_name(text) == text
    except InputError:
        return False
