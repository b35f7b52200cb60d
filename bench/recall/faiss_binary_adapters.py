"""Adapters of FAISS's binary indexes for the recall benchmark: of binary vectors, or of the signs of real vectors.

Runs in a process of its own; uses nothing of the core and its kernels.
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from assocmem._numerics.types import I64, AnyArray
from assocmem.bench.recall.adapter import EngineAdapter, IndexSize, IndexTask, Setting
from assocmem.bench.recall.faiss_adapters import as_unsupported, file_size, remove_ids


def _make_index(make: str, bits: int) -> Any:
    """Make a binary index: ``flat``, ``hash``, ``multihash`` (four tables), or a string of FAISS's binary factory."""
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
        raise as_unsupported(error) from error


def _set_parameters(index: Any, setting: Setting) -> None:
    for name, value in setting.items():
        target = index.hnsw if name == "efSearch" else index
        setattr(target, name, int(value))


class FaissBinaryAdapter(EngineAdapter):
    """A binary index of binary vectors.

    Parameters
    ----------
    task : IndexTask
    make : str
        ``flat``, ``hash``, ``multihash``, or a string of FAISS's binary factory.
    """

    def __init__(self, task: IndexTask, make: str) -> None:
        super().__init__(task)
        faiss.omp_set_num_threads(task.threads)
        self.index = _make_index(make, -(-task.dim // 8) * 8)

    def fit(self, x: AnyArray) -> None:
        """Train, and add the items."""
        codes = np.packbits(x, axis=1)
        self.index.train(codes)
        self.index.add(codes)

    def set_parameters(self, setting: Setting) -> None:
        """Set nprobe, nflip, efSearch."""
        _set_parameters(self.index, setting)

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found: I64 = self.index.search(np.packbits(queries, axis=1), k)[1]
        return found

    def size(self) -> IndexSize:
        """Count the bytes that FAISS writes to a file."""
        size = file_size(self.index, self.task.folder)
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items; FAISS numbers them in order."""
        self.index.add(np.packbits(x, axis=1))

    def remove(self, ids: I64) -> None:
        """Remove items, if the index can."""
        remove_ids(self.index, ids)


class FaissSignsAdapter(EngineAdapter):
    """A binary index of the signs of rotated real vectors; the nearest by bits are refined by their vectors.

    Parameters
    ----------
    task : IndexTask
    make : str
        ``flat``, ``hash``, ``multihash``, or a string of FAISS's binary factory.
    transform : str
        The rotation before the signs, as FAISS's factory names it: ``ITQ256``, ``PCAR128``, ``RR128``.
    """

    def __init__(self, task: IndexTask, make: str, transform: str) -> None:
        super().__init__(task)
        faiss.omp_set_num_threads(task.threads)
        try:
            chain: Any = faiss.index_factory(task.dim, transform + ",Flat")
        except RuntimeError as error:
            raise as_unsupported(error) from error
        self.chain = chain  # it owns the transform
        self.transform = chain.chain.at(0)
        self.bits = self.transform.d_out
        self.index, self.k_factor = _make_index(make, self.bits), 1

    def fit(self, x: AnyArray) -> None:
        """Learn the rotation, and add the items."""
        self.transform.train(x)
        self.x = x.copy()
        codes = self._codes(x)
        self.index.train(codes)
        self.index.add(codes)

    def set_parameters(self, setting: Setting) -> None:
        """Set k_factor, which only this adapter has, and nprobe, nflip."""
        self.k_factor = int(setting.get("k_factor", 1))
        _set_parameters(self.index, {name: value for name, value in setting.items() if name != "k_factor"})

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search by bits, and sort the best by the distances of their vectors."""
        wanted = min(k * self.k_factor, len(self.x))
        found = self.index.search(self._codes(queries), wanted)[1]
        best = np.empty((len(queries), k), np.int64)
        for row, (query, candidates) in enumerate(zip(queries, found, strict=True)):
            differences = self.x[candidates] - query
            distances = np.einsum("ij,ij->i", differences, differences)
            distances[candidates < 0] = np.inf
            nearest = np.argsort(distances)[:k]
            best[row] = np.where(np.isinf(distances[nearest]), -1, candidates[nearest])
        return best

    def size(self) -> IndexSize:
        """Count the binary index as FAISS writes it, the rotation and the vectors."""
        size = file_size(self.index, self.task.folder) + self.x.nbytes + self.task.dim * self.bits * 4
        return IndexSize(size, size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items to the binary index only: an array of vectors would grow by doubling, so its copy is not timed."""
        self.index.add(self._codes(x))

    def remove(self, ids: I64) -> None:
        """Remove items, if the index can."""
        remove_ids(self.index, ids)

    def _codes(self, x: AnyArray) -> AnyArray:
        return np.packbits(self.transform.apply(x) > 0, axis=1)
