"""Look-alikes: how often documents of one kind, and unlike photographs, are taken for copies; what copies are found.

Methods say yes or no to pairs, each at its own threshold: assocmem by likeness alone, as copies (default) and as
similar (``--similar``); hashes and cosines at those of imagededup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64, U8, Bools
from assocmem.bench.duplicates.alterations import Alteration, Picture, make_copy
from assocmem.bench.duplicates.documents import FAMILIES, draw
from assocmem.bench.duplicates.grouping import MAX_DISTANCE, MIN_COSINE
from assocmem.bench.duplicates.methods import Descriptions, describe_pictures
from assocmem.bench.inputs import unit_rows_float32
from assocmem.bench.tables import Section, percent
from assocmem.codes.dct_sketches import SKETCH_THRESHOLD, sketch_cosines
from assocmem.copies.candidate_pairs import COSINE_THRESHOLD
from assocmem.copies.grouping import COPY, SIMILAR
from assocmem.copies.registration import register
from assocmem.copies.second_look import is_same
from assocmem.index.ingest.pipeline import picture_detail

LIKENESS, COPIES, SIMILAR_TOO = "likeness alone", "copies", "with --similar"
SIDE = 900
"""Longest side of a document, in pixels, before it is described."""
Row = dict[str, Any]


def likeness(ours: Descriptions, theirs: Descriptions) -> F32:
    """Return the similarity of each of our pictures to each of theirs, float32 (n, m); see ``copies.similarity``."""
    cosines = unit_rows_float32(ours.features) @ unit_rows_float32(theirs.features).T
    drawn = np.outer(np.abs(ours.sketches).max(axis=1), np.abs(theirs.sketches).max(axis=1)) > 0
    by_sketch = np.maximum(0, sketch_cosines(ours.sketches, theirs.sketches) - SKETCH_THRESHOLD)
    return np.asarray(cosines + np.where(drawn, by_sketch, 2 * np.maximum(0, cosines - COSINE_THRESHOLD)), np.float32)


def verdicts(
    ours: Descriptions,
    theirs: Descriptions,
    details: tuple[Sequence[U8], Sequence[U8]],
    pairs: Sequence[tuple[int, int]],
) -> dict[str, Bools]:
    """Return for each method whether it takes each pair for copies, bool (pairs,)."""
    first, second = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    scores = likeness(ours, theirs)[first, second]
    same = _looked_at(is_same, details, first, second, scores >= SIMILAR)
    common = _looked_at(register, details, first, second, (scores >= SIMILAR) & ~same)
    found = {LIKENESS: scores >= COPY, COPIES: (scores >= COPY) & same, SIMILAR_TOO: same | common}
    for name, values in ours.hashes.items():
        if values.shape[1] == 8:
            distances = np.bitwise_count(values[first] ^ theirs.hashes[name][second]).sum(axis=1)
            found[name] = distances <= MAX_DISTANCE
    cosines = unit_rows_float32(ours.features) @ unit_rows_float32(theirs.features).T
    found["cosine of features"] = cosines[first, second] >= MIN_COSINE
    for name, vectors in ours.networks.items():
        found[name] = (unit_rows_float32(vectors) @ unit_rows_float32(theirs.networks[name]).T)[
            first, second
        ] >= MIN_COSINE
    return found


def _looked_at(
    compare: Callable[[U8, U8], object],
    details: tuple[Sequence[U8], Sequence[U8]],
    first: I64,
    second: I64,
    asked: Bools,
) -> Bools:
    found = np.zeros(len(first), bool)
    for pair in np.flatnonzero(asked).tolist():
        found[pair] = bool(compare(details[0][first[pair]], details[1][second[pair]]))
    return found


def documents(extractor: Any, count: int, say: Callable[[str], None]) -> Iterator[Row]:
    """Yield a row per family of documents: its pairs, and how many of them each method takes for copies."""
    for family in FAMILIES:
        say(f"look-alikes: {family} ...")
        pictures = [draw(family, number) for number in range(count)]
        for picture in pictures:
            picture.thumbnail((SIDE, SIDE))
        yield _false_copies(family, pictures, extractor)


def unlike_photographs(pictures: Sequence[Picture], extractor: Any) -> Row:
    """Return the same row for photographs that are no copies of each other."""
    return _false_copies("photographs", pictures, extractor)


def _false_copies(kind: str, pictures: Sequence[Picture], extractor: Any) -> Row:
    described, details = (
        describe_pictures(pictures, extractor),
        [picture_detail(np.asarray(picture)) for picture in pictures],
    )
    pairs = list(combinations(range(len(pictures)), 2))
    found = verdicts(described, described, (details, details), pairs)
    return {"kind": kind, "pairs": len(pairs), "false": {name: int(flags.sum()) for name, flags in found.items()}}


def true_copies(
    originals: dict[int, Picture], alterations: Sequence[Alteration], extractor: Any, say: Callable[[str], None]
) -> Iterator[Row]:
    """Yield a row per alteration: the share of its copies that each method takes for copies of their originals."""
    say(f"copies that are found: {len(alterations)} kinds of {len(originals)} photographs ...")
    described = describe_pictures(list(originals.values()), extractor)
    details = [picture_detail(np.asarray(picture)) for picture in originals.values()]
    pairs = [(n, n) for n in range(len(originals))]
    for alteration in alterations:
        copies = [make_copy(picture, alteration, number) for number, picture in originals.items()]
        theirs = describe_pictures(copies, extractor)
        found = verdicts(described, theirs, (details, [picture_detail(np.asarray(copy)) for copy in copies]), pairs)
        yield {"copy": alteration.name, "found": {name: float(flags.mean()) for name, flags in found.items()}}


def sections(false: Sequence[Row], true: Sequence[Row]) -> list[Section]:
    """Tabulate false copies by kind of picture, and copies found by alteration."""
    names = list(false[0]["false"])
    lines = [[row["kind"], f"{row['pairs']:,}", *(str(row["false"][name]) for name in names)] for row in false]
    documents_only = [row for row in false if row["kind"] != "photographs"]
    proposed, wrong = (sum(row["false"][name] for row in documents_only) for name in (LIKENESS, COPIES))
    rate = percent(wrong / proposed) if proposed else "none"
    notes = [
        "Pairs of different pictures of one kind, and how many each method takes for copies. Of the "
        f"{proposed:,} pairs of documents that likeness proposes, {wrong} ({rate}) are left as copies. Hashes: "
        f"{MAX_DISTANCE} bits; cosines: {MIN_COSINE}. --similar means to find what shares a form, as letters do.",
    ]
    totals = ["all", f"{sum(row['pairs'] for row in false):,}", *(_total(false, name) for name in names)]
    means = ["mean", *(f"{np.mean([row['found'][name] for row in true]):.3f}" for name in names)]
    found = [means, *([row["copy"], *(f"{row['found'][name]:.3f}" for name in names)] for row in true)]
    about = ["Share of the copies that each method takes for a copy of their original, at the same thresholds."]
    return [
        Section("False copies among look-alikes", ("kind", "pairs", *names), [totals, *lines], notes),
        Section("Copies that are found", ("copy", *names), found, about),
    ]


def _total(rows: Sequence[Row], name: str) -> str:
    return str(sum(row["false"][name] for row in rows))
