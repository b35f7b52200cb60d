"""Other people's graphs among the engines of the recall benchmark: hnswlib, usearch, pynndescent, where installed.

Each runs in a process of its own; knows nothing of the core and its kernels.
"""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np

from assocmem._numerics.types import I64
from assocmem.bench.recall.engine import Array, Engine, Setting, Size, Task, UnableError

SPARE = 4096
"""Items that may be added to a full index whose room is fixed."""


class Hnswlib(Engine):
    """HNSW by its authors.

    Parameters
    ----------
    task
    m : int
        Links per item; twice as many on the ground floor.
    """

    def __init__(self, task: Task, m: int) -> None:
        import hnswlib

        super().__init__(task)
        if task.metric == "hamming":
            raise UnableError("has no Hamming distance")
        self.index = hnswlib.Index("ip" if task.metric == "angular" else "l2", task.dim)
        self.index.init_index(task.items + SPARE, ef_construction=200, M=m, random_seed=0)
        self.index.set_num_threads(task.threads)
        self.ef = 0

    def fit(self, x: Array) -> None:
        """Add."""
        self.index.add_items(x, np.arange(len(x)))

    def use(self, setting: Setting) -> None:
        """Set ef."""
        self.ef = int(setting["ef"])

    def batch_query(self, queries: Array, k: int) -> I64:
        """Search."""
        self.index.set_ef(max(self.ef, k))
        found: I64 = self.index.knn_query(queries, k)[0].astype(np.int64)
        return found

    def size(self) -> Size:
        """Count its file, which has the layout of its memory, without the room for more items."""
        size = int(self.index.index_file_size())
        return Size(size, size)

    def add(self, x: Array, ids: I64) -> None:
        """Add."""
        self.index.add_items(x, ids)

    def remove(self, ids: I64) -> None:
        """Mark as deleted; they keep their place."""
        for item in ids:
            self.index.mark_deleted(int(item))


class Usearch(Engine):
    """HNSW of usearch, vectors stored in a type of choice.

    Parameters
    ----------
    task
    m : int
        Links per item.
    dtype : str
        ``f32``, ``f16``, ``bf16`` or, for vectors of unit length, ``i8``; raw f32 takes three times as long as f16.
    """

    def __init__(self, task: Task, m: int, dtype: str) -> None:
        from usearch.index import Index

        super().__init__(task)
        self.bits = task.metric == "hamming"
        metric = {"euclidean": "l2sq", "angular": "ip", "hamming": "hamming"}[task.metric]
        dim = -(-task.dim // 8) * 8 if self.bits else task.dim
        self.index = Index(ndim=dim, metric=metric, dtype="b1" if self.bits else dtype, connectivity=m)

    def fit(self, x: Array) -> None:
        """Add."""
        self.index.add(np.arange(len(x)), self._vectors(x), threads=self.task.threads)

    def use(self, setting: Setting) -> None:
        """Set the expansion."""
        self.ef = int(setting["ef"])

    def batch_query(self, queries: Array, k: int) -> I64:
        """Search; it answers one query in another shape than several."""
        self.index.expansion_search = max(self.ef, k)
        found = self.index.search(self._vectors(queries), k, threads=self.task.threads)
        keys = np.atleast_2d(found.keys).astype(np.int64)
        return np.pad(keys, ((0, 0), (0, k - keys.shape[1])), constant_values=-1)

    def size(self) -> Size:
        """Count it as serialised."""
        size = int(self.index.serialized_length)
        return Size(size, size)

    def add(self, x: Array, ids: I64) -> None:
        """Add."""
        self.index.add(ids, self._vectors(x), threads=self.task.threads)

    def remove(self, ids: I64) -> None:
        """Remove."""
        self.index.remove(ids)

    def _vectors(self, x: Array) -> Array:
        return np.packbits(x, axis=1) if self.bits else x


class PyNNDescent(Engine):
    """A graph made by descent; numba compiles its search for each metric.

    Parameters
    ----------
    task
    neighbors : int
        Links per item before pruning.
    """

    jitted = True

    def __init__(self, task: Task, neighbors: int) -> None:
        super().__init__(task)
        if task.metric == "hamming":
            raise UnableError("its bit distances want packed bits of another kind")
        self.neighbors, self.epsilon = neighbors, 0.1

    def fit(self, x: Array) -> None:
        """Build the graph, and compile the search."""
        import pynndescent

        metric = "dot" if self.task.metric == "angular" else "euclidean"  # "dot" is for unit vectors
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.index: Any = pynndescent.NNDescent(
                x, metric, n_neighbors=self.neighbors, random_state=0, n_jobs=self.task.threads
            )
            self.index.prepare()

    def use(self, setting: Setting) -> None:
        """Set epsilon, how far beyond the k-th best it follows links."""
        self.epsilon = setting["epsilon"]

    def batch_query(self, queries: Array, k: int) -> I64:
        """Search."""
        found: I64 = self.index.query(queries, k, epsilon=self.epsilon)[0].astype(np.int64)
        return found

    def size(self) -> Size:
        """Count the vectors, the search graph and the search tree; pickled, it keeps more."""
        graph = self.index._search_graph
        arrays = [self.index._raw_data, graph.data, graph.indices, graph.indptr]
        arrays += [part for tree in self.index._search_forest for part in tree if isinstance(part, np.ndarray)]
        return Size(sum(array.nbytes for array in arrays), len(pickle.dumps(self.index)))

    def add(self, x: Array, ids: I64) -> None:
        """It would build its search structure anew."""
        raise UnableError("builds anew")
