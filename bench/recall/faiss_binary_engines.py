"""FAISS's binary indexes among the engines of the recall benchmark: bits as they come, or signs of real vectors.

Runs in a process of its own; knows nothing of the core and its kernels.
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from assocmem._numerics.types import I64
from assocmem.bench.recall.engine import Array, Engine, Setting, Size, Task, UnableError
from assocmem.bench.recall.faiss_engines import failure, file_size


def _index(make: str, bits: int) -> Any:
    """Make a binary index: ``flat``, ``hash``, ``multihash`` (four tables), or what FAISS's binary factory knows."""
    width = min(16, bits // 4)
    if make == "flat":
        return faiss.IndexBinaryFlat(bits)
    if make == "hash":
        return faiss.IndexBinaryHash(bits, width)
    if make == "multihash":
        return faiss.IndexBinaryMultiHash(bits, 4, width)
    try:
        return faiss.index_binary_factory(bits, make)
    except RuntimeError as error:
        raise failure(error) from error


def _use(index: Any, setting: Setting) -> None:
    for name, value in setting.items():
        target = index.hnsw if name == "efSearch" else index
        setattr(target, name, int(value))


class Binary(Engine):
    """A binary index of bits.

    Parameters
    ----------
    task
    make : str
        See `_index`.
    """

    def __init__(self, task: Task, make: str) -> None:
        super().__init__(task)
        faiss.omp_set_num_threads(task.threads)
        self.index = _index(make, -(-task.dim // 8) * 8)

    def fit(self, x: Array) -> None:
        """Train and add."""
        codes = np.packbits(x, axis=1)
        self.index.train(codes)
        self.index.add(codes)

    def use(self, setting: Setting) -> None:
        """Set nprobe, nflip, efSearch."""
        _use(self.index, setting)

    def batch_query(self, queries: Array, k: int) -> I64:
        """Search."""
        found: I64 = self.index.search(np.packbits(queries, axis=1), k)[1]
        return found

    def size(self) -> Size:
        """Count what FAISS writes to a file."""
        size = file_size(self.index, self.task.folder)
        return Size(size, size)

    def add(self, x: Array, ids: I64) -> None:
        """Add; FAISS numbers in order."""
        self.index.add(np.packbits(x, axis=1))

    def remove(self, ids: I64) -> None:
        """Remove, where the index can."""
        try:
            self.index.remove_ids(ids)
        except RuntimeError as error:
            raise UnableError("cannot") from error


class Signs(Engine):
    """Real vectors, turned by a learned rotation into as many bits as signs; the nearest by bits are refined.

    Parameters
    ----------
    task
    make : str
        See `_index`.
    transform : str
        What comes before the signs, as FAISS's factory spells it: ``ITQ256``, ``PCAR128``, ``RR128``.
    """

    def __init__(self, task: Task, make: str, transform: str) -> None:
        super().__init__(task)
        faiss.omp_set_num_threads(task.threads)
        try:
            chain: Any = faiss.index_factory(task.dim, transform + ",Flat")
        except RuntimeError as error:
            raise failure(error) from error
        self.chain = chain  # it owns the transform
        self.transform = chain.chain.at(0)
        self.bits = self.transform.d_out
        self.index, self.k_factor = _index(make, self.bits), 1

    def fit(self, x: Array) -> None:
        """Learn the rotation, and add."""
        self.transform.train(x)
        self.x = x.copy()
        codes = self._codes(x)
        self.index.train(codes)
        self.index.add(codes)

    def use(self, setting: Setting) -> None:
        """Set k_factor, which is this adapter's own, and nprobe, nflip."""
        self.k_factor = int(setting.get("k_factor", 1))
        _use(self.index, {name: value for name, value in setting.items() if name != "k_factor"})

    def batch_query(self, queries: Array, k: int) -> I64:
        """Search by bits, and put the best in the order of their vectors."""
        wanted = min(k * self.k_factor, len(self.x))
        found = self.index.search(self._codes(queries), wanted)[1]
        best = np.empty((len(queries), k), np.int64)
        for row, (query, candidates) in enumerate(zip(queries, found, strict=True)):
            apart = self.x[candidates] - query
            distances = np.einsum("ij,ij->i", apart, apart)
            distances[candidates < 0] = np.inf
            near = np.argsort(distances)[:k]
            best[row] = np.where(np.isinf(distances[near]), -1, candidates[near])
        return best

    def size(self) -> Size:
        """Count the binary index as FAISS writes it, the rotation and the vectors."""
        size = file_size(self.index, self.task.folder) + self.x.nbytes + self.task.dim * self.bits * 4
        return Size(size, size)

    def add(self, x: Array, ids: I64) -> None:
        """Add; the vectors' array would grow by doubling, so its copy is not counted."""
        self.index.add(self._codes(x))

    def remove(self, ids: I64) -> None:
        """Remove, where the index can."""
        try:
            self.index.remove_ids(ids)
        except RuntimeError as error:
            raise UnableError("cannot") from error

    def _codes(self, x: Array) -> Array:
        return np.packbits(self.transform.apply(x) > 0, axis=1)
