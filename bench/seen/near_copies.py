"""Near copies of photographs, by distortion: how many are seen, and how many photographs that are not there."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageFilter

from assocmem._numerics.types import F32, U16
from assocmem.bench.seen.growth import percent
from assocmem.codes.hash_codes import MessageCoder
from assocmem.errors import InputError, MediaError
from assocmem.extractors.base import Extractor
from assocmem.memory.familiarity import SeenMemory
from assocmem.memory.familiarity_eval import ALIKE_SYMBOLS, FamiliarityReport, build_and_evaluate, simulate_evidence
from assocmem.memory.familiarity_kernels import max_overlap

Picture = PIL.Image.Image
LEAST = 64
"""Pixels of the shorter side; the picture's long side is brought to ``MOST``."""
MOST = 800


def _jpeg(picture: Picture, quality: int) -> Picture:
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=quality)
    return PIL.Image.open(held).convert("RGB")


def _crop(picture: Picture, share: float) -> Picture:
    """Cut away a share of the area, evenly around."""
    keep = (1 - share) ** 0.5
    width, height = picture.size
    left, top = width * (1 - keep) / 2, height * (1 - keep) / 2
    return picture.crop((round(left), round(top), round(width - left), round(height - top)))


def _blur(picture: Picture, radius: int) -> Picture:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def _turn(picture: Picture, angle: int) -> Picture:
    return picture.rotate(angle)


DISTORTIONS: dict[str, Callable[[Picture], Picture]] = {
    **{f"JPEG quality {quality}": partial(_jpeg, quality=quality) for quality in (80, 50, 30, 10)},
    **{f"{share:.0%} cropped": partial(_crop, share=share) for share in (0.05, 0.1, 0.2, 0.3)},
    "half the size": lambda p: p.resize((max(1, p.width // 2), max(1, p.height // 2))),
    "a quarter of the size": lambda p: p.resize((max(1, p.width // 4), max(1, p.height // 4))),
    **{f"blur {radius} px": partial(_blur, radius=radius) for radius in (1, 2)},
    **{f"rotated {angle} degrees": partial(_turn, angle=angle) for angle in (2, 5)},
    "mirrored": lambda p: p.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT),
}


def read_pictures(folder: Path, limit: int) -> list[Picture]:
    """Read pictures, at most ``limit`` of them, evenly spread; InputError when there are too few."""
    from assocmem.extractors.image import read_image

    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            picture = PIL.Image.fromarray(read_image(path))
        except MediaError:
            continue
        if min(picture.size) >= LEAST and np.asarray(picture.resize((32, 32))).std() > 8:
            picture.thumbnail((MOST, MOST))
            found.append(picture)
    if len(found) < 20:
        raise InputError(f"{folder}: expected at least 20 pictures, found {len(found)}")
    return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, limit).astype(int))]


def describe(pictures: list[Picture], extractor: Extractor, coder: MessageCoder) -> U16:
    """Return the pictures' messages, uint16 (n, 16)."""
    features = [
        extractor.extract([extractor.prepare(np.asarray(p)) for p in pictures[i : i + 4]]).features
        for i in range(0, len(pictures), 4)
    ]
    return coder.messages(np.concatenate(features))


def measure(pictures: list[Picture], extractor: Extractor, others: F32 | None) -> dict[str, Any]:
    """Store every other picture beside others' features; ask for the rest, and for copies of those that were stored."""
    from assocmem.extractors.efficientnet import feature_mean

    coder = MessageCoder(extractor.dim, mean=feature_mean(extractor.identity))
    mine, new = describe(pictures[::2], extractor, coder), describe(pictures[1::2], extractor, coder)
    beside = mine[:0] if others is None or others.shape[1] != extractor.dim else coder.messages(others)
    memory, judgement = build_and_evaluate(np.concatenate([beside, mine]))
    shared = np.empty(len(new), np.int64)
    max_overlap(np.concatenate([beside, mine]), new, np.full(len(new), -1), shared)
    alarms = memory.seen(new, judgement.threshold)
    chance = _missed_by_theory(memory, judgement, mine)
    rows = []
    for name, distort in DISTORTIONS.items():
        copies = describe([distort(picture) for picture in pictures[::2]], extractor, coder)
        kept = (copies == mine).sum(axis=1)
        rows.append({
            "distortion": name,
            "kept": kept.tolist(),
            "predicted": float(np.mean([chance[k] for k in kept])),
            "missed": float((~memory.seen(copies, judgement.threshold)).mean()),
        })  # fmt: skip
    return {
        "stored": len(mine),
        "items": judgement.items,
        "asked": len(new),
        "threshold": judgement.threshold,
        "theory_false": judgement.theory_false,
        "held_false": judgement.held_false,
        "false": float(alarms.mean()),
        "unlike": int((shared < ALIKE_SYMBOLS).sum()),
        "unlike_false": float(alarms[shared < ALIKE_SYMBOLS].mean()) if (shared < ALIKE_SYMBOLS).any() else None,
        "copies": rows,
    }


def _missed_by_theory(memory: SeenMemory, judgement: FamiliarityReport, messages: U16) -> list[float]:
    """Chance of a miss by the number of symbols kept, 0 to 16."""
    rng = np.random.default_rng(0)
    return [
        float((simulate_evidence(memory, messages, rng, kept, 2000) < judgement.threshold).mean())
        for kept in range(messages.shape[1])
    ] + [0.0]


HEADERS = ("distortion", "symbols kept, of 16", "missed by theory", "missed, measured")


def tell(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    return [
        (row["distortion"], f"{np.mean(row['kept']):.1f}", percent(row["predicted"]), percent(row["missed"]))
        for row in figures["copies"]
    ]
