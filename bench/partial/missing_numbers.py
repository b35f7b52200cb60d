"""Ways to search with part of the query missing, each ranking all items exactly; and the engine as it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64, Bools
from assocmem._storage.hdf5 import replacing
from assocmem.codes.missing_values import MOMENT_ROWS, NEIGHBOURS, Moments, impute
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import InputError
from assocmem.search.exhaustive import Block, ExhaustiveEngine

K = 10
BLOCKS = 20
"""Blocks of dimensions, of which only those that are known whole are looked at."""
PATTERNS = ("at random", "in one piece")
ZEROS, KNOWN, WHOLE, REGRESSION, NEAREST, BOTH, ENGINE = WAYS = (
    "zeros", "known alone", "whole blocks", "regression", "mean of nearest", "both", "search",
)  # fmt: skip
COLOURS = ("#8C8C8C", "#56B4E9", "#CC79A7", "#E69F00", "#009E73", "#0072B2", "#D55E00")


@dataclass(frozen=True, slots=True)
class Task:
    """What is searched for what, and what the whole queries find."""

    base: F32
    queries: F32
    cosine: bool
    truth: I64
    """int64 (queries, K)"""
    engine: ExhaustiveEngine | None
    """for cosine"""


def read_task(path: Path, items: int, queries: int) -> Task:
    """Read a file of vectors; InputError for any other file."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            base, asked = (np.asarray(file[name][:], np.float32) for name in ("train", "test"))
            kind = file.attrs.get("distance", "angular")
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: expected HDF5 with vectors 'train' and 'test', found another ({error})") from error
    rng = np.random.default_rng(0)
    base = base[np.sort(rng.permutation(len(base))[:items])]
    asked = asked[np.sort(rng.permutation(len(asked))[:queries])]
    cosine = (kind.decode() if isinstance(kind, bytes) else kind) == "angular"
    engine = None
    if cosine:
        unit = base / np.maximum(np.linalg.norm(base, axis=1, keepdims=True), 1e-30)
        coder = CliqueCoder(base.shape[1], mean=unit.mean(axis=0))
        engine = ExhaustiveEngine(coder, [Block(np.arange(len(base)), coder.encode(base), base)])
        base = unit
    truth = _best(base, asked, np.ones(base.shape[1], bool), cosine)
    return Task(base, asked, cosine, truth, engine)


def _best(task_base: F32, queries: F32, where: Bools, cosine: bool, count: int = K) -> I64:
    """Return the nearest by the numbers that count, int64 (nq, count), nearest first."""
    part = task_base[:, where]
    squares = np.einsum("ij,ij->i", part, part)
    products = queries[:, where] @ part.T
    scores = products / np.sqrt(np.maximum(squares, 1e-30)) if cosine else 2 * products - squares
    best = np.argpartition(-scores, count, axis=1)[:, :count]
    order = np.take_along_axis(-scores, best, axis=1).argsort(axis=1)
    return np.take_along_axis(best, order, axis=1).astype(np.int64)


def measure(task: Task, pattern: str, share: float) -> dict[str, Any]:
    """Return recall by way, with the same numbers missing in all queries."""
    known = _known(task.base.shape[1], pattern, share)
    queries = np.where(known, task.queries, np.float32(np.nan))
    moments = Moments.estimate(task.base[:: max(1, len(task.base) // MOMENT_ROWS)], unit=task.cosine)
    filled, milliseconds = _fill(task, queries, known, moments)
    found = {way: _best(task.base, rows, mask, task.cosine) for way, (rows, mask) in filled.items() if mask.any()}
    if task.engine is not None:
        found[ENGINE] = task.engine.search(queries, K)[1]
    recall = {
        way: float(np.mean([len(np.intersect1d(*pair)) for pair in zip(rows, task.truth, strict=True)]) / K)
        for way, rows in found.items()
    }
    return {"pattern": pattern, "share": share, "recall": recall, "complete_ms": milliseconds}


def _known(dim: int, pattern: str, share: float) -> Bools:
    rng = np.random.default_rng(round(1000 * share))
    known = np.ones(dim, bool)
    missing = round(share * dim)
    start = rng.integers(dim)
    known[rng.permutation(dim)[:missing] if pattern == PATTERNS[0] else (start + np.arange(missing)) % dim] = False
    return known


def _fill(task: Task, queries: F32, known: Bools, moments: Moments) -> tuple[dict[str, tuple[F32, Bools]], float]:
    """Return by way the rows that are searched with and where they count; and how long the best takes, in ms."""
    everywhere, every = np.ones(len(known), bool), np.broadcast_to(known, queries.shape)
    nearest = task.base[_best(task.base, queries, known, task.cosine, NEIGHBOURS)]

    def filled(candidates: F32) -> F32:
        each = iter(candidates)
        return impute(queries, every, moments, lambda whole: next(each))

    started = time.perf_counter()
    both = filled(nearest)
    milliseconds = (time.perf_counter() - started) / len(queries) * 1e3
    blocks = np.zeros(len(known), bool)
    for part in np.array_split(np.arange(len(known)), BLOCKS):
        blocks[part] = known[part].all()
    rows = {
        ZEROS: (np.where(known, queries, np.float32(0)), everywhere),
        KNOWN: (queries, known),
        WHOLE: (queries, blocks),
        REGRESSION: (filled(nearest[:, :0]), everywhere),
        NEAREST: (_means(queries, known, nearest[:, :5].mean(axis=1), task.cosine), everywhere),
        BOTH: (both, everywhere),
    }
    return rows, milliseconds


def _means(queries: F32, known: Bools, means: F32, cosine: bool) -> F32:
    """Fill in the means of the nearest in the known numbers, at the cue's scale under cosine."""
    out = queries.copy()
    for row, mean in zip(out, means, strict=True):
        scale = row[known] @ mean[known] / max(mean[known] @ mean[known], 1e-30) if cosine else 1.0
        row[~known] = scale * mean[~known]
    return out


def draw(path: Path, rows: list[dict[str, Any]], about: dict[str, Any]) -> Path:
    """Draw recall against the share missing, a panel per pattern. Needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, len(PATTERNS), sharey=True)
    for axes, pattern in zip(panels, PATTERNS, strict=True):
        for way, colour, marker in zip(WAYS, COLOURS, "xsv^Do*", strict=True):
            points = [(r["share"], r["recall"][way]) for r in rows if r["pattern"] == pattern and way in r["recall"]]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=way, linewidth=1.4)
        axes.set(title=f"missing {pattern}", xlabel="share of the query's numbers missing", xlim=(0, 1), ylim=(0, 1))
        axes.grid(color="#DDDDDD", linewidth=0.5)
    panels[0].set_ylabel("recall@10")
    drawn = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    panels[0].legend(list(drawn.values()), list(drawn), fontsize=8)
    figure.suptitle(f"{about['file']}: {about['items']:,} items, {about['queries']} queries", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return path
