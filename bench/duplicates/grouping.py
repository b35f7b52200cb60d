"""Timing of grouping a whole collection: ours and others', each in a process of its own, on vectors and hashes given.

Every way returns pairs or groups in its own manner; to be judged alike, all are told as connected pairs of rows.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from assocmem._numerics.types import I64
from assocmem.bench.common import run_function

Pairs = tuple[I64, I64]
RADIUS = 10
"""Bits of 64 in which two hashes may differ, as imagededup has it."""
COSINE = 0.9
"""Cosine from which two features count as copies', as imagededup has it."""


class Given:
    """The vectors, as the benchmark has written them."""

    def __init__(self, path: str) -> None:
        with np.load(path) as file:
            self.features, self.sketches, self.phash = file["features"], file["sketches"], file["phash"]
            self.truth, mean = file["truth"], file["mean"]
        self.mean = mean if len(mean) else None


def prepare_ours(given: Given, least: float) -> Callable[[], Pairs]:
    """Groups around representatives, from codes, messages, sketches and features."""
    from assocmem.codes.winner_codes import CliqueCoder
    from assocmem.copies.grouping import find_pairs, group_pairs, make_items

    coder = CliqueCoder(given.features.shape[1], mean=given.mean)
    codes, messages = coder.encode(given.features), coder.messages(given.features).astype(np.uint8)
    items = make_items(given.features, messages, codes, given.sketches)

    def run() -> Pairs:
        found = group_pairs(items, find_pairs(items, least), least)
        sizes = np.diff(found.starts)
        return np.repeat(found.rows[found.starts[:-1]], sizes), found.rows

    return run


def prepare_flat(given: Given) -> Callable[[], Pairs]:
    """FAISS: every cosine of all pairs of features."""
    import faiss

    faiss.omp_set_num_threads(1)
    unit = given.features / np.linalg.norm(given.features, axis=1, keepdims=True)

    def run() -> Pairs:
        index = faiss.IndexFlatIP(unit.shape[1])
        index.add(unit)
        return _told(*index.range_search(unit, COSINE))

    return run


def prepare_binary(given: Given, make: str) -> Callable[[], Pairs]:
    """FAISS: Hamming distances of phash, of all pairs or of those that share 16 bits."""
    import faiss

    faiss.omp_set_num_threads(1)

    def run() -> Pairs:
        flat = make == "flat"
        index = faiss.IndexBinaryFlat(64) if flat else faiss.IndexBinaryMultiHash(64, 4, 16)
        index.add(given.phash)
        return _told(*index.range_search(given.phash, RADIUS + 1))

    return run


def _told(limits: Any, _: Any, rows: Any) -> Pairs:
    return np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64))), rows.astype(np.int64)


def prepare_imagededup(given: Given) -> Callable[[], Pairs]:
    """imagededup: its search of hashes, without its reading of files; one process, as all others.

    Its BK-tree is left out: at this radius it took more than ten times as long.
    """
    from imagededup.handlers.search.retrieval import HashEval

    hashes = {str(row): code.tobytes().hex() for row, code in enumerate(given.phash)}

    def run() -> Pairs:
        found = HashEval(
            hashes, hashes, None, False, RADIUS, "brute_force_cython", num_dist_workers=0
        ).retrieve_results()
        pairs = [(int(row), int(other)) for row, others in found.items() for other in others]
        array = np.array(pairs, np.int64).reshape(-1, 2)
        return array[:, 0], array[:, 1]

    return run


WAYS: dict[str, tuple[str, Callable[[Given], Callable[[], Pairs]]]] = {
    "assocmem, copies": ("", lambda given: prepare_ours(given, 1.0)),
    "assocmem, similar": ("", lambda given: prepare_ours(given, 0.85)),
    "FAISS Flat, cosine of features": ("faiss", prepare_flat),
    "FAISS binary flat, phash": ("faiss", lambda given: prepare_binary(given, "flat")),
    "FAISS binary multi-hash, phash": ("faiss", lambda given: prepare_binary(given, "multi")),
    "imagededup brute force, phash": ("imagededup", prepare_imagededup),
}
"""Name -> the package it needs, and what prepares it."""
SLOW = 3.0
"""Seconds from which one run is enough."""


def ways(given: Given) -> Iterator[str]:
    """Yield what can be timed on this machine."""
    for name, (package, _) in WAYS.items():
        there = not package or importlib.util.find_spec(package) is not None
        if there and (given.phash.shape[1] or "phash" not in name):
            yield name


def measure(path: str, name: str) -> dict[str, Any]:
    """Time one way, after a first run that warms up; returns seconds, and how its groups compare with the truth."""
    given = Given(path)
    run = WAYS[name][1](given)
    started = time.perf_counter()
    found = run()
    first = time.perf_counter() - started
    seconds = [first] if first > SLOW else []
    while len(seconds) < 5 and first <= SLOW:
        started = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - started)
    return {"way": name, "seconds": seconds, **judge(*found, given.truth)}


def judge(first: I64, second: I64, truth: I64) -> dict[str, Any]:
    """Pairs in one connected group against pairs of one original: precision and recall, and how many groups."""
    from assocmem.copies.similarity import label_components

    labels = np.arange(len(truth))
    label_components(labels, first, second)
    both = np.unique(np.stack([labels, truth]), axis=1, return_counts=True)[1]
    right, told, true = (int((c * (c - 1) // 2).sum()) for c in (both, np.bincount(labels), np.bincount(truth)))
    groups = int((np.bincount(labels) > 1).sum())
    return {"groups": groups, "precision": right / max(1, told), "recall": right / max(1, true)}


def time_all(path: str, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Time every way, each in a fresh process."""
    rows = []
    for name in ways(Given(path)):
        tell(f"grouping: {name} ...")
        rows.append(run_function("assocmem.bench.duplicates.grouping", "measure", path, name))
    return rows
