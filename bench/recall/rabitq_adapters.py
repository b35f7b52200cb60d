"""Adapters of `rabitqlib` for the recall benchmark: SymphonyQG's graph and inverted lists of RaBitQ codes.

Each runs in a process of its own; uses nothing of the core and its kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64, AnyArray
from assocmem.bench.recall.adapter import EngineAdapter, IndexSize, IndexTask, Setting, UnsupportedError, whole_answers

MIN_DIM = 64
"""Its rotation takes no shorter vectors; zeros are appended, which change no distance."""


METRIC = "l2"
"""For angular vectors too: their length is 1, so the order is the same, and its graph finds more than by "ip"."""


def _refuse_bits(task: IndexTask) -> None:
    if task.metric == "hamming":
        raise UnsupportedError("has no Hamming distance")


def _padded(x: AnyArray) -> F32:
    return np.ascontiguousarray(np.pad(x, ((0, 0), (0, max(0, MIN_DIM - x.shape[1])))), np.float32)


def _saved_size(index: Any, task: IndexTask) -> IndexSize:
    """Count the file that an index writes, whose arrays are those of its memory."""
    path = task.folder / "counted.rabitq"
    index.save(str(path))
    size = path.stat().st_size
    path.unlink()
    return IndexSize(size, size)


class SymphonyQGAdapter(EngineAdapter):
    """SymphonyQG: a graph that keeps the codes of an item's neighbours beside it.

    Parameters
    ----------
    task : IndexTask
    degree : int
        Links per item.
    bits : int
        Per number of a stored vector; 0 stores raw float32.
    """

    def __init__(self, task: IndexTask, degree: int, bits: int = 0) -> None:
        import rabitqlib

        super().__init__(task)
        _refuse_bits(task)
        self.index: Any = rabitqlib.SymqgIndex(max(MIN_DIM, task.dim), degree, METRIC, bits)
        self.ef = 0

    def fit(self, x: AnyArray) -> None:
        """Build the graph; efConstruction is 200, as for the other graphs."""
        self.index.build(_padded(x), 200, self.task.threads)

    def set_parameters(self, setting: Setting) -> None:
        """Set ef."""
        self.ef = int(setting["ef"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found = self.index.search_batch(_padded(queries), k, max(self.ef, k), self.task.threads)[0]
        return whole_answers(found, k, self.task.items)

    def query(self, query: AnyArray, k: int) -> I64:
        """Answer one query."""
        found = self.index.search(_padded(query), k, max(self.ef, k), self.task.threads)[0]
        return whole_answers(found, k, self.task.items)

    def size(self) -> IndexSize:
        """Count its file."""
        return _saved_size(self.index, self.task)


class RabitqListsAdapter(EngineAdapter):
    """Inverted lists of RaBitQ codes.

    Parameters
    ----------
    task : IndexTask
    lists : int
    bits : int
        Per number of a vector, from 1 to 9.
    """

    def __init__(self, task: IndexTask, lists: int, bits: int) -> None:
        super().__init__(task)
        _refuse_bits(task)
        self.lists, self.bits, self.probes = lists, bits, 1

    def fit(self, x: AnyArray) -> None:
        """Cluster the items, and encode them; it takes as many as it was made for."""
        import rabitqlib

        x = _padded(x)
        clusters = rabitqlib.RaBitQKMeans(x.shape[1], self.lists, num_threads=self.task.threads, seed=0)
        clusters.train(x)
        self.index: Any = rabitqlib.IvfIndex(x.shape[1], len(x), self.lists, self.bits, METRIC)
        self.index.build(x, clusters.centroids, clusters.assignments, self.task.threads)

    def set_parameters(self, setting: Setting) -> None:
        """Set the number of lists that are searched."""
        self.probes = int(setting["nprobe"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found = self.index.search(_padded(queries), k, self.probes, num_threads=self.task.threads)[0]
        return whole_answers(found, k, self.task.items)

    def size(self) -> IndexSize:
        """Count its file."""
        return _saved_size(self.index, self.task)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items; it numbers them in order."""
        self.index.add(_padded(x))

    def remove(self, ids: I64) -> None:
        """Hide items; their memory stays in use."""
        self.index.remove(ids)
