"""What the growth benchmark's figures say: tables, fitted exponents, claims, and a billion on paper. No clocks here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assocmem.bench.growth.power_law import Power, fit, tell
from assocmem.bench.growth.worker import GRAPH, LISTS, OURS, Row
from assocmem.bench.tables import Section
from assocmem.cli.output import size

BILLION = 10**9
FROM = 100_000
"""Items from which on growth is judged."""
SLOWEST, STRAIGHT, FASTER, CHANGE_US = 0.6, 1.05, 10.0, 100.0
"""What is wanted: exponents of search and of building over log n at most, adding so many times as fast as a graph,
microseconds of an item more and of one less."""
MILLION = 10**6
STAGES = ("groups", "pools", "items", "refined")


@dataclass(frozen=True, slots=True)
class Claim:
    """What is wanted, and what was measured."""

    what: str
    wanted: str
    measured: str
    met: bool | None
    """None: could not be measured."""

    @property
    def verdict(self) -> str:
        """In a word."""
        return "not measured" if self.met is None else "met" if self.met else "missed"


def series(rows: Sequence[Row], engine: str, name: str) -> tuple[list[float], list[float | None]]:
    """Return an engine's sizes and one of its figures."""
    own = [row for row in rows if row["engine"] == engine]
    return [row["items"] for row in own], [figure(row, name) for row in own]


def figure(row: Row, name: str) -> float | None:
    """Return one figure of a row: lists as medians, bytes added up, building over log n."""
    if name == "bytes":
        return float(sum(row["bytes"].values()))
    if name == "codes":
        return float(sum(row["bytes"].values()) - row["bytes"].get("vectors", 0))
    if name == "build over log n":
        return float(row["build_s"] / math.log(row["items"]))
    value = row["stages"][name] or None if name in STAGES else row[name]
    if isinstance(value, list):
        return float(np.median(value))
    return None if value is None or isinstance(value, str) else float(value)


def power(rows: Sequence[Row], name: str, engine: str = OURS) -> Power | None:
    """Fit how a figure grows: from `FROM` on, where there are three sizes there, else over all."""
    items, values = series(rows, engine, name)
    known = [n for n, value in zip(items, values, strict=True) if value is not None and n >= FROM]
    return fit(items, values, FROM if len(known) > 2 else 0)


def measured(rows: Sequence[Row], recall: float) -> Section:
    """Tell what was measured, a row per engine and size."""
    headers = ("index", "items", "us per query", "asked alone", "at", "add: us each", "one more, us",
               "one less, us", "bytes each", "without vectors", "build, s")  # fmt: skip
    notes = [
        f"Searches at recall@10 of {recall:g}, 10 neighbours, between the two settings on both sides of it; {OURS} by "
        "effort, the graph by efSearch, lists by nprobe. Times of the thread at work, one thread on one core; of one "
        "item more or less the median (the longest: then arrays grow). `add` is the mean of all that were added since "
        "the size before; the lists are trained anew at every size, the other two just grow.",
        "Bytes are counted, not those of the process; FAISS's are those of the file it writes.",
        "Whether an item was seen before is asked of another memory, whose growth `assocmem bench seen` measures.",
    ]
    return Section("Growth", headers, [_told(row) for row in rows], notes)


def _told(row: Row) -> tuple[str, ...]:
    return (
        row["engine"],
        f"{row['items']:,}",
        _number(row["us"]),
        _number(row["single_us"]),
        f"{row['knob']} {row['settings'][-1]:.4g}",
        _number(row["last_us"]),
        *(_change(row[name]) for name in ("add_us", "remove_us")),
        f"{figure(row, 'bytes'):.0f}",
        f"{figure(row, 'codes'):.1f}" if "vectors" in row["bytes"] else "",
        _number(row["build_s"]),
    )


def _number(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _change(times: list[float] | str) -> str:
    return times if isinstance(times, str) else f"{np.median(times):.0f} ({max(times):,.0f})"


GROWING = {
    "us per query": "us", "us per query, asked alone": "single_us", "one more, us": "add_us",
    "one less, us": "remove_us", "building, s": "build_s", "building over log n": "build over log n",
}  # fmt: skip


def exponents(rows: Sequence[Row]) -> Section:
    """Tell the fitted powers of n, ours beside the others'."""
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    lines = [(what, *(tell(power(rows, name, engine)) for engine in engines)) for what, name in GROWING.items()]
    note = (
        f"Least squares of the logarithms, ± one standard error, from {FROM:,} items on where there are three sizes, "
        "else over all; in brackets the sizes that they hold for."
    )
    return Section("How it grows", ("", *engines), lines, [note])


def stages(rows: Sequence[Row]) -> Section | None:
    """Tell what a search of ours looks at, and how that grows."""
    own = [row for row in rows if row.get("stages")]
    if not own:
        return None
    lines = [(f"{row['items']:,}", *(f"{row['stages'][name]:,.0f}" for name in STAGES)) for row in own]
    lines.append(("grows as", *(tell(power(own, name)) for name in STAGES)))
    note = "Codes that are scored per query on the way, and items compared by their vectors."
    return Section("What a search looks at", ("items", *STAGES), lines, [note])


def claims(rows: Sequence[Row], trusted: float) -> list[Claim]:
    """Hold what was measured against what is wanted; ``trusted``: items up to which they follow real ones."""
    building = power(rows, "build over log n")
    near = [row for row in rows if row["items"] <= trusted]
    return [
        _search(near, f"search time grows, from {FROM:,} items on, as far as they follow real ones"),
        _search(rows, f"search time grows, from {FROM:,} items on, all sizes"),
        Claim(
            "building grows, over log n",
            f"straight: at most n^{STRAIGHT:g}",
            tell(building),
            None if building is None or building.low < FROM else building.exponent <= STRAIGHT,
        ),
        _faster(rows),
        _one(rows, "one item more", "add_us"),
        _one(rows, "one item less", "remove_us"),
    ]


def _search(rows: Sequence[Row], what: str) -> Claim:
    items, values = series(rows, OURS, "us")
    found = fit(items, values, FROM)
    met = None if found is None else found.exponent <= SLOWEST
    return Claim(what, f"no faster than n^{SLOWEST:g}", tell(found), met)


def _faster(rows: Sequence[Row]) -> Claim:
    built = {engine: dict(zip(*series(rows, engine, "build_s"), strict=True)) for engine in (OURS, GRAPH)}
    common = built[OURS].keys() & built[GRAPH].keys()
    wanted = f"at least {FASTER:g} times {GRAPH}'s rate"
    if not common:
        return Claim("adding in batches", wanted, "", None)
    most = max(common)
    ratio = (built[GRAPH][most] or 0) / (built[OURS][most] or 1)
    return Claim("adding in batches", wanted, f"{ratio:.1f} times, up to {most:,.0f} items", ratio >= FASTER)


def _one(rows: Sequence[Row], what: str, name: str) -> Claim:
    items, values = series(rows, OURS, name)
    n, us = next(((n, us) for n, us in zip(items, values, strict=True) if n >= MILLION), (items[-1], values[-1]))
    met = None if us is None or n < MILLION else us < CHANGE_US
    return Claim(f"{what}, of a million", f"under {CHANGE_US:g} us", f"{us:.0f} us, of {n:,.0f}", met)


def judged(found: Sequence[Claim]) -> Section:
    """Tell the claims."""
    lines = [(claim.what, claim.wanted, claim.measured, claim.verdict) for claim in found]
    return Section("Wanted and measured", ("", "wanted", "measured", ""), lines)


def on_paper(rows: Sequence[Row], recall: float) -> Section:
    """Tell what a billion items would take if all went on as it did."""
    last = max((row for row in rows if row["engine"] == OURS), key=lambda row: row["items"])
    lines = [
        ("vectors, in memory or mapped from a disk", size(last["bytes"].get("vectors", 0) * BILLION), ""),
        ("codes, pools and ids, in memory", size((figure(last, "codes") or 0) * BILLION), ""),
        _beyond("building, days of one core", power(rows, "build_s"), 1 / 86_400),
        _beyond(f"a query at recall@10 {recall:g}, us", power(rows, "us"), 1),
        _beyond("one item more, us", power(rows, "add_us"), 1),
        _beyond("one item less, us", power(rows, "remove_us"), 1),
    ]
    notes = [
        f"Extrapolated from at most {last['items']:,} items, {BILLION / last['items']:,.0f} times fewer: nobody "
        "measured this. Between: two standard errors of the fit, which know nothing of what may change: caches that no "
        "longer hold the codes, and groups of pools, all of which are looked at for every query.",
    ]
    return Section("A billion, on paper", ("", "by the fit", "between"), lines, notes)


def _beyond(what: str, fitted: Power | None, scale: float) -> tuple[str, str, str]:
    if fitted is None:
        return (what, "too few sizes", "")
    between = " to ".join(f"{value * scale:,.3g}" for value in fitted.between(BILLION)) if fitted.known else ""
    return (what, f"{fitted.at(BILLION) * scale:,.3g}", between)


def facts(found: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return the claims for the raw figures."""
    return [{"what": c.what, "wanted": c.wanted, "measured": c.measured, "met": c.met} for c in found]


ENGINES = (OURS, GRAPH, LISTS)
