"""The picture of the growth benchmark: time, changes and bytes against n, with fitted lines. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from assocmem.bench.growth.report import ENGINES, power, series
from assocmem.bench.growth.worker import Row
from assocmem.bench.plots import BLUE, GREEN, ORANGE, key, save

STYLES = dict(zip(ENGINES, ((BLUE, "o"), (GREEN, "P"), (ORANGE, "v")), strict=True))
PANELS = (
    ("us", "us per query"),
    ("last_us", "us per item added in batches"),
    ("add_us", "us for one item more"),
    ("bytes", "bytes per item in memory"),
)


def draw(path: Path, rows: Sequence[Row], recall: float) -> Path:
    """Draw four panels on logarithmic axes; lines are the fitted powers."""
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    panels: Any = figure.subplots(2, 2)
    names = list(dict.fromkeys(row["engine"] for row in rows))
    for axes, (name, label) in zip(panels.flat, PANELS, strict=True):
        for engine in names:
            _points(axes, rows, engine, name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set(xlabel="items", ylabel=label)
        for axis, marks in ((axes.xaxis, (1,)), (axes.yaxis, (1, 2, 5))):
            axis.set_major_locator(LogLocator(10, subs=marks))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
            axis.set_minor_formatter(NullFormatter())
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, high / 10), high * 1.2)  # a decade at least, or noise would look like growth
        axes.grid(color="#DDDDDD", linewidth=0.5)
    keys = [key(*STYLES[name], name, line="-") for name in names]
    figure.legend(handles=keys, fontsize=9, loc="outside lower center", ncols=len(keys))
    figure.suptitle(f"Growth; searches at recall@10 {recall:g}, one thread: down is better", fontsize=11)
    return save(figure, path)


def _points(axes: Any, rows: Sequence[Row], engine: str, name: str) -> None:
    colour, marker = STYLES[engine]
    known = [(n, value) for n, value in zip(*series(rows, engine, name), strict=True) if value is not None]
    if not known:
        return
    items, values = zip(*known, strict=True)
    axes.plot(items, values, color=colour, marker=marker, linestyle="none", markersize=5)
    fitted = power(rows, name, engine)
    if fitted is None:
        return
    ends = (fitted.low, fitted.high)
    axes.plot(ends, [fitted.at(n) for n in ends], color=colour, linewidth=1)
    axes.annotate(
        f"n^{fitted.exponent:.2f}", (fitted.high, fitted.at(fitted.high)), (3, 3), textcoords="offset points",
        color=colour, fontsize=8,
    )  # fmt: skip
