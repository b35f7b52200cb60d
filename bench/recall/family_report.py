"""The report of `assocmem bench recall --families`: a table of families, and one of promises. No measuring."""

from __future__ import annotations

from collections.abc import Sequence

from assocmem.bench.recall.family_run import FLAT, HNSW, PROMISES, FamilyPoint, FamilyResult
from assocmem.bench.tables import Section, spread

TOLERANCE = 0.02
"""Difference between what an index expects and what is measured that the picture shows as a band."""


def family_sections(results: Sequence[FamilyResult]) -> list[Section]:
    """Return all tables."""
    return [_families_section(results), _certificate_section(results), _times_section(results)]


def _families_section(results: Sequence[FamilyResult]) -> Section:
    headers = ("family", "vectors", "recall@10", "expected", "difference", "ours, us", "HNSW32 at our recall, us",
               "ratio", "Flat, us", "bytes per item: ours, HNSW32", "build, s: ours, HNSW32")  # fmt: skip
    rows = [
        (
            result.name,
            f"{result.items:,} x {result.dim}, {result.metric}",
            f"{result.default.recall:.4f}",
            *_expected_cells(result.default),
            spread(result.default.batch_us),
            _graph_cell(result),
            "" if result.ratio is None else f"{result.ratio:.2f}",
            result.left_out.get(FLAT.name, "") if result.flat is None else f"{result.flat.points[0].us:.3g}",
            _pair(*(f"{e.built['memory'] / result.items:.0f}" for e in (result.clique, result.hnsw) if e)),
            _pair(*(f"{e.built['build_s']:.2g}" for e in (result.clique, result.hnsw) if e)),
        )
        for result in results
    ]
    notes = [
        "Ours: searches by default. Expected: the mean of `report.recall`. Difference: expected minus measured; above "
        "0, too much was promised. Times: microseconds per query in a batch, medians. Ratio: speed of ours over that "
        "of FAISS's HNSW32 (efConstruction 200) with the smallest efSearch tried whose recall is at least ours. Build: "
        "without the first search, in which ours learns what a promise takes; the raw figures have it.",
    ]
    return Section("Families: searches by default, one thread", headers, rows, notes)


def _expected_cells(point: FamilyPoint) -> tuple[str, str]:
    if point.expected is None:
        return "", ""
    return f"{point.expected:.4f}", f"{point.expected - point.recall:+.4f}"


def _graph_cell(result: FamilyResult) -> str:
    if result.hnsw is None:
        return result.left_out.get(HNSW.name, "")
    point = result.hnsw.points[0]
    if not result.reached:
        return f"never reaches it (up to {point.recall:.4f}: {point.us:.3g})"
    return f"{point.us:.3g} (efSearch {point.setting['efSearch']:.0f})"


def _pair(*cells: str) -> str:
    return ", ".join(cells)


def _certificate_section(results: Sequence[FamilyResult]) -> Section:
    headers = ("family", "default", *(f"{promise:g}" for promise in PROMISES), "largest difference")
    rows = []
    for result in results:
        points = result.clique.points
        differences = [abs(point.expected - point.recall) for point in points if point.expected is not None]
        largest = f"{max(differences):.4f}" if differences else ""
        rows.append((result.name, *map(_certificate_cell, points), largest))
    notes = ["Each cell: recall@10 that the index expected, and that was measured, means of all queries."]
    return Section("Certificate: expected and measured recall by promise", headers, rows, notes)


def _certificate_cell(point: FamilyPoint) -> str:
    expected = "?" if point.expected is None else f"{point.expected:.3f}"
    return f"{expected}, {point.recall:.3f}"


def _times_section(results: Sequence[FamilyResult]) -> Section:
    headers = ("family", "default", *(f"{promise:g}" for promise in PROMISES))
    rows = [(result.name, *(f"{point.us:.3g}" for point in result.clique.points)) for result in results]
    return Section("Microseconds per query by promise, in batches", headers, rows)
