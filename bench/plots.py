"""What the benchmarks' pictures share: colours, keys, saving. Needs matplotlib.

Colours are those of Okabe and Ito, told apart by the colour-blind; every series has a marker of its own too.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from assocmem._storage.hdf5 import replacing

BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK, GREY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000", "#8C8C8C",
)  # fmt: skip
DPI = 150


def save(figure: Figure, path: Path) -> Path:
    """Write a picture as PNG, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)
    return path


def key(colour: str, marker: str, label: str, *, line: str = "none", hollow: bool = False) -> Line2D:
    """Return an entry of a legend."""
    face = "white" if hollow else colour
    return Line2D([], [], color=colour, marker=marker, linestyle=line, markerfacecolor=face, markersize=5, label=label)
