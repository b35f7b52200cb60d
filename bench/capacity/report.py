"""What the capacity benchmark says: tables in Markdown. No measuring, no drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from assocmem.bench.capacity.error_rates import Summary
from assocmem.bench.capacity.speed import (
    BESIDE,
    FIXED,
    HEADLINE,
    LARGE,
    PLAIN_RECALL,
    PLAIN_ROWS,
    PLAIN_STORE,
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
    Settings,
)
from assocmem.bench.common import median, spread
from assocmem.bench.tables import Section, machine_lines, write_sections

# what is told of them


def is_inverted(name: str) -> bool:
    """Whether an index is one of the inverted files built by hand, which FAISS does not offer as such."""
    return name.startswith("IndexBinaryIVF")


def rates(timings: Iterable[Row], what: str, curve: str, messages: int | None = None) -> list[float]:
    """Return all rates per second of a function or an index."""
    return [
        row["per_second"]
        for row in timings
        if row["what"] == what and row["curve"] == curve and messages in (None, row["messages"])
    ]


def faiss_names(timings: Iterable[Row]) -> list[str]:
    """Return the indexes that were timed, in their own order."""
    return list(dict.fromkeys(row["what"] for row in timings if row["whose"] != "assocmem"))


def best(timings: list[Row], curve: str, messages: int, *, inverted: bool) -> str:
    """Return the quickest of FAISS's ordinary indexes, or of the inverted files; an empty string if there is none."""
    speeds = {
        name: median(found)
        for name in faiss_names(timings)
        if is_inverted(name) == inverted and (found := rates(timings, name, curve, messages))
    }
    return max(speeds, key=lambda name: speeds[name], default="")


def ratios(timings: list[Row], above: str, below: str) -> list[float]:
    """Return the ratios of two functions' headline speeds, one of each round."""
    medians: dict[str, dict[int, float]] = {}
    for what in (above, below):
        found = [row for row in timings if row["what"] == what and row["curve"] == HEADLINE]
        for turn in sorted({row["round"] for row in found}):
            medians.setdefault(what, {})[turn] = median([row["per_second"] for row in found if row["round"] == turn])
    return [rate / medians[below][turn] for turn, rate in medians[above].items()]


def _first(points: Iterable[Row], what: str, curve: str, messages: int | None = None) -> Row:
    return next(
        point
        for point in points
        if point["what"] == what and point["curve"] == curve and messages in (None, point["messages"])
    )


def _us(timings: list[Row], what: str, curve: str, messages: int) -> str:
    found = rates(timings, what, curve, messages)
    return spread([1e6 / rate for rate in found]) if found else ""


def holds(points: Iterable[Row], name: str, units: int, room: int) -> int:
    """Return how many messages an index would hold in ``room`` bytes, from its sizes at the fewest and the most."""
    sizes = {
        row["messages"]: row["bytes"]
        for row in points
        if row["what"] == name and row["units"] == units and row["bytes"]
    }
    few, many = min(sizes), max(sizes)
    each = (sizes[many] - sizes[few]) / (many - few) if many > few else sizes[few] / few
    return max(0, int((room - sizes[few]) / each + few + 1e-6))


def _speeds(settings: Settings, timings: list[Row], points: list[Row]) -> Section:
    def million(what: str) -> str:
        return spread([rate / 1e6 for rate in rates(timings, what, HEADLINE)])

    def thousand(what: str) -> str:
        return spread([rate / 1e3 for rate in rates(timings, what, HEADLINE)])

    def two(what: str) -> str:
        return spread(ratios(timings, what, what + BESIDE))

    point = _first(points, RECALL, HEADLINE)
    needed = (settings.clusters - settings.erased) * settings.erased * settings.units
    gigabytes = [rate * needed / 8e9 for rate in rates(timings, RECALL, HEADLINE)]
    square = (settings.clusters * settings.units) ** 2 / 8
    rows = [
        ("full recalls, millions per second", million(RECALL)),
        ("stores, millions per second", million(STORE)),
        ("plain memory: full recalls, millions per second", million(PLAIN_RECALL)),
        ("plain memory: stores, millions per second", million(PLAIN_STORE)),
        ("recalls, ratio to the plain memory", spread(ratios(timings, RECALL, PLAIN_RECALL))),
        ("stores, ratio to the plain memory", spread(ratios(timings, STORE, PLAIN_STORE))),
        *((f"{what}, thousands per second", thousand(what)) for what in (WRONG, UNKNOWN, SUMS)),
        ("recalls by two threads, ratio to one", two(RECALL_TWO)),
        ("stores by two threads, ratio to one", two(STORE_TWO)),
        ("bare loops by two threads, ratio to one: what the machine gives", two(SPIN_TWO)),
        ("reading and ANDing the known rows alone, millions per second", million(PLAIN_ROWS)),
        ("error of these recalls", f"{point['error']:.4f}"),
        ("bytes of the memory, and as a ratio to (clusters x units)^2 / 8",
         f"{point['bytes']:,}, {point['bytes'] / square:.3f}"),
        ("bits that the first round of a recall needs (known x lost x units)", f"{needed:,}"),
        ("bandwidth of these bits, GB/s", spread(gigabytes)),
    ]  # fmt: skip
    title = (
        f"Speed on one core: {settings.clusters} clusters of {settings.units} units, {settings.headline:,} messages, "
        f"{settings.erased} symbols erased, sum-of-max until nothing changes"
    )
    return Section(title, ("figure", "median (extremes)"), rows)


def _versus(settings: Settings, timings: list[Row], points: list[Row]) -> Section:
    ours, count = _first(points, RECALL, HEADLINE), settings.headline
    size = f"{ours['bytes']:,}"
    rows = [["clique memory", _us(timings, RECALL, HEADLINE, count), f"{ours['error']:.4f}", "1", size]]
    room: dict[str, int] = {}
    for point in (point for point in points if point["curve"] == HEADLINE and point["round"] == 0):
        name = point["what"]
        if point["skipped"]:
            rows.append([name, f"left out: {point['skipped']}"])
        elif point["whose"] != "assocmem":
            room[name] = holds(points, name, settings.units, ours["bytes"])
            cells = [name, _us(timings, name, HEADLINE, count), f"{point['error']:.4f}"]
            times = ratios(timings, RECALL, name)
            cells.append(spread(times, 4 if max(times) >= 1000 else 3))
            rows.append([*cells, f"{point['bytes']:,}", f"{room[name]:,}"])
    notes = []
    for inverted, label in ((False, "FAISS's best ordinary index"), (True, "the best inverted lists built by hand")):
        name = best(timings, HEADLINE, count, inverted=inverted)
        if name:
            notes.append(f"Speed of ours over {label} ({name}): {spread(ratios(timings, RECALL, name))}.")
    notes.append(f"FAISS's bytes grow with the messages, ours stay {size}. Last column: messages in that many bytes.")
    if room:
        frugal = max(room, key=lambda name: room[name])
        held = f"up to {room[frugal]:,} messages ({frugal}), exactly"
        notes.append(f"In our bytes FAISS holds {held}; ours has {count:,} here, with an error of {ours['error']:.4f}.")
    headers = ("index", "us per recall", "error", "speed of ours / its", "bytes", "holds in our bytes")
    return Section(f"FAISS on the same {count:,} messages and cues, one core", headers, rows, notes)


def _times(timings: list[Row], points: list[Row]) -> Section:
    rows = []
    for point in (point for point in points if point["curve"] in (FIXED, LARGE) and point["what"] == RECALL):
        if point["round"]:
            continue
        curve, count = point["curve"], point["messages"]
        planned = [row for row in points if row["curve"] == PLANNED and row["messages"] == count]
        name = best(timings, curve, count, inverted=False)
        lists = best(timings, curve, count, inverted=True)
        cells = [f"{count:,}", str(point["units"]), _us(timings, RECALL, curve, count), f"{point['error']:.4f}"]
        cells += [str(planned[0]["units"]), _us(timings, RECALL, PLANNED, count)] if planned else ["", ""]
        cells += [_named(timings, name, curve, count), _named(timings, lists, curve, count), f"{point['bytes']:,}"]
        rows.append([*cells, f"{_first(points, name, curve, count)['bytes']:,}" if name else ""])
    headers = (
        "messages", "units", "clique memory, us", "error", "units planned", "planned memory, us",
        "best ordinary FAISS, us", "best inverted lists, us", "bytes, ours", "bytes, ordinary FAISS",
    )  # fmt: skip
    return Section("Time per recall as the messages grow, one core", headers, rows, [PLANNED_NOTE])


PLANNED_NOTE = (
    "Planned: the memory has the fewest units (a multiple of 64) at which one round errs in at most 1 % by theory; "
    "it is not saturated."
)


def _named(timings: list[Row], name: str, curve: str, messages: int) -> str:
    return f"{name}: {_us(timings, name, curve, messages)}" if name else ""


def _errors(title: str, name: str, summaries: Sequence[Summary]) -> Section:
    rows = []
    for point in (point for point in summaries if point.experiment == name):
        measured = (
            f"{point.mean:.5f} ({point.low:.5f} to {point.high:.5f})" if point.mean else f"0 (< {point.bar[1]:.1g})"
        )
        theory = (
            "" if math.isnan(point.theory) else f"{point.theory:.2g}" if point.theory < 1e-3 else f"{point.theory:.4f}"
        )
        spoilt = [str(point.wrong)] if name == "noisy" else []
        way = str(point.way) + ("" if name != "sparse" else ", guided" if point.way.guided else ", blind")
        rows.append(
            [
                f"{point.messages:,}",
                *spoilt,
                way,
                theory,
                measured,
                f"{point.networks} x {point.cues // point.networks:,}",
            ]
        )
    wrong = ["wrong symbols"] if name == "noisy" else []
    headers = ("messages", *wrong, "rule", "theory", "error: mean (extremes of networks)", "networks x cues")
    return Section(title, headers, rows, [ERROR_NOTE])


ERROR_NOTE = (
    "Theory: of one round; else the estimate for guided recall that has converged; none where the cell is empty. "
    "After `<`: three over the number of cues, where no error was seen."
)


def sections(settings: Settings, timings: list[Row], points: list[Row], summaries: Sequence[Summary]) -> list[Section]:
    """Put the tables together."""
    dense = f"{settings.clusters} clusters of {settings.units} units"
    parts = [_speeds(settings, timings, points)]
    if settings.faiss:
        parts.append(_versus(settings, timings, points))
    return [
        *parts,
        _times(timings, points),
        _errors(f"Errors, dense: {dense}, {settings.erased} symbols erased", "dense", summaries),
        _errors("Errors, sparse: 12 of 100 clusters of 64 units, 3 symbols erased", "sparse", summaries),
        _errors(f"Errors, noisy: {dense}, wrong symbols", "noisy", summaries),
    ]


def write_markdown(path: Path, parts: Sequence[Section], load: float) -> Path:
    """Write the tables, and the machine they were measured on with its load average before."""
    said = "`assocmem bench capacity`: medians with extremes in brackets."
    return write_sections(path, "Capacity of the clique memory", [said, *machine_lines(load)], parts)
