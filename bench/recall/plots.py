"""The pictures of the recall benchmark: recall against speed, recall against bytes. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from assocmem.bench.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, key, save
from assocmem.bench.recall.metrics import Curve, front
from assocmem.bench.recall.report import BATCH, SINGLE, curves
from assocmem.bench.recall.runner import Course

OURS = {"clique": (BLUE, "o"), "clique-mapped": (BLUE, "s"), "exhaustive": (BLUE, "^")}
FAMILIES = {
    "faiss, inverted lists by product codes": (ORANGE, "v"),
    "faiss, other inverted lists": (ORANGE, "D"),
    "faiss, graphs": (GREEN, "P"),
    "faiss, bits": (PURPLE, "X"),
    "faiss, no index": (GREY, "d"),
    "other graphs": (SKY, "h"),
}
LEAST = 0.5
BEST_RECALLS = (0.9, 0.95, 0.99)


def family(name: str) -> str:
    """Say what kind of index a name means; one of ours is a family by itself."""
    if name in OURS:
        return name
    if not name.startswith("faiss:"):
        return "other graphs"
    if "HNSW" in name:
        return "faiss, graphs"
    if any(word in name for word in ("binary", "LSH", "RaBitQ")):
        return "faiss, bits"
    if "IVF" not in name:
        return "faiss, no index"
    return "faiss, inverted lists by product codes" if "PQ" in name else "faiss, other inverted lists"


def _style(name: str) -> dict[str, Any]:
    ours = name in OURS
    colour, marker = OURS[name] if ours else FAMILIES[family(name)]
    return {"color": colour, "marker": marker, "linewidth": 2.2 if ours else 0.8, "markersize": 5 if ours else 3.5,
            "zorder": 3 if ours else 2, "alpha": 1.0 if ours else 0.75}  # fmt: skip


def _keys(names: list[str]) -> list[Any]:
    shown = list(dict.fromkeys(family(name) for name in names))
    return [key(*(OURS | FAMILIES)[name], name, line="-") for name in shown]


def _lost(axes: Any) -> None:
    """Lay recall out by what is missing, so that 0.9, 0.99 and 0.999 are as far apart."""
    axes.set_xscale("function", functions=(lambda r: -_log(1.0002 - r), lambda v: 1.0002 - 10**-v))
    axes.set_xlim(LEAST, 1.0)
    axes.set_xticks([0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda r, _: f"{r:g}"))
    axes.set_xlabel("recall@10")
    axes.grid(color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)


def _log(values: Any) -> Any:
    import numpy as np

    return np.log10(np.maximum(values, 1e-9))


def draw(stem: Path, course: Course) -> list[Path]:
    """Draw both pictures; returns their files."""
    speed, size = (stem.with_name(f"{stem.name}-{what}.png") for what in ("speed", "bytes"))
    return [_draw_speed(speed, course), _draw_bytes(size, course)]


def _draw_speed(path: Path, course: Course) -> Path:
    figure = Figure(figsize=(11, 6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, how, title in zip(
        panels, (BATCH, SINGLE), ("one call for all queries", "one call per query"), strict=True
    ):
        for curve in curves(course, how):
            places = front(curve.recall, curve.us)
            axes.plot([curve.recall[i] for i in places], [1e6 / curve.us[i] for i in places], **_style(curve.engine))
        axes.set_yscale("log")
        _lost(axes)
        axes.set_title(title, fontsize=10)
    panels[0].set_ylabel(f"queries per second, {course.threads} thread{'s' * (course.threads > 1)}")
    figure.legend(handles=_keys([e.spec.name for e in course.engaged]), fontsize=8, loc="outside lower center", ncols=3)
    figure.suptitle(_title(course) + ": up and to the right is better", fontsize=10)
    return save(figure, path)


def _draw_bytes(path: Path, course: Course) -> Path:
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes: Any = figure.subplots()
    for curve in curves(course, BATCH):
        _mark(axes, curve)
    axes.set_xscale("log")
    axes.set_yscale("function", functions=(lambda r: -_log(1.0002 - r), lambda v: 1.0002 - 10**-v))
    axes.set_ylim(LEAST, 1.0)
    axes.set_yticks([0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda r, _: f"{r:g}"))
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="bytes per item in memory", ylabel="highest recall@10 of the settings tried")
    axes.grid(color="#DDDDDD", linewidth=0.5)
    figure.legend(handles=_keys([e.spec.name for e in course.engaged]), fontsize=8, loc="outside lower center", ncols=3)
    figure.suptitle(_title(course) + ": up and to the left is better", fontsize=10)
    return save(figure, path)


def _mark(axes: Any, curve: Curve) -> None:
    style = _style(curve.engine) | {"markersize": 9 if curve.ours else 6, "linestyle": "none"}
    axes.plot([curve.bytes], [min(curve.reach, 0.9999)], **style)


def _title(course: Course) -> str:
    items, dim = course.data.base.shape
    return f"{course.data.name}: {items:,} vectors of {dim}, {course.data.metric}"
