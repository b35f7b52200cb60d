"""`assocmem.SeenMemory` from thousands to millions of messages: time, bytes, false alarms and misses."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import U16
from assocmem.bench.inputs import read_vectors, unit_mean
from assocmem.bench.tables import Section, percent
from assocmem.codes.hash_codes import ALPHABET, MessageCoder
from assocmem.memory.familiarity_eval import KEPT_SYMBOLS, build_and_evaluate

MODULE = "assocmem.bench.seen.growth"
"""This module, for processes that call `grow`."""
CLUSTERS = 16
RANDOM, LIKE_REAL = "random", "like real ones"
SHARED = 0.2
"""Probability that a drawn message takes a symbol from its parent: two or three of 16, as many as a photograph shares
with the nearest of 40,000 windows of other photographs."""
ASKED, ROUNDS = 50_000, 5
_PART = 2**18
HEADERS = (
    "items", "messages", "us, new: median (least)", "us, near copy", "bytes each", "density", "threshold, bits",
    "false alarms by theory", "of items held out", "of new ones, measured", "half kept: missed by theory", "measured",
)  # fmt: skip


def real_messages(path: Path) -> U16:
    """Return the messages of a file's vectors, in ann-benchmarks' layout; InputError for any other file."""
    vectors = read_vectors(path)
    return MessageCoder(vectors.shape[1], mean=unit_mean(vectors)).messages(vectors)


def draw_messages(count: int, real: U16 | None, rng: np.random.Generator) -> U16:
    """Draw messages, uint16 (count, 16), of random symbols or distributed like real messages.

    In the second case each message has a real one as its parent and takes about `SHARED` of its symbols from it; every
    other symbol comes from another real message. So symbols are as frequent as in real messages, and some occur
    together, as in pictures of the same scene.
    """
    if real is None:
        return rng.integers(0, ALPHABET, (count, CLUSTERS)).astype(np.uint16)
    out = np.empty((count, real.shape[1]), np.uint16)
    for start in range(0, count, _PART):
        part = out[start : start + _PART]
        parents = rng.integers(0, len(real), len(part))[:, None]
        others = rng.integers(0, len(real), part.shape)
        rows = np.where(rng.random(part.shape, np.float32) < SHARED, parents, others)
        part[:] = real[rows, np.arange(real.shape[1])]
    return out


def grow(items: int, kind: str, file: str) -> dict[str, Any]:
    """Build a memory of ``items`` messages and measure it; called in a process of its own.

    Parameters
    ----------
    items : int
    kind : str
        `RANDOM` or `LIKE_REAL`.
    file : str
        Real messages (.npy), if they are needed.
    """
    rng = np.random.default_rng(0)
    real = np.load(file) if kind == LIKE_REAL else None
    messages = draw_messages(items, real, rng)
    build_and_evaluate(messages[:100])
    started = time.perf_counter()
    memory, report = build_and_evaluate(messages)
    seconds = time.perf_counter() - started
    new, stored = draw_messages(ASKED, real, rng), messages[rng.integers(0, items, ASKED)]
    half = np.where(rng.random(stored.shape).argsort(axis=1) < 8, stored, draw_messages(ASKED, real, rng))
    cues = {"new": new, "stored": stored, "half": half}
    times: dict[str, list[float]] = {name: [] for name in cues}
    for _ in range(ROUNDS):
        for name, asked in cues.items():
            started = time.thread_time()  # not wall time: other programs on the machine do not count
            memory.seen(asked, report.threshold)
            times[name].append((time.thread_time() - started) / ASKED * 1e6)
    seen = {name: memory.seen(asked, report.threshold) for name, asked in cues.items()}
    return {
        "kind": kind,
        "us": times,
        "bytes_each": memory.nbytes / items,
        "build_us": seconds / items * 1e6,
        "false": float(seen["new"].mean()),
        "missed": float((~seen["half"]).mean()),
        "stored_missed": float((~seen["stored"]).mean()),
        "judgement": dataclasses.asdict(report),
    }


def section(runs: list[dict[str, Any]]) -> Section:
    """Tabulate the memories."""
    notes = [
        "Microseconds of one core per message, in batches; near copies keep half of the symbols of a stored one. False "
        f"alarms are wanted below 1%. Of what was stored, {max(run['stored_missed'] for run in runs):.0%} was missed.",
        f"Messages like real ones take {SHARED:.0%} of their symbols from one real message, and each other "
        "symbol from another, so that symbols are as frequent as in real ones, and some go together.",
    ]
    return Section("Growth", HEADERS, [table_row(run) for run in runs], notes)


def table_row(run: dict[str, Any]) -> tuple[str, ...]:
    """Return a row of the table."""
    report = run["judgement"]
    half = KEPT_SYMBOLS.index(8)
    return (
        f"{report['items']:,}",
        run["kind"],
        *(f"{sorted(run['us'][name])[ROUNDS // 2]:.2f} ({min(run['us'][name]):.2f})" for name in ("new", "half")),
        f"{run['bytes_each']:.0f}",
        f"{report['density']:.3f}",
        f"{report['threshold']:.1f}",
        percent(report["theory_false"]),
        percent(report["held_false"]),
        percent(run["false"]),
        percent(report["theory_miss"][half]),
        percent(run["missed"]),
    )
