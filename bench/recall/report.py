"""What the recall benchmark says: verdict, tables of engines and settings, raw figures. No measuring, no drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from assocmem.bench.common import median, spread
from assocmem.bench.recall import capabilities as recall_capabilities
from assocmem.bench.recall.dataset import Data
from assocmem.bench.recall.metrics import TARGETS, Curve, Verdict, verdicts
from assocmem.bench.recall.runner import Course, Engaged, K, Point
from assocmem.bench.tables import Section

BATCH, SINGLE = "batch", "single"
ALL, SEEN, UNSEEN = "all", "seen pictures", "unseen pictures"


def groups(data: Data) -> dict[str, Any]:
    """Name the groups of queries that are told apart: masks, bool (nq,)."""
    everybody = {ALL: np.ones(len(data.queries), bool)}
    if data.unseen is None or data.unseen.all() or not data.unseen.any():
        return everybody
    return {**everybody, SEEN: ~data.unseen, UNSEEN: data.unseen}


def times(point: Point, how: str) -> list[float]:
    """Return the times of a point: all rounds' microseconds per query, in a batch or singly."""
    return point.batch_us if how == BATCH else point.single_us


def curves(course: Course, how: str, group: str = ALL) -> list[Curve]:
    """Return each engine's points as a curve, times as medians over the rounds."""
    mask, items = groups(course.data)[group], len(course.data.base)
    return [
        Curve(
            engaged.spec.name,
            engaged.spec.ours,
            engaged.built["memory"] / items,
            tuple(float(point.recall[mask].mean()) for point in engaged.points),
            tuple(median(times(point, how)) for point in engaged.points),
        )
        for engaged in course.engaged
    ]


# raw figures


def tables(course: Course) -> dict[str, list[dict[str, Any]]]:
    """Return every single measurement: a table of engines, one of points, one of timings."""
    rows: dict[str, list[dict[str, Any]]] = {"engines": [], "points": [], "timings": []}
    for engaged in course.engaged:
        name = engaged.spec.name
        sizes = {"memory_bytes": engaged.built["memory"], "disk_bytes": engaged.built["disk"]}
        changes = {f"{what}_us": _middle(engaged.changes.get(what, "")) for what in ("add", "remove")}
        rows["engines"].append({"engine": name, "ours": engaged.spec.ours, "build_s": engaged.built["build_s"]}
                               | sizes | changes)  # fmt: skip
        for point in engaged.points:
            about = {"engine": name, "setting": point.name}
            found = {"recall_1": point.first, "recall_10": float(point.recall.mean()), "recall_100": point.more}
            rows["points"].append({**about, **found, "us_100": point.more_us, "scout_us": point.scout_us})
            for turn, (batch, single) in enumerate(zip(point.batch_us, point.single_us, strict=True)):
                rows["timings"].append({**about, "round": turn, "batch_us": batch, "single_us": single})
    return rows


def _middle(values: list[float] | str) -> float:
    return median(values) if values and not isinstance(values, str) else float("nan")


def keep_answers(path: Path, course: Course) -> None:
    """Add to the raw figures the truth and every answer: metrics can be computed anew from them."""
    import h5py

    with h5py.File(path, "a") as file:
        file["truth/distances"] = course.data.truth.astype(np.float32)
        file["truth/neighbors"] = course.data.neighbors.astype(np.int32)
        for engaged in course.engaged:
            for number, point in enumerate(engaged.points):
                answers = file.create_dataset(f"answers/{len(file['answers']) if 'answers' in file else 0}",
                                              data=point.ids.astype(np.int32), compression="gzip")  # fmt: skip
                answers.attrs.update({"engine": engaged.spec.name, "setting": point.name, "number": number})


# tables


def sections(course: Course) -> list[Section]:
    """Put the report together: the verdict first, the capabilities last."""
    parts = [verdict_section(course, how) for how in (BATCH, SINGLE)]
    parts += [_engines(course), recall_capabilities.section(), _points(course)]
    if course.skipped:
        parts.append(Section("Left out", ("engine", "why"), course.skipped))
    return parts


def verdict_section(course: Course, how: str) -> Section:
    """Tabulate ours beside the best of theirs."""
    headers = ("queries", "ours", "recall@10", "ours, us", "any memory: the best of theirs, us", "ratio",
               "at most our bytes: the best of theirs, us", "ratio")  # fmt: skip
    rows: list[list[str]] = []
    for group in groups(course.data):
        found = verdicts(curves(course, how, group))
        for free, equal in zip(found[::2], found[1::2], strict=True):
            ours = _reached(free.ours_us, free.ours_reach)
            rows.append([group, free.ours, f"{free.target:.2f}", ours, *_theirs(free), *_theirs(equal)])
    notes = [
        "Ratio: speed of ours over theirs, above 1 is ours. Times are medians, along each engine's front of settings. "
        f"Memory: {_memory(course)}.",
    ]
    if not rows:
        notes = ["None of our engines was measured, so there is nothing to hold theirs against."]
    what = "one call for all queries" if how == BATCH else "one call per query"
    return Section(f"Verdict: recall@{K}, {course.threads} thread{'s' * (course.threads > 1)}, {what}",
                   headers, rows, notes)  # fmt: skip


def _reached(us: float | None, reach: float) -> str:
    return f"not reached (up to {reach:.4f})" if us is None else f"{us:.3g}"


def _theirs(verdict: Verdict) -> tuple[str, str]:
    if not verdict.theirs:
        return "none", ""
    ratio = "" if verdict.ratio is None else f"{verdict.ratio:.2f}"
    return f"{verdict.theirs}: {_reached(verdict.theirs_us, verdict.theirs_reach)}", ratio


def _memory(course: Course) -> str:
    items = len(course.data.base)
    sizes = [f"{e.spec.name} {e.built['memory'] / items:.0f}" for e in course.engaged if e.spec.ours]
    return "bytes per item, ours: " + (", ".join(sizes) or "none")


def _engines(course: Course) -> Section:
    items = len(course.data.base)
    by_name = {curve.engine: curve for curve in curves(course, BATCH)}
    headers = ("engine", "bytes per item in memory", "on disk", "build, s", "add one, us", "remove one, us",
               *(f"us at {target:.2f}" for target in TARGETS), "highest recall@10")  # fmt: skip
    rows = []
    for engaged in course.engaged:
        curve = by_name[engaged.spec.name]
        reached = ("" if (us := curve.at(target)) is None else f"{us:.3g}" for target in TARGETS)
        rows.append((
            engaged.spec.name,
            f"{engaged.built['memory'] / items:.0f}",
            f"{engaged.built['disk'] / items:.0f}",
            f"{engaged.built['build_s']:.3g}",
            _change(engaged, "add"),
            _change(engaged, "remove"),
            *reached,
            f"{curve.reach:.4f}",
        ))  # fmt: skip
    notes = [
        "Bytes: of the structure's arrays or of the index as serialised, tables and graphs with it, never the "
        "process's. `-mapped`: the vectors that refine lie in a file and are counted on disk only. Build: training, "
        "adding. Add and remove: one item in a full index, the median; those that fill a buffer only are as cheap as "
        "that. Times of searches: batches.",
    ]
    return Section("Engines", headers, rows, notes)


def _change(engaged: Engaged, what: str) -> str:
    found = engaged.changes.get(what, "")
    return found if isinstance(found, str) else f"{median(found):.3g}"


def _points(course: Course) -> Section:
    told = [name for name in groups(course.data) if name != ALL]
    masks = groups(course.data)
    headers = ("engine", "setting", "recall@1", "recall@10", *(f"recall@10, {name}" for name in told), "recall@100",
               "us, batch", "us, single", "us, batch of a hundred each")  # fmt: skip
    rows = [
        (
            engaged.spec.name,
            point.name,
            f"{point.first:.4f}",
            f"{point.recall.mean():.4f}",
            *(f"{point.recall[masks[name]].mean():.4f}" for name in told),
            f"{point.more:.4f}",
            spread(point.batch_us),
            spread(point.single_us),
            f"{point.more_us:.3g}",
        )
        for engaged in course.engaged
        for point in engaged.points
    ]
    return Section("Settings on each engine's front", headers, rows)
