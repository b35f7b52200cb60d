"""Pictures with a covered rectangle: how often each strategy to leave it out finds the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image

from assocmem._numerics.types import F32
from assocmem.bench.inputs import unit_rows_float32
from assocmem.bench.tables import Section
from assocmem.extractors.base import Extractor, Image
from assocmem.extractors.masked import MaskedExtractor

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""
Edit = Callable[[Image, Box], Image]
Describer = Callable[[Image, Box], Extractor]
AREAS = (0.1, 0.3, 0.5, 0.7)
"""Shares of the picture that are covered."""
LEFT_IN, GREY, MEAN, RECTANGLE = STRATEGIES = ("left in", "grey", "mean colour", "largest rectangle left")


def measure(pictures: list[Image], extractor: Extractor, others: F32 | None) -> list[dict[str, Any]]:
    """Cover a rectangle of every picture with part of another one, and search for the original.

    Parameters
    ----------
    pictures : list of uint8 (height, width, 3)
    extractor : Extractor
    others : float32 (n, dim), optional
        Features of other pictures to search among too, if they are of this extractor's width.

    Returns
    -------
    rows
        Per area, the share of originals that come first (recall@1) by strategy.
    """
    base = _describe(pictures, [extractor] * len(pictures))
    if others is not None and others.shape[1] == extractor.dim:
        base = np.concatenate([base, unit_rows_float32(others)])
    rows = []
    for area in AREAS:
        rng = np.random.default_rng(round(100 * area))
        boxes = [_draw_box(picture.shape[1], picture.shape[0], area, rng) for picture in pictures]
        covered = [_cover(p, pictures[(i + 1) % len(pictures)], boxes[i]) for i, p in enumerate(pictures)]
        recall = {}
        for strategy, (edit, describer) in _strategies(extractor).items():
            edited = [edit(picture, box) for picture, box in zip(covered, boxes, strict=True)]
            extractors = [describer(picture, box) for picture, box in zip(covered, boxes, strict=True)]
            scores = _describe(edited, extractors) @ base.T
            own = scores[np.arange(len(pictures)), np.arange(len(pictures))]
            recall[strategy] = float(((scores > own[:, None]).sum(axis=1) == 0).mean())
        rows.append({"area": area, "pictures": len(pictures), "items": len(base), "recall": recall})
    return rows


def _strategies(extractor: Extractor) -> dict[str, tuple[Edit, Describer]]:
    """Return, by strategy, how the picture is edited, and which extractor describes it."""

    def unmasked(picture: Image, box: Box) -> Extractor:
        return extractor

    def masked(picture: Image, box: Box) -> Extractor:
        height, width = picture.shape[:2]
        left, top, right, bottom = box
        return MaskedExtractor(extractor, [(left / width, top / height, right / width, bottom / height)])

    def unchanged(picture: Image, box: Box) -> Image:
        return picture

    return {
        LEFT_IN: (unchanged, unmasked),
        GREY: (unchanged, masked),
        MEAN: (_paint_mean, unmasked),
        RECTANGLE: (_crop_largest, unmasked),
    }


def _draw_box(width: int, height: int, area: float, rng: np.random.Generator) -> Box:
    """Draw a rectangle of a share of the area, at most somewhat wider or higher than the picture, at a random place."""
    wide = min(width, max(1, round(width * area**0.5 * np.exp(rng.uniform(-0.4, 0.4)))))
    high = min(height, max(1, round(width * height * area / wide)))
    left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
    return left, top, left + wide, top + high


def _cover(picture: Image, other: Image, box: Box) -> Image:
    left, top, right, bottom = box
    out = picture.copy()
    out[top:bottom, left:right] = np.asarray(PIL.Image.fromarray(other).resize((right - left, bottom - top)))
    return out


def _paint_mean(picture: Image, box: Box) -> Image:
    """Paint the rectangle in the mean colour of the rest."""
    left, top, right, bottom = box
    visible = np.ones(picture.shape[:2], bool)
    visible[top:bottom, left:right] = False
    out = picture.copy()
    out[~visible] = picture[visible].mean(axis=0) if visible.any() else 127
    return out


def _crop_largest(picture: Image, box: Box) -> Image:
    """Return the largest rectangle outside the box; the whole picture if nothing is outside."""
    left, top, right, bottom = box
    parts = [picture[:, :left], picture[:, right:], picture[:top], picture[bottom:]]
    largest = max(parts, key=lambda part: part.shape[0] * part.shape[1])
    return np.ascontiguousarray(largest) if largest.size else picture


def _describe(pictures: list[Image], extractors: list[Extractor]) -> F32:
    """Return features of length 1, float32 (n, dim), each picture described by its extractor."""
    features = [
        extractor.extract([extractor.prepare(picture)]).features[0]
        for picture, extractor in zip(pictures, extractors, strict=True)
    ]
    return unit_rows_float32(np.stack(features))


def section(rows: list[dict[str, Any]]) -> Section:
    """Tabulate recall by covered area and strategy."""
    cells = [(f"{row['area']:.0%}", *(f"{row['recall'][name]:.3f}" for name in STRATEGIES)) for row in rows]
    note = f"{rows[0]['pictures']} photographs, each asked for among {rows[0]['items']:,} items."
    return Section("Recall@1 of the original, part of the picture covered", ("covered", *STRATEGIES), cells, [note])
