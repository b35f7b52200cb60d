"""What the duplicates benchmark says: tables in Markdown, a picture. No measuring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from assocmem._storage.hdf5 import replacing
from assocmem.bench.common import median, spread
from assocmem.bench.tables import Section, machine_lines, write_sections

Row = dict[str, Any]


OURS = "assocmem"
NOTE = (
    "The share of copies whose original comes first; where pictures score the same, the expected share. Mean average "
    "precision: one picture is to be found, so average precision is 1 / its rank, 0 beyond rank 100; the mean over "
    "copies."
)


def names(rows: Iterable[Row]) -> list[str]:
    """Methods, in the order they were asked."""
    return list(dict.fromkeys(row["method"] for row in rows))


def figure(rows: Iterable[Row], method: str, copy: str, what: str) -> float:
    """One measured value."""
    return next(float(row[what]) for row in rows if row["method"] == method and row["copy"] == copy)


def best_peer(rows: Sequence[Row], copy: str) -> tuple[str, float]:
    """Return the best of others on one way to alter, by recall@1."""
    others = [name for name in names(rows) if not name.startswith(OURS)]
    return max(((name, figure(rows, name, copy, "recall")) for name in others), key=lambda pair: pair[1])


def verdict(rows: Sequence[Row]) -> Section:
    """Ours beside the best of all others, one by one."""
    lines, below = [], []
    for copy in dict.fromkeys(row["copy"] for row in rows):
        ours = figure(rows, OURS, copy, "recall")
        name, theirs = best_peer(rows, copy)
        lines.append([copy, f"{ours:.3f}", f"{theirs:.3f}", name, f"{ours - theirs:+.3f}"])
        if ours < theirs - 1e-9:
            below.append(f"{copy} ({ours - theirs:+.3f})")
    told = f"below the best of others on: {', '.join(below)}" if below else "nowhere below the best of others"
    headers = ("copy", "recall@1", "best of others", "which", "difference")
    return Section(
        "Recall@1 of the original, beside the best of others", headers, lines, [f"assocmem is {told}.", NOTE]
    )


def everything(rows: Sequence[Row], what: str, title: str) -> Section:
    """One figure of all methods."""
    methods = names(rows)
    ways = list(dict.fromkeys(row["copy"] for row in rows))
    sizes = ["bytes per picture", *(str(next(r["bytes"] for r in rows if r["method"] == name)) for name in methods)]
    means = ["mean", *(f"{sum(figure(rows, name, way, what) for way in ways) / len(ways):.4f}" for name in methods)]
    lines = [[way, *(f"{figure(rows, name, way, what):.3f}" for name in methods)] for way in ways]
    return Section(title, ("copy", *methods), [sizes, means, *lines])


def grouping(rows: Sequence[Row], items: int, real: int) -> Section:
    """Times and quality of grouping."""
    ours = median(next(row["seconds"] for row in rows if row["way"] == f"{OURS}, copies"))
    lines = []
    for row in rows:
        taken = [1000 * seconds for seconds in row["seconds"]]
        told = spread(taken) if len(taken) > 1 else f"{taken[0]:.3g}"
        quality = (str(row["groups"]), f"{row['precision']:.3f}", f"{row['recall']:.3f}")
        lines.append([row["way"], told, f"{ours / median(row['seconds']):.3g}", *quality])
    note = (
        f"{items:,} items, features and hashes given: {real:,} of real pictures and their copies, the rest mixtures of "
        "two pictures' vectors. Milliseconds on one core: median (extremes), each way in a process of its own. "
        "Precision and recall: pairs in one connected group against pairs of one original; severe copies count too."
    )
    headers = ("way", "ms", "ours / its", "groups", "precision of pairs", "recall of pairs")
    return Section(f"Grouping {items:,} pictures", headers, lines, [note])


def write_markdown(path: Path, tables: Sequence[Section], about: str, load: float) -> Path:
    """Write the tables, and the machine they were measured on."""
    return write_sections(
        path, "Finding copies", [f"`assocmem bench duplicates`: {about}", *machine_lines(load)], tables
    )


def draw(path: Path, rows: Sequence[Row]) -> Path:
    """Draw recall@1 per way to alter: ours, the best hash, and the raw features."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ways = list(dict.fromkeys(row["copy"] for row in rows))
    series: dict[str, tuple[str, dict[str, Any]]] = {}
    for method, marker, colour in (("phash", "v", "#c44e52"), ("dhash", "^", "#dd8452"), ("whash", "<", "#937860"),
                                   ("FAISS Flat, raw features", "s", "#4c72b0"), (OURS, "o", "#2a7f4f")):  # fmt: skip
        if method in names(rows):
            series[method] = (marker, {"color": colour, "zorder": 3 if method == OURS else 2})
    figure_, axes = pyplot.subplots(figsize=(8, 0.24 * len(ways) + 1.2))
    for method, (marker, style) in series.items():
        values = [figure(rows, method, way, "recall") for way in ways]
        axes.plot(values, range(len(ways)), marker, label=method, markersize=6, alpha=0.9, **style)
    axes.set_yticks(range(len(ways)), ways)
    axes.invert_yaxis()
    axes.set_xlabel("share of copies whose original comes first")
    axes.set_xlim(-0.03, 1.03)
    axes.grid(axis="both", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.09), ncols=3, frameon=False)
    with replacing(path) as temporary:
        figure_.savefig(temporary, format="png", dpi=110, bbox_inches="tight")
    pyplot.close(figure_)
    return path
