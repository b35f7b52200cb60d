"""The report of the growth benchmark: tables, fitted exponents, claims, and a billion items by extrapolation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assocmem.bench.growth.power_law import PowerLaw, fit_power_law, format_power_law
from assocmem.bench.growth.worker import ASSOCMEM, GRAPH, Row
from assocmem.bench.tables import Section
from assocmem.cli.output import size

MILLION, BILLION = 10**6, 10**9
FIT_FROM = 100_000
"""Items from which on growth is fitted."""
MAX_SEARCH_EXPONENT, MAX_BUILD_EXPONENT, MIN_SPEEDUP, MAX_CHANGE_US = 0.6, 1.05, 10.0, 100.0
"""What is claimed: exponents of search time and of build time over log n at most, the speed of adding in multiples of
the graph's at least, microseconds of an added and of a removed item at most."""
SEARCH_STAGES = ("pools", "items", "refined")
GROWING = {
    "us per query": "us", "us per query, asked alone": "single_us", "one more, us": "add_us",
    "one less, us": "remove_us", "building, s": "build_s", "building over log n": "build over log n",
}  # fmt: skip
"""Name in the table -> figure."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed, and what was measured."""

    what: str
    wanted: str
    measured: str
    met: bool | None
    """None if it could not be measured."""

    @property
    def verdict(self) -> str:
        """The verdict as text."""
        return "not measured" if self.met is None else "met" if self.met else "missed"


def series(rows: Sequence[Row], engine: str, name: str) -> tuple[list[float], list[float | None]]:
    """Return the sizes of an engine, and one of its figures at each."""
    chosen = [row for row in rows if row["engine"] == engine]
    return [row["items"] for row in chosen], [figure(row, name) for row in chosen]


def figure(row: Row, name: str) -> float | None:
    """Return one figure of a row: lists as their median, bytes as their sum, build time also over log n."""
    if name == "bytes":
        return float(sum(row["bytes"].values()))
    if name == "codes":
        return float(sum(row["bytes"].values()) - row["bytes"].get("vectors", 0))
    if name == "build over log n":
        return float(row["build_s"] / math.log(row["items"]))
    value = row["stages"][name] or None if name in SEARCH_STAGES else row[name]
    if isinstance(value, list):
        return float(np.median(value))
    return None if value is None or isinstance(value, str) else float(value)


def fit_growth(rows: Sequence[Row], name: str, engine: str = ASSOCMEM) -> PowerLaw | None:
    """Fit how a figure grows: from `FIT_FROM` on if there are at least three such sizes, else over all."""
    items, values = series(rows, engine, name)
    known = [n for n, value in zip(items, values, strict=True) if value is not None and n >= FIT_FROM]
    return fit_power_law(items, values, FIT_FROM if len(known) > 2 else 0)


# Tables of what was measured


def sections(claims: Sequence[Claim], rows: Sequence[Row], recall: float, *, extrapolate: bool) -> list[Section]:
    """Return all tables, the claims first; ``extrapolate``: to a billion items."""
    stages = search_stages_section(rows)
    return [
        claims_section(claims),
        measured_section(rows, recall),
        exponents_section(rows),
        *([] if stages is None else [stages]),
        *([billion_section(rows, recall)] if extrapolate else []),
    ]


def measured_section(rows: Sequence[Row], recall: float) -> Section:
    """Tabulate what was measured, a line per engine and size."""
    headers = ("index", "items", "us per query", "asked alone", "at", "add: us each", "one more, us",
               "one less, us", "bytes each", "without vectors", "build, s")  # fmt: skip
    notes = [
        f"Searches at recall@10 of {recall:g}, 10 neighbours, between the two settings on both sides of it; {ASSOCMEM} "
        "by effort, the graph by efSearch, lists by nprobe. Times of the thread at work, one thread on one core; of "
        "one item more or less the median (the longest: then arrays grow). `add` is the mean of all that were added "
        "since the size before; the lists are trained again at every size, the other two just grow.",
        "Bytes are counted, not those of the process; FAISS's are those of the file it writes.",
        "Whether an item was seen before is asked of another memory, whose growth `assocmem bench seen` measures.",
    ]
    return Section("Growth", headers, [_measured_line(row) for row in rows], notes)


def _measured_line(row: Row) -> tuple[str, ...]:
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


def exponents_section(rows: Sequence[Row]) -> Section:
    """Tabulate the fitted power laws of all engines."""
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    lines = [
        (what, *(format_power_law(fit_growth(rows, name, engine)) for engine in engines))
        for what, name in GROWING.items()
    ]
    note = (
        f"Least squares of the logarithms, ± one standard error, from {FIT_FROM:,} items on where there are three "
        "sizes, else over all; in brackets the sizes that they hold for."
    )
    return Section("How it grows", ("", *engines), lines, [note])


def search_stages_section(rows: Sequence[Row]) -> Section | None:
    """Tabulate how many codes and items a search of assocmem looks at, and how that grows; None if unknown."""
    known = [row for row in rows if row.get("stages")]
    if not known:
        return None
    lines = [(f"{row['items']:,}", *(f"{row['stages'][name]:,.0f}" for name in SEARCH_STAGES)) for row in known]
    lines.append(("grows as", *(format_power_law(fit_growth(known, name)) for name in SEARCH_STAGES)))
    note = "Codes that are scored per query on the way, and items compared by their vectors."
    return Section("What a search looks at", ("items", *SEARCH_STAGES), lines, [note])


# Claims


def judge_claims(rows: Sequence[Row], trusted: float) -> list[Claim]:
    """Judge the claims; ``trusted``: items up to which synthetic vectors are as hard to find as real ones."""
    building = fit_growth(rows, "build over log n")
    trusted_rows = [row for row in rows if row["items"] <= trusted]
    return [
        _search_claim(trusted_rows, f"search time grows, from {FIT_FROM:,} items on, as far as they follow real ones"),
        _search_claim(rows, f"search time grows, from {FIT_FROM:,} items on, all sizes"),
        Claim(
            "building grows, over log n",
            f"straight: at most n^{MAX_BUILD_EXPONENT:g}",
            format_power_law(building),
            None if building is None or building.low < FIT_FROM else building.exponent <= MAX_BUILD_EXPONENT,
        ),
        _adding_claim(rows),
        _change_claim(rows, "one item more", "add_us"),
        _change_claim(rows, "one item less", "remove_us"),
    ]


def _search_claim(rows: Sequence[Row], what: str) -> Claim:
    items, values = series(rows, ASSOCMEM, "us")
    law = fit_power_law(items, values, FIT_FROM)
    met = None if law is None else law.exponent <= MAX_SEARCH_EXPONENT
    return Claim(what, f"no faster than n^{MAX_SEARCH_EXPONENT:g}", format_power_law(law), met)


def _adding_claim(rows: Sequence[Row]) -> Claim:
    built = {engine: dict(zip(*series(rows, engine, "build_s"), strict=True)) for engine in (ASSOCMEM, GRAPH)}
    common = built[ASSOCMEM].keys() & built[GRAPH].keys()
    wanted = f"at least {MIN_SPEEDUP:g} times {GRAPH}'s rate"
    if not common:
        return Claim("adding in batches", wanted, "", None)
    most = max(common)
    ratio = (built[GRAPH][most] or 0) / (built[ASSOCMEM][most] or 1)
    return Claim("adding in batches", wanted, f"{ratio:.1f} times, up to {most:,.0f} items", ratio >= MIN_SPEEDUP)


def _change_claim(rows: Sequence[Row], what: str, name: str) -> Claim:
    items, values = series(rows, ASSOCMEM, name)
    n, us = next(((n, us) for n, us in zip(items, values, strict=True) if n >= MILLION), (items[-1], values[-1]))
    met = None if us is None or n < MILLION else us < MAX_CHANGE_US
    return Claim(f"{what}, of a million", f"under {MAX_CHANGE_US:g} us", f"{us:.0f} us, of {n:,.0f}", met)


def claims_section(claims: Sequence[Claim]) -> Section:
    """Tabulate the claims."""
    lines = [(claim.what, claim.wanted, claim.measured, claim.verdict) for claim in claims]
    return Section("Wanted and measured", ("", "wanted", "measured", ""), lines)


def claim_records(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return the claims for the raw figures."""
    return [{"what": c.what, "wanted": c.wanted, "measured": c.measured, "met": c.met} for c in claims]


# A billion items


def billion_section(rows: Sequence[Row], recall: float) -> Section:
    """Tabulate what a billion items would take if everything grew as fitted."""
    last = max((row for row in rows if row["engine"] == ASSOCMEM), key=lambda row: row["items"])
    lines = [
        ("vectors, in memory or mapped from a disk", size(last["bytes"].get("vectors", 0) * BILLION), ""),
        ("codes, pools and ids, in memory", size((figure(last, "codes") or 0) * BILLION), ""),
        _extrapolated("building, days of one core", fit_growth(rows, "build_s"), 1 / 86_400),
        _extrapolated(f"a query at recall@10 {recall:g}, us", fit_growth(rows, "us"), 1),
        _extrapolated("one item more, us", fit_growth(rows, "add_us"), 1),
        _extrapolated("one item less, us", fit_growth(rows, "remove_us"), 1),
    ]
    notes = [
        f"Extrapolated from at most {last['items']:,} items, {BILLION / last['items']:,.0f} times fewer: this was not "
        "measured. Between: two standard errors of the fit, which do not account for what may change: caches that no "
        "longer hold the codes, and groups of pools, all of which are looked at for every query.",
    ]
    return Section("A billion, on paper", ("", "by the fit", "between"), lines, notes)


def _extrapolated(what: str, law: PowerLaw | None, scale: float) -> tuple[str, str, str]:
    if law is None:
        return (what, "too few sizes", "")
    interval = " to ".join(f"{value * scale:,.3g}" for value in law.interval_at(BILLION)) if law.has_error else ""
    return (what, f"{law.at(BILLION) * scale:,.3g}", interval)
