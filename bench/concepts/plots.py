"""The pictures of the concepts benchmark: steps, bits, shots, labels, reliability. Needs matplotlib."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from assocmem.bench.concepts.experiments import CODES, COUNTS, EVERYTHING, FLOAT, OFFLINE, OURS
from assocmem.bench.concepts.results import Figures
from assocmem.bench.plots import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, key, save

STYLES = {
    OURS: (BLUE, "o"),
    CODES: (BLUE, "s"),
    COUNTS: (BLUE, "^"),
    "nearest class mean": (GREY, "v"),
    "streaming LDA": (ORANGE, "<"),
    "streaming LDA, OAS": (ORANGE, ">"),
    "RanPAC, M = 2,000": (GREEN, "P"),
    "RanPAC, M = 10,000": (GREEN, "X"),
    "k-NN, FAISS": (PURPLE, "D"),
    OFFLINE: (BLACK, "*"),
}
SERIES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (SKY, "v"))
OTHER = (SKY, "h")
Panel = Callable[[Any, Figures], list[Any]]
"""Draws a set's panel and returns the entries of the legend."""


def style(name: str) -> tuple[str, str]:
    """Return a method's colour and marker."""
    return STYLES.get(name, OTHER)


def draw(path: Path, sets: Sequence[Figures]) -> list[Path]:
    """Draw all pictures; ``path``: their names' beginning."""
    panels: dict[str, tuple[Panel, str]] = {
        "steps": (_steps, "Class by class, each example once"),
        "bits": (_bits, "Bits per example"),
        "shots": (_shots, "Few examples of each class"),
        "active": (_active, "Which example is labelled next"),
        "reliability": (_reliability, "Probability and share right; on the line is best"),
    }
    return [_picture(path.with_name(f"{path.name}-{name}.png"), sets, *what) for name, what in panels.items()]


def _picture(path: Path, sets: Sequence[Figures], panel: Panel, title: str) -> Path:
    columns = min(2, len(sets))
    lines = math.ceil(len(sets) / columns)
    figure = Figure(figsize=(5 * columns, 3.6 * lines + 0.9), layout="constrained")
    keys: dict[str, Any] = {}
    for number, figures in enumerate(sets):
        axes = figure.add_subplot(lines, columns, number + 1)
        keys |= {entry.get_label(): entry for entry in panel(axes, figures)}
        axes.set_title(figures.name, fontsize=10)
        axes.grid(color="#DDDDDD", linewidth=0.5)
        axes.set_axisbelow(True)
    figure.legend(handles=list(keys.values()), fontsize=8, loc="outside lower center", ncols=2 * columns)
    figure.suptitle(title, fontsize=11)
    return save(figure, path)


def _curve(
    axes: Any,
    x: Sequence[float],
    per_seed: Sequence[Sequence[float]],
    colour: str,
    marker: str,
    *,
    band: bool = True,
    **more: Any,
) -> None:
    """Draw means as a line, deviations as a band; where many methods are drawn, that of ours alone."""
    means = np.array([np.mean(values) for values in per_seed])
    spread = np.array([np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in per_seed])
    axes.plot(x, means, color=colour, marker=marker, **{"markersize": 4, "linewidth": 1.2, **more})
    if band:
        axes.fill_between(x, means - spread, means + spread, color=colour, alpha=0.12, linewidth=0)


def _bold(name: str) -> dict[str, Any]:
    return {"linewidth": 2.2, "zorder": 3} if name == OURS else {}


def _steps(axes: Any, figures: Figures) -> list[Any]:
    steps = figures.distinct("classes", "step")
    classes = [figures.values("classes", "classes", step=step)[0] for step in steps]
    for name in figures.methods:
        found = [figures.values("classes", "accuracy", method=name, step=step) for step in steps]
        _curve(axes, classes, found, *style(name), band=name == OURS, **_bold(name))
    axes.set(xlabel="classes so far", ylabel="accuracy")
    return [key(*style(name), name, line="-") for name in figures.methods]


def _logarithmic(axes: Any, base: int, marks: Sequence[float]) -> None:
    axes.set_xscale("log", base=base)
    axes.xaxis.set_major_locator(FixedLocator(list(marks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _bits(axes: Any, figures: Figures) -> list[Any]:
    counts = sorted(count for count in figures.distinct("bits", "bits") if count != FLOAT)
    keys = []
    for variant, (colour, marker) in zip(figures.distinct("bits", "variant"), SERIES, strict=False):
        found = [figures.values("bits", "accuracy", variant=variant, bits=count) for count in counts]
        _curve(axes, counts, found, colour, marker)
        bound = figures.mean("bits", "accuracy", variant=variant, bits=FLOAT)
        axes.axhline(bound, color=colour, linestyle="--", linewidth=1)
        keys += [key(colour, marker, f"codes, {variant}", line="-"), key(colour, "", f"floats, {variant}", line="--")]
    _logarithmic(axes, 2, counts)
    axes.tick_params(axis="x", labelsize=8)
    axes.set(xlabel="bits per example", ylabel="accuracy")
    return keys


def _shots(axes: Any, figures: Figures) -> list[Any]:
    counts = figures.distinct("shots", "shots")
    for name in figures.methods:
        found = [figures.values("shots", "accuracy", method=name, shots=count) for count in counts]
        _curve(axes, counts, found, *style(name), band=name == OURS, **_bold(name))
    _logarithmic(axes, 10, counts)
    axes.set(xlabel="examples of each class", ylabel="accuracy")
    return [key(*style(name), name, line="-") for name in figures.methods]


def _active(axes: Any, figures: Figures) -> list[Any]:
    keys = []
    for name, (colour, marker) in zip(figures.choices(), SERIES[1::-1] + SERIES[2:], strict=False):
        stops = [row["labels"] for row in figures.rows("active", choice=name, seed=0)]
        found = [figures.values("active", "accuracy", choice=name, labels=stop) for stop in stops]
        _curve(axes, stops, found, colour, marker, markersize=2.5)
        keys.append(key(colour, marker, name, line="-"))
    axes.axhline(figures.mean("active", "accuracy", choice=EVERYTHING), color=GREY, linestyle="--", linewidth=1)
    _logarithmic(axes, 10, (1, 3, 10, 30, 100, 300))
    axes.set(xlabel="examples labelled", ylabel="accuracy")
    return [*keys, key(GREY, "", "everything labelled", line="--")]


def _reliability(axes: Any, figures: Figures) -> list[Any]:
    shown = [name for name in figures.distinct("reliability", "method") if name not in (CODES, COUNTS)]
    for name in shown:
        rows = figures.rows("reliability", method=name)
        place = np.array([max(0, math.ceil(row["probability"] * 10 - 1e-6) - 1) for row in rows])
        sizes = np.array([row["count"] for row in rows], float)
        total = np.bincount(place, sizes, 10)
        known = total >= 10  # fewer say nothing
        x, y = (
            np.bincount(place, np.array([row[what] for row in rows]) * sizes, 10)[known] / total[known]
            for what in ("probability", "right")
        )
        colour, marker = style(name)
        axes.plot(x, y, color=colour, marker=marker, **({"markersize": 4, "linewidth": 1} | _bold(name)))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.set(xlabel="probability of the answer", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
    return [key(*style(name), name, line="-") for name in shown]
