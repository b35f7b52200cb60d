"""Adapters of assocmem's own engines for the recall benchmark; like all others, they run in processes of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64, AnyArray
from assocmem.bench.recall.adapter import EngineAdapter, IndexSize, IndexTask, Setting, UnsupportedError


class CliqueIndexAdapter(EngineAdapter):
    """`assocmem.CliqueIndex`.

    Parameters
    ----------
    task : IndexTask
    mapped : bool
        Save the index, and load it again with its features memory-mapped.
    features : str, optional
        Type of the stored vectors; by default the index's own choice: float16, or float32 up to 16 dimensions.
    """

    jitted = True

    def __init__(self, task: IndexTask, mapped: bool = False, features: str | None = None) -> None:
        super().__init__(task)
        self.mapped, self.features, self.path = mapped, features, task.folder / "index.h5"
        self.setting: Setting = {}

    def fit(self, x: AnyArray) -> None:
        """Add the items. There is no training."""
        import assocmem

        self.index: Any = assocmem.CliqueIndex(
            self.task.dim, "cosine" if self.task.metric == "angular" else "l2", features=self.features
        )
        self.index.add(np.asarray(x, np.float32))

    def finish(self) -> None:
        """Save the index, and load it again if it shall be memory-mapped."""
        self.index.save(self.path)
        if self.mapped:
            self.index = type(self.index).load(self.path, mmap=True)

    def set_parameters(self, setting: Setting) -> None:
        """Set ``recall``, the promise, or ``effort``; without either, searches do what they do by default."""
        self.setting = setting

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        found: I64 = self.index.search(np.asarray(queries, np.float32), k, **self.setting)[1]
        return found

    def expected_recall(self, queries: AnyArray, k: int) -> F32:
        """Return the recall that the index expects of its answers, float32 (nq,)."""
        report = self.index.search(np.asarray(queries, np.float32), k, report=True, **self.setting)[2]
        expected: F32 = report.recall
        return expected

    def size(self) -> IndexSize:
        """Count its arrays in memory, and its file."""
        return IndexSize(int(self.index.memory_bytes), self.path.stat().st_size)

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items."""
        self.index.add(np.asarray(x, np.float32), ids)

    def remove(self, ids: I64) -> None:
        """Remove items."""
        self.index.remove(ids)


class ExhaustiveAdapter(EngineAdapter):
    """Scores every code and compares the best by their features, as small collections are searched.

    Parameters
    ----------
    task : IndexTask
    clusters : int
        Clusters of a code; two take a byte.
    """

    jitted = True

    def __init__(self, task: IndexTask, clusters: int = 128) -> None:
        super().__init__(task)
        if task.metric != "angular":
            raise UnsupportedError("compares angles only")
        self.clusters, self.candidates = clusters, 300

    def fit(self, x: AnyArray) -> None:
        """Encode the items."""
        from assocmem.codes.winner_codes import CliqueCoder
        from assocmem.search.exhaustive import Block

        self.coder = CliqueCoder(self.task.dim, clusters=self.clusters)
        self.block = Block(np.arange(len(x)), self.coder.encode(x), x.astype(np.float16))
        self.set_parameters({"candidates": self.candidates})

    def set_parameters(self, setting: Setting) -> None:
        """Set how many items are compared by their features."""
        from assocmem.search.exhaustive import ExhaustiveEngine

        self.engine = ExhaustiveEngine(self.coder, [self.block], candidates=int(setting["candidates"]))

    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Search."""
        return self.engine.search(queries, k)[1]

    def size(self) -> IndexSize:
        """Count codes, ids and features; in a collection, the features stay on disk."""
        small = self.block.codes.nbytes + self.block.ids.nbytes
        whole = small + np.asarray(self.block.features).nbytes
        return IndexSize(whole, whole)
