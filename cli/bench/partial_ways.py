"""Ways to search with part of the query missing, each ranking all items exactly; and the engine as it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assocmem.codes import CliqueCoder
from assocmem.errors import InputError
from assocmem.files import replacing
from assocmem.partial import SAMPLE, Mask, Moments, complete, known_distances
from assocmem.search import Block, ExhaustiveEngine

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
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
    whole = np.ones(base.shape[1], bool)
    truth = np.stack([_best(_all_distances(base, query, whole, cosine)) for query in asked])
    return Task(base, asked, cosine, truth, engine)


def _all_distances(base: F32, query: F32, known: Mask, cosine: bool) -> F32:
    return known_distances(base, query[known], known, unit=cosine)


def _best(distances: F32) -> I64:
    return np.argpartition(distances, K)[:K].astype(np.int64)


def measure(task: Task, pattern: str, share: float) -> dict[str, Any]:
    """Return recall by way, with the same numbers missing in all queries."""
    known = _known(task.base.shape[1], pattern, share)
    queries = np.where(known, task.queries, np.float32(np.nan))
    moments = Moments.of(task.base[:: max(1, len(task.base) // SAMPLE)], unit=task.cosine)
    filled, milliseconds = _fill(task, queries, known, moments)
    found = {way: [_best(_all_distances(task.base, row, mask, task.cosine)) for row in rows]
             for way, (rows, mask) in filled.items() if mask.any()}  # fmt: skip
    if task.engine is not None:
        found[ENGINE] = list(task.engine.search(queries, K)[1])
    recall = {
        way: float(np.mean([len(np.intersect1d(*pair)) for pair in zip(rows, task.truth, strict=True)]) / K)
        for way, rows in found.items()
    }
    return {"pattern": pattern, "share": share, "recall": recall, "complete_ms": milliseconds}


def _known(dim: int, pattern: str, share: float) -> Mask:
    rng = np.random.default_rng(round(1000 * share))
    known = np.ones(dim, bool)
    missing = round(share * dim)
    start = rng.integers(dim)
    known[rng.permutation(dim)[:missing] if pattern == PATTERNS[0] else (start + np.arange(missing)) % dim] = False
    return known


def _fill(task: Task, queries: F32, known: Mask, moments: Moments) -> tuple[dict[str, tuple[F32, Mask]], float]:
    """Return by way the rows that are searched with and where they count; and how long the best takes, in ms."""
    everywhere, every = np.ones(len(known), bool), np.broadcast_to(known, queries.shape)

    def near(whole: F32, count: int = 20) -> F32:
        distances = _all_distances(task.base, whole, known, task.cosine)
        return np.asarray(task.base[np.argpartition(distances, count)[:count]], np.float32)

    def nothing(whole: F32) -> F32:
        return task.base[:0]

    started = time.perf_counter()
    both = complete(queries, every, moments, near)
    milliseconds = (time.perf_counter() - started) / len(queries) * 1e3
    blocks = np.zeros(len(known), bool)
    for part in np.array_split(np.arange(len(known)), BLOCKS):
        blocks[part] = known[part].all()
    filled = {
        ZEROS: (np.where(known, queries, np.float32(0)), everywhere),
        KNOWN: (queries, known),
        WHOLE: (queries, blocks),
        REGRESSION: (complete(queries, every, moments, nothing), everywhere),
        NEAREST: (_means(queries, known, near, task.cosine), everywhere),
        BOTH: (both, everywhere),
    }
    return filled, milliseconds


def _means(queries: F32, known: Mask, near: Callable[[F32, int], F32], cosine: bool) -> F32:
    """Fill in the mean of the five nearest in the known numbers, at the cue's scale under cosine."""
    out = queries.copy()
    for row in out:
        mean = near(row, 5).mean(axis=0)
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
    panels[0].legend(fontsize=8)
    figure.suptitle(f"{about['file']}: {about['items']:,} items, {about['queries']} queries", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return path
