"""Which message was it? `NamingMemory` against a plain hash table and FAISS's hash index: time, bytes, copies named.

All get the same messages, and the same copies of stored ones that keep all, ten, eight or six of 16 symbols.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from assocmem._numerics.types import I64, U8, U16, AnyArray
from assocmem.bench.seen.growth import CLUSTERS, LIKE_REAL, draw_messages
from assocmem.bench.tables import Section, percent

MODULE = "assocmem.bench.seen.which"
"""This module, for processes that call `measure`."""
KEPT = (16, 10, 8, 6)
ASKED, ROUNDS = 20_000, 3
FAISS_HASHES = 8
"""Pairs of symbols that FAISS's index is hashed by: all that are disjoint."""
FAISS_MOST = 1_000_000
"""Items up to which FAISS's index is measured; its maps take minutes and gigabytes beyond."""
OURS, TABLE, FAISS = "NamingMemory", "hash table of whole messages", "FAISS IndexBinaryMultiHash"
HEADERS = ("items", "messages", "way", "us stored, per item", "bytes each", "us asked, stored", "us asked, half kept",
           *(f"named, {kept} kept" for kept in KEPT), "predicted, 8 kept", "predicted, 6 kept")  # fmt: skip


class Built(NamedTuple):
    """A way to name messages, built."""

    ask: Callable[[U16], AnyArray]
    """messages -> the numbers they are named, int64 (n, any)"""
    bytes: int
    predicted: dict[int, float]
    """by symbols kept; empty where there is no theory"""


def _ours(messages: U16) -> Built:
    from assocmem.memory.naming import NamingMemory, rows_for

    memory = NamingMemory(rows_for(len(messages)))
    memory.store(messages, np.arange(len(messages)))
    predicted = {kept: memory.theory(kept, len(messages)) for kept in KEPT}
    return Built(lambda asked: memory.names(asked).numbers, memory.nbytes, predicted)


def _hash_table(messages: U16) -> Built:
    """A dictionary from the bytes of a whole message; it knows no near copy."""
    import sys

    table: dict[bytes, int] = {}
    for number, message in enumerate(messages):
        table.setdefault(message.tobytes(), number)
    each = sys.getsizeof(next(iter(table))) + sys.getsizeof(1 << 20)

    def ask(asked: U16) -> I64:
        return np.array([[table.get(message.tobytes(), -1)] for message in asked], np.int64)

    return Built(ask, sys.getsizeof(table) + each * len(table), {})


def _faiss(messages: U16) -> Built:
    """Hamming distances of the messages as 192 bits, among those that share one of eight pairs of symbols."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryMultiHash(12 * CLUSTERS, FAISS_HASHES, 24)
    index.add(as_bits(messages))
    # Codes, and per hash and item an entry of a map: the key, a vector of one id, and the node.
    size = len(messages) * (12 * CLUSTERS // 8 + FAISS_HASHES * (8 + 24 + 16 + 8))
    return Built(lambda asked: index.search(as_bits(asked), 1)[1].astype(np.int64), size, {})


def as_bits(messages: U16) -> U8:
    """Return messages as codes of 12 bits per symbol, uint8 (n, 24), the lowest bit first."""
    bits = (messages[:, :, None] >> np.arange(12, dtype=np.uint16)) & 1
    return np.packbits(bits.reshape(len(messages), -1).astype(np.uint8), axis=1, bitorder="little")


WAYS: dict[str, Callable[[U16], Built]] = {OURS: _ours, TABLE: _hash_table, FAISS: _faiss}


def ways(items: int) -> list[str]:
    """Return what is measured at a size on this machine."""
    with_faiss = importlib.util.find_spec("faiss") is not None and items <= FAISS_MOST
    return [OURS, TABLE, *([FAISS] if with_faiss else [])]


def measure(items: int, kind: str, file: str, way: str) -> dict[str, Any]:
    """Build one way for ``items`` messages and measure it; called in a process of its own.

    Parameters as those of ``growth.grow``.
    """
    rng = np.random.default_rng(0)
    real = np.load(file) if kind == LIKE_REAL else None
    messages = draw_messages(items, real, rng)
    WAYS[way](messages[:100]).ask(messages[:100])  # compiles
    started = time.thread_time()
    built = WAYS[way](messages)
    stored_us = (time.thread_time() - started) / items * 1e6
    numbers = rng.integers(0, items, ASKED)
    named: dict[int, float] = {}
    times: dict[int, float] = {}
    for kept in KEPT:
        alike = rng.random((ASKED, CLUSTERS)).argsort(axis=1) < kept
        asked = np.where(alike, messages[numbers], draw_messages(ASKED, real, rng))
        taken = []
        for _ in range(ROUNDS):
            started = time.thread_time()  # not wall time: other programs on the machine do not count
            found = built.ask(asked)
            taken.append((time.thread_time() - started) / ASKED * 1e6)
        times[kept] = sorted(taken)[ROUNDS // 2]
        # Another item of the very same message is as right.
        same = (messages[found] == messages[numbers][:, None]).all(axis=2) & (found >= 0)
        named[kept] = float(same.any(axis=1).mean())
    return {"items": items, "kind": kind, "way": way, "stored_us": stored_us, "bytes_each": built.bytes / items,
            "us": times, "named": named, "predicted": built.predicted}  # fmt: skip


def section(runs: list[dict[str, Any]]) -> Section:
    """Tabulate the ways."""
    rows = []
    for run in runs:
        figures = {
            what: {int(kept): value for kept, value in run[what].items()} for what in ("us", "named", "predicted")
        }
        rows.append((
            f"{run['items']:,}", run["kind"], run["way"], f"{run['stored_us']:.2f}", f"{run['bytes_each']:.0f}",
            f"{figures['us'][16]:.2f}", f"{figures['us'][8]:.2f}", *(percent(figures["named"][kept]) for kept in KEPT),
            *(percent(figures["predicted"].get(kept)) for kept in (8, 6)),
        ))  # fmt: skip
    notes = [
        "Microseconds of one core per message, in batches. Named: the item is among the numbers answered, at most "
        "four. FAISS answers with the nearest of those that share one of eight pairs of symbols; its bytes are counted "
        "for its codes and maps. A plain hash table knows whole messages only.",
    ]
    return Section("Which item it is", HEADERS, rows, notes)
