"""An index that grows, in a process of its own: what a search, an added item and a removed item cost at each size.

Times are those of the thread at work, so other programs on the machine do not count; wall times are recorded too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from assocmem.bench.growth.workload import K, Stage, Workload, split_range
from assocmem.bench.processes import available_cores, pin
from assocmem.bench.recall.adapter import EngineAdapter, EngineSpec, UnsupportedError, make_engine
from assocmem.bench.recall.metrics import Curve

MODULE = "assocmem.bench.growth.worker"
"""This module, for processes that call `grow`."""
ASSOCMEM, GRAPH, LISTS = "CliqueIndex", "FAISS HNSW16", "FAISS IVF, PQ fast scan, refined"
ENGINES = (ASSOCMEM, GRAPH, LISTS)
BATCH = 2**16
"""Vectors that are added at a time."""
COMPILED = 6000
"""Items of the index that only compiles."""
SINGLES = 300
"""Queries that are asked one by one."""
CLOSE = 1.04
"""Ratio of two settings at which the search for the right one ends."""
REFINED = {"k_factor": 8.0}
"""Candidates of the fast scan that are compared by their vectors, in multiples of k."""

Row = dict[str, Any]


def plan_engine(name: str, items: int, dim: int, *, fits_uint8: bool) -> tuple[EngineSpec, str, float]:
    """Return an engine, its search parameter, and the value at which the search for the right one begins."""
    if name == ASSOCMEM:
        return _plan_clique(fits_uint8), "effort", 8 / math.sqrt(items)
    if name == GRAPH:
        return EngineSpec(name, "faiss", {"factory": "HNSW16"}), "efSearch", 32.0
    lists = max(1, round(4 * math.sqrt(items)))
    codes = f"PQ{dim // 2}x4fs" if dim % 2 == 0 else "SQ8"
    return EngineSpec(name, "faiss", {"factory": f"IVF{lists},{codes},RFlat"}), "nprobe", 8.0


def _plan_clique(fits_uint8: bool) -> EngineSpec:
    """Return `assocmem.CliqueIndex`, with vectors in the smallest type that loses little."""
    return EngineSpec(ASSOCMEM, "clique", {"features": "uint8" if fits_uint8 else "float16"})


def grow(folder: str, name: str, sizes: int) -> list[Row]:
    """Build an index of the first ``sizes`` sizes, one after the other, and measure it at each.

    Returns
    -------
    rows
        ``items``; ``build_s`` and ``build_wall_s`` for all items so far; ``us``, ``wall_us`` and ``single_us`` per
        query at the recall of the workload (None: not reached), in batches and one by one; ``recalls`` and
        ``settings`` around it; ``add_us`` and ``remove_us``, one figure per item; ``bytes`` per item; ``stages`` of
        assocmem's searches.
    """
    pin(available_cores()[:1])
    workload = Workload.load(folder)
    if name == ASSOCMEM:
        _compile(workload)
    rows: list[Row] = []
    engine: EngineAdapter | None = None
    total, total_wall = 0.0, 0.0
    for number, stage in enumerate(workload.stages[:sizes]):
        spec, parameter, guess = plan_engine(name, stage.items, workload.base.shape[1], fits_uint8=workload.fits_uint8)
        parts = split_range(stage.start, stage.stop, BATCH)
        if engine is None or name == LISTS:  # lists trained for fewer items are too few for more
            engine, total, total_wall = make_engine(spec, workload.task(stage.items)), 0.0, 0.0
            parts = [(0, stage.stop)] if name == LISTS else parts
        seconds, wall = _add_parts(engine, workload, parts)
        total, total_wall = total + seconds, total_wall + wall
        row: Row = {"engine": name, "items": stage.items, "build_s": total, "build_wall_s": total_wall}
        row |= {"last_us": seconds / sum(stop - start for start, stop in parts) * 1e6}
        row |= {"bytes": _bytes(engine, stage.items)} | _time_searches(engine, workload, number, parameter, guess)
        rows.append(row | _time_changes(engine, workload, stage))
    return rows


def _compile(workload: Workload) -> None:
    """Do everything that is measured with a small index first; it is large enough that pools are divided."""
    few = min(COMPILED, len(workload.base) - 1)
    engine = make_engine(_plan_clique(workload.fits_uint8), workload.task(few))
    engine.fit(workload.rows(0, few))
    engine.set_parameters({"effort": 0.5})
    engine.batch_query(workload.queries[:20], K)
    engine.add(workload.rows(few, few + 1), np.array([few]))
    engine.remove(np.array([few]))


def _add_parts(engine: EngineAdapter, workload: Workload, parts: list[tuple[int, int]]) -> tuple[float, float]:
    """Add rows, the first ones by ``fit``; returns seconds of the thread, and wall seconds."""
    total, wall = 0.0, 0.0
    for start, stop in parts:
        x, ids = workload.rows(start, stop), np.arange(start, stop)
        begun, begun_wall = time.thread_time(), time.perf_counter()
        if start:
            engine.add(x, ids)
        else:
            engine.fit(x)
        total, wall = total + time.thread_time() - begun, wall + time.perf_counter() - begun_wall
    return total, wall


def _bytes(engine: EngineAdapter, items: int) -> dict[str, float]:
    """Return bytes per item, by purpose if the index reports them so."""
    index: Any = getattr(engine, "index", None)
    if hasattr(index, "stats"):
        return {name: size / items for name, size in index.stats().memory.items()}
    return {"all": engine.size().memory / items}


def _setting(parameter: str, value: float) -> dict[str, float]:
    return {parameter: value, **(REFINED if parameter == "nprobe" else {})}


def _time_searches(engine: EngineAdapter, workload: Workload, number: int, parameter: str, guess: float) -> Row:
    """Find the settings on both sides of the recall, time searches with them, and interpolate."""

    def recall_with(value: float) -> float:
        engine.set_parameters(_setting(parameter, value))
        return workload.recall_of(number, engine.batch_query(workload.queries, K))

    most = {"effort": 0.9, "efSearch": 4096.0}.get(parameter, 4 * math.sqrt(workload.sizes[number]))
    tried = bracket(recall_with, workload.recall, guess, most, whole=parameter != "effort")
    batch: dict[float, list[float]] = {value: [] for value in tried}
    single: dict[float, list[float]] = {value: [] for value in tried}
    walls: dict[float, list[float]] = {value: [] for value in tried}
    for _ in range(workload.rounds):
        for value in tried:
            engine.set_parameters(_setting(parameter, value))
            engine.batch_query(workload.queries[:20], K)
            us, wall_us = _time_us(lambda: engine.batch_query(workload.queries, K))
            batch[value].append(us / len(workload.queries))
            walls[value].append(wall_us / len(workload.queries))
            single[value].append(_time_singles(engine, workload))
    recalls = tuple(tried.values())
    us_at = {
        name: Curve(name, False, 0, recalls, tuple(float(np.median(times[value])) for value in tried)).us_at(
            workload.recall
        )
        for name, times in (("us", batch), ("wall_us", walls), ("single_us", single))
    }
    row: Row = {**us_at, "knob": parameter, "settings": list(tried), "recalls": list(recalls)}
    row |= {"batch_us": list(batch.values()), "singles_us": list(single.values())}
    index: Any = getattr(engine, "index", None)
    if hasattr(index, "stages"):
        row["stages"] = index.stages(workload.queries, K, effort=max(tried))._asdict()
    return row


def bracket(
    recall_with: Callable[[float], float], wanted: float, guess: float, most: float, *, whole: bool
) -> dict[float, float]:
    """Find two settings close to each other, on both sides of a recall that rises with the setting.

    Parameters
    ----------
    recall_with : function of a setting
    wanted : float
        The recall.
    guess, most : float
        The first setting that is tried, and the greatest.
    whole : bool
        Whether settings are whole numbers.

    Returns
    -------
    tried
        Setting -> recall, ascending: the last one below ``wanted`` and the first one not below; a single one if the
        least or greatest setting is on the other side.
    """
    value = min(most, float(round(guess)) if whole else guess)
    found = recall_with(value)
    tried = {value: found}
    low, high = (None, value) if found >= wanted else (value, None)
    least = 1.0 if whole else 1e-7
    while low is None or high is None:
        value = min(most, value * 2) if high is None else max(least, value / 2)
        value = float(round(value)) if whole else value
        if value in tried:
            return {value: tried[value]}
        tried[value] = recall_with(value)
        low, high = (low, value) if tried[value] >= wanted else (value, high)
    while high / low > CLOSE and not (whole and high - low <= 1):
        value = math.sqrt(low * high)
        value = min(max(float(round(value)), low + 1), high - 1) if whole else value
        tried[value] = recall_with(value)
        low, high = (low, value) if tried[value] >= wanted else (value, high)
    return {low: tried[low], high: tried[high]}


def _time_singles(engine: EngineAdapter, workload: Workload) -> float:
    """Return the median microseconds of queries that are asked one by one."""
    asked = [workload.queries[i : i + 1] for i in range(min(SINGLES, len(workload.queries)))]
    return float(np.median([_time_us(partial(engine.query, query, K))[0] for query in asked]))


def _time_changes(engine: EngineAdapter, workload: Workload, stage: Stage) -> Row:
    """Add the temporary rows one at a time, and remove them if that is possible; microseconds of each."""
    rows = stage.temporary
    x, ids = workload.rows(rows.start, rows.stop), np.arange(rows.start, rows.stop)
    row: Row = {"add_us": [_time_us(partial(engine.add, x[i : i + 1], ids[i : i + 1]))[0] for i in range(len(ids))]}
    order = np.random.default_rng(0).permutation(len(ids))
    try:
        row["remove_us"] = [_time_us(partial(engine.remove, ids[i : i + 1]))[0] for i in order]
    except UnsupportedError as error:
        row["remove_us"] = str(error)
    return row


def _time_us(work: Callable[[], Any]) -> tuple[float, float]:
    """Return microseconds of the thread, and wall microseconds."""
    begun, begun_wall = time.thread_time(), time.perf_counter()
    work()
    return (time.thread_time() - begun) * 1e6, (time.perf_counter() - begun_wall) * 1e6
