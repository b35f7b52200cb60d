"""The report of the benchmark of partial queries: tables, and a picture of recall against the share missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assocmem.bench.partial import covered_pictures
from assocmem.bench.partial.missing_numbers import PATTERNS, STRATEGIES
from assocmem.bench.tables import Section

COLOURS = ("#8C8C8C", "#56B4E9", "#CC79A7", "#E69F00", "#009E73", "#0072B2", "#D55E00")
"""Of the strategies, in their order."""
MARKERS = "xsv^Do*"


def missing_section(rows: list[dict[str, Any]], pattern: str) -> Section:
    """Tabulate recall by share and strategy, for numbers missing in one pattern."""
    chosen = [row for row in rows if row["pattern"] == pattern]
    names = [name for name in STRATEGIES if any(name in row["recall"] for row in chosen)]
    cells = [
        (f"{row['share']:.0%}", *(f"{row['recall'][n]:.3f}" if n in row["recall"] else "" for n in names))
        for row in chosen
    ]
    times = [row["complete_ms"] for row in chosen]
    note = f"Completing a batch took {min(times):.1f} to {max(times):.1f} ms per query, the search of it not counted."
    return Section(f"Recall@10, numbers missing {pattern}", ("missing", *names), cells, [note])


def covered_section(rows: list[dict[str, Any]]) -> Section:
    """Tabulate recall by covered area and strategy."""
    names = covered_pictures.STRATEGIES
    cells = [(f"{row['area']:.0%}", *(f"{row['recall'][name]:.3f}" for name in names)) for row in rows]
    note = f"{rows[0]['pictures']} photographs, each asked for among {rows[0]['items']:,} items."
    return Section("Recall@1 of the original, part of the picture covered", ("covered", *names), cells, [note])


def draw(path: Path, rows: list[dict[str, Any]], about: dict[str, Any]) -> Path:
    """Draw recall against the share of numbers missing, a panel per pattern. Needs matplotlib."""
    from matplotlib.figure import Figure

    from assocmem.bench.plots import draw_grid, save

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, len(PATTERNS), sharey=True)
    for axes, pattern in zip(panels, PATTERNS, strict=True):
        for name, colour, marker in zip(STRATEGIES, COLOURS, MARKERS, strict=True):
            points = [(r["share"], r["recall"][name]) for r in rows if r["pattern"] == pattern and name in r["recall"]]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=name, linewidth=1.4)
        axes.set(title=f"missing {pattern}", xlabel="share of the query's numbers missing", xlim=(0, 1), ylim=(0, 1))
        draw_grid(axes, below=False)
    panels[0].set_ylabel("recall@10")
    drawn = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    panels[0].legend(list(drawn.values()), list(drawn), fontsize=8)
    figure.suptitle(f"{about['file']}: {about['items']:,} items, {about['queries']} queries", fontsize=10)
    return save(figure, path)
