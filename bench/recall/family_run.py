"""What `assocmem bench recall --families` measures of a family: promises of recall, and FAISS at equal recall.

Each index is in a process of its own. The answers are counted here, from the vectors. Then all take turns in rounds, so
that a busy moment of the machine hits all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from assocmem.bench.recall.adapter import EngineSpec, IndexTask, Setting, UnsupportedError
from assocmem.bench.recall.dataset import Dataset
from assocmem.bench.recall.runner import K
from assocmem.bench.recall.specs import WIDTHS
from assocmem.bench.recall.worker import EngineProcess

PROMISES = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Of recall, besides the default."""
SEARCH_WIDTHS = (*WIDTHS, 1536, 2048, 3072, 4096, 8192)
"""efSearch of FAISS's HNSW, until its recall is that of ours by default."""
CLIQUE = EngineSpec("clique", "clique")
HNSW = EngineSpec("faiss:HNSW32,efc200", "faiss", {"factory": "HNSW32", "ef_construction": 200})
FLAT = EngineSpec("faiss:Flat", "faiss", {"factory": "Flat"})


@dataclass(slots=True)
class FamilyPoint:
    """An index with one setting."""

    setting: Setting
    """Without entries, that of searches by default."""
    recall: float
    """recall@10, mean."""
    expected: float | None = None
    """What the index itself expects it to be, mean; None if it expects nothing."""
    batch_us: list[float] = field(default_factory=list)
    """Microseconds per query in a batch, one of each round."""
    single_us: list[float] = field(default_factory=list)
    """Microseconds per single query, one of each round."""

    @property
    def us(self) -> float:
        """Microseconds per query in a batch, the median."""
        return median(self.batch_us)


@dataclass(slots=True)
class FamilyEngine:
    """An index of one family."""

    name: str
    built: dict[str, float]
    """``build_s``, ``first_s``, ``memory`` and ``disk`` (bytes)"""
    points: list[FamilyPoint]


@dataclass(slots=True)
class FamilyResult:
    """All that was measured of one family."""

    name: str
    metric: str
    items: int
    dim: int
    queries: int
    clique: FamilyEngine
    """Its points: searches by default, then each of `PROMISES`."""
    hnsw: FamilyEngine | None = None
    """Its point: at least our recall by default, or its highest."""
    flat: FamilyEngine | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    """Why an index could not be measured, by name."""

    @property
    def default(self) -> FamilyPoint:
        """Searches by default."""
        return self.clique.points[0]

    @property
    def reached(self) -> bool:
        """Whether the graph reached our recall."""
        return self.hnsw is not None and self.hnsw.points[0].recall >= self.default.recall

    @property
    def ratio(self) -> float | None:
        """Speed of ours over that of the graph at our recall; None if it does not reach it."""
        return self.hnsw.points[0].us / self.default.us if self.hnsw is not None and self.reached else None

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return asdict(self) | {"reached": self.reached, "ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class FamilyRun:
    """How families are measured."""

    folder: Path
    """For files of the indexes."""
    rounds: int
    seconds: float
    """For a batch, and again for single queries, of one setting in one round."""
    faiss: bool = True
    """Whether FAISS is measured too."""

    def measure(self, data: Dataset) -> FamilyResult:
        """Measure one family; UnsupportedError if `assocmem.CliqueIndex` cannot be."""
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            return self._measure_in(Path(home), data)

    def _measure_in(self, home: Path, data: Dataset) -> FamilyResult:
        np.save(home / "base.npy", data.base)
        np.save(home / "queries.npy", data.queries)
        with _started(CLIQUE, data, home) as process:
            result = self._try_promises(process, data)
            timed = [(process, result.clique)]
            if not self.faiss:
                self._time(timed)
                return result
            with _started(HNSW, data, home) as graph, _started(FLAT, data, home) as flat:
                self._add_faiss(result, data, graph, flat)
                timed += [(p, e) for p, e in ((graph, result.hnsw), (flat, result.flat)) if e is not None]
                self._time(timed)
        return result

    def _try_promises(self, process: EngineProcess, data: Dataset) -> FamilyResult:
        built, points = process.ask("fit"), []
        for setting in ({}, *({"recall": promise} for promise in PROMISES)):
            recall = _mean_recall(data, process, setting)
            points.append(FamilyPoint(setting, recall, process.ask("expect", setting, K)))
        engine = FamilyEngine(CLIQUE.name, built, points)
        items, dim = data.base.shape
        return FamilyResult(data.name, data.metric, items, dim, len(data.queries), engine)

    def _add_faiss(self, result: FamilyResult, data: Dataset, graph: EngineProcess, flat: EngineProcess) -> None:
        for process in (graph, flat):
            try:
                engine = FamilyEngine(process.spec.name, process.ask("fit"), [])
                if process is graph:
                    engine.points = [_reach(process, data, result.default.recall)]
                    result.hnsw = engine
                else:
                    engine.points = [FamilyPoint({}, _mean_recall(data, process, {}))]
                    result.flat = engine
            except UnsupportedError as error:
                result.left_out[process.spec.name] = str(error)

    def _time(self, engines: list[tuple[EngineProcess, FamilyEngine]]) -> None:
        for _ in range(self.rounds):
            for process, engine in engines:
                for point in engine.points:
                    batch, single = process.ask("time_queries", point.setting, K, self.seconds)
                    point.batch_us.append(batch)
                    point.single_us.append(single)


@contextmanager
def _started(spec: EngineSpec, data: Dataset, home: Path) -> Iterator[EngineProcess]:
    """Start the process of an index, and end it."""
    folder = home / spec.name
    folder.mkdir()
    items, dim = data.base.shape
    task = IndexTask(data.metric, dim, items, data.fits_uint8, 1, folder)
    process = EngineProcess(spec, task, home / "base.npy", home / "queries.npy")
    try:
        yield process
    finally:
        process.close()


def _reach(process: EngineProcess, data: Dataset, target: float) -> FamilyPoint:
    """Widen the graph's search until it reaches a recall; returns that point, or the one of the highest recall."""
    best: FamilyPoint | None = None
    for width in SEARCH_WIDTHS:
        setting: Setting = {"efSearch": width}
        point = FamilyPoint(setting, _mean_recall(data, process, setting))
        if best is None or point.recall > best.recall:
            best = point
        if point.recall >= target or width >= len(data.base):
            break
    assert best is not None
    return best


def _mean_recall(data: Dataset, process: EngineProcess, setting: Setting) -> float:
    ids, _ = process.ask("answer", setting, K)
    return float(data.recall(ids, K).mean())
