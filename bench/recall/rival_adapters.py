"""Adapters of further libraries for the recall benchmark: ScaNN, SVS, turbovec and voyager, if they are installed.

Each runs in a process of its own; uses nothing of the core and its kernels.
"""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np

from assocmem._numerics.types import I64, AnyArray
from assocmem.bench.recall.adapter import EngineAdapter, IndexSize, IndexTask, Setting, UnsupportedError, whole_answers

TRAINING_ITEMS = 100_000
"""Items that ScaNN's partitions are trained with, at most."""
CALIBRATION_ITEMS = 1024
"""Items that turbovec is calibrated with, as its documentation recommends."""


def _refuse_bits(task: IndexTask) -> None:
    if task.metric == "hamming":
        raise UnsupportedError("has no Hamming distance")


class ScannAdapter(EngineAdapter):
    """ScaNN: a tree of partitions, 4-bit codes of a few numbers each, re-ranked by float32.

    Angular vectors, of length 1, are compared by squared distance: more is found than with its anisotropic codes for
    inner products.

    Parameters
    ----------
    task : IndexTask
    leaves : int
        Partitions.
    block : int
        Numbers per code.
    """

    def __init__(self, task: IndexTask, leaves: int, block: int) -> None:
        super().__init__(task)
        _refuse_bits(task)
        self.block = block
        self.leaves, self.searched, self.candidates = leaves, 1, 100

    def fit(self, x: AnyArray) -> None:
        """Train partitions and codes, and add the items."""
        from scann import scann_ops_pybind

        builder = scann_ops_pybind.builder(x, 10, "squared_l2")
        builder = builder.set_n_training_threads(self.task.threads)
        builder = builder.tree(
            self.leaves, 1, training_sample_size=min(len(x), TRAINING_ITEMS), quantize_centroids=True
        )
        builder = builder.score_ah(self.block, anisotropic_quantization_threshold=float("nan"))
        self.index: Any = builder.reorder(100).build()

    def set_parameters(self, setting: Setting) -> None:
        """Set how many partitions are searched, and how many items per partition searched are re-ranked."""
        self.searched = int(setting["leaves"])
        self.candidates = int(setting["candidates"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found = self.index.search_batched(queries, k, max(self.candidates, k), self.searched)[0]
        return whole_answers(found, k, self.task.items)

    def query(self, query: AnyArray, k: int) -> I64:
        """Answer one query."""
        found = self.index.search(query[0], k, max(self.candidates, k), self.searched)[0]
        return whole_answers(found, k, self.task.items)

    def size(self) -> IndexSize:
        """Count its files, whose arrays are those of its memory."""
        folder = self.task.folder / "counted.scann"
        folder.mkdir()
        self.index.serialize(str(folder))
        size = sum(path.stat().st_size for path in folder.iterdir())
        shutil.rmtree(folder)
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items; ScaNN numbers them in order, and the caller would keep their ids."""
        self.index.searcher.upsert([None] * len(x), x, 1)

    def remove(self, ids: I64) -> None:
        """Remove items; the last ones take their numbers."""
        self.index.searcher.delete(ids.tolist())


class VamanaAdapter(EngineAdapter):
    """SVS: Vamana's graph over uncompressed vectors.

    Its compressed vectors (LVQ, LeanVec) work on processors of one maker only, and are left out.

    Parameters
    ----------
    task : IndexTask
    degree : int
        Links per item.
    dtype : str
        ``float32`` or ``float16``, in which vectors are stored.
    dynamic : bool
        The graph that can change; it takes float32 only.
    """

    def __init__(self, task: IndexTask, degree: int, dtype: str = "float32", dynamic: bool = False) -> None:
        super().__init__(task)
        _refuse_bits(task)
        self.degree, self.dtype, self.dynamic = degree, dtype, dynamic

    def fit(self, x: AnyArray) -> None:
        """Build the graph; the window of candidates is 200, as for the other graphs."""
        import svs

        angular = self.task.metric == "angular"
        distance = svs.DistanceType.MIP if angular else svs.DistanceType.L2
        parameters = svs.VamanaBuildParameters(
            alpha=0.95 if angular else 1.2, graph_max_degree=self.degree, window_size=200
        )
        if self.dynamic:
            ids = np.arange(len(x), dtype=np.uint64)
            self.index: Any = svs.DynamicVamana.build(parameters, x, ids, distance, self.task.threads)
        else:
            self.index = svs.Vamana.build(parameters, x.astype(self.dtype), distance, num_threads=self.task.threads)

    def set_parameters(self, setting: Setting) -> None:
        """Set the size of the window of candidates."""
        self.index.search_window_size = int(setting["ef"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search; the window grows to k if it is smaller."""
        self.index.search_window_size = max(self.index.search_window_size, k)
        found = self.index.search(queries.astype(np.float32, copy=False), k)[0]
        return whole_answers(found, k, self.task.items)

    def size(self) -> IndexSize:
        """Count its files of vectors and links, whose arrays are those of its memory."""
        folder = self.task.folder / "counted.svs"
        parts = [folder / part for part in ("config", "graph", "data")]
        folder.mkdir()
        self.index.save(*map(str, parts))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder)
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items, if the graph can change."""
        self._refuse_static()
        self.index.add(x, ids.astype(np.uint64))

    def remove(self, ids: I64) -> None:
        """Hide items, if the graph can change; ``consolidate`` would mend the graph."""
        self._refuse_static()
        self.index.delete(ids.astype(np.uint64))

    def _refuse_static(self) -> None:
        if not self.dynamic:
            raise UnsupportedError("cannot")


class TurbovecAdapter(EngineAdapter):
    """turbovec: all codes of all items are scored, nothing is re-ranked. It compares inner products only.

    Parameters
    ----------
    task : IndexTask
    bits : int
        Per number of a vector: 2, 3 or 4.
    """

    def __init__(self, task: IndexTask, bits: int) -> None:
        super().__init__(task)
        if task.metric != "angular":
            raise UnsupportedError("compares inner products only")
        if task.dim % 8:
            raise UnsupportedError(f"takes multiples of 8 numbers, not {task.dim}")
        self.bits = bits

    def fit(self, x: AnyArray) -> None:
        """Calibrate with some items, and add all."""
        import turbovec

        self.index: Any = turbovec.IdMapIndex(self.task.dim, self.bits)
        sample = np.random.default_rng(0).permutation(len(x))[:CALIBRATION_ITEMS]
        self.index.calibrate(x[sample])
        self.index.add_with_ids(x, np.arange(len(x), dtype=np.uint64))
        self.index.prepare()

    def set_parameters(self, setting: Setting) -> None:
        """There are none."""

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        return whole_answers(self.index.search(queries, k)[1], k, self.task.items)

    def size(self) -> IndexSize:
        """Count its file, whose arrays are those of its memory."""
        size = len(self.index.to_bytes())
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items."""
        self.index.add_with_ids(x, ids.astype(np.uint64))

    def remove(self, ids: I64) -> None:
        """Remove items."""
        for item in ids:
            self.index.remove(int(item))


class VoyagerAdapter(EngineAdapter):
    """voyager: HNSW, with vectors stored in a chosen type.

    Parameters
    ----------
    task : IndexTask
    m : int
        Links per item; twice as many on the lowest layer.
    dtype : str
        ``Float32`` or, for vectors of unit length, ``Float8``: fixed-point numbers of a byte. (``E4M3``, floats of a
        byte, take several times as long.)
    """

    def __init__(self, task: IndexTask, m: int, dtype: str = "Float32") -> None:
        import voyager

        super().__init__(task)
        _refuse_bits(task)
        self.index: Any = voyager.Index(
            voyager.Space.Euclidean,  # for angular vectors too, whose length is 1: with bytes, more is found
            task.dim,
            M=m,
            ef_construction=200,
            random_seed=0,
            max_elements=task.items,
            storage_data_type=getattr(voyager.StorageDataType, dtype),
        )
        self.ef = 0

    def fit(self, x: AnyArray) -> None:
        """Add items."""
        self.index.add_items(x, np.arange(len(x)), num_threads=self.task.threads)

    def set_parameters(self, setting: Setting) -> None:
        """Set ef."""
        self.ef = int(setting["ef"])

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found = self.index.query(queries, k, num_threads=self.task.threads, query_ef=max(self.ef, k))[0]
        return whole_answers(found, k, self.task.items)

    def size(self) -> IndexSize:
        """Count its file, which has the layout of its memory."""
        size = len(self.index.as_bytes())
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items; a full index grows."""
        self.index.add_items(x, ids, num_threads=self.task.threads)

    def remove(self, ids: I64) -> None:
        """Mark items as deleted; their memory stays in use."""
        for item in ids:
            self.index.mark_deleted(int(item))
