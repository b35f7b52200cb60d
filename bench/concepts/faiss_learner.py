"""Nearest neighbours of FAISS among the learners of the concepts benchmark, in a process of its own.

FAISS brings its own OpenMP, so the learner only speaks to `serve`, which runs elsewhere; messages are pickled tuples.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, F64, I64
from assocmem.bench.concepts.dataset import Data
from assocmem.bench.concepts.learner import Learner
from assocmem.errors import AssocmemError

NEIGHBOURS = (1, 5, 10)
"""Values of k, the best of which on the examples themselves is taken, each left out in turn."""


class Neighbours(Learner):
    """The class of most of the k nearest examples; of equals, the one with the nearer examples."""

    sure = True

    def __init__(self, data: Data, seed: int) -> None:
        super().__init__(data, seed)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "assocmem.bench.concepts.faiss_learner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.labels: I64 = np.empty(0, np.int64)
        self.x: list[F32] = []
        self.k = 1
        self._ask("start", self.dim, self.metric)

    def _ask(self, *message: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()
            return pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError) as error:
            raise AssocmemError(f"the process with FAISS ended with {self.process.wait()}") from error

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Add to the index."""
        self._ask("add", np.ascontiguousarray(x))
        self.x.append(x)
        self.labels = np.concatenate([self.labels, y])

    def ready(self) -> None:
        """Choose k: every example asks all others."""
        most = min(NEIGHBOURS[-1] + 1, len(self.labels))
        _, ids = self._ask("search", np.concatenate(self.x), most)
        others = np.array([[i for i in row if i != own][: most - 1] for own, row in enumerate(ids.tolist())], np.int64)
        hits = {}
        for k in NEIGHBOURS:
            if k < most:
                found = votes(self.labels, others[:, :k], self.classes).argmax(axis=1)
                hits[k] = int((found == self.labels).sum())
        self.k = max(hits, key=lambda k: hits[k]) if hits else 1

    def scores(self, x: F32) -> F64:
        """Return shares of the votes, for the classes in sight; -inf for the others where there are none."""
        _, ids = self._ask("search", np.ascontiguousarray(x), min(self.k, len(self.labels)))
        found = votes(self.labels, ids, self.classes)
        known = np.isin(np.arange(self.classes), self.labels)
        return np.asarray(np.where(known, found, -np.inf))

    def doubt(self, x: F32) -> F64:
        """Return the distance of the nearest example."""
        apart, _ = self._ask("search", np.ascontiguousarray(x), 1)
        return np.asarray(apart[:, 0], np.float64)

    def times(self, x: F32, asked: F32) -> tuple[float, float]:
        """Microseconds per example added, and per answer of k neighbours, one at a time, as the process has them."""
        found: tuple[float, float] = self._ask("times", x, asked, self.k)
        return found

    def nbytes(self) -> int:
        """Count the examples: float32, and a label each."""
        return sum(part.nbytes for part in self.x) + 8 * len(self.labels)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def votes(labels: I64, ids: I64, classes: int) -> F64:
    """Shares of the votes, float64 (n, classes); the nearer of two examples weighs a trifle more.

    Parameters
    ----------
    labels : int64 (m,)
        Of the examples.
    ids : int64 (n, k)
        Examples, the nearest first.
    classes : int
    """
    out = np.zeros((len(ids), classes))
    weights = 1 + 1e-8 * 0.5 ** np.arange(ids.shape[1])
    for place, weight in enumerate(weights):
        np.add.at(out, (np.arange(len(ids)), labels[ids[:, place]]), weight)
    return np.asarray(out / weights.sum())


class Index:
    """What runs beside FAISS."""

    def __init__(self) -> None:
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(1)

    def start(self, dim: int, metric: str) -> None:
        """Begin an index; features of metric cosine come with length one."""
        self.index = (self.faiss.IndexFlatIP if metric == "cosine" else self.faiss.IndexFlatL2)(dim)
        self.sign = -1 if metric == "cosine" else 1

    def add(self, x: F32) -> None:
        """Add."""
        self.index.add(x)

    def search(self, x: F32, k: int) -> tuple[F32, I64]:
        """Return distances, the less the nearer, and numbers of the nearest."""
        apart, ids = self.index.search(x, k)
        return self.sign * apart, ids

    def times(self, x: F32, asked: F32, k: int) -> tuple[float, float]:
        """Microseconds per addition to another index, and per search of this one."""
        other = self.faiss.clone_index(self.index)
        times = []
        for rows, work in ((x, other.add), (asked, lambda row: self.index.search(row, k))):
            started = time.perf_counter()
            for number in range(len(rows)):
                work(rows[number : number + 1])
            times.append((time.perf_counter() - started) / len(rows) * 1e6)
        return times[0], times[1]


def serve() -> None:
    """Do what the messages on standard input say, until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print cannot spoil an answer
    index = Index()
    while True:
        try:
            name, *arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(getattr(index, name)(*arguments), answers)
        answers.flush()


if __name__ == "__main__":
    serve()
