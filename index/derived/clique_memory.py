"""The collection's clique memory: every living item's message, kept in a file, and what can be expected of recall.

The file holds the messages, not the memory's bits: a memory of 100,000 items is stored anew in milliseconds, and what
was removed has then never been stored. Messages of items that are new are made of their features.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import I64, U8, AnyArray, Bools, Integers
from assocmem.codes.winner_codes import SIGNED_UNITS, CliqueCoder
from assocmem.index.derived.files import add_dataset, keep_file
from assocmem.index.results import MemoryInfo
from assocmem.index.store.snapshot import Snapshot
from assocmem.memory import capacity
from assocmem.memory.clique import CliqueMemory

CLIQUES = "memory-cliques.h5"
ERASED_SHARE = 4
"""Recall is judged by cues that lack one in four symbols."""
LIMIT = 0.01
"""The error up to which the memory is called good."""
SAMPLE = 1000
_ROWS = 4096


class Messenger(Protocol):
    """What turns features into messages."""

    def messages(self, features: npt.ArrayLike) -> Integers:
        """Return integers (n, clusters) for features (n, dim)."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Of n items."""

    ids: I64
    """int64 (n,), ascending"""
    symbols: AnyArray
    """uint8 or uint16 (n, clusters)"""

    def none(self) -> Messages:
        """Return the messages of no item."""
        return Messages(self.ids[:0], self.symbols[:0])

    def memory(self) -> CliqueMemory:
        """Return a clique memory of all of them."""
        memory = CliqueMemory(self.symbols.shape[1], SIGNED_UNITS)
        memory.store(self.symbols)
        return memory


def memory_info(snapshot: Snapshot, folder: Path, coder: CliqueCoder, *, keep: bool = False) -> MemoryInfo:
    """Return what the memory of all living items holds; with ``keep`` its file is brought up to date."""
    path = folder / CLIQUES
    found = kept_info(folder, snapshot.generation)
    if found is not None:
        return found
    messages = living_messages(snapshot, coder, read_messages(path, coder))
    figures = judge(messages)
    if keep:
        keep_file(path, snapshot.generation, lambda file: _fill(file, messages, figures))
    return figures


def _fill(file: h5py.File, messages: Messages, figures: MemoryInfo) -> None:
    file.attrs.update({name: getattr(figures, name) for name in MemoryInfo.__slots__})
    add_dataset(file, "ids", messages.ids, 65536)
    add_dataset(file, "symbols", messages.symbols, 65536)


def kept_info(folder: Path, generation: int) -> MemoryInfo | None:
    """What was found when the file was written; None when it is of another generation, missing or damaged."""
    with contextlib.suppress(Exception), h5py.File(folder / CLIQUES, "r") as file:  # h5py raises nearly everything
        if file.attrs["generation"] == generation:
            return MemoryInfo(**{name: file.attrs[name].item() for name in MemoryInfo.__slots__})
    return None


def read_messages(path: Path, coder: CliqueCoder) -> Messages:
    """Messages in the file, of whatever generation: an item's never change. None when it is missing or damaged."""
    clusters = coder.message_clusters
    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        messages = Messages(file["ids"][:], file["symbols"][:])
        if messages.symbols.shape == (len(messages.ids), clusters):
            return messages
    return Messages(np.empty(0, np.int64), np.empty((0, clusters), np.uint8))


def living_messages(snapshot: Snapshot, coder: Messenger, known: Messages) -> Messages:
    """Return the messages of all living items: known ones, and new ones of the items' features."""
    ids, symbols = [known.none().ids], [known.none().symbols]
    for segment, dead in zip(snapshot.segments, snapshot.dead, strict=True):
        rows = np.setdiff1d(np.arange(len(segment.ids)), dead)
        mine = segment.ids[rows]
        place = np.minimum(np.searchsorted(known.ids, mine), max(0, len(known.ids) - 1))
        old = known.ids[place] == mine if len(known.ids) else np.zeros(len(mine), bool)
        ids += [mine[old]]
        symbols += [known.symbols[place[old]]]
        fresh = rows[~old]
        for start in range(0, len(fresh), _ROWS):
            part = fresh[start : start + _ROWS]
            ids += [segment.ids[part]]
            symbols += [coder.messages(segment.features[part]).astype(known.symbols.dtype)]
    all_ids = np.concatenate(ids)
    order = np.argsort(all_ids)
    return Messages(all_ids[order], np.concatenate(symbols)[order])


def prepare() -> None:
    """Compile, or load, the kernels that keeping the memory takes."""
    coder = CliqueCoder(8)
    messages = coder.messages(np.ones((2, 8))).astype(np.uint8)
    messages[1] = 1
    judge(Messages(np.arange(2), messages))


def judge(messages: Messages) -> MemoryInfo:
    """Store everything, and recall up to ``SAMPLE`` items, evenly spread, with one in four symbols erased."""
    memory = messages.memory()
    items, clusters = messages.symbols.shape
    erased = clusters // ERASED_SHARE
    rows = np.unique(np.linspace(0, items - 1, SAMPLE).astype(np.int64)) if items else np.empty(0, np.int64)
    cues = messages.symbols[rows].astype(np.int32)
    lost = (np.arange(len(rows))[:, None] * 5 + np.arange(erased) * ERASED_SHARE) % clusters  # each cluster in turn
    np.put_along_axis(cues, lost, -1, axis=1)
    failed = np.flatnonzero((memory.recall(cues).messages != messages.symbols[rows]).any(axis=1))
    alike = sum(_has_double(messages.symbols, rows[i], cues[i] >= 0) for i in failed)
    density, measured = memory.density, (len(failed) - alike) / max(1, len(rows))
    # Items are no random messages: they share symbols, and errors come before theory expects them. They grow at least
    # in proportion to the items.
    by_theory = capacity.room(density, clusters, memory.units, erased, error=LIMIT)
    by_measure = int(items * LIMIT / measured) - items if measured else by_theory
    return MemoryInfo(
        clusters=clusters,
        units=memory.units,
        bytes=memory.nbytes,
        density=density,
        erased=erased,
        predicted_error=capacity.one_step_error(density, clusters, memory.units, erased),
        measured_error=measured,
        alike=alike / max(1, len(rows)),
        sampled=len(rows),
        room=max(0, min(by_theory, by_measure)),
    )


def _has_double(symbols: U8, row: int, known: Bools) -> bool:
    """Whether another item has the same symbols where they are known: then no memory could tell the two apart."""
    clusters = np.flatnonzero(known)
    others = np.flatnonzero(symbols[:, clusters[0]] == symbols[row, clusters[0]])
    same = (symbols[np.ix_(others, clusters)] == symbols[row, clusters]).all(axis=1)
    different = (symbols[others] != symbols[row]).any(axis=1)
    return bool((same & different).any())
