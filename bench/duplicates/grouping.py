"""Grouping of a whole collection into copies: assocmem and others, each timed in a process of its own.

All are given the same vectors and hashes. Methods return pairs or groups in different forms; they are compared as pairs
of connected rows.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from assocmem._numerics.types import I64
from assocmem.bench.processes import run_function

Pairs = tuple[I64, I64]
"""int64 (m,) each: rows that are connected."""
Group = Callable[[], Pairs]
"""Groups the vectors that it was prepared with; this call is timed."""
MODULE = "assocmem.bench.duplicates.grouping"
"""This module, for processes that call its functions."""
MAX_DISTANCE = 10
"""Bits of 64 in which the hashes of copies may differ, as in imagededup."""
MIN_COSINE = 0.9
"""Cosine of the features of copies, as in imagededup."""
SLOW = 3.0
"""Seconds from which one run is enough."""
REPETITIONS = 5


class GroupingVectors:
    """The vectors, as `retrieval.write_vectors` has written them."""

    def __init__(self, path: str) -> None:
        with np.load(path) as file:
            self.features, self.sketches, self.phash = file["features"], file["sketches"], file["phash"]
            self.truth, mean = file["truth"], file["mean"]
        self.mean = mean if len(mean) else None


def prepare_assocmem(vectors: GroupingVectors, least: float) -> Group:
    """Prepare groups around representatives, from codes, messages, sketches and features."""
    from assocmem.codes.winner_codes import CliqueCoder
    from assocmem.copies.grouping import find_pairs, group_pairs, make_items

    coder = CliqueCoder(vectors.features.shape[1], mean=vectors.mean)
    codes, messages = coder.encode(vectors.features), coder.messages(vectors.features).astype(np.uint8)
    items = make_items(vectors.features, messages, codes, vectors.sketches)

    def run() -> Pairs:
        found = group_pairs(items, find_pairs(items, least), least)
        sizes = np.diff(found.starts)
        return np.repeat(found.rows[found.starts[:-1]], sizes), found.rows

    return run


def prepare_faiss_cosines(vectors: GroupingVectors) -> Group:
    """Prepare the cosines of all pairs of features, by FAISS."""
    import faiss

    faiss.omp_set_num_threads(1)
    unit = vectors.features / np.linalg.norm(vectors.features, axis=1, keepdims=True)

    def run() -> Pairs:
        index = faiss.IndexFlatIP(unit.shape[1])
        index.add(unit)
        return _range_pairs(*index.range_search(unit, MIN_COSINE))

    return run


def prepare_faiss_hashes(vectors: GroupingVectors, *, multi_hash: bool) -> Group:
    """Prepare the Hamming distances of phash by FAISS, of all pairs or of those that share 16 bits."""
    import faiss

    faiss.omp_set_num_threads(1)

    def run() -> Pairs:
        index = faiss.IndexBinaryMultiHash(64, 4, 16) if multi_hash else faiss.IndexBinaryFlat(64)
        index.add(vectors.phash)
        return _range_pairs(*index.range_search(vectors.phash, MAX_DISTANCE + 1))

    return run


def _range_pairs(limits: Any, _: Any, rows: Any) -> Pairs:
    """Return the pairs of a range search of FAISS."""
    return np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64))), rows.astype(np.int64)


def prepare_imagededup(vectors: GroupingVectors) -> Group:
    """Prepare imagededup's search of hashes, without reading files, in one process like all others.

    Its BK-tree is left out: at this distance it took more than ten times as long.
    """
    from imagededup.handlers.search.retrieval import HashEval

    hashes = {str(row): code.tobytes().hex() for row, code in enumerate(vectors.phash)}

    def run() -> Pairs:
        found = HashEval(
            hashes, hashes, None, False, MAX_DISTANCE, "brute_force_cython", num_dist_workers=0
        ).retrieve_results()
        pairs = [(int(row), int(other)) for row, others in found.items() for other in others]
        array = np.array(pairs, np.int64).reshape(-1, 2)
        return array[:, 0], array[:, 1]

    return run


METHODS: dict[str, tuple[str, Callable[[GroupingVectors], Group]]] = {
    "assocmem, copies": ("", lambda vectors: prepare_assocmem(vectors, 1.0)),
    "assocmem, similar": ("", lambda vectors: prepare_assocmem(vectors, 0.85)),
    "FAISS Flat, cosine of features": ("faiss", prepare_faiss_cosines),
    "FAISS binary flat, phash": ("faiss", lambda vectors: prepare_faiss_hashes(vectors, multi_hash=False)),
    "FAISS binary multi-hash, phash": ("faiss", lambda vectors: prepare_faiss_hashes(vectors, multi_hash=True)),
    "imagededup brute force, phash": ("imagededup", prepare_imagededup),
}
"""Name -> the package it needs, and the function that prepares it."""


def available(vectors: GroupingVectors) -> Iterator[str]:
    """Yield the methods that can be timed on this machine."""
    for name, (package, _) in METHODS.items():
        is_installed = not package or importlib.util.find_spec(package) is not None
        if is_installed and (vectors.phash.shape[1] or "phash" not in name):
            yield name


def time_method(path: str, name: str) -> dict[str, Any]:
    """Time one method after a warm-up, and judge its groups; called in a process of its own."""
    vectors = GroupingVectors(path)
    run = METHODS[name][1](vectors)
    started = time.perf_counter()
    found = run()
    first = time.perf_counter() - started
    seconds = [first] if first > SLOW else []
    while len(seconds) < REPETITIONS and first <= SLOW:
        started = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - started)
    return {"way": name, "seconds": seconds, **judge_pairs(*found, vectors.truth)}


def judge_pairs(first: I64, second: I64, truth: I64) -> dict[str, Any]:
    """Compare pairs in one connected group with pairs of one original.

    Parameters
    ----------
    first, second : int64 (m,)
        Rows that are connected.
    truth : int64 (n,)
        The original of each row.

    Returns
    -------
    dict
        ``groups`` of two rows or more; ``precision`` and ``recall`` of pairs.
    """
    from assocmem.copies.similarity import label_components

    labels = np.arange(len(truth))
    label_components(labels, first, second)
    both = np.unique(np.stack([labels, truth]), axis=1, return_counts=True)[1]
    right, found, true = (int((c * (c - 1) // 2).sum()) for c in (both, np.bincount(labels), np.bincount(truth)))
    groups = int((np.bincount(labels) > 1).sum())
    return {"groups": groups, "precision": right / max(1, found), "recall": right / max(1, true)}


def time_all(path: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Time every method, each in a new process."""
    rows = []
    for name in available(GroupingVectors(path)):
        say(f"grouping: {name} ...")
        rows.append(run_function(MODULE, "time_method", path, name))
    return rows
