"""The memory of what was seen, from thousands to millions of messages: time, bytes, false alarms and misses."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import U16, Bools
from assocmem.bench.capacity.real_features import read
from assocmem.codes.hash_codes import SYMBOLS, MessageCoder
from assocmem.memory.familiarity_eval import KEPT, build

HOME = "assocmem.bench.seen.growth"
RANDOM, LIKE_REAL = "random", "like real ones"
SHARED = 0.2
"""Chance that a drawn message has a symbol of its parent: two or three of 16, as many as a photograph has in common
with the nearest of 40,000 windows of others."""
ASKED, ROUNDS = 50_000, 5
_PART = 2**18


def real_messages(path: Path) -> U16:
    """Return the messages of a file's vectors, in ann-benchmarks' layout; InputError for any other file."""
    vectors = read(path)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = (vectors / np.where(lengths > 0, lengths, 1)).mean(axis=0)
    return MessageCoder(vectors.shape[1], mean=mean).messages(vectors)


def draw(count: int, real: U16 | None, rng: np.random.Generator) -> U16:
    """Draw messages, uint16 (count, 16): random symbols, or such that follow real messages.

    To follow them, each message has one of them for a parent and takes ``SHARED`` of its symbols from it; every other
    symbol comes from another real message. So symbols are as popular as they are, and go together as scenes do.
    """
    if real is None:
        return rng.integers(0, ALPHABET, (count, 16)).astype(np.uint16)
    out = np.empty((count, real.shape[1]), np.uint16)
    for start in range(0, count, _PART):
        part = out[start : start + _PART]
        parents = rng.integers(0, len(real), len(part))[:, None]
        others = rng.integers(0, len(real), part.shape)
        rows = np.where(rng.random(part.shape, np.float32) < SHARED, parents, others)
        part[:] = real[rows, np.arange(real.shape[1])]
    return out


def grow(items: int, kind: str, file: str) -> dict[str, Any]:
    """Build a memory of so many messages and measure it; runs in a process of its own."""
    rng = np.random.default_rng(0)
    real = np.load(file) if kind == LIKE_REAL else None
    messages = draw(items, real, rng)
    build_and_evaluate(messages[:100])
    started = time.perf_counter()
    memory, judgement = build_and_evaluate(messages)
    seconds = time.perf_counter() - started
    fresh, stored = draw(ASKED, real, rng), messages[rng.integers(0, items, ASKED)]
    halves = np.where(rng.random(stored.shape).argsort(axis=1) < 8, stored, draw(ASKED, real, rng))
    asked = {"new": fresh, "stored": stored, "half": halves}
    times: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(ROUNDS):
        for name, cues in asked.items():
            started = time.thread_time()  # not the clock: what else runs on the machine is none of its business
            memory.seen(cues, judgement.threshold)
            times[name].append((time.thread_time() - started) / ASKED * 1e6)
    return {
        "kind": kind,
        "us": times,
        "bytes_each": memory.nbytes / items,
        "build_us": seconds / items * 1e6,
        "false": float(memory.seen(fresh, judgement.threshold).mean()),
        "missed": _missed(~memory.seen(halves, judgement.threshold)),
        "stored_missed": _missed(~memory.seen(stored, judgement.threshold)),
        "judgement": dataclasses.asdict(judgement),
    }


def _missed(flags: Bools) -> float:
    return float(flags.mean())


def tell(run: dict[str, Any]) -> tuple[str, ...]:
    """Return a row of the table."""
    judged = run["judgement"]
    half = KEPT_SYMBOLS.index(8)
    return (
        f"{judged['items']:,}",
        run["kind"],
        *(f"{sorted(run['us'][name])[ROUNDS // 2]:.2f} ({min(run['us'][name]):.2f})" for name in ("new", "half")),
        f"{run['bytes_each']:.0f}",
        f"{judged['density']:.3f}",
        f"{judged['threshold']:.1f}",
        percent(judged["theory_false"]),
        percent(judged["held_false"]),
        percent(run["false"]),
        percent(judged["theory_miss"][half]),
        percent(run["missed"]),
    )


def percent(share: float | None) -> str:
    """Return a share as per cent; nothing where it is not known."""
    return "" if share is None else f"{share:.2%}"


HEADERS = (
    "items", "messages", "us, new: median (least)", "us, near copy", "bytes each", "density", "threshold, bits",
    "false alarms by theory", "of items held out", "of new ones, measured", "half kept: missed by theory", "measured",
)  # fmt: skip
