"""The pictures of the concepts benchmark: steps, bits, shots, labels, reliability. Needs matplotlib."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from assocmem.bench.concepts.experiments import ASSOCMEM, CODES, COUNTS, EVERYTHING, FLOAT, OFFLINE
from assocmem.bench.concepts.results import SetResults
from assocmem.bench.plots import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, draw_grid, legend_entry, save

STYLES = {
    ASSOCMEM: (BLUE, "o"),
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
Panel = Callable[[Any, SetResults], list[Any]]
"""Draws the panel of a set and returns the entries of the legend."""


def style(name: str) -> tuple[str, str]:
    """Return a method's colour and marker."""
    return STYLES.get(name, OTHER)


def draw(path: Path, sets: Sequence[SetResults]) -> list[Path]:
    """Draw all pictures; ``path`` is the start of their file names. Returns the paths."""
    panels: dict[str, tuple[Panel, str]] = {
        "steps": (_draw_steps, "Class by class, each example once"),
        "bits": (_draw_bits, "Bits per example"),
        "shots": (_draw_shots, "Few examples of each class"),
        "active": (_draw_active, "Which example is labelled next"),
        "reliability": (_draw_reliability, "Probability and share right; on the line is best"),
    }
    return [_draw_picture(path.with_name(f"{path.name}-{name}.png"), sets, *what) for name, what in panels.items()]


def _draw_picture(path: Path, sets: Sequence[SetResults], panel: Panel, title: str) -> Path:
    columns = min(2, len(sets))
    rows = math.ceil(len(sets) / columns)
    figure = Figure(figsize=(5 * columns, 3.6 * rows + 0.9), layout="constrained")
    entries: dict[str, Any] = {}
    for number, results in enumerate(sets):
        axes = figure.add_subplot(rows, columns, number + 1)
        entries |= {entry.get_label(): entry for entry in panel(axes, results)}
        axes.set_title(results.name, fontsize=10)
        draw_grid(axes)
    figure.legend(handles=list(entries.values()), fontsize=8, loc="outside lower center", ncols=2 * columns)
    figure.suptitle(title, fontsize=11)
    return save(figure, path)


def _draw_curve(
    axes: Any,
    x: Sequence[float],
    per_seed: Sequence[Sequence[float]],
    colour: str,
    marker: str,
    *,
    band: bool = True,
    **more: Any,
) -> None:
    """Draw means as a line, and standard deviations as a band if wanted."""
    means = np.array([np.mean(values) for values in per_seed])
    deviations = np.array([np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in per_seed])
    axes.plot(x, means, color=colour, marker=marker, **{"markersize": 4, "linewidth": 1.2, **more})
    if band:
        axes.fill_between(x, means - deviations, means + deviations, color=colour, alpha=0.12, linewidth=0)


def _bold(name: str) -> dict[str, Any]:
    return {"linewidth": 2.2, "zorder": 3} if name == ASSOCMEM else {}


def _draw_steps(axes: Any, results: SetResults) -> list[Any]:
    steps = results.distinct("classes", "step")
    classes = [results.values("classes", "classes", step=step)[0] for step in steps]
    for name in results.methods:
        found = [results.values("classes", "accuracy", method=name, step=step) for step in steps]
        _draw_curve(axes, classes, found, *style(name), band=name == ASSOCMEM, **_bold(name))
    axes.set(xlabel="classes so far", ylabel="accuracy")
    return [legend_entry(*style(name), name, line="-") for name in results.methods]


def _logarithmic(axes: Any, base: int, marks: Sequence[float]) -> None:
    axes.set_xscale("log", base=base)
    axes.xaxis.set_major_locator(FixedLocator(list(marks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_bits(axes: Any, results: SetResults) -> list[Any]:
    counts = sorted(count for count in results.distinct("bits", "bits") if count != FLOAT)
    keys = []
    for variant, (colour, marker) in zip(results.distinct("bits", "variant"), SERIES, strict=False):
        found = [results.values("bits", "accuracy", variant=variant, bits=count) for count in counts]
        _draw_curve(axes, counts, found, colour, marker)
        bound = results.mean("bits", "accuracy", variant=variant, bits=FLOAT)
        axes.axhline(bound, color=colour, linestyle="--", linewidth=1)
        keys += [
            legend_entry(colour, marker, f"codes, {variant}", line="-"),
            legend_entry(colour, "", f"floats, {variant}", line="--"),
        ]
    _logarithmic(axes, 2, counts)
    axes.tick_params(axis="x", labelsize=8)
    axes.set(xlabel="bits per example", ylabel="accuracy")
    return keys


def _draw_shots(axes: Any, results: SetResults) -> list[Any]:
    counts = results.distinct("shots", "shots")
    for name in results.methods:
        found = [results.values("shots", "accuracy", method=name, shots=count) for count in counts]
        _draw_curve(axes, counts, found, *style(name), band=name == ASSOCMEM, **_bold(name))
    _logarithmic(axes, 10, counts)
    axes.set(xlabel="examples of each class", ylabel="accuracy")
    return [legend_entry(*style(name), name, line="-") for name in results.methods]


def _draw_active(axes: Any, results: SetResults) -> list[Any]:
    keys = []
    for name, (colour, marker) in zip(results.choices(), SERIES[1::-1] + SERIES[2:], strict=False):
        stops = [row["labels"] for row in results.rows("active", choice=name, seed=0)]
        found = [results.values("active", "accuracy", choice=name, labels=stop) for stop in stops]
        _draw_curve(axes, stops, found, colour, marker, markersize=2.5)
        keys.append(legend_entry(colour, marker, name, line="-"))
    axes.axhline(results.mean("active", "accuracy", choice=EVERYTHING), color=GREY, linestyle="--", linewidth=1)
    _logarithmic(axes, 10, (1, 3, 10, 30, 100, 300))
    axes.set(xlabel="examples labelled", ylabel="accuracy")
    return [*keys, legend_entry(GREY, "", "everything labelled", line="--")]


def _draw_reliability(axes: Any, results: SetResults) -> list[Any]:
    shown = [name for name in results.distinct("reliability", "method") if name not in (CODES, COUNTS)]
    for name in shown:
        rows = results.rows("reliability", method=name)
        place = np.array([max(0, math.ceil(row["probability"] * 10 - 1e-6) - 1) for row in rows])
        sizes = np.array([row["count"] for row in rows], float)
        total = np.bincount(place, sizes, 10)
        known = total >= 10  # fewer are not significant
        x, y = (
            np.bincount(place, np.array([row[what] for row in rows]) * sizes, 10)[known] / total[known]
            for what in ("probability", "right")
        )
        colour, marker = style(name)
        axes.plot(x, y, color=colour, marker=marker, **({"markersize": 4, "linewidth": 1} | _bold(name)))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.set(xlabel="probability of the answer", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
    return [legend_entry(*style(name), name, line="-") for name in shown]
