"""Near copies of photographs, by distortion: how many are seen, and how many photographs that were not stored."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageFilter

from assocmem._numerics.types import F32, U16
from assocmem.bench.tables import Section, percent
from assocmem.codes.hash_codes import MessageCoder
from assocmem.extractors.base import Extractor
from assocmem.memory.familiarity import SeenMemory
from assocmem.memory.familiarity_eval import ALIKE_SYMBOLS, FamiliarityReport, build_and_evaluate, simulate_evidence
from assocmem.memory.familiarity_kernels import max_overlap

Picture = PIL.Image.Image
BATCH = 4
"""Pictures that are described at a time."""
DRAWS = 2000
"""Random cues from which a miss rate by theory is computed."""
HEADERS = ("distortion", "symbols kept, of 16", "missed by theory", "missed, measured")


def _jpeg(picture: Picture, quality: int) -> Picture:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return PIL.Image.open(stream).convert("RGB")


def _crop(picture: Picture, share: float) -> Picture:
    """Cut away a share of the area, evenly on all sides."""
    keep = (1 - share) ** 0.5
    width, height = picture.size
    left, top = width * (1 - keep) / 2, height * (1 - keep) / 2
    return picture.crop((round(left), round(top), round(width - left), round(height - top)))


def _blur(picture: Picture, radius: int) -> Picture:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def _rotate(picture: Picture, angle: int) -> Picture:
    return picture.rotate(angle)


def _shrink(picture: Picture, divisor: int) -> Picture:
    return picture.resize((max(1, picture.width // divisor), max(1, picture.height // divisor)))


def _mirror(picture: Picture) -> Picture:
    return picture.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)


DISTORTIONS: dict[str, Callable[[Picture], Picture]] = {
    **{f"JPEG quality {quality}": partial(_jpeg, quality=quality) for quality in (80, 50, 30, 10)},
    **{f"{share:.0%} cropped": partial(_crop, share=share) for share in (0.05, 0.1, 0.2, 0.3)},
    "half the size": partial(_shrink, divisor=2),
    "a quarter of the size": partial(_shrink, divisor=4),
    **{f"blur {radius} px": partial(_blur, radius=radius) for radius in (1, 2)},
    **{f"rotated {angle} degrees": partial(_rotate, angle=angle) for angle in (2, 5)},
    "mirrored": _mirror,
}


def messages_of(pictures: list[Picture], extractor: Extractor, coder: MessageCoder) -> U16:
    """Return the messages of pictures, uint16 (n, 16)."""
    features = [
        extractor.extract([extractor.prepare(np.asarray(p)) for p in pictures[i : i + BATCH]]).features
        for i in range(0, len(pictures), BATCH)
    ]
    return coder.messages(np.concatenate(features))


def measure(pictures: list[Picture], extractor: Extractor, others: F32 | None) -> dict[str, Any]:
    """Store every other picture, and test with the rest and with distorted copies of the stored ones.

    Parameters
    ----------
    pictures : list of picture
    extractor : Extractor
    others : float32 (n, dim), optional
        Features of other pictures that are stored too, if they are of this extractor's width.
    """
    from assocmem.extractors.efficientnet import feature_mean

    coder = MessageCoder(extractor.dim, mean=feature_mean(extractor.identity))
    stored, new = messages_of(pictures[::2], extractor, coder), messages_of(pictures[1::2], extractor, coder)
    every = stored
    if others is not None and others.shape[1] == extractor.dim:
        every = np.concatenate([coder.messages(others), stored])
    memory, report = build_and_evaluate(every)
    shared = np.empty(len(new), np.int64)
    max_overlap(every, new, np.full(len(new), -1), shared)
    alarms = memory.seen(new, report.threshold)
    miss_rates = _miss_rates_by_theory(memory, report, stored)
    rows = []
    for name, distort in DISTORTIONS.items():
        copies = messages_of([distort(picture) for picture in pictures[::2]], extractor, coder)
        kept = (copies == stored).sum(axis=1)
        rows.append({
            "distortion": name,
            "kept": kept.tolist(),
            "predicted": float(np.mean([miss_rates[k] for k in kept])),
            "missed": float((~memory.seen(copies, report.threshold)).mean()),
        })  # fmt: skip
    unlike = shared < ALIKE_SYMBOLS
    return {
        "stored": len(stored),
        "items": report.items,
        "asked": len(new),
        "threshold": report.threshold,
        "theory_false": report.theory_false,
        "held_false": report.held_false,
        "false": float(alarms.mean()),
        "unlike": int(unlike.sum()),
        "unlike_false": float(alarms[unlike].mean()) if unlike.any() else None,
        "copies": rows,
    }


def _miss_rates_by_theory(memory: SeenMemory, report: FamiliarityReport, messages: U16) -> list[float]:
    """Return the miss rate by the number of symbols that a copy keeps, from 0 to all of them."""
    rng = np.random.default_rng(0)
    return [
        float((simulate_evidence(memory, messages, rng, kept, DRAWS) < report.threshold).mean())
        for kept in range(messages.shape[1])
    ] + [0.0]


def section(figures: dict[str, Any]) -> Section:
    """Tabulate misses by distortion."""
    rows = [
        (row["distortion"], f"{np.mean(row['kept']):.1f}", percent(row["predicted"]), percent(row["missed"]))
        for row in figures["copies"]
    ]
    expected, alarms = percent(figures["held_false"]) or "too few to say", percent(figures["false"])
    note = (
        f"{figures['stored']} photographs stored among {figures['items']:,} items; the threshold is "
        f"{figures['threshold']:.1f} bits. Of {figures['asked']} others {alarms} were taken for seen; of the "
        f"{figures['unlike']} among them that are like nothing stored, {percent(figures['unlike_false']) or 'none'} "
        f"(predicted {percent(figures['theory_false'])}; of items held out {expected})."
    )
    return Section("Near copies of photographs", HEADERS, rows, [note])
