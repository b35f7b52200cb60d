"""The report of the recall benchmark: verdict, tables of engines and settings, raw figures. No measuring or drawing."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from assocmem._numerics.types import Bools
from assocmem.bench.recall.dataset import Dataset
from assocmem.bench.recall.metrics import SCOPES, TARGETS, Curve, Verdict, verdicts
from assocmem.bench.recall.runner import EngineResult, K, OperatingPoint, RecallRun
from assocmem.bench.tables import Section, spread

BATCH, SINGLE = "batch", "single"
ALL, SEEN, UNSEEN = "all", "seen pictures", "unseen pictures"


def query_groups(data: Dataset) -> dict[str, Bools]:
    """Return the groups of queries that are reported separately: masks, bool (nq,)."""
    every = {ALL: np.ones(len(data.queries), bool)}
    if data.unseen is None or data.unseen.all() or not data.unseen.any():
        return every
    return {**every, SEEN: ~data.unseen, UNSEEN: data.unseen}


def times(point: OperatingPoint, mode: str) -> list[float]:
    """Return microseconds per query of all rounds, in a batch or for single queries."""
    return point.batch_us if mode == BATCH else point.single_us


def curves(run: RecallRun, mode: str, group: str = ALL) -> list[Curve]:
    """Return the operating points of each engine as a curve; times are medians over the rounds."""
    mask, items = query_groups(run.data)[group], len(run.data.base)
    return [
        Curve(
            result.spec.name,
            result.spec.is_assocmem,
            result.built["memory"] / items,
            tuple(float(point.recall[mask].mean()) for point in result.points),
            tuple(median(times(point, mode)) for point in result.points),
        )
        for result in run.results
    ]


# Raw figures


def raw_tables(run: RecallRun) -> dict[str, list[dict[str, Any]]]:
    """Return every measurement: a table of engines, one of operating points, one of timings."""
    rows: dict[str, list[dict[str, Any]]] = {"engines": [], "points": [], "timings": []}
    for result in run.results:
        name = result.spec.name
        sizes = {"memory_bytes": result.built["memory"], "disk_bytes": result.built["disk"]}
        changes = {f"{what}_us": _median_or_nan(result.changes.get(what, "")) for what in ("add", "remove")}
        rows["engines"].append({"engine": name, "ours": result.spec.is_assocmem, "build_s": result.built["build_s"],
                                "first_s": result.built["first_s"]} | sizes | changes)  # fmt: skip
        for point in result.points:
            about = {"engine": name, "setting": point.name}
            recall = {
                "recall_1": point.recall_1,
                "recall_10": float(point.recall.mean()),
                "recall_100": point.recall_100,
            }
            rows["points"].append({**about, **recall, "us_100": point.us_100, "scout_us": point.scout_us})
            for turn, (batch, single) in enumerate(zip(point.batch_us, point.single_us, strict=True)):
                rows["timings"].append({**about, "round": turn, "batch_us": batch, "single_us": single})
    return rows


def _median_or_nan(values: list[float] | str) -> float:
    return median(values) if values and not isinstance(values, str) else float("nan")


def add_answers(path: Path, run: RecallRun) -> None:
    """Add the truth and all answers to the raw figures, so that metrics can be computed from them later."""
    import h5py

    with h5py.File(path, "a") as file:
        file["truth/distances"] = run.data.truth.astype(np.float32)
        file["truth/neighbors"] = run.data.neighbors.astype(np.int32)
        for result in run.results:
            for number, point in enumerate(result.points):
                answers = file.create_dataset(f"answers/{len(file['answers']) if 'answers' in file else 0}",
                                              data=point.ids.astype(np.int32), compression="gzip")  # fmt: skip
                answers.attrs.update({"engine": result.spec.name, "setting": point.name, "number": number})


# Tables


def sections(run: RecallRun) -> list[Section]:
    """Return all tables: the verdict first, capabilities and settings last."""
    parts = [verdict_section(run, mode) for mode in (BATCH, SINGLE)]
    parts += [_engines_section(run), capabilities_section(), _points_section(run)]
    if run.skipped:
        parts.append(Section("Left out", ("engine", "why"), run.skipped))
    return parts


def verdict_section(run: RecallRun, mode: str) -> Section:
    """Tabulate each engine of assocmem at every recall with the best rival of all, of FAISS, and of its own bytes."""
    headers = ("queries", "ours", "recall@10", "ours, us (bytes)", "the best of all, us (bytes)", "ratio",
               "the best of FAISS, us (bytes)", "ratio", "the best in our bytes, us (bytes)", "ratio")  # fmt: skip
    rows: list[list[str]] = []
    for group in query_groups(run.data):
        found = verdicts(curves(run, mode, group))
        for start in range(0, len(found), len(SCOPES)):
            first = found[start]
            us = f"{_us_or_reached(first.us, first.max_recall)} ({first.bytes:.0f})"
            cells = [cell for verdict in found[start : start + len(SCOPES)] for cell in _rival_cells(verdict)]
            rows.append([group, first.engine, f"{first.target:.2f}", us, *cells])
    notes = [
        "Ratio: speed of ours over theirs, above 1 is ours. Times are medians, along each engine's front of settings. "
        "In parentheses: bytes per item in memory.",
    ]
    if not rows:
        notes = ["None of our engines was measured, so there is nothing to compare theirs with."]
    calls = "one call for all queries" if mode == BATCH else "one call per query"
    return Section(f"Verdict: recall@{K}, {run.threads} thread{'s' * (run.threads > 1)}, {calls}",
                   headers, rows, notes)  # fmt: skip


def _us_or_reached(us: float | None, max_recall: float) -> str:
    return f"not reached (up to {max_recall:.4f})" if us is None else f"{us:.3g}"


def _rival_cells(verdict: Verdict) -> tuple[str, str]:
    if not verdict.rival:
        return "none", ""
    ratio = "" if verdict.ratio is None else f"{verdict.ratio:.2f}"
    us = _us_or_reached(verdict.rival_us, verdict.rival_max_recall)
    return f"{verdict.rival}: {us} ({verdict.rival_bytes:.0f})", ratio


def _engines_section(run: RecallRun) -> Section:
    items = len(run.data.base)
    by_name = {curve.engine: curve for curve in curves(run, BATCH)}
    headers = ("engine", "bytes per item in memory", "on disk", "build, s", "items per second",
               "first search, ms", "add one, us", "remove one, us",
               *(f"us at {target:.2f}" for target in TARGETS), "highest recall@10")  # fmt: skip
    rows = []
    for result in run.results:
        curve = by_name[result.spec.name]
        reached = ("" if (us := curve.us_at(target)) is None else f"{us:.3g}" for target in TARGETS)
        rows.append((
            result.spec.name,
            f"{result.built['memory'] / items:.0f}",
            f"{result.built['disk'] / items:.0f}",
            f"{result.built['build_s']:.3g}",
            f"{items / result.built['build_s']:,.0f}",
            f"{result.built['first_s'] * 1e3:.2g}",
            _change_cell(result, "add"),
            _change_cell(result, "remove"),
            *reached,
            f"{curve.max_recall:.4f}",
        ))  # fmt: skip
    notes = [
        "Bytes: of the structure's arrays or of the index as serialised, tables and graphs with it, never the "
        "process's. `-mapped`: the vectors that refine are in a file and are counted on disk only. Build: training, "
        "adding. First search: some prepare or learn in it. Add and remove: one item in a full index, the median; "
        "where it only fills a buffer, it is as cheap as that. Times of searches: batches.",
    ]
    return Section("Engines", headers, rows, notes)


def _change_cell(result: EngineResult, what: str) -> str:
    found = result.changes.get(what, "")
    return found if isinstance(found, str) else f"{median(found):.3g}"


def _points_section(run: RecallRun) -> Section:
    masks = query_groups(run.data)
    parts = [name for name in masks if name != ALL]
    headers = ("engine", "setting", "recall@1", "recall@10", *(f"recall@10, {name}" for name in parts), "recall@100",
               "us, batch", "us, single", "us, batch of a hundred each")  # fmt: skip
    rows = [
        (
            result.spec.name,
            point.name,
            f"{point.recall_1:.4f}",
            f"{point.recall.mean():.4f}",
            *(f"{point.recall[masks[name]].mean():.4f}" for name in parts),
            f"{point.recall_100:.4f}",
            spread(point.batch_us),
            spread(point.single_us),
            f"{point.us_100:.3g}",
        )
        for result in run.results
        for point in result.points
    ]
    return Section("Settings on each engine's front", headers, rows)


class Capability(NamedTuple):
    """Something else that can be asked of an index, and how each program does it."""

    question: str
    method: str
    """The method of `assocmem.CliqueIndex` that does it."""
    assocmem: str
    faiss: str
    hnswlib: str
    usearch: str
    pynndescent: str


_FILL = "no: what is missing must be filled in first"
_THRESHOLD = "no: a search and a threshold"
CAPABILITIES = (
    Capability("add without training", "add", "yes",
        "Flat, HNSW, LSH: yes; IVF, PQ, SQ, PCA, OPQ: after `train`",
        "yes, up to a capacity set beforehand (`resize_index`)", "yes", "no: `update` prepares the search again"),
    Capability("remove an item", "remove", "yes",
        "Flat, IVF, PQ: yes, by going through all; HNSW, with refinement: no",
        "`mark_deleted`: hidden, its place may be used again", "yes: hidden, its place used again",
        "no: `update` replaces, and prepares again"),
    Capability("merge two indexes", "__ior__", "yes, `|=`",
        "`merge_from`: Flat, and IVF of one training; HNSW: no",
        "no: add the vectors again", "no: several can be searched as one", "no"),
    Capability("exact at full effort", "search", "yes, `effort=1`",
        "Flat, and IVF-Flat with all lists; others: no",
        "no (`BFIndex` is another index)", "yes, `exact=True`", "no"),
    Capability("partial cues: part of the vector missing", "search_partial", "yes, `search_partial`",
        _FILL, _FILL, _FILL, _FILL),
    Capability("seen: is this, or a near copy of it, here?", "search", "yes, `SeenMemory`, `Collection.seen`",
        _THRESHOLD, _THRESHOLD, _THRESHOLD, _THRESHOLD),
    Capability("duplicates: all groups of near copies", "search", "yes, `Collection.duplicates`",
        "no: a search per item, and a union of pairs", "no: likewise", "no: likewise",
        "its graph of neighbours, and a union of pairs"),
)  # fmt: skip


def capabilities_section() -> Section:
    """Tabulate the capabilities; those that `assocmem.CliqueIndex` does not have yet say so."""
    import assocmem

    index = getattr(assocmem, "CliqueIndex", None)
    headers = ("", *Capability._fields[2:])
    rows = [(row.question, row.assocmem if hasattr(index, row.method) else "not yet", *row[3:]) for row in CAPABILITIES]
    return Section("What else can be asked", headers, rows)
