"""The pictures of the capacity benchmark: errors and theory, time per recall and FAISS's. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from assocmem.bench.capacity.error_rates import Completion, Experiment, Row, Summary, predict
from assocmem.bench.capacity.report import faiss_names, fastest_faiss, is_inverted, rates
from assocmem.bench.capacity.speed import FIXED, LARGE, PLANNED, RECALL, SpeedPlan
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

RULES = {"sum-of-max": BLUE, "sum-of-sum": ORANGE, "gwsta": GREEN}
ROUNDS = {1: ("o", "1 iteration"), 4: ("s", "4 iterations"), 0: ("D", "converged")}
INVERTED = {"IndexBinaryIVF, one list": ORANGE, "IndexBinaryIVF, every list": PURPLE}
MARKERS = ("v", "<", ">", "p", "X", "*", "h", "P", "d")
MIN_SHARE, MANY_ERRORS = 1e-5, 0.1
"""Shares of errors: the lowest that is drawn, and that above which points of time are hollow."""
BELOW: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}


def _draw_points(axes: Any, points: Sequence[Summary], shift: float, **style: Any) -> None:
    """Draw measured errors with their bars; if no error was seen, an arrow down from the upper bound."""
    seen, unseen = [p for p in points if p.mean], [p for p in points if not p.mean]
    common = {"linestyle": "none", "markersize": 5, "capsize": 2.5, "elinewidth": 1, **style}
    if seen:
        low, high = zip(*((p.mean - p.bar[0], p.bar[1] - p.mean) for p in seen), strict=True)
        axes.errorbar([p.messages + shift for p in seen], [p.mean for p in seen], [low, high], **common)
    if unseen:
        bounds = np.array([p.bar[1] for p in unseen])
        axes.errorbar([p.messages + shift for p in unseen], bounds, bounds * 0.5, uplims=True, **common)


def _draw_theory(axes: Any, experiment: Experiment, completion: Completion, wrong: int = 0, **style: Any) -> None:
    most = max(experiment.messages)
    grid = np.linspace(most * 0.02, most * 1.05, 300)
    axes.plot(grid, [predict(experiment, completion, wrong, count) for count in grid], linewidth=1.3, zorder=1, **style)


def _thousands(count: float, _: Any = None) -> str:
    return f"{count / 1000:g}"


def _set_error_axes(axes: Any, experiment: Experiment, title: str) -> None:
    axes.set_yscale("log")
    axes.set_ylim(MIN_SHARE, 2)
    axes.set_xlim(0, max(experiment.messages) * 1.06)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.set_xlabel("messages stored, thousands")
    axes.set_ylabel("share of recalls that fail")
    axes.set_title(title, fontsize=10)
    draw_grid(axes)


def _draw_dense(axes: Any, experiment: Experiment, summaries: Sequence[Summary]) -> None:
    step = max(experiment.messages) * 0.014
    _draw_theory(axes, experiment, Completion(iterations=1), color=BLACK, linestyle="-")
    _draw_theory(axes, experiment, Completion(), color=BLACK, linestyle="--")
    for place, completion in enumerate(experiment.completions):
        colour, (marker, _) = RULES[completion.rule], ROUNDS[completion.iterations]
        points = [p for p in summaries if p.experiment == experiment.name and p.completion == completion]
        shift = step * (place // 3 - 1) + step * 0.33 * (place % 3 - 1)
        _draw_points(
            axes, points, shift, color=colour, marker=marker, markerfacecolor="white" if marker == "o" else colour
        )
    keys = [legend_entry(colour, "o", rule) for rule, colour in RULES.items()]
    keys += [legend_entry(GREY, marker, label, hollow=marker == "o") for marker, label in ROUNDS.values()]
    keys += [
        legend_entry(BLACK, "", "theory, 1 iteration", line="-"),
        legend_entry(BLACK, "", "estimate, converged", line="--"),
    ]
    axes.legend(handles=keys, fontsize=8, loc="lower right", ncols=2)
    shape = f"dense: {experiment.clusters} clusters of {experiment.units} units"
    _set_error_axes(axes, experiment, f"{shape}, {experiment.erased} symbols erased")


def _draw_sparse(axes: Any, experiment: Experiment, summaries: Sequence[Summary]) -> None:
    keys = []
    for completion, colour, marker in zip(experiment.completions, (BLUE, ORANGE, GREEN), ("s", "o", "^"), strict=True):
        points = [p for p in summaries if p.experiment == experiment.name and p.completion == completion]
        _draw_theory(axes, experiment, completion, color=colour, linestyle="--" if completion.guided else "-")
        _draw_points(axes, points, 0, color=colour, marker=marker)
        keys.append(legend_entry(colour, marker, f"{'guided' if completion.guided else 'blind'}: {completion}"))
    keys += [legend_entry(ORANGE, "", "theory, blind, 1 iteration", line="-")]
    keys += [legend_entry(BLUE, "", "estimate, guided, converged", line="--")]
    axes.legend(handles=keys, fontsize=8, **BELOW)
    shape = f"{experiment.active} of {experiment.clusters} clusters of {experiment.units} units"
    _set_error_axes(axes, experiment, f"sparse: {shape},\n{experiment.erased} symbols erased")


def _draw_noisy(axes: Any, experiment: Experiment, summaries: Sequence[Summary]) -> None:
    markers, step = ("o", "D", "s", "^"), max(experiment.messages) * 0.018
    colours = dict(zip(experiment.wrong, (SKY, BLUE, PURPLE), strict=False))
    for wrong, colour in colours.items():
        _draw_theory(axes, experiment, Completion(iterations=1), wrong, color=colour, linestyle="-")
        for completion, marker in zip(experiment.completions, markers, strict=True):
            points = [
                p for p in summaries if (p.experiment, p.completion, p.wrong) == (experiment.name, completion, wrong)
            ]
            face = "white" if marker == "o" else colour
            shift = step * (wrong - 2) + step * 0.25 * (markers.index(marker) - 1.5)
            _draw_points(axes, points, shift, color=colour, marker=marker, markerfacecolor=face)
    keys = [
        legend_entry(colour, "", f"{wrong} wrong; theory, 1 iteration", line="-") for wrong, colour in colours.items()
    ]
    keys += [
        legend_entry(GREY, marker, str(completion), hollow=marker == "o")
        for completion, marker in zip(experiment.completions, markers, strict=True)
    ]
    axes.legend(handles=keys, fontsize=8, ncols=2, **BELOW)
    _set_error_axes(
        axes, experiment, f"noisy: {experiment.clusters} clusters of {experiment.units} units,\nwrong symbols"
    )


def draw_errors(path: Path, experiments: Sequence[Experiment], summaries: Sequence[Summary]) -> Path:
    """Draw errors against messages: dense above, sparse and noisy below."""
    figure = Figure(figsize=(9, 10), layout="constrained")
    axes: Any = figure.subplot_mosaic([["dense", "dense"], ["sparse", "noisy"]])
    drawers = {"dense": _draw_dense, "sparse": _draw_sparse, "noisy": _draw_noisy}
    for experiment in experiments:
        drawers[experiment.name](axes[experiment.name], experiment, summaries)
    networks, cues = max(p.networks for p in summaries), max(p.cues for p in summaries)
    figure.suptitle(
        f"Clique memory: mean of {networks} networks, {cues // networks:,} cues each. Bars: 95 % interval of the mean "
        "(binomial,\nwidened by the spread between networks). Arrows: no error seen, upper bound 3 / cues.",
        fontsize=9.5,
    )  # fmt: skip
    return save(figure, path)


def _draw_curve(axes: Any, timings: list[Row], what: str, curve: str, among: Sequence[int], **style: Any) -> None:
    """Draw median microseconds per recall, with bars from the fastest to the slowest repetition."""
    found = {row["messages"] for row in timings if row["what"] == what and row["curve"] == curve}
    counts = sorted(found.intersection(among))
    if not counts:
        return
    times = [1e6 / np.array(rates(timings, what, curve, count)) for count in counts]
    middle = np.array([np.median(each) for each in times])
    bars = [middle - [each.min() for each in times], [each.max() for each in times] - middle]
    axes.errorbar(counts, middle, bars, **{"markersize": 4.5, "linewidth": 1.6, "capsize": 2, "elinewidth": 1, **style})


def _draw_time_panel(axes: Any, plan: SpeedPlan, timings: list[Row], points: list[Row], curve: str) -> None:
    units = plan.units * (4 if curve == LARGE else 1)
    counts = plan.large if curve == LARGE else plan.fixed
    leader = fastest_faiss(timings, curve, max(counts), inverted=False)
    for name, marker in zip(faiss_names(timings), MARKERS, strict=False):
        style = {"color": INVERTED.get(name, GREY), "linewidth": 1.6 if is_inverted(name) else 0.9}
        chosen = {"color": BLACK, "linewidth": 1.6} if name == leader else style
        _draw_curve(axes, timings, name, curve, counts, marker=marker, **chosen)
    clique = {"color": BLUE, "marker": "o", "linewidth": 2.2, "zorder": 3}
    _draw_curve(axes, timings, RECALL, curve, counts, **clique)
    full = {
        row["messages"]
        for row in points
        if (row["curve"], row["what"]) == (curve, RECALL) and row["error"] > MANY_ERRORS
    }
    _draw_curve(axes, timings, RECALL, curve, sorted(full), **{**clique, "markerfacecolor": "white", "linewidth": 0})
    _draw_curve(axes, timings, RECALL, PLANNED, counts, color=GREEN, marker="s", linewidth=2.2, zorder=3)
    axes.set(xscale="log", yscale="log", xlabel="messages stored, thousands")
    label_log_axis(axes.xaxis, (1, 2, 5), _thousands)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda us, _: f"{us:,g}"))
    size = (plan.clusters * units) ** 2 / 8e6
    axes.set_title(f"{plan.clusters} clusters of {units} units ({size:.2g} MB), {plan.erased} erased", fontsize=10)
    draw_grid(axes)


def draw_times(path: Path, plan: SpeedPlan, timings: list[Row], points: list[Row]) -> Path:
    """Draw time per recall against messages, of the clique memory and FAISS; one panel per size of memory."""
    figure = Figure(figsize=(9, 7.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, curve in zip(panels, (FIXED, LARGE), strict=True):
        _draw_time_panel(axes, plan, timings, points, curve)
    panels[0].set_ylabel("microseconds per recall, one core")
    keys = [legend_entry(BLUE, "o", "clique memory of this size", line="-")]
    keys += [legend_entry(BLUE, "o", f"the same, more than {MANY_ERRORS:.0%} of recalls fail", hollow=True)]
    keys += [legend_entry(GREEN, "s", "clique memory, size planned", line="-")]
    names = faiss_names(timings)
    if names:
        keys += [legend_entry(BLACK, "", "best ordinary FAISS index at the right edge", line="-")]
    for name, marker in zip(names, MARKERS, strict=False):
        keys.append(legend_entry(INVERTED.get(name, GREY), marker, f"FAISS {name}", line="-"))
    figure.legend(handles=keys, fontsize=8, loc="outside lower center", ncols=3)
    figure.suptitle(
        "Time per recall as messages grow: median, bars from the quickest to the slowest repetition.\n"
        "Planned: as many units as keep one round below 1 % error. A fixed memory slows down as it saturates.",
        fontsize=9.5,
    )
    return save(figure, path)
