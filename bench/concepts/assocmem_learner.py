"""`assocmem.ConceptMemory` as a learner of the concepts benchmark, and ways to choose the next example to label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import assocmem
from assocmem._numerics.types import F32, F64, I64, Bools
from assocmem.bench.concepts.dataset import LabelledData
from assocmem.bench.concepts.learner import Learner

Chooser = Callable[["assocmem.ConceptMemory", F32, Bools, np.random.Generator], int]
"""Takes the memory, features (n, d) and which of them were taught, bool (n,); returns the row to teach next."""


class AssocmemLearner(Learner):
    """A `assocmem.ConceptMemory`.

    Parameters
    ----------
    data, seed
        As for `Learner`.
    code_bytes : int, optional
        Bytes of the codes that examples are stored as; by default they are stored as float16 vectors.
    reader : str, optional
        As for `assocmem.ConceptMemory.nearest`.
    on_axes : bool
        Whether to use the network's own axes, if the data has them.
    """

    gives_probabilities = True

    def __init__(
        self,
        data: LabelledData,
        seed: int,
        code_bytes: int | None = None,
        reader: Literal["ridge", "counts"] | None = None,
        on_axes: bool = False,
    ) -> None:
        super().__init__(data, seed)
        self.transform: Callable[[F32], F32] = lambda x: x
        if on_axes and data.axes is not None:
            axes, offset = data.axes, 0 if data.mean is None else data.mean @ data.axes
            self.transform = lambda x: np.ascontiguousarray(x @ axes - offset, np.float32)
            data = data.reduced()
        self.names = np.array(data.classes, object)
        self.numbers = {name: number for number, name in enumerate(data.classes)}
        self.reader = reader
        self.memory = assocmem.ConceptMemory(
            data.x.shape[1], metric=data.metric, mean=data.mean, code_bytes=code_bytes, seed=seed
        )

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Teach examples by the names of their classes."""
        self.memory.teach(self.transform(x), self.names[y].tolist(), ids=rows)

    def _answer(self, x: F32, k: int) -> Any:
        return self.memory.nearest(self.transform(x), k, reader=self.reader)

    def scores(self, x: F32) -> F64:
        """Return the probabilities of all concepts."""
        known = np.array([self.numbers[name] for name in self.memory.concepts], np.int64)
        answer = self._answer(x, len(known))
        out = np.full((len(x), self.classes), -np.inf)
        for row, (concepts, probabilities) in enumerate(zip(answer.concepts, answer.probabilities, strict=True)):
            valid = concepts >= 0
            out[row, known[concepts[valid]]] = probabilities[valid]
        return out

    def novelty(self, x: F32) -> F64:
        """Return minus the familiarity, because probabilities do not show concepts that were never taught."""
        return np.asarray(-self._answer(x, 1).familiarity, np.float64)

    def is_unknown(self, x: F32) -> Bools:
        """Return which rows are answered with none of the concepts, bool (n,)."""
        return np.asarray(self._answer(x, 1).none, bool)

    def nbytes(self) -> int:
        """Return the memory's own count."""
        return int(self.memory.nbytes)


def choose_random(memory: assocmem.ConceptMemory, pool: F32, taught: Bools, rng: np.random.Generator) -> int:
    """Choose at random among the rows that were not taught."""
    return int(rng.choice(np.flatnonzero(~taught)))


def choose_least_margin(memory: assocmem.ConceptMemory, pool: F32, taught: Bools, rng: np.random.Generator) -> int:
    """Choose the row whose two most probable concepts are closest in probability: the usual baseline."""
    if len(memory.concepts) < 2:
        return choose_random(memory, pool, taught, rng)
    rows = np.flatnonzero(~taught)
    found = memory.nearest(pool[rows], 2).probabilities
    return int(rows[int((found[:, 0] - found[:, 1]).argmin())])


def choose_asking(memory: assocmem.ConceptMemory, pool: F32, taught: Bools, rng: np.random.Generator) -> int:
    """Choose as `assocmem review` does, by a Gaussian kernel as wide as the mean distance of two rows of the pool."""
    from assocmem.concepts import active_learning

    references = active_learning.reference_rows(len(pool))
    squares = (pool.astype(np.float64) ** 2).sum(axis=1)
    width = max(2 * float(squares.mean() - (pool.mean(axis=0, dtype=np.float64) ** 2).sum()), 1e-12)

    def gaussian(one: I64, other: I64) -> F32:
        squared = squares[one][:, None] + squares[other] - 2 * (pool[one] @ pool[other].T)
        return np.asarray(np.exp(-np.maximum(squared, 0) / width), np.float32)

    every, known = np.arange(len(pool)), np.flatnonzero(taught)
    kernel = active_learning.KernelMatrices(
        gaussian(known, known), gaussian(every, known), gaussian(every, references), references
    )
    found = memory.nearest(pool, min(2, len(memory.concepts))).probabilities
    return active_learning.choose(kernel, found, ~taught).row


RANDOM = "random"
CHOOSERS: dict[str, Chooser] = {RANDOM: choose_random, "least margin": choose_least_margin, "asking": choose_asking}
"""Name -> how the next example to label is chosen."""
