"""Adapters of newer indexes for the recall benchmark: SymphonyQG, ScaNN, SVS, Voyager, turbovec, if they are installed.

Each runs in a process of its own; uses nothing of the core and its kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assocmem._numerics.types import I64, AnyArray
from assocmem.bench.recall.adapter import EngineAdapter, IndexSize, IndexTask, Setting, UnsupportedError

NO_BITS = "has no Hamming distance"
LINKS, BUILD_WIDTH = 32, 200
"""Links per item of a graph, and candidates while it is built."""


class SymphonyQGAdapter(EngineAdapter):
    """SymphonyQG of ``rabitqlib``: a graph with the RaBitQ codes of an item's neighbours beside it.

    Parameters
    ----------
    task : IndexTask
    bits : int
        Of the stored vectors; 0 for float32.
    """

    def __init__(self, task: IndexTask, bits: int = 0) -> None:
        import rabitqlib

        super().__init__(task)
        if task.metric == "hamming":
            raise UnsupportedError(NO_BITS)
        self.index: Any = rabitqlib.SymqgIndex(task.dim, LINKS, "l2", bits)
        self.width = 0

    def fit(self, x: AnyArray) -> None:
        """Build the graph."""
        self.index.build(x, BUILD_WIDTH, self.task.threads)

    def finish(self) -> None:
        """Save the index, to count its bytes."""
        self.path = self.task.folder / "index.symqg"
        self.index.save(str(self.path))

    def set_parameters(self, setting: Setting) -> None:
        """Set ef."""
        self.width = int(setting["ef"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found: I64 = self.index.search(queries, k, max(self.width, k), self.task.threads)[0].astype(np.int64)
        return found

    def size(self) -> IndexSize:
        """Count its file, which has the layout of its memory."""
        size = self.path.stat().st_size
        return IndexSize(size, size)


class ScannAdapter(EngineAdapter):
    """ScaNN: partitions, anisotropic product codes, and reordering by float32.

    Parameters
    ----------
    task : IndexTask
    leaves : int
        Partitions.
    """

    def __init__(self, task: IndexTask, leaves: int) -> None:
        super().__init__(task)
        if task.metric == "hamming":
            raise UnsupportedError(NO_BITS)
        self.leaves, self.searched, self.reordered = leaves, 1, 100

    def fit(self, x: AnyArray) -> None:
        """Train and build."""
        from scann import scann_ops_pybind

        measure = "dot_product" if self.task.metric == "angular" else "squared_l2"
        builder = scann_ops_pybind.builder(x, 10, measure).set_n_training_threads(self.task.threads)
        builder = builder.tree(self.leaves, self.leaves // 10 + 1, training_sample_size=min(len(x), 250_000))
        builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100)
        self.index: Any = builder.build()

    def finish(self) -> None:
        """Save the index, to count its bytes."""
        folder = self.task.folder / "scann"
        folder.mkdir()
        self.index.serialize(str(folder))
        self.bytes = sum(path.stat().st_size for path in folder.iterdir())

    def set_parameters(self, setting: Setting) -> None:
        """Set the partitions to search, and the items to reorder."""
        self.searched, self.reordered = int(setting["leaves"]), int(setting["reorder"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        options = {"leaves_to_search": self.searched, "pre_reorder_num_neighbors": max(self.reordered, k)}
        if len(queries) == 1:
            found = self.index.search(queries[0], final_num_neighbors=k, **options)[0][None]
        else:
            found = self.index.search_batched(queries, final_num_neighbors=k, **options)[0]
        found = found.astype(np.int64)
        return np.pad(found, ((0, 0), (0, k - found.shape[1])), constant_values=-1)

    def size(self) -> IndexSize:
        """Count its files."""
        return IndexSize(self.bytes, self.bytes)


class SVSAdapter(EngineAdapter):
    """SVS: a Vamana graph, with vectors as float16.

    Parameters
    ----------
    task : IndexTask
    """

    def __init__(self, task: IndexTask) -> None:
        super().__init__(task)
        if task.metric == "hamming":
            raise UnsupportedError(NO_BITS)

    def fit(self, x: AnyArray) -> None:
        """Build the graph."""
        import svs

        angular = self.task.metric == "angular"
        parameters = svs.VamanaBuildParameters(
            alpha=0.95 if angular else 1.2, graph_max_degree=LINKS, window_size=BUILD_WIDTH
        )
        distance = svs.DistanceType.MIP if angular else svs.DistanceType.L2
        ids = np.arange(len(x), dtype=np.uint64)
        self.index: Any = svs.DynamicVamana.build(
            parameters, x.astype(np.float16), ids, distance, self.task.threads
        )

    def set_parameters(self, setting: Setting) -> None:
        """Set the size of the search window."""
        self.index.search_window_size = max(int(setting["window"]), 10)

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found: I64 = self.index.search(queries, k)[0].astype(np.int64)
        return found

    def size(self) -> IndexSize:
        """Count vectors and links."""
        size = self.index.size * (2 * self.task.dim + 4 * (LINKS + 1))
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items."""
        self.index.add(x.astype(np.float16), ids.astype(np.uint64))

    def remove(self, ids: I64) -> None:
        """Mark items as deleted."""
        self.index.delete(ids.astype(np.uint64))


class VoyagerAdapter(EngineAdapter):
    """Voyager: HNSW, with float32 or 8-bit vectors.

    Parameters
    ----------
    task : IndexTask
    m : int
        Links per item.
    """

    def __init__(self, task: IndexTask, m: int) -> None:
        import voyager

        super().__init__(task)
        if task.metric == "hamming":
            raise UnsupportedError(NO_BITS)
        space = voyager.Space.InnerProduct if task.metric == "angular" else voyager.Space.Euclidean
        self.index: Any = voyager.Index(space, task.dim, M=m, ef_construction=BUILD_WIDTH, random_seed=0)

    def fit(self, x: AnyArray) -> None:
        """Add items."""
        self.index.add_items(x, np.arange(len(x)), num_threads=self.task.threads)

    def set_parameters(self, setting: Setting) -> None:
        """Set ef."""
        self.width = int(setting["ef"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found = self.index.query(queries, k, num_threads=self.task.threads, query_ef=max(self.width, k))[0]
        return np.asarray(found.astype(np.int64))

    def size(self) -> IndexSize:
        """Count the bytes as it is serialised."""
        size = len(self.index.as_bytes())
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items."""
        self.index.add_items(x, ids, num_threads=self.task.threads)

    def remove(self, ids: I64) -> None:
        """Mark items as deleted; their memory stays in use."""
        for item in ids.tolist():
            self.index.mark_deleted(item)


class TurbovecAdapter(EngineAdapter):
    """turbovec: all items by TurboQuant codes, without vectors to refine by.

    Parameters
    ----------
    task : IndexTask
    bits : int
        Per number.
    """

    def __init__(self, task: IndexTask, bits: int) -> None:
        import turbovec

        super().__init__(task)
        if task.metric != "angular":
            raise UnsupportedError("compares angles only")
        self.index: Any = turbovec.TurboQuantIndex(task.dim, bits)

    def fit(self, x: AnyArray) -> None:
        """Encode the items."""
        self.index.add(x)

    def set_parameters(self, setting: Setting) -> None:
        """There are none."""

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        return np.asarray(self.index.search(queries, k)[1]).astype(np.int64)

    def size(self) -> IndexSize:
        """Count the bytes as it is serialised."""
        size = len(self.index.to_bytes())
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items."""
        self.index.add(x)
