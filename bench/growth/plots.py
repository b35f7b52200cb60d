"""The picture of the growth benchmark: time, changes and bytes against n, with fitted lines. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from assocmem.bench.growth.report import fit_growth, series
from assocmem.bench.growth.worker import ENGINES, Row
from assocmem.bench.plots import BLUE, GREEN, ORANGE, draw_grid, label_log_axis, legend_entry, save

STYLES = dict(zip(ENGINES, ((BLUE, "o"), (GREEN, "P"), (ORANGE, "v")), strict=True))
PANELS = (
    ("us", "us per query"),
    ("last_us", "us per item added in batches"),
    ("add_us", "us for one item more"),
    ("bytes", "bytes per item in memory"),
)
"""Figure, and label of its axis."""


def draw(path: Path, rows: Sequence[Row], recall: float) -> Path:
    """Draw four panels with logarithmic axes; lines are the fitted power laws."""
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    panels: Any = figure.subplots(2, 2)
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    for axes, (name, label) in zip(panels.flat, PANELS, strict=True):
        for engine in engines:
            _draw_series(axes, rows, engine, name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set(xlabel="items", ylabel=label)
        for axis, steps in ((axes.xaxis, (1,)), (axes.yaxis, (1, 2, 5))):
            label_log_axis(axis, steps, lambda value: f"{value:,g}")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, high / 10), high * 1.2)  # at least a decade, or noise would look like growth
        draw_grid(axes, below=False)
    entries = [legend_entry(*STYLES[engine], engine, line="-") for engine in engines]
    figure.legend(handles=entries, fontsize=9, loc="outside lower center", ncols=len(entries))
    figure.suptitle(f"Growth; searches at recall@10 {recall:g}, one thread: down is better", fontsize=11)
    return save(figure, path)


def _draw_series(axes: Any, rows: Sequence[Row], engine: str, name: str) -> None:
    colour, marker = STYLES[engine]
    known = [(n, value) for n, value in zip(*series(rows, engine, name), strict=True) if value is not None]
    if not known:
        return
    items, values = zip(*known, strict=True)
    axes.plot(items, values, color=colour, marker=marker, linestyle="none", markersize=5)
    law = fit_growth(rows, name, engine)
    if law is None:
        return
    ends = (law.low, law.high)
    axes.plot(ends, [law.at(n) for n in ends], color=colour, linewidth=1)
    axes.annotate(
        f"n^{law.exponent:.2f}", (law.high, law.at(law.high)), (3, 3), textcoords="offset points",
        color=colour, fontsize=8,
    )  # fmt: skip
