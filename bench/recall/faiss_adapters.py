"""Adapters of FAISS for the recall benchmark: all indexes that its index factory can make.

Runs in a process of its own, because FAISS brings its own OpenMP; uses nothing of the core and its kernels. Angular
vectors have length 1, so their order by squared distance is that by angle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss

from assocmem._numerics.types import I64, AnyArray
from assocmem.bench.recall.adapter import EngineAdapter, IndexSize, IndexTask, Setting, UnsupportedError

PARAMETER_NAMES = {"k_factor": "k_factor_rf"}
"""Parameters that have another name in FAISS's ParameterSpace."""


def file_size(index: Any, folder: Path) -> int:
    """Return the bytes of an index as FAISS serialises it: its arrays, and a few hundred bytes for their lengths."""
    path = folder / "counted.faiss"
    (faiss.write_index_binary if isinstance(index, faiss.IndexBinary) else faiss.write_index)(index, str(path))
    size = path.stat().st_size
    path.unlink()
    return size


def remove_ids(index: Any, ids: I64) -> None:
    """Remove items from an index of FAISS; UnsupportedError if it cannot."""
    try:
        index.remove_ids(ids)
    except RuntimeError as error:
        raise UnsupportedError("cannot") from error


def as_unsupported(error: BaseException) -> UnsupportedError:
    """Turn an error of FAISS into one line."""
    text = str(error).strip().splitlines()
    return UnsupportedError(text[-1].rsplit("Error: ", 1)[-1] if text else type(error).__name__)


class FaissFactoryAdapter(EngineAdapter):
    """An index of `faiss.index_factory`.

    Parameters
    ----------
    task : IndexTask
    factory : str
        As in FAISS's documentation: ``PCA128,IVF512,PQ64x4fs,RFlat``.
    ef_construction : int, optional
        For graphs: efConstruction, the candidates while building; FAISS's default is 40.
    """

    def __init__(self, task: IndexTask, factory: str, ef_construction: int | None = None) -> None:
        super().__init__(task)
        faiss.omp_set_num_threads(task.threads)
        try:
            self.index: Any = faiss.index_factory(task.dim, factory)
        except RuntimeError as error:
            raise as_unsupported(error) from error
        self.space = faiss.ParameterSpace()
        if ef_construction is not None:
            _find_graph(self.index).efConstruction = ef_construction

    def fit(self, x: AnyArray) -> None:
        """Train, and add the items."""
        self.index.train(x)
        _free_training_matrices(self.index)
        self.index.add(x)

    def set_parameters(self, setting: Setting) -> None:
        """Set nprobe, k_factor, efSearch ... on the part of the index that they belong to."""
        for name, value in setting.items():
            self.space.set_index_parameter(self.index, PARAMETER_NAMES.get(name, name), value)

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found: I64 = self.index.search(queries, k)[1]
        return found

    def size(self) -> IndexSize:
        """Count the bytes that FAISS writes to a file."""
        size = file_size(self.index, self.task.folder)
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items; FAISS numbers them in order."""
        self.index.add(x)

    def remove(self, ids: I64) -> None:
        """Remove items, if the index can."""
        remove_ids(self.index, ids)


class FaissMappedAdapter(FaissFactoryAdapter):
    """An index that refines its answers by vectors mapped from a file, which take no memory of their own.

    Parameters
    ----------
    task : IndexTask
    factory : str
        The index in memory.
    refine : str
        How vectors are stored in the file: ``Flat``, ``SQfp16``, ``SQ8_direct``.
    """

    def __init__(self, task: IndexTask, factory: str, refine: str) -> None:
        super().__init__(task, factory)
        self.base, self.refine, self.path = self.index, refine, task.folder / "refine.faiss"

    def fit(self, x: AnyArray) -> None:
        """Train, add the items, write the vectors, and map them."""
        super().fit(x)
        stored = faiss.index_factory(self.task.dim, self.refine)
        stored.train(x)
        stored.add(x)
        faiss.write_index(stored, str(self.path))
        del stored
        self.rows = faiss.read_index(str(self.path), faiss.IO_FLAG_MMAP_IFC)
        self.index = faiss.IndexRefine(self.base, self.rows)

    def size(self) -> IndexSize:
        """Count the index in memory; on disk, the file of vectors too."""
        memory = file_size(self.base, self.task.folder)
        return IndexSize(memory, memory + self.path.stat().st_size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Refuse: mapped rows cannot grow."""
        raise UnsupportedError("cannot: the mapped vectors are read-only")

    def remove(self, ids: I64) -> None:
        """Refuse: mapped rows cannot shrink."""
        raise UnsupportedError("cannot")


def _free_training_matrices(index: Any) -> None:
    """Free the matrix (dim, dim) that a PCA keeps from its training: only its first rows are used afterwards."""
    inner: Any = faiss.downcast_index(index)
    if hasattr(inner, "base_index"):
        inner = faiss.downcast_index(inner.base_index)
    if isinstance(inner, faiss.IndexPreTransform):
        chain: Any = inner.chain
        for number in range(chain.size()):
            transform = faiss.downcast_VectorTransform(chain.at(number))
            if isinstance(transform, faiss.PCAMatrix):
                transform.PCAMat.resize(0)


def _find_graph(index: Any) -> Any:
    """Return the HNSW graph below transforms and refinement."""
    inner: Any = faiss.downcast_index(index)
    while not hasattr(inner, "hnsw"):
        inner = faiss.downcast_index(inner.index if hasattr(inner, "index") else inner.base_index)
    return inner.hnsw
