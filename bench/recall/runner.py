"""The recall benchmark's course: a process per engine, a scouting round, then rounds in which all take turns.

Scouting asks every query once with every setting; of each engine, the settings that some other beats both in recall
and in time are not asked again. The rounds time what is left, engine by engine, so that all share the machine's moods.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import I64
from assocmem.bench.common import available_cores
from assocmem.bench.recall.dataset import Data
from assocmem.bench.recall.engine import Setting, Spec, Task, UnableError, tell
from assocmem.bench.recall.metrics import distances, front, shares
from assocmem.cli.output import count, say
from assocmem.errors import AssocmemError

K, MORE = 10, 100
SLACK = 1.5
"""Settings this much slower than the front are kept: one timing may be wrong by as much."""
ENOUGH, GAIN = 0.9995, 0.0005
"""A line of settings ends at this recall; one of several, also when two steps in a row bring less than this."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Worker:
    """An engine's process, as seen from outside."""

    def __init__(self, spec: Spec, task: Task, base: Path, queries: Path) -> None:
        self.spec, self.log = spec, task.folder / "log.txt"
        number = str(task.threads)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "assocmem.bench.recall.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **dict.fromkeys(THREADS, number)},
            )
        self._send((available_cores()[: task.threads], spec, task, base, queries))

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call a method of `recall_worker.Bench`; UnableError if the engine cannot, or is no more."""
        try:
            self._send((name, arguments))
            assert self.process.stdout is not None
            how, answer = pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError) as error:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise UnableError(": ".join([f"its process ended with {self.process.wait()}", *last])) from error
        if how != "done":
            raise UnableError(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # the last message may not have left
            self.process.stdin.close()

    def _send(self, message: Any) -> None:
        assert self.process.stdin is not None
        pickle.dump(message, self.process.stdin)
        self.process.stdin.flush()


@dataclass(slots=True)
class Point:
    """An engine with a setting: what it found, and every time it took."""

    engine: str
    setting: Setting
    ids: I64
    """int64 (nq, K)"""
    recall: np.ndarray[Any, Any]
    """Recall@10 of each query."""
    first: float
    """Recall@1 of the same answers."""
    scout_us: float
    batch_us: list[float] = field(default_factory=list)
    single_us: list[float] = field(default_factory=list)
    more: float = float("nan")
    """Recall@100, asked for a hundred."""
    more_us: float = float("nan")

    @property
    def name(self) -> str:
        """The setting, in words."""
        return tell(self.setting)


@dataclass(slots=True)
class Engaged:
    """An engine that was built: its figures and its points."""

    spec: Spec
    built: dict[str, Any]
    points: list[Point] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Course:
    """A run of the benchmark.

    Attributes
    ----------
    engaged : list of Engaged
    skipped : list of (name, reason)
    """

    data: Data
    folder: Path
    threads: int
    rounds: int
    seconds: float
    memory: float
    """Bytes that the indexes held at one time may take."""
    engaged: list[Engaged] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def task(self, name: str) -> Task:
        """Tell an engine what is to come."""
        home = self.folder / name.replace("/", "_")
        home.mkdir(parents=True, exist_ok=True)
        items, dim = self.data.base.shape
        return Task(self.data.metric, dim, items, self.data.whole, self.threads, home)

    def run(self, specs: Sequence[Spec]) -> None:
        """Measure the engines; as many are held at one time as memory allows, ours always."""
        paths = self.folder / "base.npy", self.folder / "queries.npy"
        for path, x in zip(paths, (self.data.base, self.data.queries), strict=True):
            np.save(path, x)
        alive: list[tuple[Worker, Engaged]] = []
        try:
            for number, spec in enumerate(specs):
                say(f"{number + 1} of {len(specs)}: {spec.name} ...")
                self._engage(spec, paths, alive)
                if sum(engaged.built["memory"] for _, engaged in alive) > self.memory:
                    self._rounds(alive)
                    self._dismiss(alive, lambda spec: not spec.ours)
            self._rounds(alive)
        finally:
            self._dismiss(alive, lambda spec: True)

    def _engage(self, spec: Spec, paths: tuple[Path, Path], alive: list[tuple[Worker, Engaged]]) -> None:
        worker = Worker(spec, self.task(spec.name), *paths)
        try:
            engaged = Engaged(spec, worker.ask("fit"))
            self._scout(worker, engaged)
        except UnableError as error:
            say(f"  left out: {error}")
            self.skipped.append((spec.name, str(error)))
            worker.close()
            return
        self.engaged.append(engaged)
        alive.append((worker, engaged))

    def _scout(self, worker: Worker, engaged: Engaged) -> None:
        for line in worker.spec.lines:
            found: list[float] = []
            for setting in line:
                point = self._point(worker, setting)
                engaged.points.append(point)
                found.append(float(point.recall.mean()))
                in_vain = len(worker.spec.lines) > 1 and len(found) > 2 and found[-1] - found[-3] < GAIN
                if found[-1] >= ENOUGH or in_vain:
                    break
        recall = [float(point.recall.mean()) for point in engaged.points]
        engaged.points = [engaged.points[i] for i in worth_timing(recall, [p.scout_us for p in engaged.points])]
        for point in engaged.points:
            ids, point.more_us = worker.ask("answer", point.setting, min(MORE, len(self.data.base)))
            point.more = float(self._shares(ids, ids.shape[1]).mean())

    def _point(self, worker: Worker, setting: Setting) -> Point:
        ids, us = worker.ask("answer", setting, K)
        if ids.shape != (len(self.data.queries), K) or ids.max() >= len(self.data.base):
            raise AssocmemError(f"{worker.spec.name}: expected answers ({len(self.data.queries)}, {K}) of row numbers")
        return Point(worker.spec.name, setting, ids, self._shares(ids, K), float(self._shares(ids, 1).mean()), us)

    def _shares(self, ids: I64, k: int) -> Any:
        data = self.data
        found = distances(data.base, data.queries, ids[:, :k], data.metric)
        return shares(found, ids[:, :k], data.truth[:, k - 1], k)

    def _rounds(self, alive: list[tuple[Worker, Engaged]]) -> None:
        for turn in range(self.rounds):
            say(f"round {turn + 1} of {self.rounds}, {count(len(alive), 'engine')} in turns ...")
            for worker, engaged in list(alive):
                try:
                    self._clock(worker, engaged)
                except UnableError as error:
                    say(f"{worker.spec.name}: {error}")
                    self.skipped.append((worker.spec.name, str(error)))
                    self.engaged.remove(engaged)
                    alive.remove((worker, engaged))
                    worker.close()

    def _clock(self, worker: Worker, engaged: Engaged) -> None:
        for point in engaged.points:
            batch, single = worker.ask("clock", point.setting, K, self.seconds)
            point.batch_us.append(batch)
            point.single_us.append(single)

    @staticmethod
    def _dismiss(alive: list[tuple[Worker, Engaged]], whom: Callable[[Spec], bool]) -> None:
        """End processes; before that, what changes an index is measured."""
        for pair in [pair for pair in alive if whom(pair[0].spec)]:
            worker, engaged = pair
            try:
                engaged.changes = worker.ask("change")
            except UnableError as error:
                engaged.changes = {"add": str(error), "remove": str(error)}
            finally:
                worker.close()
                alive.remove(pair)


def worth_timing(recall: Sequence[float], us: Sequence[float]) -> list[int]:
    """Return the places of points that may be on the front when they are timed well, by ascending recall."""
    ahead = [(recall[i], us[i]) for i in front(recall, us)]
    kept = [i for i in range(len(us)) if not any(r > recall[i] and t * SLACK < us[i] for r, t in ahead)]
    distinct: dict[float, int] = {}
    for i in sorted(kept, key=lambda i: -us[i]):
        distinct[recall[i]] = i  # of equal recall, the quickest
    return [distinct[share] for share in sorted(distinct)]
