"""ConceptMemory: named concepts learned from examples, one at a time; an answer depends on the examples alone.

Teaching puts an example into a table; nothing is trained. When something is asked, what is known is read in one of two
ways: by counting connections of units to concepts, or by a ridge regression in closed form.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from assocmem._numerics.types import F32, I64, AnyArray, Bools
from assocmem._numerics.validation import check_size
from assocmem.concepts.classifiers import COUNTED_FROM, Answer, CountReader, Reader, RidgeReader
from assocmem.concepts.concept_file import load_memory, save_memory
from assocmem.concepts.lessons import Lessons
from assocmem.errors import EmptyIndexError, InputError


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest concepts of n questions."""

    probabilities: F32
    """float32 (n, k), greatest first; 0 where there are fewer than k concepts"""
    concepts: I64
    """int64 (n, k): positions in ``names``, -1 where there are fewer"""
    familiarity: F32
    """float32 (n,): how much each is like what was taught; "none" is said below a threshold found from examples"""
    none: Bools
    """bool (n,): it is none of these; a concept is named all the same, the least unlikely"""
    names: tuple[str, ...]


class ConceptMemory(Lessons):
    """Concepts by their examples: taught, corrected, forgotten, renamed and merged at any time, in any order.

    Parameters
    ----------
    dim : int
        Length of a vector.
    metric : {"cosine", "l2"}
        Whether only the direction of a vector counts.
    mean : array, shape (dim,), optional
        Taken off (of unit vectors for cosine) before anything else. Only codes are the better for it.
    code_bytes : int, optional
        Keep examples as clique codes of so many bytes, 1 to 512; by default as float16 vectors.
    seed : int
        Chooses rotations. Memories that are to be merged need the same.

    Notes
    -----
    An example is known by its id; what was said of it last stands. Ids that are not given are made of the vector's
    content, so the same picture is one example however often it is taught. One thread writes at a time.
    """

    def reader(self, name: str | None = None) -> Reader:
        """Return what answers, brought up to date: "ridge" or "counts"; by default ridge for up to 4,000 concepts."""
        name = name or ("counts" if len(self.concepts) >= COUNTED_FROM else "ridge")
        if name not in ("ridge", "counts"):
            raise InputError(f"reader: expected 'ridge' or 'counts', found {name!r}")
        if not self.concepts:
            raise EmptyIndexError("concepts: expected at least one that was taught, found none; teach one first")
        if name not in self._readers:
            self._readers[name] = (RidgeReader if name == "ridge" else CountReader)(self._examples, self.seed)
        self._readers[name].refresh(self.concepts)
        return self._readers[name]

    def scores(self, x: F32, *, reader: str | None = None) -> F32:
        """Return the score of every concept, float32 (n, concepts), in the order of ``concepts``.

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError
        EmptyIndexError
            No concept has been taught.
        """
        values = self._kept(x)
        return self.reader(reader).answer(values).scores

    def nearest(self, x: F32, k: int = 5, *, reader: Literal["ridge", "counts"] | None = None) -> Nearest:
        """Find the k most probable concepts of each vector.

        Parameters
        ----------
        x : float32 (n, dim) or (dim,)
        k : int
        reader : {"ridge", "counts"}, optional

        Raises
        ------
        DtypeError, ShapeError, NotFiniteError, ZeroVectorError, InputError
        """
        check_size("k", k, 1)
        answer = self._answer(x, reader)
        shares, which = np.zeros((len(answer.none), k), np.float32), np.full((len(answer.none), k), -1, np.int64)
        best = np.lexsort((-answer.scores, -answer.probabilities), axis=1)[:, :k]
        which[:, : best.shape[1]] = best
        shares[:, : best.shape[1]] = np.take_along_axis(answer.probabilities, best, axis=1)
        return Nearest(shares, which, answer.familiarity, answer.none, self.concepts)

    def _answer(self, x: F32, reader: str | None) -> Answer:
        values = self._kept(x)
        if self.concepts:
            return self.reader(reader).answer(values)
        nothing = np.empty((len(values), 0), np.float32)
        return Answer(nothing, nothing, np.full(len(values), -np.inf, np.float32), np.ones(len(values), bool))

    def probabilities(self, x: F32, *, reader: Literal["ridge", "counts"] | None = None) -> tuple[F32, Bools]:
        """Return the probability of every concept, float32 (n, concepts), and whether it is none, bool (n,).

        Probabilities are those among the concepts: each row adds up to 1, but where there is one concept only.
        """
        answer = self._answer(x, reader)
        return answer.probabilities, answer.none

    @property
    def confidence(self) -> dict[str, float]:
        """How surely examples of each concept would be taken for it, had each been left out: a probability.

        NaN for a concept of one example, and where examples were too many for all to be left out.
        """
        return dict(zip(self.concepts, self.reader().confidence.tolist(), strict=True)) if self.concepts else {}

    def solved(self) -> dict[str, AnyArray]:
        """Return what the default reader has found, as arrays to be kept; it need not be found again then."""
        mine = self.reader() if self.concepts else None
        return mine.state() if isinstance(mine, RidgeReader) else {}

    def restore_solved(self, arrays: dict[str, AnyArray]) -> None:
        """Take over what ``solved`` gave for the same examples; ValueError when it cannot be theirs."""
        mine = RidgeReader(self._examples, self.seed)
        mine.restore(self.concepts, arrays)
        self._readers["ridge"] = mine

    # files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, which is whole or not there; InputError when the path cannot be a file's."""
        save_memory(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what ``save`` wrote.

        Raises
        ------
        MissingFileError, DamagedError, MismatchError
        """
        return load_memory(cls, path)
