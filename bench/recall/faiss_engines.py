"""FAISS among the engines of the recall benchmark: whatever its index factory makes of a string.

Runs in a process of its own, for FAISS brings its own OpenMP; knows nothing of the core and its kernels. Angular
vectors come with unit length, so the order by squared distance is theirs too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss

from assocmem._numerics.types import I64
from assocmem.bench.recall.engine import Array, Engine, Setting, Size, Task, UnableError

NAMES = {"k_factor": "k_factor_rf"}
"""Parameters that FAISS's ParameterSpace knows under another name."""


def file_size(index: Any, folder: Path) -> int:
    """Bytes of an index as FAISS serialises it: its arrays, and a few hundred bytes of their lengths."""
    path = folder / "counted.faiss"
    (faiss.write_index_binary if isinstance(index, faiss.IndexBinary) else faiss.write_index)(index, str(path))
    size = path.stat().st_size
    path.unlink()
    return size


def failure(error: BaseException) -> UnableError:
    """Turn what FAISS throws into a line."""
    text = str(error).strip().splitlines()
    return UnableError(text[-1].rsplit("Error: ", 1)[-1] if text else type(error).__name__)


class Factory(Engine):
    """An index of `faiss.index_factory`.

    Parameters
    ----------
    task
    factory : str
        As FAISS's wiki spells them: ``PCA128,IVF512,PQ64x4fs,RFlat``.
    ef_construction : int, optional
        For graphs: how far to look while building; FAISS's default is 40.
    """

    def __init__(self, task: Task, factory: str, ef_construction: int | None = None) -> None:
        super().__init__(task)
        faiss.omp_set_num_threads(task.threads)
        try:
            self.index: Any = faiss.index_factory(task.dim, factory)
        except RuntimeError as error:
            raise failure(error) from error
        self.space = faiss.ParameterSpace()
        if ef_construction is not None:
            _graph(self.index).efConstruction = ef_construction

    def fit(self, x: Array) -> None:
        """Train and add."""
        self.index.train(x)
        _let_go(self.index)
        self.index.add(x)

    def use(self, setting: Setting) -> None:
        """Set nprobe, k_factor, efSearch ... wherever in the chain they belong."""
        for name, value in setting.items():
            self.space.set_index_parameter(self.index, NAMES.get(name, name), value)

    def batch_query(self, queries: Array, k: int) -> I64:
        """Search."""
        found: I64 = self.index.search(queries, k)[1]
        return found

    def size(self) -> Size:
        """Count what FAISS writes to a file."""
        size = file_size(self.index, self.task.folder)
        return Size(size, size)

    def add(self, x: Array, ids: I64) -> None:
        """Add; FAISS numbers in order."""
        self.index.add(x)

    def remove(self, ids: I64) -> None:
        """Remove, where the index can."""
        try:
            self.index.remove_ids(ids)
        except RuntimeError as error:
            raise UnableError("cannot") from error


class Mapped(Factory):
    """The same, but the vectors that refine its answers are mapped from a file: they take no memory of their own.

    Parameters
    ----------
    task
    factory : str
        The index in memory.
    refine : str
        How vectors are stored in the file: ``Flat``, ``SQfp16``, ``SQ8_direct``.
    """

    def __init__(self, task: Task, factory: str, refine: str) -> None:
        super().__init__(task, factory)
        self.base, self.refine, self.path = self.index, refine, task.folder / "refine.faiss"

    def fit(self, x: Array) -> None:
        """Train and add, write the vectors, and map them."""
        super().fit(x)
        stored = faiss.index_factory(self.task.dim, self.refine)
        stored.train(x)
        stored.add(x)
        faiss.write_index(stored, str(self.path))
        del stored
        self.rows = faiss.read_index(str(self.path), faiss.IO_FLAG_MMAP_IFC)
        self.index = faiss.IndexRefine(self.base, self.rows)

    def size(self) -> Size:
        """Count what is in memory, and both files."""
        memory = file_size(self.base, self.task.folder)
        return Size(memory, memory + self.path.stat().st_size)

    def add(self, x: Array, ids: I64) -> None:
        """Mapped rows cannot grow."""
        raise UnableError("cannot: the mapped vectors are read-only")

    def remove(self, ids: I64) -> None:
        """Nor shrink."""
        raise UnableError("cannot")


def _let_go(index: Any) -> None:
    """Drop what a PCA has kept of its training, a matrix of dim x dim: only its first rows are ever used again."""
    inner: Any = faiss.downcast_index(index)
    if hasattr(inner, "base_index"):
        inner = faiss.downcast_index(inner.base_index)
    if isinstance(inner, faiss.IndexPreTransform):
        chain: Any = inner.chain
        for number in range(chain.size()):
            transform = faiss.downcast_VectorTransform(chain.at(number))
            if isinstance(transform, faiss.PCAMatrix):
                transform.PCAMat.resize(0)


def _graph(index: Any) -> Any:
    """Find the graph under transforms and refinement."""
    inner: Any = faiss.downcast_index(index)
    while not hasattr(inner, "hnsw"):
        inner = faiss.downcast_index(inner.index if hasattr(inner, "index") else inner.base_index)
    return inner.hnsw
