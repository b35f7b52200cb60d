"""The report of the duplicates benchmark: tables, and a picture of recall by alteration. No measuring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from assocmem.bench.records import machine_lines
from assocmem.bench.tables import Section, spread, write_page

Row = dict[str, Any]

ASSOCMEM = "assocmem"
STYLES = {"phash": ("v", "#c44e52"), "dhash": ("^", "#dd8452"), "whash": ("<", "#937860"),
          "FAISS Flat, raw features": ("s", "#4c72b0"), ASSOCMEM: ("o", "#2a7f4f")}  # fmt: skip
"""Method in the picture -> marker and colour."""
NOTE = (
    "The share of copies whose original comes first; where pictures score the same, the expected share. Mean average "
    "precision: one picture is to be found, so average precision is 1 / its rank, 0 beyond rank 100; the mean over "
    "copies."
)


def method_names(rows: Iterable[Row]) -> list[str]:
    """Return the methods in the order in which they were asked."""
    return list(dict.fromkeys(row["method"] for row in rows))


def copy_names(rows: Iterable[Row]) -> list[str]:
    """Return the alterations in their order."""
    return list(dict.fromkeys(row["copy"] for row in rows))


def figure(rows: Iterable[Row], method: str, copy: str, what: str) -> float:
    """Return one measured value."""
    return next(float(row[what]) for row in rows if row["method"] == method and row["copy"] == copy)


def best_rival(rows: Sequence[Row], copy: str) -> tuple[str, float]:
    """Return the method with the highest recall@1 on one alteration, without those of assocmem."""
    others = [name for name in method_names(rows) if not name.startswith(ASSOCMEM)]
    return max(((name, figure(rows, name, copy, "recall")) for name in others), key=lambda pair: pair[1])


def verdict_section(rows: Sequence[Row]) -> Section:
    """Compare assocmem with the best rival on each alteration."""
    lines, behind = [], []
    for copy in copy_names(rows):
        recall = figure(rows, ASSOCMEM, copy, "recall")
        name, other = best_rival(rows, copy)
        lines.append([copy, f"{recall:.3f}", f"{other:.3f}", name, f"{recall - other:+.3f}"])
        if recall < other - 1e-9:
            behind.append(f"{copy} ({recall - other:+.3f})")
    verdict = f"below the best of others on: {', '.join(behind)}" if behind else "nowhere below the best of others"
    headers = ("copy", "recall@1", "best of others", "which", "difference")
    title = "Recall@1 of the original, compared with the best of others"
    return Section(title, headers, lines, [f"assocmem is {verdict}.", NOTE])


def methods_section(rows: Sequence[Row], what: str, title: str) -> Section:
    """Tabulate one figure of all methods on each alteration."""
    methods, copies = method_names(rows), copy_names(rows)
    sizes = ["bytes per picture", *(str(next(r["bytes"] for r in rows if r["method"] == name)) for name in methods)]
    sums = {name: sum(figure(rows, name, copy, what) for copy in copies) for name in methods}
    means = ["mean", *(f"{sums[name] / len(copies):.4f}" for name in methods)]
    lines = [[copy, *(f"{figure(rows, name, copy, what):.3f}" for name in methods)] for copy in copies]
    return Section(title, ("copy", *methods), [sizes, means, *lines])


def grouping_section(rows: Sequence[Row], items: int, real: int) -> Section:
    """Tabulate times and quality of grouping."""
    own = median(next(row["seconds"] for row in rows if row["way"] == f"{ASSOCMEM}, copies"))
    lines = []
    for row in rows:
        taken = [1000 * seconds for seconds in row["seconds"]]
        cell = spread(taken) if len(taken) > 1 else f"{taken[0]:.3g}"
        quality = (str(row["groups"]), f"{row['precision']:.3f}", f"{row['recall']:.3f}")
        lines.append([row["way"], cell, f"{own / median(row['seconds']):.3g}", *quality])
    note = (
        f"{items:,} items, features and hashes given: {real:,} of real pictures and their copies, the rest mixtures of "
        "two pictures' vectors. Milliseconds on one core: median (extremes), each way in a process of its own. "
        "Precision and recall: pairs in one connected group against pairs of one original; severe copies count too."
    )
    headers = ("way", "ms", "ours / its", "groups", "precision of pairs", "recall of pairs")
    return Section(f"Grouping {items:,} pictures", headers, lines, [note])


def write_markdown(path: Path, sections: Sequence[Section], about: str, load: float) -> Path:
    """Write the tables, the machine, and its load average before the run."""
    heading = [f"`assocmem bench duplicates`: {about}", *machine_lines(load)]
    return write_page(path, "Finding copies", heading, sections)


def draw(path: Path, rows: Sequence[Row]) -> Path:
    """Draw recall@1 by alteration: of assocmem, hashes, and raw features. Needs matplotlib."""
    from matplotlib.figure import Figure

    from assocmem.bench.plots import save

    copies, methods = copy_names(rows), method_names(rows)
    picture = Figure(figsize=(8, 0.24 * len(copies) + 1.2))
    axes: Any = picture.subplots()
    for method, (marker, colour) in STYLES.items():
        if method in methods:
            values = [figure(rows, method, copy, "recall") for copy in copies]
            style = {"markersize": 6, "alpha": 0.9, "color": colour, "zorder": 3 if method == ASSOCMEM else 2}
            axes.plot(values, range(len(copies)), marker, label=method, **style)
    axes.set_yticks(range(len(copies)), copies)
    axes.invert_yaxis()
    axes.set_xlabel("share of copies whose original comes first")
    axes.set_xlim(-0.03, 1.03)
    axes.grid(axis="both", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.09), ncols=3, frameon=False)
    return save(picture, path, dpi=110, bbox_inches="tight")
