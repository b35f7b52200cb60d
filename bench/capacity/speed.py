"""The speed of the clique memory, of the baseline memory and of FAISS's indexes, on the same tasks.

Everything that is timed runs in a process of its own, kept to one core, and takes turns with the others. Contains no
theory but the size that a task needs. Numba and FAISS are imported by the functions that need them, never both in the
same process.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import I32
from assocmem.bench.capacity.messages import CueTask, write_task
from assocmem.bench.processes import available_cores, pin, run_function
from assocmem.cli.output import say

Row = dict[str, Any]
MODULE = "assocmem.bench.capacity.speed"
"""This module, for processes that call its functions."""
REPETITIONS = 5
CUES, COPIES = 20_000, 5
"""Cues of a task, and how often they are repeated in a timed batch, so that the time to start threads is negligible."""
COUNTED_CUES = 500
"""Cues of a batch that needs unit counts, which is slower."""
MAX_PLANNED = 1 << 28
"""Bytes of the largest planned memory that is timed."""
RECALL, STORE = "recall", "store"
RECALL_TWO, STORE_TWO, SPIN_TWO = "recall, two threads", "store, two threads", "bare loops, two threads"
TWO_THREADS = (RECALL_TWO, STORE_TWO, SPIN_TWO)
ONE_IN_TURNS = ": one, in turns"
"""Suffix of the figures of one thread that were taken in turns with those of two."""
WRONG, UNKNOWN, SUMS = "recall, two wrong symbols", "recall, never stored", "recall, sum-of-sum"
BASELINE_RECALL, BASELINE_STORE, BASELINE_ROWS = "plain recall", "plain store", "rows alone"
BASELINE = (BASELINE_RECALL, BASELINE_STORE, BASELINE_ROWS)
FUNCTIONS = (RECALL, STORE, *TWO_THREADS, WRONG, UNKNOWN, SUMS, *BASELINE)
HEADLINE, FIXED, LARGE, PLANNED = "headline", "fixed", "large", "planned"
"""Curves: one number of messages; growing numbers in one memory, in one of four times the units, and in memories of
the size that theory plans."""
CURVE_ROUNDS = 3
"""Rounds of the curves at most: they have many points, and each is more certain with its neighbours."""


@dataclass(frozen=True, slots=True)
class SpeedPlan:
    """What is timed, and for how long."""

    clusters: int
    units: int
    erased: int
    headline: int
    """messages"""
    fixed: tuple[int, ...]
    """messages, with ``units`` units"""
    large: tuple[int, ...]
    """messages, with four times the units"""
    rounds: int
    seconds: float
    """for one function, in its process, at one number of messages"""
    faiss: bool


# In the processes


def _rates(work: Callable[[], Any], count: int, seconds: float, reset: Callable[[], Any] | None = None) -> list[float]:
    """Time ``count`` operations per call, after a warm-up that compiles; ``reset`` is called before each, untimed."""
    work()
    each = max(timeit.timeit(work, number=1), 1e-9)
    calls = max(1, round(seconds / REPETITIONS / each))
    if reset is None:
        return [count * calls / one for one in timeit.repeat(work, number=calls, repeat=REPETITIONS)]
    singles = timeit.repeat(work, reset, number=1, repeat=calls * REPETITIONS)
    return [count * calls / sum(singles[i * calls : (i + 1) * calls]) for i in range(REPETITIONS)]


def _rates_in_turns(work: Callable[[int], Any], count: int, seconds: float, **about: Any) -> dict[str, Any]:
    """Time ``work`` with two threads and with one, in turns call by call, so that the machine is equally busy."""
    rates: dict[int, list[float]] = {2: [], 1: []}
    work(2)
    each = max(timeit.timeit(lambda: work(1), number=1), 1e-9)
    for _ in range(max(REPETITIONS, min(50, round(2 * seconds / each)))):
        for threads, found in rates.items():
            found.append(count / timeit.timeit(lambda threads=threads: work(threads), number=1))  # type: ignore[misc]
    return {"rates": rates[2], "rates_of_one": rates[1], **about}


def _cues_that_count(function: str, cues: I32, true: I32, units: int) -> I32:
    """Return cues that need unit counts: messages with two wrong symbols, cues of unknown messages, or as they are."""
    rng = np.random.default_rng(1)
    if function == UNKNOWN:
        return np.where(cues < 0, -1, rng.integers(0, units, cues.shape)).astype(np.int32)[:COUNTED_CUES]
    if function == WRONG:
        wrong = np.argsort(rng.random(true.shape), axis=1) < 2
        return np.where(wrong, rng.integers(0, units, true.shape), true).astype(np.int32)[:COUNTED_CUES]
    return cues[:COUNTED_CUES]


def _time_spin(seconds: float) -> dict[str, Any]:
    from assocmem._numerics.threads import parallel_for
    from assocmem.bench.capacity.baseline_memory import spin

    rounds = 4_000_000
    return _rates_in_turns(lambda threads: parallel_for(lambda a, b: spin(b - a), rounds, threads), rounds, seconds)


def _time_memory(function: str, task: CueTask, seconds: float) -> dict[str, Any]:
    from assocmem.memory.clique import CliqueMemory, RuleName

    if function == SPIN_TWO:
        return _time_spin(seconds)
    messages, cues, rows = map(np.load, task.files)
    memory = CliqueMemory(task.clusters, task.units)
    memory.store(messages)
    size = memory.nbytes
    batch, many = np.tile(cues, (COPIES, 1)), np.tile(messages, (COPIES, 1))
    if function == RECALL_TWO:
        return _rates_in_turns(lambda threads: memory.recall(batch, threads=threads), len(batch), seconds, bytes=size)
    if function == STORE_TWO:
        return _rates_in_turns(lambda threads: memory.store(many, threads=threads), len(many), seconds, bytes=size)
    if function == STORE:
        rates = _rates(lambda: memory.store(many, threads=1), len(many), seconds, lambda: memory.bits.fill(0))
        return {"rates": rates, "bytes": size}
    if function in (WRONG, UNKNOWN, SUMS):
        other = _cues_that_count(function, cues, messages[rows], task.units)
        rule: RuleName = "sum-of-sum" if function == SUMS else "sum-of-max"
        rates = _rates(lambda: memory.recall(other, rule=rule, threads=1), len(other), seconds)
        return {"rates": rates, "bytes": size}
    answer = memory.recall(cues, threads=1)
    error = 1 - float((answer.exact & (answer.messages == messages[rows]).all(axis=1)).mean())
    rates = _rates(lambda: memory.recall(batch, threads=1), len(batch), seconds)
    return {"rates": rates, "bytes": size, "error": error, "cues": len(cues)}


def _time_baseline(function: str, task: CueTask, seconds: float) -> dict[str, Any]:
    from assocmem.bench.capacity import baseline_memory

    messages, cues, rows = map(np.load, task.files)
    batch = np.tile(cues, (COPIES, 1))
    bits, answer = baseline_memory.empty(task.clusters, task.units), np.empty_like(batch)
    baseline_memory.store(bits, messages, task.units)
    if function == BASELINE_STORE:

        def store() -> None:
            baseline_memory.store(bits, messages, task.units)

        return {"rates": _rates(store, len(messages), seconds, lambda: bits.fill(0)), "bytes": bits.nbytes}
    if function == BASELINE_ROWS:
        seen = np.zeros(bits.shape[1], np.uint64)
        rates = _rates(lambda: baseline_memory.and_rows(bits, batch, task.units, seen), len(batch), seconds)
        return {"rates": rates, "bytes": bits.nbytes}
    rates = _rates(lambda: baseline_memory.recall(bits, batch, task.units, answer), len(batch), seconds)
    error = 1 - float((answer[: len(cues)] == messages[rows]).all(axis=1).mean())
    return {"rates": rates, "bytes": bits.nbytes, "error": error, "cues": len(cues)}


def time_function(
    function: str, cores: Sequence[int], tasks: Sequence[Sequence[Any]], seconds: float
) -> dict[str, Any]:
    """Time one of `FUNCTIONS` on each of the tasks; called in a new process."""
    pin(cores)
    clock = _time_baseline if function in BASELINE else _time_memory
    return {"points": [clock(function, CueTask(*task), seconds) for task in tasks]}


def time_faiss(cores: Sequence[int], task: Sequence[Any], seconds: float) -> dict[str, Any]:
    """Measure FAISS's indexes on a task; called in a new process."""
    pin(cores)
    from assocmem.bench.capacity import faiss_cliques

    one = CueTask(*task)
    return faiss_cliques.measure(one.clusters, one.units, *one.files, seconds)


# In the process that starts them


def planned_units(messages: int, clusters: int, erased: int) -> int | None:
    """Return the fewest units, a multiple of 64, at which one round errs in at most 1 %; None if too large to time."""
    from assocmem.memory.capacity import memory_bytes, messages_at_error

    units = 64
    while memory_bytes(clusters, units) <= MAX_PLANNED:
        if messages_at_error(0.01, clusters, units, erased) >= messages:
            return units
        units += 64
    return None


class SpeedRun:
    """Times everything, and records every repetition.

    Attributes
    ----------
    timings : list of rows
        One per repetition.
    points : list of rows
        One per process and function (or index): what was found besides rates.
    """

    def __init__(self, plan: SpeedPlan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.timings: list[Row] = []
        self.points: list[Row] = []
        self.cores = available_cores()

    def run(self) -> None:
        """Time everything."""
        plan = self.plan
        headline = self._write_task(plan.units, plan.headline)
        curves = {
            FIXED: [self._write_task(plan.units, count) for count in plan.fixed],
            LARGE: [self._write_task(4 * plan.units, count) for count in plan.large],
            PLANNED: [
                self._write_task(units, count)
                for count in sorted({*plan.fixed, *plan.large})
                if (units := planned_units(count, plan.clusters, plan.erased))
            ],
        }
        for turn in range(plan.rounds):
            say(f"speed: round {turn + 1} of {plan.rounds} ...")
            for function in FUNCTIONS:
                self._time_function(function, HEADLINE, [headline], turn)
            self._time_faiss(HEADLINE, headline, turn)
            for curve, tasks in curves.items():
                if tasks and turn < CURVE_ROUNDS:
                    self._time_function(RECALL, curve, tasks, turn)
        for curve in (FIXED, LARGE) if plan.faiss else ():
            for task in curves[curve]:
                say(f"speed: FAISS, {task.messages} messages of {task.units} units ...")
                self._time_faiss(curve, task, 0)

    def _write_task(self, units: int, messages: int) -> CueTask:
        plan = self.plan
        return write_task(self.folder, plan.clusters, units, messages, plan.erased, CUES)

    def _time_function(self, function: str, curve: str, tasks: list[CueTask], turn: int) -> None:
        cores = self.cores[:2] if function in TWO_THREADS else self.cores[:1]
        arguments = [tuple(task) for task in tasks]
        answer = run_function(MODULE, "time_function", function, cores, arguments, self.plan.seconds)
        for task, point in zip(tasks, answer["points"], strict=True):
            self._record(function, curve, task, turn, point)

    def _time_faiss(self, curve: str, task: CueTask, turn: int) -> None:
        if not self.plan.faiss:
            return
        answer = run_function(MODULE, "time_faiss", self.cores[:1], tuple(task), self.plan.seconds)
        for index in answer["indexes"]:
            self._record(index["name"], curve, task, turn, index, "FAISS " + answer["faiss"])

    def _record(self, what: str, curve: str, task: CueTask, turn: int, found: Row, whose: str = "assocmem") -> None:
        about = {"whose": whose, "what": what, "curve": curve, "clusters": task.clusters, "units": task.units}
        about |= {"messages": task.messages, "erased": self.plan.erased, "round": turn}
        for number, rate in enumerate(found.get("rates", ())):
            self.timings.append({**about, "repetition": number, "per_second": rate})
        for number, rate in enumerate(found.get("rates_of_one", ())):
            self.timings.append({**about, "what": what + ONE_IN_TURNS, "repetition": number, "per_second": rate})
        figures = {name: float(found.get(name, np.nan)) for name in ("error", "prepare_us", "build_s")}
        counts = {"cues": found.get("cues", 0), "bytes": found.get("bytes", 0)}
        self.points.append({**about, **figures, **counts, "skipped": found.get("skipped", "")})
