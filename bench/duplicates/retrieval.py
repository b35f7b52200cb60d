"""The measuring of the duplicates benchmark: describe originals, distractors and copies once, ask every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import I64, U8
from assocmem.bench.duplicates.alterations import Copy, copies, make_copy
from assocmem.bench.duplicates.methods import (
    Described,
    Method,
    describe_pictures,
    hash_functions,
    stacked,
    standing,
)
from assocmem.bench.duplicates.photographs import read_picture, unlike

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Material:
    """What is asked, and among what."""

    base: Described
    """originals and distractors"""
    originals: I64
    """int64 (m,): rows of ``base`` that copies are made of"""
    copies: list[Copy]
    altered: list[Described]
    """per way to alter: the m copies"""


def gather(paths: Sequence[Path], extractor: Any, count: int, seed: int, tell: Callable[[str], None]) -> Material:
    """Read and describe the pictures, leave out copies among them, and make copies of ``count`` of them.

    Originals are drawn from photographs where the names tell them from drawings: JPEGs and WebPs before PNGs.
    """
    tell(f"reading {len(paths)} pictures ...")
    read: list[Path] = []
    parts: list[Described] = []
    for path in paths:
        picture = read_picture(path)
        if picture is not None:
            read.append(path)
            parts.append(describe_pictures([picture], extractor))
    every = stacked(parts)
    kept = unlike(every.features, _hashes_to_compare(every))
    base = _rows(every, kept)
    files = [read[row] for row in kept.tolist()]
    originals = _drawn(files, count, seed)
    ways = list(copies())
    tell(f"{len(files)} unlike pictures; making {len(ways)} copies of each of {len(originals)} ...")
    altered: list[list[Described]] = [[] for _ in ways]
    for row in originals.tolist():
        picture = read_picture(files[row])
        assert picture is not None  # it was read a moment ago
        described = describe_pictures([make_copy(picture, way, row) for way in ways], extractor)
        for number in range(len(ways)):
            altered[number].append(_rows(described, np.array([number])))
    return Material(base, originals, ways, [stacked(part) for part in altered])


def _hashes_to_compare(described: Described) -> U8:
    if "phash" in described.hashes:
        return described.hashes["phash"]
    return np.repeat(np.arange(len(described.features), dtype=np.uint64)[:, None].view(np.uint8), 8, axis=1)


def _drawn(files: Sequence[Path], count: int, seed: int) -> I64:
    photographs = [row for row, path in enumerate(files) if path.suffix.lower() != ".png"]
    drawings = [row for row, path in enumerate(files) if path.suffix.lower() == ".png"]
    rng = np.random.default_rng(seed)
    shuffled = [*rng.permutation(photographs).tolist(), *rng.permutation(drawings).tolist()]
    return np.sort(np.array(shuffled[:count], np.int64))


def _rows(described: Described, rows: I64) -> Described:
    return Described(
        described.features[rows],
        described.sketches[rows],
        {name: values[rows] for name, values in described.hashes.items()},
        {name: values[rows] for name, values in described.others.items()},
    )


def ask(material: Material, methods: Sequence[Method], tell: Callable[[str], None]) -> list[Row]:
    """Return a row per method and way to alter."""
    rows: list[Row] = []
    for method in methods:
        tell(f"asking {method.name} ...")
        method.fit(material.base)
        for way, described in zip(material.copies, material.altered, strict=True):
            found = standing(method.scores(described), material.originals)
            rows.append(
                {
                    "method": method.name,
                    "whose": method.whose,
                    "bytes": method.item_bytes,
                    "kind": way.kind,
                    "copy": way.name,
                    "recall": found.recall,
                    "precision": found.precision,
                }
            )
    return rows


def keep_vectors(material: Material, file: Path, items: int, mean: Any) -> int:
    """Write the vectors that the grouping is timed with; returns how many of them are of real pictures.

    Originals, distractors and copies, then mixtures of two pictures each, until there are ``items``: features as the
    weighted sum of unit vectors, sketches and hashes of the first with some bits of the second.
    """
    every = stacked([material.base, *material.altered])
    truth = np.concatenate([np.arange(len(material.base.features)), np.tile(material.originals, len(material.copies))])
    rng = np.random.default_rng(0)
    real = np.arange(len(truth))
    if len(real) > items // 2:  # most of the copies stay out: a collection is not made of copies
        first = len(material.base.features)
        some = rng.choice(np.arange(first, len(real)), max(0, items // 2 - first), replace=False)
        real = np.concatenate([real[: min(first, items)], np.sort(some)])
    made = _mixtures(material.base, items - len(real), rng)
    vectors = stacked([_rows(every, real), made]) if len(real) < items else _rows(every, real)
    np.savez(
        file,
        features=vectors.features.astype(np.float32),
        sketches=vectors.sketches,
        phash=vectors.hashes.get("phash", np.empty((items, 0), np.uint8)),
        truth=np.concatenate([truth[real], np.arange(items, 2 * items - len(real))]),
        mean=np.zeros(0, np.float32) if mean is None else mean,
    )
    return len(real)


def _mixtures(base: Described, count: int, rng: np.random.Generator) -> Described:
    a, b = rng.integers(0, len(base.features), (2, max(0, count)))
    unit = base.features / np.linalg.norm(base.features, axis=1, keepdims=True)
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
    others = {name: values[a] for name, values in base.others.items()}
    return Described((unit[a] + weight * unit[b] + noise).astype(np.float32), sketches, hashes, others)


def busy() -> float:
    """Load average of the machine."""
    return current_load()


__all__ = ["Material", "Row", "ask", "busy", "gather", "hash_functions", "keep_vectors"]
