"""Strategies to search with missing numbers in the query, each ranking all items exactly; and the real engine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64, Bools
from assocmem.bench.inputs import unit_rows_float32
from assocmem.bench.tables import Section
from assocmem.codes.missing_values import MOMENT_ROWS, NEIGHBOURS, Moments, impute
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import InputError
from assocmem.search.exhaustive import Block, ExhaustiveEngine

K = 10
BLOCKS = 20
"""Blocks of dimensions, of which only completely known ones are compared."""
AVERAGED = 5
"""Nearest items whose mean fills the missing numbers."""
PATTERNS = AT_RANDOM, IN_ONE_PIECE = ("at random", "in one piece")
ZEROS, KNOWN, WHOLE_BLOCKS, REGRESSION, NEAREST, BOTH, ENGINE = STRATEGIES = (
    "zeros", "known alone", "whole blocks", "regression", "mean of nearest", "both", "search",
)  # fmt: skip
COLOURS = ("#8C8C8C", "#56B4E9", "#CC79A7", "#E69F00", "#009E73", "#0072B2", "#D55E00")
MARKERS = "xsv^Do*"
"""Of the strategies in the picture, in their order."""


@dataclass(frozen=True, slots=True)
class SearchTask:
    """Items, queries, and what the complete queries find."""

    base: F32
    """float32 (n, dim), of length 1 if the distance is angular"""
    queries: F32
    """float32 (nq, dim)"""
    angular: bool
    truth: I64
    """int64 (nq, K): rows that the complete queries find"""
    engine: ExhaustiveEngine | None
    """None if the distance is not angular"""


def read_task(path: Path, items: int, queries: int) -> SearchTask:
    """Read a random part of a file in ann-benchmarks' layout; InputError for any other file."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            base, asked = (np.asarray(file[name][:], np.float32) for name in ("train", "test"))
            metric = file.attrs.get("distance", "angular")
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: expected HDF5 with vectors 'train' and 'test', found another ({error})") from error
    rng = np.random.default_rng(0)
    base = base[np.sort(rng.permutation(len(base))[:items])]
    asked = asked[np.sort(rng.permutation(len(asked))[:queries])]
    angular = (metric.decode() if isinstance(metric, bytes) else metric) == "angular"
    engine = None
    if angular:
        unit = unit_rows_float32(base)
        coder = CliqueCoder(base.shape[1], mean=unit.mean(axis=0))
        engine = ExhaustiveEngine(coder, [Block(np.arange(len(base)), coder.encode(base), base)])
        base = unit
    truth = _nearest(base, asked, np.ones(base.shape[1], bool), angular)
    return SearchTask(base, asked, angular, truth, engine)


def _nearest(base: F32, queries: F32, dimensions: Bools, angular: bool, count: int = K) -> I64:
    """Return the nearest items by some of the dimensions, bool (dim,): int64 (nq, count), nearest first."""
    part = base[:, dimensions]
    squares = np.einsum("ij,ij->i", part, part)
    products = queries[:, dimensions] @ part.T
    scores = products / np.sqrt(np.maximum(squares, 1e-30)) if angular else 2 * products - squares
    best = np.argpartition(-scores, count, axis=1)[:, :count]
    order = np.take_along_axis(-scores, best, axis=1).argsort(axis=1)
    return np.take_along_axis(best, order, axis=1).astype(np.int64)


def measure(task: SearchTask, pattern: str, share: float) -> dict[str, Any]:
    """Return recall by strategy, with the same numbers missing in all queries."""
    known = _known_dimensions(task.base.shape[1], pattern, share)
    queries = np.where(known, task.queries, np.float32(np.nan))
    moments = Moments.estimate(task.base[:: max(1, len(task.base) // MOMENT_ROWS)], unit=task.angular)
    filled, milliseconds = _fill(task, queries, known, moments)
    found = {
        strategy: _nearest(task.base, rows, dimensions, task.angular)
        for strategy, (rows, dimensions) in filled.items()
        if dimensions.any()
    }
    if task.engine is not None:
        found[ENGINE] = task.engine.search(queries, K)[1]
    recall = {
        strategy: float(np.mean([len(np.intersect1d(*pair)) for pair in zip(rows, task.truth, strict=True)]) / K)
        for strategy, rows in found.items()
    }
    return {"pattern": pattern, "share": share, "recall": recall, "complete_ms": milliseconds}


def _known_dimensions(dim: int, pattern: str, share: float) -> Bools:
    rng = np.random.default_rng(round(1000 * share))
    known = np.ones(dim, bool)
    missing = round(share * dim)
    start = rng.integers(dim)
    known[rng.permutation(dim)[:missing] if pattern == AT_RANDOM else (start + np.arange(missing)) % dim] = False
    return known


def _fill(task: SearchTask, queries: F32, known: Bools, moments: Moments) -> tuple[dict[str, tuple[F32, Bools]], float]:
    """Return, by strategy, the queries and the dimensions to search with; and milliseconds per query of the best."""
    everywhere, known_of_each = np.ones(len(known), bool), np.broadcast_to(known, queries.shape)
    nearest = task.base[_nearest(task.base, queries, known, task.angular, NEIGHBOURS)]

    def imputed(candidates: F32) -> F32:
        each = iter(candidates)
        return impute(queries, known_of_each, moments, lambda whole: next(each))

    started = time.perf_counter()
    both = imputed(nearest)
    milliseconds = (time.perf_counter() - started) / len(queries) * 1e3
    whole_blocks = np.zeros(len(known), bool)
    for block in np.array_split(np.arange(len(known)), BLOCKS):
        whole_blocks[block] = known[block].all()
    rows = {
        ZEROS: (np.where(known, queries, np.float32(0)), everywhere),
        KNOWN: (queries, known),
        WHOLE_BLOCKS: (queries, whole_blocks),
        REGRESSION: (imputed(nearest[:, :0]), everywhere),
        NEAREST: (_fill_means(queries, known, nearest[:, :AVERAGED].mean(axis=1), task.angular), everywhere),
        BOTH: (both, everywhere),
    }
    return rows, milliseconds


def _fill_means(queries: F32, known: Bools, means: F32, angular: bool) -> F32:
    """Fill in the means of the nearest items; if the distance is angular, scaled to the known part of the query."""
    out = queries.copy()
    for row, mean in zip(out, means, strict=True):
        scale = row[known] @ mean[known] / max(mean[known] @ mean[known], 1e-30) if angular else 1.0
        row[~known] = scale * mean[~known]
    return out


def section(rows: list[dict[str, Any]], pattern: str) -> Section:
    """Tabulate recall by share and strategy, for numbers missing in one pattern."""
    chosen = [row for row in rows if row["pattern"] == pattern]
    names = [name for name in STRATEGIES if any(name in row["recall"] for row in chosen)]
    cells = [
        (f"{row['share']:.0%}", *(f"{row['recall'][n]:.3f}" if n in row["recall"] else "" for n in names))
        for row in chosen
    ]
    times = [row["complete_ms"] for row in chosen]
    note = f"Completing a batch took {min(times):.1f} to {max(times):.1f} ms per query, the search of it not counted."
    return Section(f"Recall@10, numbers missing {pattern}", ("missing", *names), cells, [note])


def draw(path: Path, rows: list[dict[str, Any]], about: dict[str, Any]) -> Path:
    """Draw recall against the share of numbers missing, a panel per pattern. Needs matplotlib."""
    from matplotlib.figure import Figure

    from assocmem.bench.plots import draw_grid, save

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, len(PATTERNS), sharey=True)
    for axes, pattern in zip(panels, PATTERNS, strict=True):
        for name, colour, marker in zip(STRATEGIES, COLOURS, MARKERS, strict=True):
            points = [(r["share"], r["recall"][name]) for r in rows if r["pattern"] == pattern and name in r["recall"]]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=name, linewidth=1.4)
        axes.set(title=f"missing {pattern}", xlabel="share of the query's numbers missing", xlim=(0, 1), ylim=(0, 1))
        draw_grid(axes, below=False)
    panels[0].set_ylabel("recall@10")
    drawn = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    panels[0].legend(list(drawn.values()), list(drawn), fontsize=8)
    figure.suptitle(f"{about['file']}: {about['items']:,} items, {about['queries']} queries", fontsize=10)
    return save(figure, path)
