"""The workload of the growth benchmark: sizes, vectors, queries and truth, in a folder that all processes read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from assocmem._numerics.types import F32, F64, I64, AnyArray
from assocmem.bench.growth.generator import CHUNK, QUERIES, VectorGenerator, as_compared
from assocmem.bench.growth.neighbourhoods import NearestRows
from assocmem.bench.recall.adapter import IndexTask, Metric
from assocmem.bench.recall.metrics import distances, recall_at_k

K = 10
SPARE = 10
"""More neighbours than `K` are found by float32 products, and then measured exactly."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One size: rows that are added and stay, followed by rows that are added and removed one at a time."""

    items: int
    """When searches are timed."""
    start: int
    stop: int
    changes: int

    @property
    def temporary(self) -> range:
        """Rows that are added one at a time, and removed again."""
        return range(self.stop, self.stop + self.changes)


def plan_stages(sizes: Sequence[int], changes: int) -> list[Stage]:
    """Assign rows to every size; numbers only grow, so that no index gets a number twice."""
    stages, start = [], 0
    for before, size in pairwise([0, *sizes]):
        stop = start + size - before
        stages.append(Stage(size, start, stop, changes))
        start = stop + changes
    return stages


@dataclass(frozen=True)
class Workload:
    """What every process is given; the vectors are in files of the same folder."""

    folder: Path
    sizes: tuple[int, ...]
    changes: int
    angular: bool
    fits_uint8: bool
    recall: float
    """The recall at which searches are timed."""
    rounds: int

    @property
    def stages(self) -> list[Stage]:
        """The sizes with their rows."""
        return plan_stages(self.sizes, self.changes)

    @property
    def metric(self) -> Metric:
        """The distance, as the recall benchmark names it."""
        return "angular" if self.angular else "euclidean"

    @cached_property
    def base(self) -> AnyArray:
        """All rows as they are stored, memory-mapped."""
        mapped: AnyArray = np.load(self.folder / "base.npy", mmap_mode="r")
        return mapped

    @cached_property
    def queries(self) -> F32:
        """The queries as they are compared, float32 (nq, dim)."""
        return as_compared(np.load(self.folder / "queries.npy"), angular=self.angular)

    @cached_property
    def thresholds(self) -> F64:
        """Distance of the true k-th neighbour at each size, float64 (sizes, nq)."""
        thresholds: F64 = np.load(self.folder / "thresholds.npy")
        return thresholds

    def rows(self, start: int, stop: int) -> F32:
        """Return rows as they are compared."""
        return as_compared(self.base[start:stop], angular=self.angular)

    def distances(self, rows: I64) -> F64:
        """Compute the distances of rows, int64 (nq, k), from the queries; infinite where the row is -1."""
        found = np.empty(rows.shape)
        for at, query in enumerate(self.queries):
            x = as_compared(self.base[np.maximum(rows[at], 0)], angular=self.angular)
            found[at] = distances(x, query[None], np.arange(len(x))[None], self.metric)
        found[rows < 0] = np.inf
        return found

    def recall_of(self, stage: int, rows: I64) -> float:
        """Return recall@`K` of answers, int64 (nq, k), by distance, mean over the queries."""
        return float(recall_at_k(self.distances(rows), rows, self.thresholds[stage], K).mean())

    def task(self, items: int) -> IndexTask:
        """Describe the task for an engine of the recall benchmark."""
        return IndexTask(self.metric, self.base.shape[1], items, self.fits_uint8, 1, self.folder)

    def save(self) -> None:
        """Write everything but the arrays."""
        about = {name: value for name, value in asdict(self).items() if name != "folder"}
        (self.folder / "workload.json").write_text(json.dumps(about))

    @classmethod
    def load(cls, folder: str) -> Workload:
        """Read what `prepare` has written."""
        about = json.loads((Path(folder) / "workload.json").read_text())
        return cls(Path(folder), tuple(about.pop("sizes")), **about)


def prepare(workload: Workload, generator: VectorGenerator, queries: int, say: Callable[[str], None]) -> None:
    """Draw vectors and queries, and find the truth of every size in one pass; temporary rows have no part in it."""
    np.save(workload.folder / "queries.npy", generator.draw(0, queries, QUERIES))
    total = workload.stages[-1].temporary.stop
    shape = (total, generator.real.x.shape[1])
    base = np.lib.format.open_memmap(workload.folder / "base.npy", "w+", generator.dtype, shape)
    nearest, thresholds = NearestRows(workload.queries, K + SPARE), []
    for stage in workload.stages:
        say(f"drawing vectors up to {stage.items:,}, and the truth of {queries:,} queries ...")
        for start, stop in split_range(stage.start, stage.temporary.stop):
            base[start:stop] = generator.draw(start, stop)
            staying = base[start : min(stop, stage.stop)]
            nearest.add(generator.as_compared(staying), start)
        exact = np.sort(workload.distances(nearest.rows), axis=1)
        thresholds.append(exact[:, min(K, stage.items) - 1])
    np.save(workload.folder / "thresholds.npy", np.array(thresholds))
    base.flush()
    workload.save()


def split_range(start: int, stop: int, size: int = CHUNK) -> list[tuple[int, int]]:
    """Split a range at the multiples of ``size``."""
    edges = [start, *range(start // size * size + size, stop, size), stop] if stop > start else []
    return list(pairwise(edges))
