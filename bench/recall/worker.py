"""An engine in a process of its own: `EngineProcess` asks, `EngineServer` builds, answers and is timed.

Messages are pickled tuples; arrays are passed as .npy files. The module runs as ``python -m``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import I64, AnyArray
from assocmem.bench.processes import WorkerEndedError, WorkerProcess, available_cores, pin, serve_messages
from assocmem.bench.recall.adapter import EngineAdapter, EngineSpec, IndexTask, Setting, UnsupportedError, make_engine

MODULE = "assocmem.bench.recall.worker"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")
"""Environment variables that limit the threads of the libraries."""
WARM = 20
"""Queries that are asked before the clock starts."""
SMALL = 6000
"""Items of the index that only compiles: more than `assocmem.CliqueIndex` compares without pools."""
CHANGES = 100
"""Items that are added, and removed, one at a time."""
CHANGE_SECONDS = 3.0
"""Adding, and removing, stops after this time."""


class EngineProcess:
    """The process of an engine, as the runner uses it."""

    def __init__(self, spec: EngineSpec, task: IndexTask, base: Path, queries: Path) -> None:
        self.spec, self.log = spec, task.folder / "log.txt"
        with self.log.open("wb") as log:
            self.worker = WorkerProcess(MODULE, log, **dict.fromkeys(THREADS, str(task.threads)))
        self.worker.send((available_cores()[: task.threads], spec, task, base, queries))

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call a method of `EngineServer`; UnsupportedError if the engine cannot do it, or its process has ended."""
        try:
            status, answer = self.worker.ask((name, arguments))
        except WorkerEndedError as error:
            last_line = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise UnsupportedError(": ".join([f"its process {error}", *last_line])) from error
        if status != "done":
            raise UnsupportedError(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        self.worker.close(kill=True)


class EngineServer:
    """What can be asked of an engine in its process."""

    def __init__(self, spec: EngineSpec, task: IndexTask, base: Path, queries: Path) -> None:
        self.spec, self.task, self.base = spec, task, base
        self.queries: AnyArray = np.load(queries)
        self._engine: EngineAdapter | None = None

    @property
    def engine(self) -> EngineAdapter:
        """The engine, after `fit`."""
        assert self._engine is not None
        return self._engine

    def fit(self) -> dict[str, Any]:
        """Build the index, and ask it once; returns seconds of both, and bytes."""
        x = np.load(self.base)
        engine = make_engine(self.spec, self.task)
        if engine.jitted:
            engine.fit(x[:SMALL])
            engine.set_parameters(self.spec.sweeps[0][0])
            engine.batch_query(self.queries[:WARM], 10)
            engine = make_engine(self.spec, self.task)
        started = time.perf_counter()
        engine.fit(x)
        seconds = time.perf_counter() - started
        engine.finish()
        self._engine = engine
        engine.set_parameters(self.spec.sweeps[0][0])
        started = time.perf_counter()
        engine.query(self.queries[:1], 10)
        first = time.perf_counter() - started
        size = engine.size()
        return {"build_s": seconds, "first_s": first, "memory": size.memory, "disk": size.disk}

    def answer(self, setting: Setting, k: int) -> tuple[I64, float]:
        """Answer all queries in one batch; returns row numbers and microseconds per query."""
        self.engine.set_parameters(setting)
        self.engine.batch_query(self.queries[:WARM], k)
        started = time.perf_counter()
        found = self.engine.batch_query(self.queries, k)
        return found, (time.perf_counter() - started) / len(self.queries) * 1e6

    def expect(self, setting: Setting, k: int) -> float:
        """Return the mean recall that the engine expects of its own answers; UnsupportedError if it expects none."""
        self.engine.set_parameters(setting)
        return float(self.engine.expected_recall(self.queries, k).mean())

    def time_queries(self, setting: Setting, k: int, seconds: float) -> tuple[float, float]:
        """Time a batch, then single queries, each for about ``seconds``; returns microseconds per query of both."""
        self.engine.set_parameters(setting)
        warm, rows = self.queries[:WARM], len(self.queries)
        each = _seconds(lambda: self.engine.batch_query(warm, k)) / len(warm)
        several = self.queries[: _fit_count(seconds, each, rows)]
        batch = _seconds(lambda: self.engine.batch_query(several, k)) / len(several)
        one = self.queries[:1]
        self.engine.query(one, k)
        each = _seconds(lambda: self.engine.query(one, k))
        count = _fit_count(seconds, each, rows)
        singles = [self.queries[i : i + 1] for i in range(count)]
        started = time.perf_counter()
        for query in singles:
            self.engine.query(query, k)
        return batch * 1e6, (time.perf_counter() - started) / count * 1e6

    def time_changes(self) -> dict[str, Any]:
        """Add items to the full index and remove others, one at a time; returns microseconds of each, or why not.

        The index has changed afterwards.
        """
        count = min(CHANGES, len(self.queries), self.task.items // 2)
        new = np.arange(self.task.items, self.task.items + count)
        adding = [partial(self.engine.add, self.queries[i : i + 1], new[i : i + 1]) for i in range(count)]
        old = np.linspace(0, self.task.items - 1, count).astype(np.int64)[::-1]
        removing = [partial(self.engine.remove, old[i : i + 1]) for i in range(count)]
        return {"add": _time_each(adding), "remove": _time_each(removing)}


def _time_each(changes: Sequence[Callable[[], None]]) -> list[float] | str:
    """Time changes one by one, all of them or as many as `CHANGE_SECONDS` allow."""
    times: list[float] = []
    until = time.perf_counter() + CHANGE_SECONDS
    try:
        for change in changes:
            times.append(_seconds(change) * 1e6)
            if time.perf_counter() > until:
                break
    except UnsupportedError as error:
        return str(error)
    return times


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _fit_count(seconds: float, each: float, most: int) -> int:
    """Return how many calls of ``each`` seconds take ``seconds``: from 1 to ``most``."""
    return max(1, min(most, int(seconds / max(each, 1e-9))))


def main() -> None:
    """Serve one engine until the input ends; the first message says which."""
    server: EngineServer | None = None

    def start(message: Any) -> None:
        nonlocal server
        cores, *arguments = message
        pin(cores)
        server = EngineServer(*arguments)

    def answer(message: Any) -> tuple[str, Any]:
        name, arguments = message
        try:
            return "done", getattr(server, name)(*arguments)
        except UnsupportedError as error:
            return "unsupported", str(error)
        except Exception as error:  # of any library: the other engines are still to be measured
            text = str(error).strip().splitlines()
            return "unsupported", f"{type(error).__name__}: {text[-1] if text else 'no reason given'}"

    serve_messages(answer, start)


if __name__ == "__main__":
    main()
