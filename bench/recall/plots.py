"""The pictures of the recall benchmark: recall against speed, bytes, and what was expected. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from assocmem._numerics.types import F64
from assocmem.bench.plots import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    draw_grid,
    label_log_axis,
    legend_entry,
    save,
)
from assocmem.bench.recall.family_report import TOLERANCE
from assocmem.bench.recall.family_run import FamilyResult
from assocmem.bench.recall.metrics import Curve, pareto_front
from assocmem.bench.recall.report import BATCH, SINGLE, curves
from assocmem.bench.recall.runner import RecallRun

ASSOCMEM = {"clique": (BLUE, "o"), "clique-mapped": (BLUE, "s"), "clique-uint8": (BLUE, "D"), "exhaustive": (BLUE, "^")}
FAMILIES = {
    "faiss, inverted lists by product codes": (ORANGE, "v"),
    "faiss, other inverted lists": (ORANGE, "D"),
    "faiss, graphs": (GREEN, "P"),
    "faiss, bits": (PURPLE, "X"),
    "faiss, no index": (GREY, "d"),
    "other graphs": (SKY, "h"),
    "SymphonyQG": (BLACK, "*"),
    "other codes": (BLACK, "p"),
}
OTHERS = {"symphonyqg": "SymphonyQG", **dict.fromkeys(("rabitqlib", "scann", "turbovec"), "other codes")}
"""Libraries that are not among other graphs."""
MIN_RECALL = 0.5
"""Recalls below are not drawn."""
MARKERS = "osD^v<>Phd"
"""Of families of data."""
TICKS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)


def family(name: str) -> str:
    """Return the kind of index that a name means; each engine of assocmem is a family by itself."""
    if name in ASSOCMEM:
        return name
    if not name.startswith("faiss:"):
        return OTHERS.get(name.partition(":")[0], "other graphs")
    if "HNSW" in name:
        return "faiss, graphs"
    if any(word in name for word in ("binary", "LSH", "RaBitQ")):
        return "faiss, bits"
    if "IVF" not in name:
        return "faiss, no index"
    return "faiss, inverted lists by product codes" if "PQ" in name else "faiss, other inverted lists"


def draw(stem: Path, run: RecallRun) -> list[Path]:
    """Draw both pictures; ``stem`` is the start of their file names. Returns the paths."""
    speed, size = (stem.with_name(f"{stem.name}-{what}.png") for what in ("speed", "bytes"))
    return [_draw_speed(speed, run), _draw_bytes(size, run)]


def draw_certificate(path: Path, results: Sequence[FamilyResult]) -> Path:
    """Draw expected against measured recall: a colour per family, the diagonal, and the band of `TOLERANCE`."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes: Any = figure.subplots()
    colours = colormaps["nipy_spectral"](np.linspace(0.03, 0.93, len(results)))
    lowest = 1.0
    for number, (result, colour) in enumerate(zip(results, colours, strict=True)):
        points = [(p.expected, p.recall) for p in result.clique.points if p.expected is not None]
        lowest = min(lowest, *(value for point in points for value in point))
        axes.plot(*zip(*sorted(points), strict=True), color=colour, marker=MARKERS[number % len(MARKERS)],
                  linewidth=0.7, markersize=5, alpha=0.85, label=result.name)  # fmt: skip
    ends = np.array([max(0.0, lowest - 0.03), 1.0])
    axes.fill_between(ends, ends - TOLERANCE, ends + TOLERANCE, color=GREY, alpha=0.25, linewidth=0, zorder=0)
    axes.plot(ends, ends, color=BLACK, linewidth=0.8, zorder=1)
    axes.set(xlim=(ends[0], 1.005), ylim=(ends[0], 1.005))
    axes.set(xlabel="recall@10 that the index expects", ylabel="recall@10 measured")
    draw_grid(axes)
    figure.legend(fontsize=8, loc="outside right center")
    figure.suptitle(f"Above the line, more is found than expected; the band is {TOLERANCE:g}", fontsize=10)
    return save(figure, path)


def _draw_speed(path: Path, run: RecallRun) -> Path:
    figure = Figure(figsize=(11, 6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, mode, title in zip(
        panels, (BATCH, SINGLE), ("one call for all queries", "one call per query"), strict=True
    ):
        for curve in curves(run, mode):
            front = pareto_front(curve.recall, curve.us)
            axes.plot([curve.recall[i] for i in front], [1e6 / curve.us[i] for i in front], **_style(curve.engine))
        axes.set_yscale("log")
        axes.set_xscale("function", functions=_RECALL_SCALE)
        axes.set_xlim(MIN_RECALL, 1.0)
        axes.set_xticks(TICKS)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda r, _: f"{r:g}"))
        axes.set_xlabel("recall@10")
        draw_grid(axes)
        axes.set_title(title, fontsize=10)
    panels[0].set_ylabel(f"queries per second, {run.threads} thread{'s' * (run.threads > 1)}")
    _legend(figure, run)
    figure.suptitle(_title(run) + ": up and to the right is better", fontsize=10)
    return save(figure, path)


def _draw_bytes(path: Path, run: RecallRun) -> Path:
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes: Any = figure.subplots()
    for curve in curves(run, BATCH):
        _mark(axes, curve)
    axes.set_xscale("log")
    axes.set_yscale("function", functions=_RECALL_SCALE)
    axes.set_ylim(MIN_RECALL, 1.0)
    axes.set_yticks(TICKS)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda r, _: f"{r:g}"))
    label_log_axis(axes.xaxis, (1, 2, 5), lambda n: f"{n:,g}")
    axes.set(xlabel="bytes per item in memory", ylabel="highest recall@10 of the settings tried")
    draw_grid(axes, below=False)
    _legend(figure, run)
    figure.suptitle(_title(run) + ": up and to the left is better", fontsize=10)
    return save(figure, path)


def _mark(axes: Any, curve: Curve) -> None:
    style = _style(curve.engine) | {"markersize": 9 if curve.is_assocmem else 6, "linestyle": "none"}
    axes.plot([curve.bytes], [min(curve.max_recall, 0.9999)], **style)


def _style(name: str) -> dict[str, Any]:
    bold = name in ASSOCMEM
    colour, marker = ASSOCMEM[name] if bold else FAMILIES[family(name)]
    return {"color": colour, "marker": marker, "linewidth": 2.2 if bold else 0.8, "markersize": 5 if bold else 3.5,
            "zorder": 3 if bold else 2, "alpha": 1.0 if bold else 0.75}  # fmt: skip


def _legend(figure: Figure, run: RecallRun) -> None:
    shown = dict.fromkeys(family(result.spec.name) for result in run.results)
    entries = [legend_entry(*(ASSOCMEM | FAMILIES)[name], name, line="-") for name in shown]
    figure.legend(handles=entries, fontsize=8, loc="outside lower center", ncols=3)


def _title(run: RecallRun) -> str:
    items, dim = run.data.base.shape
    return f"{run.data.name}: {items:,} vectors of {dim}, {run.data.metric}"


def _to_scale(recall: F64) -> F64:
    """Return the logarithm of the neighbours missed, so that 0.9, 0.99 and 0.999 are equally far apart."""
    return -np.log10(np.maximum(1.0002 - recall, 1e-9))


def _from_scale(value: F64) -> F64:
    return np.asarray(1.0002 - 10**-value)


_RECALL_SCALE = (_to_scale, _from_scale)
