"""Our own engines in the recall benchmark. Run in processes of their own, as the others do."""

from __future__ import annotations

from typing import Any

import numpy as np

from assocmem._numerics.types import I64
from assocmem.bench.recall.engine import Array, Engine, Setting, Size, Task, UnableError

FIRST = 1000
"""Items whose mean is known before the first is added."""


class Clique(Engine):
    """`assocmem.CliqueIndex`.

    Parameters
    ----------
    task
    mapped : bool
        Save it, and load it again with its features mapped from the file.
    """

    jitted = True

    def __init__(self, task: Task, mapped: bool = False) -> None:
        super().__init__(task)
        self.mapped, self.effort, self.path = mapped, 0.1, task.folder / "index.h5"

    def fit(self, x: Array) -> None:
        """Add, the mean of the first items taken off; there is nothing to train."""
        import assocmem

        self.index: Any = assocmem.CliqueIndex(
            self.task.dim,
            "cosine" if self.task.metric == "angular" else "l2",
            features="uint8" if self.task.whole else "float16",
            mean=x[:FIRST].mean(axis=0),
        )
        self.index.add(np.asarray(x, np.float32))

    def finish(self) -> None:
        """Save, and where it is to be mapped, load it again."""
        self.index.save(self.path)
        if self.mapped:
            self.index = type(self.index).load(self.path, mmap=True)

    def use(self, setting: Setting) -> None:
        """Set the effort."""
        self.effort = setting["effort"]

    def batch_query(self, queries: Array, k: int) -> I64:
        """Search."""
        found: I64 = self.index.search(np.asarray(queries, np.float32), k, effort=self.effort)[1]
        return found

    def size(self) -> Size:
        """Count its arrays in memory, and its file."""
        return Size(int(self.index.memory_bytes), self.path.stat().st_size)

    def add(self, x: Array, ids: I64) -> None:
        """Add."""
        self.index.add(np.asarray(x, np.float32), ids)

    def remove(self, ids: I64) -> None:
        """Remove."""
        self.index.remove(ids)


class Exhaustive(Engine):
    """Every code scored, the best compared by their features: what collections are searched by.

    Parameters
    ----------
    task
    clusters : int
        Clusters of a code; two take a byte.
    """

    jitted = True

    def __init__(self, task: Task, clusters: int = 128) -> None:
        super().__init__(task)
        if task.metric != "angular":
            raise UnableError("compares angles only")
        self.clusters, self.candidates = clusters, 300

    def fit(self, x: Array) -> None:
        """Encode."""
        from assocmem.codes.winner_codes import CliqueCoder
        from assocmem.search.exhaustive import Block

        self.coder = CliqueCoder(self.task.dim, clusters=self.clusters)
        self.block = Block(np.arange(len(x)), self.coder.encode(x), x.astype(np.float16))
        self.use({"candidates": self.candidates})

    def use(self, setting: Setting) -> None:
        """Set how many are compared by their features."""
        from assocmem.search.exhaustive import ExhaustiveEngine

        self.engine = ExhaustiveEngine(self.coder, [self.block], candidates=int(setting["candidates"]))

    def batch_query(self, queries: Array, k: int) -> I64:
        """Search."""
        return self.engine.search(queries, k)[1]

    def size(self) -> Size:
        """Count codes, ids and features; in a collection, the features stay on disk."""
        small = self.block.codes.nbytes + self.block.ids.nbytes
        whole = small + np.asarray(self.block.features).nbytes
        return Size(whole, whole)
