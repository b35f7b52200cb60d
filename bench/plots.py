"""Shared drawing of the benchmarks' pictures: colours, legend entries, grids, axes, files. Needs matplotlib.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart; every series has a marker of its own
too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from assocmem._storage.hdf5 import replacing

BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK, GREY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000", "#8C8C8C",
)  # fmt: skip
DPI = 150


def save(figure: Figure, path: Path, **options: Any) -> Path:
    """Write a picture as PNG, whole or not at all; ``options`` are those of ``Figure.savefig``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", **{"dpi": DPI, **options})
    return path


def legend_entry(colour: str, marker: str, label: str, *, line: str = "none", hollow: bool = False) -> Line2D:
    """Return an entry of a legend."""
    face = "white" if hollow else colour
    return Line2D([], [], color=colour, marker=marker, linestyle=line, markerfacecolor=face, markersize=5, label=label)


def draw_grid(axes: Any, *, below: bool = True) -> None:
    """Draw thin grid lines; ``below``: behind everything else."""
    axes.grid(color="#DDDDDD", linewidth=0.5)
    if below:
        axes.set_axisbelow(True)


def label_log_axis(axis: Any, steps: Sequence[int], text: Callable[[float], str]) -> None:
    """Label a logarithmic axis at ``steps`` of every power of ten, by plain numbers."""
    axis.set_major_locator(LogLocator(10, subs=tuple(steps)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_formatter(NullFormatter())
