"""Adapters of graph indexes for the recall benchmark: hnswlib, usearch and pynndescent, if they are installed.

Each runs in a process of its own; uses nothing of the core and its kernels.
"""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np

from assocmem._numerics.types import I64, AnyArray
from assocmem.bench.recall.adapter import EngineAdapter, IndexSize, IndexTask, Setting, UnsupportedError

SPARE_ITEMS = 4096
"""Items that can be added to a full index of fixed capacity."""


class HnswlibAdapter(EngineAdapter):
    """hnswlib: HNSW by its authors.

    Parameters
    ----------
    task : IndexTask
    m : int
        Links per item; twice as many on the lowest layer.
    """

    def __init__(self, task: IndexTask, m: int) -> None:
        import hnswlib

        super().__init__(task)
        if task.metric == "hamming":
            raise UnsupportedError("has no Hamming distance")
        self.index = hnswlib.Index("ip" if task.metric == "angular" else "l2", task.dim)
        self.index.init_index(task.items + SPARE_ITEMS, ef_construction=200, M=m, random_seed=0)
        self.index.set_num_threads(task.threads)
        self.ef = 0

    def fit(self, x: AnyArray) -> None:
        """Add items."""
        self.index.add_items(x, np.arange(len(x)))

    def set_parameters(self, setting: Setting) -> None:
        """Set ef."""
        self.ef = int(setting["ef"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        self.index.set_ef(max(self.ef, k))
        found: I64 = self.index.knn_query(queries, k)[0].astype(np.int64)
        return found

    def size(self) -> IndexSize:
        """Count its file, which has the layout of its memory, without the spare capacity."""
        size = int(self.index.index_file_size())
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items."""
        self.index.add_items(x, ids)

    def remove(self, ids: I64) -> None:
        """Mark items as deleted; their memory stays in use."""
        for item in ids:
            self.index.mark_deleted(int(item))


class UsearchAdapter(EngineAdapter):
    """usearch: HNSW, with vectors stored in a chosen type.

    Parameters
    ----------
    task : IndexTask
    m : int
        Links per item.
    dtype : str
        ``f32``, ``f16``, ``bf16`` or, for vectors of unit length, ``i8``; raw f32 takes three times as long as f16.
    """

    def __init__(self, task: IndexTask, m: int, dtype: str) -> None:
        from usearch.index import Index

        super().__init__(task)
        self.bits = task.metric == "hamming"
        metric = "hamming" if self.bits else "l2sq"  # by "ip", vectors of bytes find less
        dim = -(-task.dim // 8) * 8 if self.bits else task.dim
        self.index = Index(ndim=dim, metric=metric, dtype="b1" if self.bits else dtype, connectivity=m)

    def fit(self, x: AnyArray) -> None:
        """Add items."""
        self.index.add(np.arange(len(x)), self._vectors(x), threads=self.task.threads)

    def set_parameters(self, setting: Setting) -> None:
        """Set the expansion factor of searches."""
        self.ef = int(setting["ef"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search; the answer to one query has another shape than that to several."""
        self.index.expansion_search = max(self.ef, k)
        found = self.index.search(self._vectors(queries), k, threads=self.task.threads)
        keys = np.atleast_2d(found.keys).astype(np.int64)
        return np.pad(keys, ((0, 0), (0, k - keys.shape[1])), constant_values=-1)

    def size(self) -> IndexSize:
        """Count the bytes as it is serialised."""
        size = int(self.index.serialized_length)
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items."""
        self.index.add(ids, self._vectors(x), threads=self.task.threads)

    def remove(self, ids: I64) -> None:
        """Remove items."""
        self.index.remove(ids)

    def _vectors(self, x: AnyArray) -> AnyArray:
        return np.packbits(x, axis=1) if self.bits else x


class PyNNDescentAdapter(EngineAdapter):
    """pynndescent: a graph made by nearest neighbour descent; numba compiles its search for each metric.

    Parameters
    ----------
    task : IndexTask
    neighbors : int
        Links per item before pruning.
    """

    jitted = True

    def __init__(self, task: IndexTask, neighbors: int) -> None:
        super().__init__(task)
        if task.metric == "hamming":
            raise UnsupportedError("its bit distances want packed bits of another kind")
        self.neighbors, self.epsilon = neighbors, 0.1

    def fit(self, x: AnyArray) -> None:
        """Build the graph, and compile the search."""
        import pynndescent

        metric = "dot" if self.task.metric == "angular" else "euclidean"  # "dot" is for unit vectors
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.index: Any = pynndescent.NNDescent(
                x, metric, n_neighbors=self.neighbors, random_state=0, n_jobs=self.task.threads
            )
            self.index.prepare()

    def set_parameters(self, setting: Setting) -> None:
        """Set epsilon: how far beyond the distance of the k-th best links are followed."""
        self.epsilon = setting["epsilon"]

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found: I64 = self.index.query(queries, k, epsilon=self.epsilon)[0].astype(np.int64)
        return found

    def size(self) -> IndexSize:
        """Count the vectors, the search graph and the search tree; the pickle, which holds more, counts as disk."""
        graph = self.index._search_graph
        arrays = [self.index._raw_data, graph.data, graph.indices, graph.indptr]
        arrays += [part for tree in self.index._search_forest for part in tree if isinstance(part, np.ndarray)]
        return IndexSize(sum(array.nbytes for array in arrays), len(pickle.dumps(self.index)))

    def add(self, x: AnyArray, ids: I64) -> None:
        """Refuse: it would build its search structure again."""
        raise UnsupportedError("builds again")
