"""The pictures of the capacity benchmark: errors beside theory, time per recall beside FAISS. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from assocmem.bench.capacity.error_rates import Experiment, Row, Summary, Way, predict
from assocmem.bench.capacity.report import best, faiss_names, is_inverted, rates
from assocmem.bench.capacity.speed import FIXED, LARGE, PLANNED, RECALL, Settings
from assocmem.bench.plots import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, key, save

RULES = {"sum-of-max": BLUE, "sum-of-sum": ORANGE, "gwsta": GREEN}
ROUNDS = {1: ("o", "1 iteration"), 4: ("s", "4 iterations"), 0: ("D", "converged")}
INVERTED = {"IndexBinaryIVF, one list": ORANGE, "IndexBinaryIVF, every list": PURPLE}
MARKERS = ("v", "<", ">", "p", "X", "*", "h", "P", "d")
LOWEST, MUCH = 1e-5, 0.1
BELOW: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}


def _points(axes: Any, points: Sequence[Summary], shift: float, **style: Any) -> None:
    """Measured errors with their bars; an arrow down from the upper bound where there was none."""
    seen, unseen = [p for p in points if p.mean], [p for p in points if not p.mean]
    common = {"linestyle": "none", "markersize": 5, "capsize": 2.5, "elinewidth": 1, **style}
    if seen:
        low, high = zip(*((p.mean - p.bar[0], p.bar[1] - p.mean) for p in seen), strict=True)
        axes.errorbar([p.messages + shift for p in seen], [p.mean for p in seen], [low, high], **common)
    if unseen:
        bounds = np.array([p.bar[1] for p in unseen])
        axes.errorbar([p.messages + shift for p in unseen], bounds, bounds * 0.5, uplims=True, **common)


def _theory(axes: Any, experiment: Experiment, way: Way, wrong: int = 0, **style: Any) -> None:
    most = max(experiment.messages)
    grid = np.linspace(most * 0.02, most * 1.05, 300)
    axes.plot(grid, [predict(experiment, way, wrong, count) for count in grid], linewidth=1.3, zorder=1, **style)


def _thousands(count: float, _: int | None = None) -> str:
    return f"{count / 1000:g}"


def _frame(axes: Any, experiment: Experiment, title: str) -> None:
    axes.set_yscale("log")
    axes.set_ylim(LOWEST, 2)
    axes.set_xlim(0, max(experiment.messages) * 1.06)
    axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.set_xlabel("messages stored, thousands")
    axes.set_ylabel("share of recalls that fail")
    axes.set_title(title, fontsize=10)
    axes.grid(color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)


def _dense(axes: Any, experiment: Experiment, summaries: Sequence[Summary]) -> None:
    step = max(experiment.messages) * 0.014
    _theory(axes, experiment, Way(iterations=1), color=BLACK, linestyle="-")
    _theory(axes, experiment, Way(), color=BLACK, linestyle="--")
    for place, way in enumerate(experiment.ways):
        colour, (marker, _) = RULES[way.rule], ROUNDS[way.iterations]
        points = [p for p in summaries if p.experiment == experiment.name and p.way == way]
        shift = step * (place // 3 - 1) + step * 0.33 * (place % 3 - 1)
        _points(axes, points, shift, color=colour, marker=marker, markerfacecolor="white" if marker == "o" else colour)
    keys = [key(colour, "o", rule) for rule, colour in RULES.items()]
    keys += [key(GREY, marker, label, hollow=marker == "o") for marker, label in ROUNDS.values()]
    keys += [key(BLACK, "", "theory, 1 iteration", line="-"), key(BLACK, "", "estimate, converged", line="--")]
    axes.legend(handles=keys, fontsize=8, loc="lower right", ncols=2)
    shape = f"dense: {experiment.clusters} clusters of {experiment.units} units"
    _frame(axes, experiment, f"{shape}, {experiment.erased} symbols erased")


def _sparse(axes: Any, experiment: Experiment, summaries: Sequence[Summary]) -> None:
    keys = []
    for way, colour, marker in zip(experiment.ways, (BLUE, ORANGE, GREEN), ("s", "o", "^"), strict=True):
        points = [p for p in summaries if p.experiment == experiment.name and p.way == way]
        _theory(axes, experiment, way, color=colour, linestyle="--" if way.guided else "-")
        _points(axes, points, 0, color=colour, marker=marker)
        keys.append(key(colour, marker, f"{'guided' if way.guided else 'blind'}: {way}"))
    keys += [key(ORANGE, "", "theory, blind, 1 iteration", line="-")]
    keys += [key(BLUE, "", "estimate, guided, converged", line="--")]
    axes.legend(handles=keys, fontsize=8, **BELOW)
    shape = f"{experiment.active} of {experiment.clusters} clusters of {experiment.units} units"
    _frame(axes, experiment, f"sparse: {shape},\n{experiment.erased} symbols erased")


def _noisy(axes: Any, experiment: Experiment, summaries: Sequence[Summary]) -> None:
    markers, step = ("o", "D", "s", "^"), max(experiment.messages) * 0.018
    colours = dict(zip(experiment.wrong, (SKY, BLUE, PURPLE), strict=False))
    for wrong, colour in colours.items():
        _theory(axes, experiment, Way(iterations=1), wrong, color=colour, linestyle="-")
        for way, marker in zip(experiment.ways, markers, strict=True):
            points = [p for p in summaries if (p.experiment, p.way, p.wrong) == (experiment.name, way, wrong)]
            face = "white" if marker == "o" else colour
            shift = step * (wrong - 2) + step * 0.25 * (markers.index(marker) - 1.5)
            _points(axes, points, shift, color=colour, marker=marker, markerfacecolor=face)
    keys = [key(colour, "", f"{wrong} wrong; theory, 1 iteration", line="-") for wrong, colour in colours.items()]
    keys += [key(GREY, m, str(way), hollow=m == "o") for way, m in zip(experiment.ways, markers, strict=True)]
    axes.legend(handles=keys, fontsize=8, ncols=2, **BELOW)
    _frame(axes, experiment, f"noisy: {experiment.clusters} clusters of {experiment.units} units,\nwrong symbols")


def draw_errors(path: Path, experiments: Sequence[Experiment], summaries: Sequence[Summary]) -> Path:
    """Draw errors against messages: dense above, sparse and noisy below."""
    figure = Figure(figsize=(9, 10), layout="constrained")
    axes: Any = figure.subplot_mosaic([["dense", "dense"], ["sparse", "noisy"]])
    drawers = {"dense": _dense, "sparse": _sparse, "noisy": _noisy}
    for experiment in experiments:
        drawers[experiment.name](axes[experiment.name], experiment, summaries)
    networks, cues = max(p.networks for p in summaries), max(p.cues for p in summaries)
    figure.suptitle(
        f"Clique memory: mean of {networks} networks, {cues // networks:,} cues each. Bars: 95 % interval of the mean "
        "(binomial,\nwidened by the spread between networks). Arrows: no error seen, upper bound 3 / cues.",
        fontsize=9.5,
    )  # fmt: skip
    return save(figure, path)


def _curve(axes: Any, timings: list[Row], what: str, curve: str, among: Sequence[int], **style: Any) -> None:
    """Medians of microseconds per recall, with bars from the quickest to the slowest repetition."""
    found = {row["messages"] for row in timings if row["what"] == what and row["curve"] == curve}
    counts = sorted(found.intersection(among))
    if not counts:
        return
    times = [1e6 / np.array(rates(timings, what, curve, count)) for count in counts]
    middle = np.array([np.median(each) for each in times])
    bars = [middle - [each.min() for each in times], [each.max() for each in times] - middle]
    axes.errorbar(counts, middle, bars, **{"markersize": 4.5, "linewidth": 1.6, "capsize": 2, "elinewidth": 1, **style})


def _time_panel(axes: Any, settings: Settings, timings: list[Row], points: list[Row], curve: str) -> None:
    units = settings.units * (4 if curve == LARGE else 1)
    counts = settings.large if curve == LARGE else settings.fixed
    leader = best(timings, curve, max(counts), inverted=False)
    for name, marker in zip(faiss_names(timings), MARKERS, strict=False):
        style = {"color": INVERTED.get(name, GREY), "linewidth": 1.6 if is_inverted(name) else 0.9}
        chosen = {"color": BLACK, "linewidth": 1.6} if name == leader else style
        _curve(axes, timings, name, curve, counts, marker=marker, **chosen)
    ours = {"color": BLUE, "marker": "o", "linewidth": 2.2, "zorder": 3}
    _curve(axes, timings, RECALL, curve, counts, **ours)
    full = {row["messages"] for row in points if (row["curve"], row["what"]) == (curve, RECALL) and row["error"] > MUCH}
    _curve(axes, timings, RECALL, curve, sorted(full), **{**ours, "markerfacecolor": "white", "linewidth": 0})
    _curve(axes, timings, RECALL, PLANNED, counts, color=GREEN, marker="s", linewidth=2.2, zorder=3)
    axes.set(xscale="log", yscale="log", xlabel="messages stored, thousands")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda us, _: f"{us:,g}"))
    size = (settings.clusters * units) ** 2 / 8e6
    axes.set_title(
        f"{settings.clusters} clusters of {units} units ({size:.2g} MB), {settings.erased} erased", fontsize=10
    )
    axes.grid(color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)


def draw_times(path: Path, settings: Settings, timings: list[Row], points: list[Row]) -> Path:
    """Draw time per recall against messages, FAISS beside; one panel per size of memory."""
    figure = Figure(figsize=(9, 7.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, curve in zip(panels, (FIXED, LARGE), strict=True):
        _time_panel(axes, settings, timings, points, curve)
    panels[0].set_ylabel("microseconds per recall, one core")
    keys = [key(BLUE, "o", "clique memory of this size", line="-")]
    keys += [key(BLUE, "o", f"the same, more than {MUCH:.0%} of recalls fail", hollow=True)]
    keys += [key(GREEN, "s", "clique memory, size planned", line="-")]
    names = faiss_names(timings)
    if names:
        keys += [key(BLACK, "", "best ordinary FAISS index at the right edge", line="-")]
    for name, marker in zip(names, MARKERS, strict=False):
        keys.append(key(INVERTED.get(name, GREY), marker, f"FAISS {name}", line="-"))
    figure.legend(handles=keys, fontsize=8, loc="outside lower center", ncols=3)
    figure.suptitle(
        "Time per recall as messages grow: median, bars from the quickest to the slowest repetition.\n"
        "Planned: as many units as keep one round below 1 % error. A fixed memory slows down as it saturates.",
        fontsize=9.5,
    )
    return save(figure, path)
