"""Times of concept memories with many concepts, on made-up features: no real set has so many."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, Literal

import numpy as np

import assocmem
from assocmem.bench.tables import Section
from assocmem.cli.output import size

Reader = Literal["ridge", "counts"]

DIM = 1280
CASES: tuple[tuple[int, int, Reader], ...] = ((100, 5, "ridge"), (1_000, 5, "ridge"), (1_000, 100, "ridge"),
                                              (1_000, 100, "counts"), (20_000, 2, "counts"))  # fmt: skip
"""Concepts, examples of each, reader."""
SINGLES = 50
"""Examples taught one at a time, and answers given one at a time."""


def measure(quick: bool) -> list[dict[str, Any]]:
    """Time each case; in a quick run only the first."""
    return [_measure(*case) for case in (CASES[:1] if quick else CASES)]


def _measure(concepts: int, each: int, reader: Reader) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((concepts, DIM), np.float32)
    memory = assocmem.ConceptMemory(DIM)
    started = time.perf_counter()
    for _ in range(each):  # in portions, so that a hundred thousand vectors are never in memory at the same time
        x = centres + 1.5 * rng.standard_normal((concepts, DIM), np.float32)
        memory.teach(x, [f"concept {number}" for number in range(concepts)])
    bulk = (time.perf_counter() - started) / (concepts * each)
    asked = centres[:SINGLES] + 1.5 * rng.standard_normal((min(SINGLES, concepts), DIM), np.float32)
    first, _ = _timed(lambda: memory.nearest(asked[:1], reader=reader))
    answers = [_timed(partial(memory.nearest, asked[row : row + 1], reader=reader)) for row in range(len(asked))]
    right = [memory.concepts[answer.concepts[0, 0]] == f"concept {row}" for row, (_, answer) in enumerate(answers)]
    examples = centres[:SINGLES] + 1.5 * rng.standard_normal((len(asked), DIM), np.float32)
    taught = [_timed(partial(memory.teach, x, f"concept {row}"))[0] for row, x in enumerate(examples)]
    again, _ = _timed(lambda: memory.nearest(asked[:1], reader=reader))
    return {
        "concepts": concepts,
        "examples": concepts * each,
        "reader": reader,
        "bulk_us": bulk * 1e6,
        "first_s": first,
        "teach_us": median(taught) * 1e6,
        "again_s": again,
        "answer_us": median(seconds for seconds, _ in answers) * 1e6,
        "right": float(np.mean(right)),
        "bytes": memory.nbytes,
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def section(rows: list[dict[str, Any]]) -> Section:
    """Tabulate the rows."""
    headers = ("concepts", "examples", "reader", "us per example, many", "us per example, one", "s to the first answer",
               "s to the next after teaching", "us per answer", "examples kept in")  # fmt: skip
    cells = [
        (
            f"{row['concepts']:,}",
            f"{row['examples']:,}",
            row["reader"],
            f"{row['bulk_us']:.3g}",
            f"{row['teach_us']:.3g}",
            f"{row['first_s']:.3g}",
            f"{row['again_s']:.3g}",
            f"{row['answer_us']:.3g}",
            size(row["bytes"]),
        )
        for row in rows
    ]
    notes = [
        f"Made-up features of {DIM:,} numbers, float16; medians of {SINGLES}. Teaching puts an example into a table; "
        "what it changes is solved when something is asked. The number of items in a collection does not matter here.",
    ]
    return Section("Many concepts", headers, cells, notes)
