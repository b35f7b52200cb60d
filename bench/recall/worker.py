"""One engine in a process of its own: builds, answers and is timed when asked to, through its standard streams.

Started by `recall_runs.Worker`; messages are pickled tuples, arrays are in .npy files. What libraries print goes to
standard error, so that it cannot spoil an answer.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import I64
from assocmem.bench.common import pin
from assocmem.bench.recall.engine import Array, Engine, Setting, Spec, Task, UnableError, make

WARM = 20
"""Queries that are asked before the clock starts."""
SMALL = 1000
"""Items of the index that only compiles."""
CHANGES = 100
"""Items that are added, and taken out, one at a time."""


class Bench:
    """What can be asked of an engine; each method's answer is a message."""

    def __init__(self, spec: Spec, task: Task, base: Path, queries: Path) -> None:
        self.spec, self.task, self.base = spec, task, base
        self.queries: Array = np.load(queries)
        self.engine: Engine | None = None

    @property
    def ready(self) -> Engine:
        """The engine, built."""
        assert self.engine is not None
        return self.engine

    def fit(self) -> dict[str, Any]:
        """Build; returns seconds and bytes."""
        x = np.load(self.base)
        engine = make(self.spec, self.task)
        if engine.jitted:
            engine.fit(x[:SMALL])
            engine.use(self.spec.lines[0][0])
            engine.batch_query(self.queries[:WARM], 10)
            engine = make(self.spec, self.task)
        started = time.perf_counter()
        engine.fit(x)
        seconds = time.perf_counter() - started
        engine.finish()
        self.engine = engine
        size = engine.size()
        return {"build_s": seconds, "memory": size.memory, "disk": size.disk}

    def answer(self, setting: Setting, k: int) -> tuple[I64, float]:
        """Answer all queries in one batch; returns row numbers and microseconds per query."""
        self.ready.use(setting)
        self.ready.batch_query(self.queries[:WARM], k)
        started = time.perf_counter()
        found = self.ready.batch_query(self.queries, k)
        return found, (time.perf_counter() - started) / len(self.queries) * 1e6

    def clock(self, setting: Setting, k: int, seconds: float) -> tuple[float, float]:
        """Time a batch and single queries, each for about so long; returns microseconds per query of both."""
        self.ready.use(setting)
        warm, rows = self.queries[:WARM], len(self.queries)
        each = _seconds(lambda: self.ready.batch_query(warm, k)) / len(warm)
        several = self.queries[: _count(seconds, each, rows)]
        batch = _seconds(lambda: self.ready.batch_query(several, k)) / len(several)
        one = self.queries[:1]
        self.ready.query(one, k)
        each = _seconds(lambda: self.ready.query(one, k))
        count = _count(seconds, each, rows)
        singles = [self.queries[i : i + 1] for i in range(count)]
        started = time.perf_counter()
        for query in singles:
            self.ready.query(query, k)
        return batch * 1e6, (time.perf_counter() - started) / count * 1e6

    def change(self) -> dict[str, Any]:
        """Add items to the full index and take others out, one at a time; returns microseconds of each, or why not.

        The index is another afterwards.
        """
        count = min(CHANGES, len(self.queries), self.task.items // 2)
        fresh = np.arange(self.task.items, self.task.items + count)
        adding = [partial(self.ready.add, self.queries[i : i + 1], fresh[i : i + 1]) for i in range(count)]
        old = np.linspace(0, self.task.items - 1, count).astype(np.int64)[::-1]
        removing = [partial(self.ready.remove, old[i : i + 1]) for i in range(count)]
        return {"add": _changes(adding), "remove": _changes(removing)}


def _changes(changes: Sequence[Callable[[], None]], limit: float = 3.0) -> list[float] | str:
    """Time changes one by one, until there are no more or it takes too long."""
    times: list[float] = []
    until = time.perf_counter() + limit
    try:
        for change in changes:
            times.append(_seconds(change) * 1e6)
            if time.perf_counter() > until:
                break
    except UnableError as error:
        return str(error)
    return times


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _count(seconds: float, each: float, most: int) -> int:
    return max(1, min(most, int(seconds / max(each, 1e-9))))


def serve() -> None:
    """Do what the messages on standard input say, until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    cores, spec, task, base, queries = pickle.load(sys.stdin.buffer)
    pin(cores)
    bench = Bench(spec, task, base, queries)
    while True:
        try:
            name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = ("done", getattr(bench, name)(*arguments))
        except UnableError as error:
            answer = ("unable", str(error))
        except Exception as error:  # whatever a library throws: the other engines are still to be measured
            text = str(error).strip().splitlines()
            answer = ("unable", f"{type(error).__name__}: {text[-1] if text else 'no reason given'}")
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    serve()
