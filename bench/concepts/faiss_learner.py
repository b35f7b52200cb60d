"""Nearest neighbours of FAISS as a learner of the concepts benchmark, in a process of its own.

FAISS brings its own OpenMP, so the learner only sends messages to `NeighbourServer`, which runs elsewhere. The module
runs as ``python -m``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, F64, I64
from assocmem.bench.concepts.dataset import LabelledData
from assocmem.bench.concepts.learner import Learner
from assocmem.bench.processes import WorkerEndedError, WorkerProcess, serve_messages
from assocmem.errors import AssocmemError

MODULE = "assocmem.bench.concepts.faiss_learner"
NEIGHBOURS = (1, 5, 10)
"""Values of k; the best on the examples themselves, each left out in turn, is used."""


class FaissNeighboursLearner(Learner):
    """The class of most of the k nearest examples; of equal classes, the one with the nearer examples."""

    gives_probabilities = True

    def __init__(self, data: LabelledData, seed: int) -> None:
        super().__init__(data, seed)
        self.worker = WorkerProcess(MODULE, OMP_NUM_THREADS="1")
        self.labels: I64 = np.empty(0, np.int64)
        self.x: list[F32] = []
        self.k = 1
        self._ask("start", self.dim, self.metric)

    def _ask(self, *message: Any) -> Any:
        try:
            return self.worker.ask(message)
        except WorkerEndedError as error:
            raise AssocmemError(f"the process with FAISS {error}") from error

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Add examples to the index."""
        self._ask("add", np.ascontiguousarray(x))
        self.x.append(x)
        self.labels = np.concatenate([self.labels, y])

    def ready(self) -> None:
        """Choose k: every example is classified by all others."""
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
        """Return shares of the votes."""
        _, ids = self._ask("search", np.ascontiguousarray(x), min(self.k, len(self.labels)))
        found = votes(self.labels, ids, self.classes)
        known = np.isin(np.arange(self.classes), self.labels)
        return np.asarray(np.where(known, found, -np.inf))

    def novelty(self, x: F32) -> F64:
        """Return the distance of the nearest example."""
        distances, _ = self._ask("search", np.ascontiguousarray(x), 1)
        return np.asarray(distances[:, 0], np.float64)

    def single_us(self, x: F32, asked: F32) -> tuple[float, float]:
        """Return microseconds per example added, and per answer of k neighbours, singly, as timed in the process."""
        found: tuple[float, float] = self._ask("single_us", x, asked, self.k)
        return found

    def nbytes(self) -> int:
        """Count the examples: float32, and a label each."""
        return sum(part.nbytes for part in self.x) + 8 * len(self.labels)

    def close(self) -> None:
        """End the process."""
        self.worker.close()


def votes(labels: I64, ids: I64, classes: int) -> F64:
    """Return shares of the votes, float64 (n, classes); of two examples, the nearer one weighs slightly more.

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


class NeighbourServer:
    """An exact index of FAISS, in the process that runs it."""

    def __init__(self) -> None:
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(1)

    def start(self, dim: int, metric: str) -> None:
        """Make an empty index; features of metric cosine have length 1."""
        self.index = (self.faiss.IndexFlatIP if metric == "cosine" else self.faiss.IndexFlatL2)(dim)
        self.sign = -1 if metric == "cosine" else 1

    def add(self, x: F32) -> None:
        """Add examples."""
        self.index.add(x)

    def search(self, x: F32, k: int) -> tuple[F32, I64]:
        """Return distances, nearest first, and numbers of the examples."""
        distances, ids = self.index.search(x, k)
        return self.sign * distances, ids

    def single_us(self, x: F32, asked: F32, k: int) -> tuple[float, float]:
        """Return microseconds per addition to a copy of this index, and per search of this one."""
        other = self.faiss.clone_index(self.index)
        times = []
        for rows, work in ((x, other.add), (asked, lambda row: self.index.search(row, k))):
            started = time.perf_counter()
            for number in range(len(rows)):
                work(rows[number : number + 1])
            times.append((time.perf_counter() - started) / len(rows) * 1e6)
        return times[0], times[1]


def main() -> None:
    """Answer messages of the form (method, *arguments) until the input ends."""
    server = NeighbourServer()
    serve_messages(lambda message: getattr(server, message[0])(*message[1:]))


if __name__ == "__main__":
    main()
