"""The course of the recall benchmark: a process per engine, a scouting round, then rounds in which all take turns.

Scouting asks every query once with every setting. Settings that another one of the same engine beats in both recall
and time are dropped. The rounds time what is left, engine by engine, so that a busy moment of the machine hits all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import F64, I64
from assocmem.bench.recall.adapter import EngineSpec, IndexTask, Setting, UnsupportedError, format_setting
from assocmem.bench.recall.dataset import Dataset
from assocmem.bench.recall.metrics import pareto_front
from assocmem.bench.recall.worker import EngineProcess
from assocmem.cli.output import count, say
from assocmem.errors import AssocmemError

K, MANY = 10, 100
"""Neighbours asked for: when engines are timed, and once more per setting."""
SLACK = 1.5
"""Settings slower than the front by up to this factor are kept: a single timing may be off by as much."""
ENOUGH, MIN_GAIN = 0.9995, 0.0005
"""A sweep of settings ends at the recall `ENOUGH`; one of several also when two steps in a row gain less than
`MIN_GAIN`."""


@dataclass(slots=True)
class OperatingPoint:
    """An engine with one setting: its answers, and every time that was taken."""

    engine: str
    setting: Setting
    ids: I64
    """int64 (nq, K): row numbers of the answers"""
    recall: F64
    """float64 (nq,): recall@10 of each query"""
    recall_1: float
    """Recall@1 of the same answers, mean."""
    scout_us: float
    """Microseconds per query of the scouting round."""
    batch_us: list[float] = field(default_factory=list)
    """Microseconds per query in a batch, one of each round."""
    single_us: list[float] = field(default_factory=list)
    """Microseconds per single query, one of each round."""
    recall_100: float = float("nan")
    """Recall@100 with 100 neighbours asked for, mean."""
    us_100: float = float("nan")
    """Microseconds per query with 100 neighbours asked for."""

    @property
    def name(self) -> str:
        """The setting as text."""
        return format_setting(self.setting)


@dataclass(slots=True)
class EngineResult:
    """An engine that was built: its size and times, and its operating points."""

    spec: EngineSpec
    built: dict[str, Any]
    """``build_s``, ``first_s`` (of the first search), ``memory`` and ``disk`` (bytes)"""
    points: list[OperatingPoint] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    """``add`` and ``remove``: microseconds of each change, or why it is not possible"""


@dataclass(slots=True)
class RecallRun:
    """A run of the benchmark.

    Attributes
    ----------
    results : list of EngineResult
    skipped : list of (name, reason)
    """

    data: Dataset
    folder: Path
    threads: int
    rounds: int
    seconds: float
    """For a batch, and again for single queries, of one setting in one round."""
    memory: float
    """Bytes that the indexes held at the same time may take."""
    results: list[EngineResult] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    _alive: list[tuple[EngineProcess, EngineResult]] = field(default_factory=list, init=False)

    def task(self, name: str) -> IndexTask:
        """Describe the task for an engine of this name, and make its folder."""
        home = self.folder / name.replace("/", "_")
        home.mkdir(parents=True, exist_ok=True)
        items, dim = self.data.base.shape
        return IndexTask(self.data.metric, dim, items, self.data.fits_uint8, self.threads, home)

    def run(self, specs: Sequence[EngineSpec]) -> None:
        """Measure the engines.

        As many indexes are held at the same time as memory allows. When it is full, the rivals so far are timed and
        ended; assocmem's engines stay and take part in all rounds.
        """
        paths = self.folder / "base.npy", self.folder / "queries.npy"
        for path, x in zip(paths, (self.data.base, self.data.queries), strict=True):
            np.save(path, x)
        try:
            for number, spec in enumerate(specs):
                say(f"{number + 1} of {len(specs)}: {spec.name} ...")
                self._build(spec, paths)
                if sum(result.built["memory"] for _, result in self._alive) > self.memory:
                    self._time_rounds()
                    self._end(lambda spec: not spec.is_assocmem)
            self._time_rounds()
        finally:
            self._end(lambda spec: True)

    def _build(self, spec: EngineSpec, paths: tuple[Path, Path]) -> None:
        process = EngineProcess(spec, self.task(spec.name), *paths)
        try:
            result = EngineResult(spec, process.ask("fit"))
            self._scout(process, result)
        except UnsupportedError as error:
            say(f"  left out: {error}")
            self.skipped.append((spec.name, str(error)))
            process.close()
            return
        self.results.append(result)
        self._alive.append((process, result))

    def _scout(self, process: EngineProcess, result: EngineResult) -> None:
        """Try all settings once, and keep those that are worth timing."""
        for sweep in process.spec.sweeps:
            reached: list[float] = []
            for setting in sweep:
                point = self._try_setting(process, setting)
                result.points.append(point)
                reached.append(float(point.recall.mean()))
                stalled = len(process.spec.sweeps) > 1 and len(reached) > 2 and reached[-1] - reached[-3] < MIN_GAIN
                if reached[-1] >= ENOUGH or stalled:
                    break
        recall = [float(point.recall.mean()) for point in result.points]
        result.points = [result.points[i] for i in worth_timing(recall, [p.scout_us for p in result.points])]
        for point in result.points:
            ids, point.us_100 = process.ask("answer", point.setting, min(MANY, len(self.data.base)))
            point.recall_100 = float(self.data.recall(ids, ids.shape[1]).mean())

    def _try_setting(self, process: EngineProcess, setting: Setting) -> OperatingPoint:
        name, queries = process.spec.name, len(self.data.queries)
        ids, us = process.ask("answer", setting, K)
        if ids.shape != (queries, K) or ids.max() >= len(self.data.base):
            raise AssocmemError(f"{name}: expected answers ({queries}, {K}) of row numbers")
        return OperatingPoint(name, setting, ids, self.data.recall(ids, K), float(self.data.recall(ids, 1).mean()), us)

    def _time_rounds(self) -> None:
        for turn in range(self.rounds):
            say(f"round {turn + 1} of {self.rounds}, {count(len(self._alive), 'engine')} in turns ...")
            for process, result in list(self._alive):
                try:
                    self._time_points(process, result)
                except UnsupportedError as error:
                    say(f"{process.spec.name}: {error}")
                    self.skipped.append((process.spec.name, str(error)))
                    self.results.remove(result)
                    self._alive.remove((process, result))
                    process.close()

    def _time_points(self, process: EngineProcess, result: EngineResult) -> None:
        for point in result.points:
            batch, single = process.ask("time_queries", point.setting, K, self.seconds)
            point.batch_us.append(batch)
            point.single_us.append(single)

    def _end(self, chosen: Callable[[EngineSpec], bool]) -> None:
        """End processes; before that, time changes of their indexes."""
        for pair in [pair for pair in self._alive if chosen(pair[0].spec)]:
            process, result = pair
            try:
                result.changes = process.ask("time_changes")
            except UnsupportedError as error:
                result.changes = {"add": str(error), "remove": str(error)}
            finally:
                process.close()
                self._alive.remove(pair)


def worth_timing(recall: Sequence[float], us: Sequence[float]) -> list[int]:
    """Return the indices of points that may be on the front when they are timed well, by ascending recall."""
    front = [(recall[i], us[i]) for i in pareto_front(recall, us)]
    kept = [i for i in range(len(us)) if not any(r > recall[i] and t * SLACK < us[i] for r, t in front)]
    distinct: dict[float, int] = {}
    for i in sorted(kept, key=lambda i: -us[i]):
        distinct[recall[i]] = i  # of equal recall, the fastest
    return [distinct[value] for value in sorted(distinct)]
