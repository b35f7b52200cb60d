"""The picture of `assocmem bench recall --families`: expected against measured recall. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from assocmem.bench.plots import BLACK, GREY, draw_grid, save
from assocmem.bench.recall.family_report import TOLERANCE
from assocmem.bench.recall.family_run import FamilyResult

MARKERS = "osD^v<>Phd"


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
