"""The report of the capacity benchmark: tables of speeds, times and errors. No measuring or drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from assocmem.bench.capacity.error_rates import Summary
from assocmem.bench.capacity.speed import (
    BASELINE_RECALL,
    BASELINE_ROWS,
    BASELINE_STORE,
    FIXED,
    HEADLINE,
    LARGE,
    ONE_IN_TURNS,
    PLANNED,
    RECALL,
    RECALL_TWO,
    SPIN_TWO,
    STORE,
    STORE_TWO,
    SUMS,
    UNKNOWN,
    WRONG,
    Row,
    SpeedPlan,
)
from assocmem.bench.records import machine_lines
from assocmem.bench.tables import Section, spread, write_page

PLANNED_NOTE = (
    "Planned: the memory has the fewest units (a multiple of 64) at which one round errs in at most 1 % by theory; "
    "it is not saturated."
)
ERROR_NOTE = (
    "Theory: of one round; else the estimate for guided recall that has converged; none where the cell is empty. "
    "After `<`: three over the number of cues, where no error was seen."
)


# Figures from the timings and points


def is_inverted(name: str) -> bool:
    """Return whether an index is one of the inverted files built by hand, which FAISS does not offer ready-made."""
    return name.startswith("IndexBinaryIVF")


def rates(timings: Iterable[Row], what: str, curve: str, messages: int | None = None) -> list[float]:
    """Return all rates per second of a function or an index; of all numbers of messages if none is given."""
    return [
        row["per_second"]
        for row in timings
        if row["what"] == what and row["curve"] == curve and messages in (None, row["messages"])
    ]


def faiss_names(timings: Iterable[Row]) -> list[str]:
    """Return the names of FAISS's indexes that were timed, in order."""
    return list(dict.fromkeys(row["what"] for row in timings if row["whose"] != "assocmem"))


def fastest_faiss(timings: list[Row], curve: str, messages: int, *, inverted: bool) -> str:
    """Return the fastest of FAISS's ordinary indexes, or of the inverted files; empty if there is none."""
    speeds = {
        name: median(found)
        for name in faiss_names(timings)
        if is_inverted(name) == inverted and (found := rates(timings, name, curve, messages))
    }
    return max(speeds, key=lambda name: speeds[name], default="")


def ratios(timings: list[Row], above: str, below: str) -> list[float]:
    """Return the ratios of two functions' headline speeds, one per round."""
    medians: dict[str, dict[int, float]] = {}
    for what in (above, below):
        found = [row for row in timings if row["what"] == what and row["curve"] == HEADLINE]
        for turn in sorted({row["round"] for row in found}):
            medians.setdefault(what, {})[turn] = median([row["per_second"] for row in found if row["round"] == turn])
    return [rate / medians[below][turn] for turn, rate in medians[above].items()]


def _first_point(points: Iterable[Row], what: str, curve: str, messages: int | None = None) -> Row:
    return next(
        point
        for point in points
        if point["what"] == what and point["curve"] == curve and messages in (None, point["messages"])
    )


def _us_cell(timings: list[Row], what: str, curve: str, messages: int) -> str:
    found = rates(timings, what, curve, messages)
    return spread([1e6 / rate for rate in found]) if found else ""


def messages_in(size: int, points: Iterable[Row], name: str, units: int) -> int:
    """Return how many messages an index holds in ``size`` bytes, from its sizes at the fewest and the most messages."""
    sizes = {
        row["messages"]: row["bytes"]
        for row in points
        if row["what"] == name and row["units"] == units and row["bytes"]
    }
    few, many = min(sizes), max(sizes)
    each = (sizes[many] - sizes[few]) / (many - few) if many > few else sizes[few] / few
    return max(0, int((size - sizes[few]) / each + few + 1e-6))


# Tables


def _speed_section(plan: SpeedPlan, timings: list[Row], points: list[Row]) -> Section:
    def millions(what: str) -> str:
        return spread([rate / 1e6 for rate in rates(timings, what, HEADLINE)])

    def thousands(what: str) -> str:
        return spread([rate / 1e3 for rate in rates(timings, what, HEADLINE)])

    def two_over_one(what: str) -> str:
        return spread(ratios(timings, what, what + ONE_IN_TURNS))

    point = _first_point(points, RECALL, HEADLINE)
    needed = (plan.clusters - plan.erased) * plan.erased * plan.units
    gigabytes = [rate * needed / 8e9 for rate in rates(timings, RECALL, HEADLINE)]
    square = (plan.clusters * plan.units) ** 2 / 8
    rows = [
        ("full recalls, millions per second", millions(RECALL)),
        ("stores, millions per second", millions(STORE)),
        ("plain memory: full recalls, millions per second", millions(BASELINE_RECALL)),
        ("plain memory: stores, millions per second", millions(BASELINE_STORE)),
        ("recalls, ratio to the plain memory", spread(ratios(timings, RECALL, BASELINE_RECALL))),
        ("stores, ratio to the plain memory", spread(ratios(timings, STORE, BASELINE_STORE))),
        *((f"{what}, thousands per second", thousands(what)) for what in (WRONG, UNKNOWN, SUMS)),
        ("recalls by two threads, ratio to one", two_over_one(RECALL_TWO)),
        ("stores by two threads, ratio to one", two_over_one(STORE_TWO)),
        ("bare loops by two threads, ratio to one: what the machine gives", two_over_one(SPIN_TWO)),
        ("reading and ANDing the known rows alone, millions per second", millions(BASELINE_ROWS)),
        ("error of these recalls", f"{point['error']:.4f}"),
        ("bytes of the memory, and as a ratio to (clusters x units)^2 / 8",
         f"{point['bytes']:,}, {point['bytes'] / square:.3f}"),
        ("bits that the first round of a recall needs (known x lost x units)", f"{needed:,}"),
        ("bandwidth of these bits, GB/s", spread(gigabytes)),
    ]  # fmt: skip
    title = (
        f"Speed on one core: {plan.clusters} clusters of {plan.units} units, {plan.headline:,} messages, "
        f"{plan.erased} symbols erased, sum-of-max until nothing changes"
    )
    return Section(title, ("figure", "median (extremes)"), rows)


def _faiss_section(plan: SpeedPlan, timings: list[Row], points: list[Row]) -> Section:
    clique, count = _first_point(points, RECALL, HEADLINE), plan.headline
    size = f"{clique['bytes']:,}"
    rows = [["clique memory", _us_cell(timings, RECALL, HEADLINE, count), f"{clique['error']:.4f}", "1", size]]
    capacities: dict[str, int] = {}
    for point in (point for point in points if point["curve"] == HEADLINE and point["round"] == 0):
        name = point["what"]
        if point["skipped"]:
            rows.append([name, f"left out: {point['skipped']}"])
        elif point["whose"] != "assocmem":
            capacities[name] = messages_in(clique["bytes"], points, name, plan.units)
            cells = [name, _us_cell(timings, name, HEADLINE, count), f"{point['error']:.4f}"]
            speedup = ratios(timings, RECALL, name)
            cells.append(spread(speedup, 4 if max(speedup) >= 1000 else 3))
            rows.append([*cells, f"{point['bytes']:,}", f"{capacities[name]:,}"])
    notes = []
    for inverted, label in ((False, "FAISS's best ordinary index"), (True, "the best inverted lists built by hand")):
        name = fastest_faiss(timings, HEADLINE, count, inverted=inverted)
        if name:
            notes.append(f"Speed of ours over {label} ({name}): {spread(ratios(timings, RECALL, name))}.")
    notes.append(f"FAISS's bytes grow with the messages, ours stay {size}. Last column: messages in that many bytes.")
    if capacities:
        smallest = max(capacities, key=lambda name: capacities[name])
        held = f"up to {capacities[smallest]:,} messages ({smallest}), exactly"
        notes.append(
            f"In our bytes FAISS holds {held}; ours has {count:,} here, with an error of {clique['error']:.4f}."
        )
    headers = ("index", "us per recall", "error", "speed of ours / its", "bytes", "holds in our bytes")
    return Section(f"FAISS on the same {count:,} messages and cues, one core", headers, rows, notes)


def _times_section(timings: list[Row], points: list[Row]) -> Section:
    rows = []
    for point in (point for point in points if point["curve"] in (FIXED, LARGE) and point["what"] == RECALL):
        if point["round"]:
            continue
        curve, count = point["curve"], point["messages"]
        planned = [row for row in points if row["curve"] == PLANNED and row["messages"] == count]
        name = fastest_faiss(timings, curve, count, inverted=False)
        lists = fastest_faiss(timings, curve, count, inverted=True)
        cells = [f"{count:,}", str(point["units"]), _us_cell(timings, RECALL, curve, count), f"{point['error']:.4f}"]
        cells += [str(planned[0]["units"]), _us_cell(timings, RECALL, PLANNED, count)] if planned else ["", ""]
        cells += [
            _named_cell(timings, name, curve, count),
            _named_cell(timings, lists, curve, count),
            f"{point['bytes']:,}",
        ]
        rows.append([*cells, f"{_first_point(points, name, curve, count)['bytes']:,}" if name else ""])
    headers = (
        "messages", "units", "clique memory, us", "error", "units planned", "planned memory, us",
        "best ordinary FAISS, us", "best inverted lists, us", "bytes, ours", "bytes, ordinary FAISS",
    )  # fmt: skip
    return Section("Time per recall as the messages grow, one core", headers, rows, [PLANNED_NOTE])


def _named_cell(timings: list[Row], name: str, curve: str, messages: int) -> str:
    return f"{name}: {_us_cell(timings, name, curve, messages)}" if name else ""


def _errors_section(title: str, name: str, summaries: Sequence[Summary]) -> Section:
    rows = []
    for point in (point for point in summaries if point.experiment == name):
        measured = (
            f"{point.mean:.5f} ({point.low:.5f} to {point.high:.5f})" if point.mean else f"0 (< {point.bar[1]:.1g})"
        )
        theory = (
            "" if math.isnan(point.theory) else f"{point.theory:.2g}" if point.theory < 1e-3 else f"{point.theory:.4f}"
        )
        wrong = [str(point.wrong)] if name == "noisy" else []
        rule = str(point.completion)
        if name == "sparse":
            rule += ", guided" if point.completion.guided else ", blind"
        rows.append(
            [
                f"{point.messages:,}",
                *wrong,
                rule,
                theory,
                measured,
                f"{point.networks} x {point.cues // point.networks:,}",
            ]
        )
    wrong_header = ["wrong symbols"] if name == "noisy" else []
    headers = ("messages", *wrong_header, "rule", "theory", "error: mean (extremes of networks)", "networks x cues")
    return Section(title, headers, rows, [ERROR_NOTE])


def sections(plan: SpeedPlan, timings: list[Row], points: list[Row], summaries: Sequence[Summary]) -> list[Section]:
    """Return all tables."""
    dense = f"{plan.clusters} clusters of {plan.units} units"
    parts = [_speed_section(plan, timings, points)]
    if plan.faiss:
        parts.append(_faiss_section(plan, timings, points))
    return [
        *parts,
        _times_section(timings, points),
        _errors_section(f"Errors, dense: {dense}, {plan.erased} symbols erased", "dense", summaries),
        _errors_section("Errors, sparse: 12 of 100 clusters of 64 units, 3 symbols erased", "sparse", summaries),
        _errors_section(f"Errors, noisy: {dense}, wrong symbols", "noisy", summaries),
    ]


def write_markdown(path: Path, parts: Sequence[Section], load: float) -> Path:
    """Write the tables, the machine, and its load average before the run."""
    line = "`assocmem bench capacity`: medians with extremes in brackets."
    return write_page(path, "Capacity of the clique memory", [line, *machine_lines(load)], parts)
