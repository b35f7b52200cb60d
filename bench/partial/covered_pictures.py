"""Pictures of which a rectangle is covered: how often each way to leave it out finds the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image

from assocmem._numerics.types import F32
from assocmem.extractors.base import Extractor, Image
from assocmem.extractors.masked import MaskedExtractor

Pixels = tuple[int, int, int, int]
AREAS = (0.1, 0.3, 0.5, 0.7)
LEFT_IN, GREY, MEAN, RECTANGLE = WAYS = ("left in", "grey", "mean colour", "largest rectangle left")


def measure(pictures: list[Image], extractor: Extractor, others: F32 | None) -> list[dict[str, Any]]:
    """Cover a rectangle of every picture with part of another, and ask for the original among all and ``others``."""
    base = _describe(pictures, [extractor] * len(pictures))
    if others is not None and others.shape[1] == extractor.dim:
        base = np.concatenate([base, _unit(others)])
    rows = []
    for area in AREAS:
        rng = np.random.default_rng(round(100 * area))
        boxes = [_draw_box(picture.shape[1], picture.shape[0], area, rng) for picture in pictures]
        covered = [_cover(p, pictures[(i + 1) % len(pictures)], boxes[i]) for i, p in enumerate(pictures)]
        recall = {}
        for way, (leave, painted) in _ways(extractor).items():
            shown = [leave(picture, box) for picture, box in zip(covered, boxes, strict=True)]
            eyes = [painted(picture, box) for picture, box in zip(covered, boxes, strict=True)]
            scores = _describe(shown, eyes) @ base.T
            own = scores[np.arange(len(pictures)), np.arange(len(pictures))]
            recall[way] = float(((scores > own[:, None]).sum(axis=1) == 0).mean())
        rows.append({"area": area, "pictures": len(pictures), "items": len(base), "recall": recall})
    return rows


def _ways(
    extractor: Extractor,
) -> dict[str, tuple[Callable[[Image, Pixels], Image], Callable[[Image, Pixels], Extractor]]]:
    """By way: what is done to the picture, and who looks at it."""

    def plainly(picture: Image, box: Pixels) -> Extractor:
        return extractor

    def masked(picture: Image, box: Pixels) -> Extractor:
        height, width = picture.shape[:2]
        left, top, right, bottom = box
        return MaskedExtractor(extractor, [(left / width, top / height, right / width, bottom / height)])

    def same(picture: Image, box: Pixels) -> Image:
        return picture

    return {
        LEFT_IN: (same, plainly),
        GREY: (same, masked),
        MEAN: (_paint_mean, plainly),
        RECTANGLE: (_largest_left, plainly),
    }


def _draw_box(width: int, height: int, area: float, rng: np.random.Generator) -> Pixels:
    """Draw a rectangle of a share of the area, somewhat wider or higher than the picture, anywhere in it."""
    wide = min(width, max(1, round(width * area**0.5 * np.exp(rng.uniform(-0.4, 0.4)))))
    high = min(height, max(1, round(width * height * area / wide)))
    left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
    return left, top, left + wide, top + high


def _cover(picture: Image, other: Image, box: Pixels) -> Image:
    left, top, right, bottom = box
    out = picture.copy()
    out[top:bottom, left:right] = np.asarray(PIL.Image.fromarray(other).resize((right - left, bottom - top)))
    return out


def _paint_mean(picture: Image, box: Pixels) -> Image:
    left, top, right, bottom = box
    seen = np.ones(picture.shape[:2], bool)
    seen[top:bottom, left:right] = False
    out = picture.copy()
    out[~seen] = picture[seen].mean(axis=0) if seen.any() else 127
    return out


def _largest_left(picture: Image, box: Pixels) -> Image:
    """Cut out the largest rectangle beside the box; the whole picture when nothing is beside it."""
    left, top, right, bottom = box
    beside = [picture[:, :left], picture[:, right:], picture[:top], picture[bottom:]]
    best = max(beside, key=lambda part: part.shape[0] * part.shape[1])
    return np.ascontiguousarray(best) if best.size else picture


def _describe(pictures: list[Image], extractors: list[Extractor]) -> F32:
    """Return unit features, float32 (n, dim), each picture looked at by its extractor."""
    features = [
        extractor.extract([extractor.prepare(picture)]).features[0]
        for picture, extractor in zip(pictures, extractors, strict=True)
    ]
    return _unit(np.stack(features))


def _unit(rows: F32) -> F32:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30), np.float32)
