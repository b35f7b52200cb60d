"""The clocks: recalls and stores of the clique memory, of the plain one and of FAISS's indexes, on the same tasks.

Whatever is timed runs in a process of its own, kept to one core, and takes turns with the others. Knows no theory but
the size that a task needs. Numba and FAISS are imported by the functions that need them, never both by one process.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import I32
from assocmem.bench.capacity.messages import Task, write_task
from assocmem.bench.common import available_cores, pin, run_function
from assocmem.cli.output import say

Row = dict[str, Any]
HOME = "assocmem.bench.capacity.speed"
REPETITIONS = 5
CUES, TIMES = 20_000, 5
"""Cues of a task, and how often they follow each other in a timed batch: enough that starting threads is nothing."""
LARGEST = 1 << 28
"""Bytes of the largest planned memory that is timed."""
RECALL, STORE = "recall", "store"
RECALL_TWO, STORE_TWO, SPIN_TWO = "recall, two threads", "store, two threads", "bare loops, two threads"
TWO = (RECALL_TWO, STORE_TWO, SPIN_TWO)
BESIDE = ": one, in turns"
WRONG, UNKNOWN, SUMS = "recall, two wrong symbols", "recall, never stored", "recall, sum-of-sum"
PLAIN_RECALL, PLAIN_STORE, PLAIN_ROWS = "plain recall", "plain store", "rows alone"
FUNCTIONS = (RECALL, STORE, *TWO, WRONG, UNKNOWN, SUMS, PLAIN_RECALL, PLAIN_STORE, PLAIN_ROWS)
HEADLINE, FIXED, LARGE, PLANNED = "headline", "fixed", "large", "planned"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is timed, and how long."""

    clusters: int
    units: int
    erased: int
    headline: int  # messages
    fixed: tuple[int, ...]  # messages, at `units`
    large: tuple[int, ...]  # messages, at four times the units
    rounds: int
    seconds: float  # for one function, in its process, at one number of messages
    faiss: bool


# in the processes


def _rates(work: Callable[[], Any], count: int, seconds: float, reset: Callable[[], Any] | None = None) -> list[float]:
    """Time ``count`` operations per call, after a warm-up that compiles; ``reset`` comes before each, untimed."""
    work()
    each = max(timeit.timeit(work, number=1), 1e-9)
    calls = max(1, round(seconds / REPETITIONS / each))
    if reset is None:
        return [count * calls / one for one in timeit.repeat(work, number=calls, repeat=REPETITIONS)]
    singles = timeit.repeat(work, reset, number=1, repeat=calls * REPETITIONS)
    return [count * calls / sum(singles[i * calls : (i + 1) * calls]) for i in range(REPETITIONS)]


def _in_turns(work: Callable[[int], Any], count: int, seconds: float, **about: Any) -> dict[str, Any]:
    """Time ``work`` with two threads and with one, call by call in turns: the machine's mood is then the same."""
    rates: dict[int, list[float]] = {2: [], 1: []}
    work(2)
    each = max(timeit.timeit(lambda: work(1), number=1), 1e-9)
    for _ in range(max(REPETITIONS, min(50, round(2 * seconds / each)))):
        for threads, found in rates.items():
            found.append(count / timeit.timeit(lambda threads=threads: work(threads), number=1))  # type: ignore[misc]
    return {"rates": rates[2], "beside": rates[1], **about}


def _other_cues(function: str, cues: I32, true: I32, units: int, count: int = 500) -> I32:
    """Cues that take counting: whole messages with two wrong symbols, cues of messages never stored, or as they are."""
    rng = np.random.default_rng(1)
    if function == UNKNOWN:
        return np.where(cues < 0, -1, rng.integers(0, units, cues.shape)).astype(np.int32)[:count]
    if function == WRONG:
        wrong = np.argsort(rng.random(true.shape), axis=1) < 2
        return np.where(wrong, rng.integers(0, units, true.shape), true).astype(np.int32)[:count]
    return cues[:count]


def _spin(seconds: float) -> dict[str, Any]:
    from assocmem._numerics.threads import in_parts
    from assocmem.bench.capacity.baseline_memory import spin

    rounds = 4_000_000
    return _in_turns(lambda threads: parallel_for(lambda a, b: spin(b - a), rounds, threads), rounds, seconds)


def _time_ours(function: str, task: Task, seconds: float) -> dict[str, Any]:
    from assocmem.memory.clique import CliqueMemory, RuleName

    if function == SPIN_TWO:
        return _spin(seconds)
    messages, cues, rows = map(np.load, task.files)
    memory = CliqueMemory(task.clusters, task.units)
    memory.store(messages)
    batch, many = np.tile(cues, (TIMES, 1)), np.tile(messages, (TIMES, 1))
    if function == RECALL_TWO:
        return _in_turns(
            lambda threads: memory.recall(batch, threads=threads), len(batch), seconds, bytes=memory.nbytes
        )
    if function == STORE_TWO:
        return _in_turns(lambda threads: memory.store(many, threads=threads), len(many), seconds, bytes=memory.nbytes)
    if function == STORE:
        rates = _rates(lambda: memory.store(many, threads=1), len(many), seconds, lambda: memory.bits.fill(0))
        return {"rates": rates, "bytes": memory.nbytes}
    if function in (WRONG, UNKNOWN, SUMS):
        other = _other_cues(function, cues, messages[rows], task.units)
        rule: RuleName = "sum-of-sum" if function == SUMS else "sum-of-max"
        rates = _rates(lambda: memory.recall(other, rule=rule, threads=1), len(other), seconds)
        return {"rates": rates, "bytes": memory.nbytes}
    answer = memory.recall(cues, threads=1)
    error = 1 - float((answer.exact & (answer.messages == messages[rows]).all(axis=1)).mean())
    rates = _rates(lambda: memory.recall(batch, threads=1), len(batch), seconds)
    return {"rates": rates, "bytes": memory.nbytes, "error": error, "cues": len(cues)}


def _time_plain(function: str, task: Task, seconds: float) -> dict[str, Any]:
    from assocmem.bench.capacity import baseline_memory as plain

    messages, cues, rows = map(np.load, task.files)
    batch = np.tile(cues, (TIMES, 1))
    bits, answer = plain.empty(task.clusters, task.units), np.empty_like(batch)
    plain.store(bits, messages, task.units)
    if function == PLAIN_STORE:

        def store() -> None:
            plain.store(bits, messages, task.units)

        return {"rates": _rates(store, len(messages), seconds, lambda: bits.fill(0)), "bytes": bits.nbytes}
    if function == PLAIN_ROWS:
        seen = np.zeros(bits.shape[1], np.uint64)
        rates = _rates(lambda: plain.and_rows(bits, batch, task.units, seen), len(batch), seconds)
        return {"rates": rates, "bytes": bits.nbytes}
    rates = _rates(lambda: plain.recall(bits, batch, task.units, answer), len(batch), seconds)
    error = 1 - float((answer[: len(cues)] == messages[rows]).all(axis=1).mean())
    return {"rates": rates, "bytes": bits.nbytes, "error": error, "cues": len(cues)}


def time_tasks(function: str, cores: Sequence[int], tasks: Sequence[Sequence[Any]], seconds: float) -> dict[str, Any]:
    """Time one of ``FUNCTIONS`` on each of the tasks; called in a fresh process."""
    pin(cores)
    clock = _time_plain if function in (PLAIN_RECALL, PLAIN_STORE, PLAIN_ROWS) else _time_ours
    return {"points": [clock(function, Task(*task), seconds) for task in tasks]}


def time_faiss(cores: Sequence[int], task: Sequence[Any], seconds: float) -> dict[str, Any]:
    """Measure FAISS's indexes on a task; called in a fresh process."""
    pin(cores)
    from assocmem.bench.capacity import faiss_cliques

    one = Task(*task)
    return faiss_cliques.measure(one.clusters, one.units, *one.files, seconds)


# in the process that asks them


def planned_units(messages: int, clusters: int, erased: int) -> int | None:
    """Return the fewest units, a multiple of 64, at which one round errs in 1 % at most; None: too large to time."""
    from assocmem.memory.capacity import memory_bytes, messages_at_error

    units = 64
    while memory_bytes(clusters, units) <= LARGEST:
        if messages_at_error(0.01, clusters, units, erased) >= messages:
            return units
        units += 64
    return None


class Stopwatch:
    """Takes the times and keeps every single one.

    Attributes
    ----------
    timings : list of rows
        One per repetition.
    points : list of rows
        One per process and function (or index): what else was found.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.timings: list[Row] = []
        self.points: list[Row] = []
        self.cores = available_cores()

    def run(self) -> None:
        """Time everything."""
        plan, made = self.settings, self._make
        headline = made(plan.units, plan.headline)
        curves = {
            FIXED: [made(plan.units, count) for count in plan.fixed],
            LARGE: [made(4 * plan.units, count) for count in plan.large],
            PLANNED: [
                made(units, count)
                for count in sorted({*plan.fixed, *plan.large})
                if (units := planned_units(count, plan.clusters, plan.erased))
            ],
        }
        for turn in range(plan.rounds):
            say(f"speed: round {turn + 1} of {plan.rounds} ...")
            for function in FUNCTIONS:
                self._ours(function, HEADLINE, [headline], turn)
            self._faiss(HEADLINE, headline, turn)
            for curve, tasks in curves.items():
                if tasks and turn < 3:  # the curves are many points, and steadier than each of them
                    self._ours(RECALL, curve, tasks, turn)
        for curve in (FIXED, LARGE) if plan.faiss else ():
            for task in curves[curve]:
                say(f"speed: FAISS, {task.messages} messages of {task.units} units ...")
                self._faiss(curve, task, 0)

    def _make(self, units: int, messages: int) -> Task:
        plan = self.settings
        return write_task(self.folder, plan.clusters, units, messages, plan.erased, CUES)

    def _ours(self, function: str, curve: str, tasks: list[Task], turn: int) -> None:
        cores = self.cores[:2] if function in TWO else self.cores[:1]
        told = [tuple(task) for task in tasks]
        answer = run_function(HOME, "time_tasks", function, cores, told, self.settings.seconds)
        for task, point in zip(tasks, answer["points"], strict=True):
            self._keep(function, curve, task, turn, point)

    def _faiss(self, curve: str, task: Task, turn: int) -> None:
        if not self.settings.faiss:
            return
        answer = run_function(HOME, "time_faiss", self.cores[:1], tuple(task), self.settings.seconds)
        for index in answer["indexes"]:
            self._keep(index["name"], curve, task, turn, index, "FAISS " + answer["faiss"])

    def _keep(self, what: str, curve: str, task: Task, turn: int, found: Row, whose: str = "assocmem") -> None:
        about = {"whose": whose, "what": what, "curve": curve, "clusters": task.clusters, "units": task.units}
        about |= {"messages": task.messages, "erased": self.settings.erased, "round": turn}
        for number, rate in enumerate(found.get("rates", ())):
            self.timings.append({**about, "repetition": number, "per_second": rate})
        for number, rate in enumerate(found.get("beside", ())):
            self.timings.append({**about, "what": what + BESIDE, "repetition": number, "per_second": rate})
        figures = {name: float(found.get(name, np.nan)) for name in ("error", "prepare_us", "build_s")}
        counts = {"cues": found.get("cues", 0), "bytes": found.get("bytes", 0)}
        self.points.append({**about, **figures, **counts, "skipped": found.get("skipped", "")})
