"""ConceptMemory: named concepts learned from examples, one at a time.

Teaching stores an example in a table; nothing is trained. When a question is asked, a classifier is fitted to the
table, in closed form. So an answer depends on the examples only, not on the order in which they came.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.types import F32, F64, I64, AnyArray, Arrays, Bools
from assocmem._numerics.validation import check_ids, check_name, check_size, check_vectors
from assocmem._storage.hdf5 import loaded_arrays, save_arrays
from assocmem.concepts import old_pickles
from assocmem.concepts.calibration import Prediction
from assocmem.concepts.examples import ExampleEncoder, ExampleTable, Values
from assocmem.concepts.naive_bayes import CountsClassifier
from assocmem.concepts.ridge import RidgeClassifier
from assocmem.concepts.statements import Statement
from assocmem.errors import (
    EmptyIndexError,
    InputError,
    MismatchError,
    PrecisionWarning,
    ShapeError,
    UnknownIdError,
)

KIND = "concept memory"
"""What its file says it is."""
LATEST = 2**62
"""Greatest time of a statement, so that there is always a later one."""


_LEAST_CODES, _SAMPLED_CODES = 8, 64
_ALIKE = 0.8  # share of equal symbols of two codes; of unlike vectors it is a sixteenth, of similar pictures a third
COUNTS_FROM = 4000
"""Concepts from which the default is to count: the weights of ridge regression take 16 KB per concept."""


class Classifier(Protocol):
    """Predicts the concepts of a table of examples, in the order of ``ExampleTable.concepts``."""

    confidence: F64
    """float64 (concepts,): mean probability of its own concept that an example gets when it is left out; NaN for a
    concept of one example, and where this is not known"""

    def invalidate(self, ids: list[int]) -> None:
        """Prepare for a change of the table: examples with these ids will come, change, or go."""

    def fit(self) -> None:
        """Learn from the table if it has changed since the last time."""

    def predict(self, values: Values) -> Prediction:
        """Predict for encoded vectors."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest concepts of n vectors."""

    probabilities: F32
    """float32 (n, k), greatest first; 0 if there are fewer than k concepts"""
    concepts: I64
    """int64 (n, k): positions in ``names``; -1 if there are fewer than k concepts"""
    familiarity: F32
    """float32 (n,): how similar each vector is to what was taught; ``none`` is set below a threshold learned from
    the examples"""
    none: Bools
    """bool (n,): the vector belongs to none of the concepts; the least improbable concept is named all the same"""
    names: tuple[str, ...]


class ConceptMemory:
    """Concepts by their examples: taught, corrected, forgotten, renamed and merged at any time, in any order.

    Parameters
    ----------
    dim : int
        Length of a vector.
    metric : {"cosine", "l2"}
        With "cosine" only the direction of a vector counts.
    mean : array, shape (dim,), optional
        Subtracted from every vector, for cosine after it is scaled to length 1. Only codes are better for it.
    code_bytes : int, optional
        Store examples as clique codes of this many bytes, 1 to 512; by default as float32 vectors.
    seed : int
        Chooses rotations. Memories can be merged only if they have the same seed.

    Notes
    -----
    An example is identified by its id, and the latest statement about it counts. An id that is not given is computed
    from the content of the vector, so the same picture is one example however often it is taught. Only one thread may
    write at a time.
    """

    def __init__(
        self,
        dim: int,
        metric: Literal["cosine", "l2"] = "cosine",
        *,
        mean: npt.ArrayLike | None = None,
        code_bytes: int | None = None,
        seed: int = 0,
    ) -> None:
        self.dim = check_size("dim", dim, 1)
        if metric not in ("cosine", "l2"):
            raise InputError(f"metric: expected 'cosine' or 'l2', found {metric!r}")
        if code_bytes is not None and (code_bytes := check_size("code_bytes", code_bytes, 1)) > 512:
            raise InputError(f"code_bytes: expected 1 to 512, found {code_bytes}")
        self.metric, self.code_bytes, self.seed = metric, code_bytes, check_size("seed", seed, 0)
        self.mean: F32 | None = None if mean is None else check_vectors(_as_row(mean), dim, "mean", nonzero=False)[0]
        self._table = ExampleTable(ExampleEncoder(self.dim, code_bytes, self.seed))
        self._classifiers: dict[str, Classifier] = {}

    # content

    def __len__(self) -> int:
        """Return the number of examples, including those with denials only."""
        return len(self._table)

    def __contains__(self, id_: int) -> bool:
        return id_ in self._table

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<assocmem.{name}: {len(self.concepts)} concepts, {len(self)} examples of {self.dim} numbers>"

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of all concepts that have an example, sorted."""
        return self._table.concepts

    @property
    def counts(self) -> dict[str, int]:
        """Number of examples of each concept, in the order of names."""
        return self._table.counts

    @property
    def nbytes(self) -> int:
        """Bytes of the examples: an encoded vector, an id and the number of a concept each."""
        return len(self) * (self._table.encoder.example_bytes + 8 + 4)

    @property
    def settings(self) -> dict[str, object]:
        """Settings of the memory; memories can be merged only if these are the same."""
        mean = None if self.mean is None else hashlib.blake2b(self.mean.tobytes(), digest_size=8).hexdigest()
        return {"dim": self.dim, "metric": self.metric, "code_bytes": self.code_bytes, "seed": self.seed, "mean": mean}

    def concept(self, id_: int) -> str | None:
        """Return the concept of an example, or None if it has denials only.

        Raises
        ------
        UnknownIdError
        """
        statement = self._table.statement(id_)
        if statement is None:
            raise UnknownIdError(f"id: expected that of an example, found {id_}")
        return statement.concept or None

    def check_known(self, concept: str) -> None:
        """Raise InputError unless a concept has an example."""
        if concept not in self.concepts:
            raise InputError(f"concept: expected one of {len(self.concepts)} that were taught, found {concept!r}")

    # learning

    def teach(
        self, x: F32, concepts: str | Sequence[str], ids: npt.ArrayLike | None = None, *, when: int | None = None
    ) -> I64:
        """Teach examples; this replaces everything stated about the same ids before.

        Parameters
        ----------
        x : float32 (n, dim) or (dim,)
        concepts : str, or n strings
        ids : int64 (n,), optional
            By default computed from the content of the vectors.
        when : int, optional
            Time of the statement. Of two statements about an example, here or in memories that are merged, the later
            one wins. By default later than all before.

        Returns
        -------
        ids : int64 (n,)

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
            Nothing is taught.

        Warns
        -----
        PrecisionWarning
            The codes of the examples (``code_bytes``) are nearly all the same, so that nothing can be told apart.
        """
        values, numbers, names, when = self._checked(x, concepts, ids, when)
        before = len(self)
        for value, id_, name in zip(values, numbers.tolist(), names, strict=True):
            self._update(id_, value, Statement(when, name))
        if self.code_bytes is not None and len(self) >= _LEAST_CODES and before.bit_length() < len(self).bit_length():
            self._warn_if_alike()
        return numbers

    def _warn_if_alike(self) -> None:
        """Warn if the codes of a sample of examples are nearly all the same."""
        codes = self._table.values[np.linspace(0, len(self) - 1, min(len(self), _SAMPLED_CODES)).astype(np.int64)]
        codes = np.unique(codes, axis=0)
        symbols = np.concatenate([codes & 15, codes >> 4], axis=1)
        n = len(symbols)
        same = (symbols[:, None] == symbols[None]).mean(axis=2)
        if (same.sum() - n) / max(1, n * (n - 1)) > _ALIKE or n < 2:
            warnings.warn(
                "x: expected vectors whose codes tell them apart, found codes that are nearly all the same, because "
                "the vectors have much in common; give mean= (their mean is subtracted), or no code_bytes=",
                PrecisionWarning,
                stacklevel=3,
            )

    def deny(
        self, x: F32, concepts: str | Sequence[str], ids: npt.ArrayLike | None = None, *, when: int | None = None
    ) -> I64:
        """State which concepts examples do not belong to; another concept and other denials of an example stay.

        Parameters and errors as for ``teach``.
        """
        values, numbers, names, when = self._checked(x, concepts, ids, when)
        for value, id_, name in zip(values, numbers.tolist(), names, strict=True):
            known = self._table.statement(id_) or Statement(when)
            self._update(id_, value, known.denying(name, when))
        return numbers

    def _checked(
        self, x: F32, concepts: str | Sequence[str], ids: npt.ArrayLike | None, when: int | None
    ) -> tuple[Values, I64, list[str], int]:
        rows = check_vectors(x, self.dim, "x", nonzero=self.metric == "cosine")
        names = [concepts] * len(rows) if isinstance(concepts, str) else _as_names(concepts)
        if len(names) != len(rows):
            raise InputError(f"concepts: expected a name for each of {len(rows)} vectors, found {len(names)}")
        checked = {name: check_name(name) for name in dict.fromkeys(names)}
        numbers = _content_ids(rows) if ids is None else check_ids(ids, len(rows))
        when = self._table.clock + 1 if when is None else _check_when(when)
        return self._encoded(rows), numbers, [checked[name] for name in names], when

    def _update(self, id_: int, value: Values, statement: Statement) -> None:
        if self._table.would_change(id_, value, statement):
            self._invalidate([id_])
            self._table.put(id_, value, statement)

    def unteach(self, ids: npt.ArrayLike) -> None:
        """Remove examples; afterwards the memory is as if they had never been taught.

        Raises
        ------
        UnknownIdError
            One of the ids is not in the memory; nothing is removed.
        """
        numbers = check_ids(ids)
        for id_ in numbers.tolist():
            if id_ not in self._table:
                raise UnknownIdError(f"ids: expected ids of examples, found {id_}; nothing was taken out")
        self._invalidate(numbers.tolist())
        for id_ in numbers.tolist():
            self._table.drop(id_)

    def forget(self, concept: str) -> int:
        """Remove all examples and all denials of a concept; return the number of examples.

        Raises
        ------
        InputError
            There is no such concept.
        """
        self.check_known(concept)
        return self._rename(concept, None)

    def rename(self, concept: str, name: str) -> int:
        """Rename a concept, or merge it into the one that has the new name; return the number of examples.

        Raises
        ------
        InputError
            There is no such concept, or the name is invalid.
        """
        self.check_known(concept)
        return self._rename(concept, check_name(name))

    def _rename(self, concept: str, name: str | None) -> int:
        found = [(id_, statement) for id_, _, statement in self._table if statement.mentions(concept)]
        self._invalidate([id_ for id_, _ in found])
        for id_, statement in found:
            renamed = statement.renamed(concept, name)
            if renamed is None:
                self._table.drop(id_)
            else:
                self._table.put(id_, self._table.value(id_).copy(), renamed)
        return sum(statement.concept == concept for _, statement in found)

    def __ior__(self, other: ConceptMemory) -> Self:
        """Merge another memory into this one; the latest statement about an example wins.

        Merging is commutative, associative and idempotent.

        Raises
        ------
        MismatchError
            The memories have different settings.
        """
        if not isinstance(other, ConceptMemory):
            return NotImplemented
        if self.settings != other.settings:
            raise MismatchError(f"expected a concept memory made with {self.settings}, found {other.settings}")
        winning = [example for example in other._table if self._table.would_change(*example)]
        self._invalidate([id_ for id_, *_ in winning])
        for example in winning:
            self._table.put(*example)
        return self

    # answering

    def reader(self, name: str | None = None) -> Classifier:
        """Return a classifier, fitted: "ridge" or "counts"; by default ridge for fewer than 4,000 concepts."""
        name = name or ("counts" if len(self.concepts) >= COUNTS_FROM else "ridge")
        if name not in ("ridge", "counts"):
            raise InputError(f"reader: expected 'ridge' or 'counts', found {name!r}")
        if not self.concepts:
            raise EmptyIndexError("concepts: expected at least one that was taught, found none; teach one first")
        if name not in self._classifiers:
            self._classifiers[name] = self._ridge() if name == "ridge" else CountsClassifier(self._table, self.seed)
        self._classifiers[name].fit()
        return self._classifiers[name]

    def _ridge(self) -> RidgeClassifier:
        directions = self.metric == "cosine" and self.mean is None and self.code_bytes is None
        return RidgeClassifier(self._table, self.seed, directions=directions)

    def scores(self, x: F32, *, reader: str | None = None) -> F32:
        """Return the score of every concept, float32 (n, concepts), in the order of ``concepts``.

        Parameters
        ----------
        x : float32 (n, dim) or (dim,)
        reader : {"ridge", "counts"}, optional
            See ``reader``.

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
        EmptyIndexError
            No concept has been taught.
        """
        values = self._encoded(x)
        return self.reader(reader).predict(values).scores

    def nearest(self, x: F32, k: int = 5, *, reader: Literal["ridge", "counts"] | None = None) -> Nearest:
        """Find the k most probable concepts of each vector.

        Parameters
        ----------
        x : float32 (n, dim) or (dim,)
        k : int
        reader : {"ridge", "counts"}, optional
            See ``reader``.

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
        """
        check_size("k", k, 1)
        found = self._predict(x, reader)
        n = len(found.none)
        probabilities, concepts = np.zeros((n, k), np.float32), np.full((n, k), -1, np.int64)
        best = np.lexsort((-found.scores, -found.probabilities), axis=1)[:, :k]
        concepts[:, : best.shape[1]] = best
        probabilities[:, : best.shape[1]] = np.take_along_axis(found.probabilities, best, axis=1)
        return Nearest(probabilities, concepts, found.familiarity, found.none, self.concepts)

    def probabilities(self, x: F32, *, reader: Literal["ridge", "counts"] | None = None) -> tuple[F32, Bools]:
        """Return the probability of every concept, and whether a vector belongs to none of them.

        Probabilities are those among the concepts: the sum of each row is 1, except with a single concept.

        Parameters
        ----------
        x : float32 (n, dim) or (dim,)
        reader : {"ridge", "counts"}, optional
            See ``reader``.

        Returns
        -------
        probabilities : float32 (n, concepts)
        none : bool (n,)
        """
        found = self._predict(x, reader)
        return found.probabilities, found.none

    def _predict(self, x: F32, reader: str | None) -> Prediction:
        values = self._encoded(x)
        if self.concepts:
            return self.reader(reader).predict(values)
        nothing = np.empty((len(values), 0), np.float32)
        return Prediction(nothing, nothing, np.full(len(values), -np.inf, np.float32), np.ones(len(values), bool))

    @property
    def confidence(self) -> dict[str, float]:
        """Mean probability of its own concept that an example of each concept gets when it is left out.

        NaN for a concept of one example, and if there are too many examples to leave all of them out in turn.
        """
        return dict(zip(self.concepts, self.reader().confidence.tolist(), strict=True)) if self.concepts else {}

    def _invalidate(self, ids: list[int]) -> None:
        """Tell the classifiers which examples will change; they need the old values, so this comes first."""
        for classifier in self._classifiers.values():
            classifier.invalidate(ids)

    def _encoded(self, x: F32) -> Values:
        """Return vectors as the table stores them."""
        rows = check_vectors(x, self.dim, "x", nonzero=self.metric == "cosine")
        if self.metric == "cosine":
            rows = unit_rows(rows)
        if self.mean is not None:
            rows = rows - self.mean
        return self._table.encoder.encode(rows)

    # files

    def solved(self) -> Arrays:
        """Return the solution of the default classifier as arrays, empty if it has none; see ``restore_solved``."""
        classifier = self.reader() if self.concepts else None
        return classifier.to_arrays() if isinstance(classifier, RidgeClassifier) else {}

    def restore_solved(self, arrays: dict[str, AnyArray]) -> None:
        """Take over the ``solved`` arrays of a memory with the same examples, so that nothing is computed again.

        Raises
        ------
        ValueError
            The arrays cannot be those of these examples.
        """
        classifier = self._ridge()
        classifier.restore(arrays)
        self._classifiers["ridge"] = classifier

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the memory to a file, completely or not at all; InputError if no file can have that name."""
        save_arrays(path, KIND, *self._content())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote.

        Raises
        ------
        MissingFileError, DamagedError, MismatchError
        """
        with loaded_arrays(path, KIND, "teach again") as (about, arrays):
            memory = cls.__new__(cls)
            memory._restore(about, arrays)
        return memory

    def __getstate__(self) -> dict[str, Any]:
        """Return the content for a pickle, with the solution of the ridge classifier if there is one."""
        about, arrays = self._content()
        ridge = self._classifiers.get("ridge")
        solved = ridge.to_arrays() if isinstance(ridge, RidgeClassifier) else {}
        return {"about": about, "arrays": arrays, "solved": solved}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Undo ``__getstate__``."""
        if "about" not in state:
            state = old_pickles.converted(state)
        self._restore(state["about"], state["arrays"])
        if state["solved"]:
            self.restore_solved(state["solved"])

    def _content(self) -> tuple[dict[str, Any], Arrays]:
        """Return what a file contains: facts, which are stored as JSON, and arrays."""
        facts, arrays = self._table.to_arrays()
        if self.mean is not None:
            arrays["mean"] = self.mean
        return {**self.settings, "mean": self.mean is not None, **facts}, arrays

    def _restore(self, about: dict[str, Any], arrays: Arrays) -> None:
        """Undo ``_content``; an error of any kind if this is not the content of a memory."""
        mean, code_bytes = arrays["mean"] if about["mean"] else None, about["code_bytes"]
        ConceptMemory.__init__(
            self, about["dim"], about["metric"], mean=mean, code_bytes=code_bytes, seed=about["seed"]
        )
        self._table = ExampleTable.from_arrays(self._table.encoder, about, arrays)


def _content_ids(rows: F32) -> I64:
    """Return ids made from the bytes of the vectors, int64 (n,), from 0 to 2**63 - 1."""
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.asarray((np.frombuffer(digests, "<u8") >> np.uint64(1)).astype(np.int64))


def _as_row(mean: npt.ArrayLike) -> F32:
    try:
        row = np.ascontiguousarray(mean, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"mean: expected numbers, found {error}") from error
    if row.ndim != 1:
        raise ShapeError(f"mean: expected one vector, found shape {row.shape}")
    return row


def _as_names(concepts: Sequence[str]) -> list[str]:
    names = list(concepts) if isinstance(concepts, Iterable) else [concepts]
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"concepts: expected a name, or one for each vector, found {type(name).__name__}")
    return names


def _check_when(when: int) -> int:
    if not isinstance(when, int | np.integer) or isinstance(when, bool) or abs(int(when)) > LATEST:
        raise InputError(f"when: expected a whole number from -2**62 to 2**62, found {when!r}")
    return int(when)
