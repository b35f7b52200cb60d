"""Retrieval of originals: describe originals, distractors and copies once, ask every method, and judge the ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64, U8
from assocmem.bench.duplicates.alterations import Alteration, alterations, make_copy
from assocmem.bench.duplicates.methods import DEPTH, Descriptions, Method, describe_pictures
from assocmem.bench.duplicates.photographs import read_picture, without_copies
from assocmem.bench.inputs import unit_rows_float32

Row = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RetrievalTask:
    """Copies to ask with, and pictures to search among."""

    base: Descriptions
    """originals and distractors"""
    originals: I64
    """int64 (m,): rows of ``base`` that copies are made of"""
    alterations: list[Alteration]
    copies: list[Descriptions]
    """per alteration: the m copies"""
    files: list[Path]
    """the n pictures of ``base``"""


def make_task(paths: Sequence[Path], extractor: Any, count: int, seed: int, say: Say) -> RetrievalTask:
    """Read and describe the pictures, leave out copies among them, and make copies of ``count`` of them.

    Originals are drawn from photographs first, if the names distinguish them: JPEG and WebP before PNG (drawings).
    """
    say(f"reading {len(paths)} pictures ...")
    read: list[Path] = []
    parts: list[Descriptions] = []
    for path in paths:
        picture = read_picture(path)
        if picture is not None:
            read.append(path)
            parts.append(describe_pictures([picture], extractor))
    every = Descriptions.concatenate(parts)
    kept = without_copies(every.features, _hashes_to_compare(every))
    base = every.take(kept)
    files = [read[row] for row in kept.tolist()]
    originals = _draw_originals(files, count, seed)
    chosen = list(alterations())
    say(f"{len(files)} unlike pictures; making {len(chosen)} copies of each of {len(originals)} ...")
    copies: list[list[Descriptions]] = [[] for _ in chosen]
    for row in originals.tolist():
        picture = read_picture(files[row])
        assert picture is not None  # it was read before
        described = describe_pictures([make_copy(picture, alteration, row) for alteration in chosen], extractor)
        for number in range(len(chosen)):
            copies[number].append(described.take(np.array([number])))
    return RetrievalTask(base, originals, chosen, [Descriptions.concatenate(part) for part in copies], files)


def _hashes_to_compare(described: Descriptions) -> U8:
    """Return the hashes by which copies are recognised; all different if there are none."""
    if "phash" in described.hashes:
        return described.hashes["phash"]
    return np.repeat(np.arange(len(described.features), dtype=np.uint64)[:, None].view(np.uint8), 8, axis=1)


def _draw_originals(files: Sequence[Path], count: int, seed: int) -> I64:
    photographs = [row for row, path in enumerate(files) if path.suffix.lower() != ".png"]
    drawings = [row for row, path in enumerate(files) if path.suffix.lower() == ".png"]
    rng = np.random.default_rng(seed)
    shuffled = [*rng.permutation(photographs).tolist(), *rng.permutation(drawings).tolist()]
    return np.sort(np.array(shuffled[:count], np.int64))


def ask_methods(task: RetrievalTask, methods: Sequence[Method], say: Say) -> list[Row]:
    """Return a row per method and alteration."""
    rows: list[Row] = []
    for method in methods:
        say(f"asking {method.name} ...")
        method.fit(task.base)
        for alteration, copies in zip(task.alterations, task.copies, strict=True):
            quality = judge_ranks(method.scores(copies), task.originals)
            rows.append(
                {
                    "method": method.name,
                    "whose": method.whose,
                    "bytes": method.item_bytes,
                    "kind": alteration.kind,
                    "copy": alteration.name,
                    "recall": quality.recall,
                    "precision": quality.precision,
                }
            )
    return rows


@dataclass(frozen=True, slots=True)
class RankQuality:
    """How well a method ranks the originals of some copies."""

    recall: float
    """recall@1: share of copies whose original comes first"""
    precision: float
    """mean average precision: with one original to be found, the mean of 1 / its rank; 0 beyond rank `DEPTH`"""


def judge_ranks(scores: F32, originals: I64) -> RankQuality:
    """Judge scores, float32 (nq, n), given each query's original, int64 (nq,).

    Pictures of equal score come in any order with equal probability; the expected values are returned.
    """
    own = np.take_along_axis(scores, originals[:, None], axis=1)
    better, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    found = np.isfinite(own[:, 0])
    recall = np.where(found & (better == 0), 1 / equal, 0)
    reciprocal = np.zeros(len(scores))
    for row in np.flatnonzero(found).tolist():
        ranks = better[row] + np.arange(1, equal[row] + 1)
        reciprocal[row] = np.where(ranks <= DEPTH, 1 / ranks, 0).mean()
    return RankQuality(float(recall.mean()), float(reciprocal.mean()))


def write_vectors(task: RetrievalTask, file: Path, items: int, mean: F32 | None) -> int:
    """Write the vectors that grouping is timed with (.npz); returns how many of them are of real pictures.

    First originals, distractors and copies; then, up to ``items``, mixtures of two pictures each: features as the
    weighted sum of unit vectors, sketches and hashes of the first with some bits of the second.
    """
    every = Descriptions.concatenate([task.base, *task.copies])
    copies_of = np.tile(task.originals, len(task.alterations))
    truth = np.concatenate([np.arange(len(task.base.features)), copies_of])
    rng = np.random.default_rng(0)
    real = np.arange(len(truth))
    if len(real) > items // 2:  # most of the copies are left out: a collection does not consist of copies
        first = len(task.base.features)
        some = rng.choice(np.arange(first, len(real)), max(0, items // 2 - first), replace=False)
        real = np.concatenate([real[: min(first, items)], np.sort(some)])
    mixtures = _mix(task.base, items - len(real), rng)
    chosen = every.take(real)
    vectors = Descriptions.concatenate([chosen, mixtures]) if len(real) < items else chosen
    np.savez(
        file,
        features=vectors.features.astype(np.float32),
        sketches=vectors.sketches,
        phash=vectors.hashes.get("phash", np.empty((items, 0), np.uint8)),
        truth=np.concatenate([truth[real], np.arange(items, 2 * items - len(real))]),
        mean=np.zeros(0, np.float32) if mean is None else mean,
    )
    return len(real)


def _mix(base: Descriptions, count: int, rng: np.random.Generator) -> Descriptions:
    """Return ``count`` mixtures of two random pictures each."""
    a, b = rng.integers(0, len(base.features), (2, max(0, count)))
    unit = unit_rows_float32(base.features)
    weight = rng.uniform(0.6, 1.4, (len(a), 1))
    noise = rng.standard_normal((len(a), unit.shape[1])) * (0.3 / np.sqrt(unit.shape[1]))
    sketches = np.where(rng.random((len(a), base.sketches.shape[1])) < 0.5, base.sketches[a], base.sketches[b])
    hashes = {
        name: np.packbits(
            np.where(
                rng.random((len(a), 8 * values.shape[1])) < 0.5,
                np.unpackbits(values[a], axis=1),
                np.unpackbits(values[b], axis=1),
            ),
            axis=1,
        )
        for name, values in base.hashes.items()
    }
    networks = {name: values[a] for name, values in base.networks.items()}
    return Descriptions((unit[a] + weight * unit[b] + noise).astype(np.float32), sketches, hashes, networks)
