"""What a run of the growth benchmark asks: sizes, vectors, queries and truth, in a folder that all processes read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, F64, I64, AnyArray
from assocmem.bench.growth.generator import CHUNK, QUERIES, Source, as_compared
from assocmem.bench.growth.neighbourhoods import Nearest
from assocmem.bench.recall.engine import Task
from assocmem.bench.recall.metrics import distances, shares

K = 10
SPARE = 10
"""More neighbours are kept by rough distances than are then measured exactly."""


@dataclass(frozen=True, slots=True)
class Step:
    """One size: rows that stay from now on, and rows after them that come and go, one at a time."""

    items: int
    """That are there when searches are timed."""
    start: int
    stop: int
    changes: int

    @property
    def guests(self) -> range:
        """Rows that are added one at a time and taken out again."""
        return range(self.stop, self.stop + self.changes)


def lay_out(sizes: Sequence[int], changes: int) -> list[Step]:
    """Give every size its rows; numbers only grow, so that no index sees a number twice."""
    steps, start = [], 0
    for before, size in pairwise([0, *sizes]):
        stop = start + size - before
        steps.append(Step(size, start, stop, changes))
        start = stop + changes
    return steps


@dataclass(frozen=True)
class Plan:
    """What every process knows; the vectors lie beside it."""

    folder: Path
    sizes: tuple[int, ...]
    changes: int
    angular: bool
    whole: bool
    recall: float
    """To be reached."""
    rounds: int

    @property
    def steps(self) -> list[Step]:
        """The sizes with their rows."""
        return lay_out(self.sizes, self.changes)

    @property
    def metric(self) -> Any:
        """As the recall benchmark names it."""
        return "angular" if self.angular else "euclidean"

    @cached_property
    def base(self) -> AnyArray:
        """All rows as they are kept, mapped."""
        mapped: AnyArray = np.load(self.folder / "base.npy", mmap_mode="r")
        return mapped

    @cached_property
    def queries(self) -> F32:
        """What is asked, float32 (nq, dim), as compared."""
        return as_compared(np.load(self.folder / "queries.npy"), angular=self.angular)

    @cached_property
    def borders(self) -> F64:
        """Distance of the true k-th neighbour at each size, float64 (sizes, nq)."""
        borders: F64 = np.load(self.folder / "borders.npy")
        return borders

    def rows(self, start: int, stop: int) -> F32:
        """Return rows as they are compared."""
        return as_compared(self.base[start:stop], angular=self.angular)

    def distances(self, rows: I64) -> F64:
        """Measure the distance of rows, int64 (nq, k), to the queries; infinite where the row is -1."""
        found = np.empty(rows.shape)
        for at, query in enumerate(self.queries):
            x = as_compared(self.base[np.maximum(rows[at], 0)], angular=self.angular)
            found[at] = distances(x, query[None], np.arange(len(x))[None], self.metric)
        found[rows < 0] = np.inf
        return found

    def recall_of(self, step: int, rows: I64) -> float:
        """Share of the true neighbours among the first `K` answers, by distance, mean."""
        return float(shares(self.distances(rows), rows, self.borders[step], K).mean())

    def task(self, items: int) -> Task:
        """What an engine of the recall benchmark is told."""
        return Task(self.metric, self.base.shape[1], items, self.whole, 1, self.folder)

    def save(self) -> None:
        """Write what is not an array."""
        about = {name: value for name, value in asdict(self).items() if name != "folder"}
        (self.folder / "plan.json").write_text(json.dumps(about))

    @classmethod
    def load(cls, folder: str) -> Plan:
        """Read what ``prepare`` wrote."""
        about = json.loads((Path(folder) / "plan.json").read_text())
        return cls(Path(folder), tuple(about.pop("sizes")), **about)


def prepare(plan: Plan, source: Source, queries: int, say: Callable[[str], None]) -> None:
    """Draw vectors and queries, and find the truth of every size in one pass; guests are no part of it."""
    np.save(plan.folder / "queries.npy", source.draw(0, queries, QUERIES))
    total = plan.steps[-1].guests.stop
    shape = (total, source.real.x.shape[1])
    base = np.lib.format.open_memmap(plan.folder / "base.npy", "w+", source.dtype, shape)
    found, borders = Nearest(plan.queries, K + SPARE), []
    for step in plan.steps:
        say(f"drawing vectors up to {step.items:,}, and the truth of {queries:,} queries ...")
        end = step.guests.stop
        for start, stop in parts(step.start, end):
            base[start:stop] = source.draw(start, stop)
            staying = base[start : min(stop, step.stop)]
            found.add(source.compared(staying), start)
        exact = np.sort(plan.distances(found.rows), axis=1)
        borders.append(exact[:, min(K, step.items) - 1])
    np.save(plan.folder / "borders.npy", np.array(borders))
    base.flush()
    plan.save()


def parts(start: int, stop: int, size: int = CHUNK) -> list[tuple[int, int]]:
    """Divide a range at multiples of ``size``."""
    edges = [start, *range(start // size * size + size, stop, size), stop] if stop > start else []
    return list(pairwise(edges))
