"""Ours among the learners of the concepts benchmark, and the ways in which it may choose what it is taught next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import assocmem
from assocmem._numerics.types import F32, F64, I64, Bools
from assocmem.bench.concepts.dataset import Data
from assocmem.bench.concepts.learner import Learner

Chooser = Callable[["assocmem.ConceptMemory", F32, Bools, np.random.Generator], int]
"""Takes the memory, features (n, d) and which of them were taught, bool (n,); returns the row to be taught next."""


class Ours(Learner):
    """A `assocmem.ConceptMemory`.

    Parameters
    ----------
    data, seed
        As `Learner`.
    code_bytes : int, optional
        Examples are kept as codes of so many bytes; default: as float16 vectors.
    reader : str, optional
        As `assocmem.ConceptMemory.nearest` has it.
    on_axes : bool
        On the network's own axes, where the data has them.
    """

    sure = True

    def __init__(
        self,
        data: Data,
        seed: int,
        code_bytes: int | None = None,
        reader: Literal["ridge", "counts"] | None = None,
        on_axes: bool = False,
    ) -> None:
        super().__init__(data, seed)
        self.turn: Callable[[F32], F32] = lambda x: x
        if on_axes and data.axes is not None:
            axes, taken = data.axes, 0 if data.mean is None else data.mean @ data.axes
            self.turn = lambda x: np.ascontiguousarray(x @ axes - taken, np.float32)
            data = data.reduced()
        self.names = np.array(data.classes, object)
        self.numbers = {name: number for number, name in enumerate(data.classes)}
        self.reader = reader
        self.memory = assocmem.ConceptMemory(
            data.x.shape[1], metric=data.metric, mean=data.mean, code_bytes=code_bytes, seed=seed
        )

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Teach by name."""
        self.memory.teach(self.turn(x), self.names[y].tolist(), ids=rows)

    def _answer(self, x: F32, k: int) -> Any:
        return self.memory.nearest(self.turn(x), k, reader=self.reader)

    def scores(self, x: F32) -> F64:
        """Return the probabilities of all concepts."""
        known = np.array([self.numbers[name] for name in self.memory.concepts], np.int64)
        answer = self._answer(x, len(known))
        out = np.full((len(x), self.classes), -np.inf)
        for row, (concepts, found) in enumerate(zip(answer.concepts, answer.probabilities, strict=True)):
            there = concepts >= 0
            out[row, known[concepts[there]]] = found[there]
        return out

    def doubt(self, x: F32) -> F64:
        """Return minus the familiarity: probabilities know nothing of concepts that were never taught."""
        return np.asarray(-self._answer(x, 1).familiarity, np.float64)

    def none(self, x: F32) -> Bools:
        """Return which are said to be none of what was taught, bool (n,)."""
        return np.asarray(self._answer(x, 1).none, bool)

    def nbytes(self) -> int:
        """Ask it."""
        return int(self.memory.nbytes)


def choose_random(memory: assocmem.ConceptMemory, pool: F32, taught: Bools, rng: np.random.Generator) -> int:
    """Choose any that was not taught."""
    return int(rng.choice(np.flatnonzero(~taught)))


def choose_least_margin(memory: assocmem.ConceptMemory, pool: F32, taught: Bools, rng: np.random.Generator) -> int:
    """Choose the one whose two likeliest concepts are closest in probability: the usual yardstick."""
    if len(memory.concepts) < 2:
        return choose_random(memory, pool, taught, rng)
    rows = np.flatnonzero(~taught)
    found = memory.nearest(pool[rows], 2).probabilities
    return int(rows[int((found[:, 0] - found[:, 1]).argmin())])


def choose_asking(memory: assocmem.ConceptMemory, pool: F32, taught: Bools, rng: np.random.Generator) -> int:
    """Choose as a review does, by a Gaussian kernel as wide as two of the pool are apart on average."""
    from assocmem.concepts import active_learning

    references = active_learning.reference_rows(len(pool))
    squares = (pool.astype(np.float64) ** 2).sum(axis=1)
    width = max(2 * float(squares.mean() - (pool.mean(axis=0, dtype=np.float64) ** 2).sum()), 1e-12)

    def similar(one: I64, other: I64) -> F32:
        apart = squares[one][:, None] + squares[other] - 2 * (pool[one] @ pool[other].T)
        return np.asarray(np.exp(-np.maximum(apart, 0) / width), np.float32)

    every, known = np.arange(len(pool)), np.flatnonzero(taught)
    kernel = active_learning.KernelMatrices(
        similar(known, known), similar(every, known), similar(every, references), references
    )
    found = memory.nearest(pool, min(2, len(memory.concepts))).probabilities
    return active_learning.choose(kernel, found, ~taught).row


RANDOM = "random"
CHOOSERS: dict[str, Chooser] = {RANDOM: choose_random, "least margin": choose_least_margin, "asking": choose_asking}
"""Name -> how the next example to be labelled is chosen."""
