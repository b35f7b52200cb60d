"""An index that grows, in a process of its own: at each size what a search, an item more and an item less take.

Times are those of the thread at work, so that what else runs on the machine is none of their business; the clock's
are kept beside them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from assocmem.bench.common import available_cores, pin
from assocmem.bench.growth.workload import K, Plan, Step, parts
from assocmem.bench.recall.engine import Engine, Spec, UnableError, make
from assocmem.bench.recall.metrics import Curve

HOME = "assocmem.bench.growth.worker"
OURS, GRAPH, LISTS = "CliqueIndex", "FAISS HNSW16", "FAISS IVF, PQ fast scan, refined"
BATCH = 2**16
"""Vectors that are added together."""
COMPILED = 6000
"""Items of the index that only compiles."""
SINGLES = 300
"""Queries that are asked one by one."""
CLOSE = 1.04
"""Ratio of two settings that are near enough."""

Row = dict[str, Any]
Try = Callable[[float], float]


REFINED = {"k_factor": 8.0}
"""Candidates of the fast scan that are compared by their vectors, over k."""


def spec(name: str, items: int, dim: int) -> tuple[Spec, str, float]:
    """Return an engine, its setting's name, and the setting with which the search for the right one begins."""
    if name == OURS:
        return Spec(name, "clique"), "effort", 8 / math.sqrt(items)
    if name == GRAPH:
        return Spec(name, "faiss", {"factory": "HNSW16"}), "efSearch", 32.0
    lists = max(1, round(4 * math.sqrt(items)))
    codes = f"PQ{dim // 2}x4fs" if dim % 2 == 0 else "SQ8"
    return Spec(name, "faiss", {"factory": f"IVF{lists},{codes},RFlat"}), "nprobe", 8.0


def grow(folder: str, name: str, sizes: int) -> list[Row]:
    """Build an index of the first so many sizes, one after the other, and measure it at each.

    Returns
    -------
    rows
        ``items``; ``build_s`` and ``build_wall_s``, all that was added so far together; ``us`` and ``single_us`` at the
        recall that was wanted (None: not reached), in batches and one by one; ``recall`` that was reached; ``setting``;
        ``add_us`` and ``remove_us``, each of one item; ``bytes``, each; ``stages`` of ours.
    """
    pin(available_cores()[:1])
    plan = Plan.load(folder)
    if name == OURS:
        _compile(plan)
    rows: list[Row] = []
    engine: Engine | None = None
    spent, wall = 0.0, 0.0
    for number, step in enumerate(plan.steps[:sizes]):
        made, knob, guess = spec(name, step.items, plan.base.shape[1])
        if engine is None or name == LISTS:  # lists that were trained for fewer items do not serve more
            engine, spent, wall = make(made, plan.task(step.items)), 0.0, 0.0
            pieces = [(0, step.stop)] if name == LISTS else parts(step.start, step.stop, BATCH)
        else:
            pieces = parts(step.start, step.stop, BATCH)
        took, clock = _build(engine, plan, pieces)
        spent, wall = spent + took, wall + clock
        row: Row = {"engine": name, "items": step.items, "build_s": spent, "build_wall_s": wall}
        row |= {"last_us": took / sum(stop - start for start, stop in pieces) * 1e6}
        row |= {"bytes": _bytes(engine, step.items)} | _searches(engine, plan, number, knob, guess)
        rows.append(row | _changes(engine, plan, step))
    return rows


def _compile(plan: Plan) -> None:
    """Let a small index go through all that is measured, before the clock starts; large enough that groups divide."""
    few = min(COMPILED, len(plan.base) - 1)
    engine = make(Spec(OURS, "clique"), plan.task(few))
    engine.fit(plan.rows(0, few))
    engine.use({"effort": 0.5})
    engine.batch_query(plan.queries[:20], K)
    engine.add(plan.rows(few, few + 1), np.array([few]))
    engine.remove(np.array([few]))


def _build(engine: Engine, plan: Plan, pieces: list[tuple[int, int]]) -> tuple[float, float]:
    """Add rows, to an empty engine those from 0; returns seconds of the thread, and of the clock."""
    total, wall = 0.0, 0.0
    for start, stop in pieces:
        x, ids = plan.rows(start, stop), np.arange(start, stop)
        begun, clock = time.thread_time(), time.perf_counter()
        if start:
            engine.add(x, ids)
        else:
            engine.fit(x)
        total, wall = total + time.thread_time() - begun, wall + time.perf_counter() - clock
    return total, wall


def _bytes(engine: Engine, items: int) -> dict[str, float]:
    """Count bytes per item, by what they are for where that is known."""
    index: Any = getattr(engine, "index", None)
    if hasattr(index, "stats"):
        return {name: size / items for name, size in index.stats().memory.items()}
    return {"all": engine.size().memory / items}


def _searches(engine: Engine, plan: Plan, number: int, knob: str, guess: float) -> Row:
    """Find the setting at which the recall is reached, and time searches there: between those on both sides of it."""

    def ask(value: float) -> float:
        engine.use({knob: value, **(REFINED if knob == "nprobe" else {})})
        return plan.recall_of(number, engine.batch_query(plan.queries, K))

    most = {"effort": 0.9, "efSearch": 4096.0}.get(knob, 4 * math.sqrt(plan.sizes[number]))
    tried = bracket(ask, plan.recall, guess, most, whole=knob != "effort")
    batch: dict[float, list[float]] = {value: [] for value in tried}
    single: dict[float, list[float]] = {value: [] for value in tried}
    walls: dict[float, list[float]] = {value: [] for value in tried}
    for _ in range(plan.rounds):
        for value in tried:
            engine.use({knob: value, **(REFINED if knob == "nprobe" else {})})
            engine.batch_query(plan.queries[:20], K)
            took, wall = _timed(lambda: engine.batch_query(plan.queries, K))
            batch[value].append(took / len(plan.queries))
            walls[value].append(wall / len(plan.queries))
            single[value].append(_singles(engine, plan))
    recalls = tuple(tried.values())
    us = {
        name: Curve(name, False, 0, recalls, tuple(float(np.median(times[value])) for value in tried)).at(plan.recall)
        for name, times in (("us", batch), ("wall_us", walls), ("single_us", single))
    }
    row: Row = {**us, "knob": knob, "settings": list(tried), "recalls": list(recalls)}
    row |= {"batch_us": list(batch.values()), "singles_us": list(single.values())}
    index: Any = getattr(engine, "index", None)
    if hasattr(index, "stages"):
        row["stages"] = index.stages(plan.queries, K, effort=max(tried))._asdict()
    return row


def bracket(ask: Try, wanted: float, guess: float, most: float, *, whole: bool) -> dict[float, float]:
    """Find two settings close to each other, on both sides of a recall that rises with the setting.

    Returns
    -------
    tried
        Setting -> recall, ascending: the last below and the first not below; one alone where the least or greatest
        setting is on the other side.
    """
    value = min(most, float(round(guess)) if whole else guess)
    found = ask(value)
    tried = {value: found}
    low, high = (None, value) if found >= wanted else (value, None)
    least = 1.0 if whole else 1e-7
    while low is None or high is None:
        value = min(most, value * 2) if high is None else max(least, value / 2)
        value = float(round(value)) if whole else value
        if value in tried:
            return {value: tried[value]}
        tried[value] = ask(value)
        low, high = (low, value) if tried[value] >= wanted else (value, high)
    while high / low > CLOSE and not (whole and high - low <= 1):
        value = math.sqrt(low * high)
        value = min(max(float(round(value)), low + 1), high - 1) if whole else value
        tried[value] = ask(value)
        low, high = (low, value) if tried[value] >= wanted else (value, high)
    return {low: tried[low], high: tried[high]}


def _singles(engine: Engine, plan: Plan) -> float:
    """Median microseconds of a query that is asked alone."""
    asked = [plan.queries[i : i + 1] for i in range(min(SINGLES, len(plan.queries)))]
    return float(np.median([_timed(partial(engine.query, query, K))[0] for query in asked]))


def _changes(engine: Engine, plan: Plan, step: Step) -> Row:
    """Add items one at a time, and take them out again where that can be; microseconds of each."""
    x, ids = plan.rows(step.guests.start, step.guests.stop), np.arange(step.guests.start, step.guests.stop)
    row: Row = {"add_us": [_timed(partial(engine.add, x[i : i + 1], ids[i : i + 1]))[0] for i in range(len(ids))]}
    order = np.random.default_rng(0).permutation(len(ids))
    try:
        row["remove_us"] = [_timed(partial(engine.remove, ids[i : i + 1]))[0] for i in order]
    except UnableError as error:
        row["remove_us"] = str(error)
    return row


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Return microseconds of the thread, and of the clock."""
    begun, clock = time.thread_time(), time.perf_counter()
    work()
    return (time.thread_time() - begun) * 1e6, (time.perf_counter() - clock) * 1e6
