"""The clique memory of a collection: the message of every living item, and the recall to be expected.

The file contains the messages, not the memory's bits: a memory of 100,000 items is stored again in milliseconds, and
what was removed has then never been stored. Messages of new items are made from their features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import I64, U8, AnyArray, Bools, Integers
from assocmem.codes.winner_codes import MESSAGE_UNITS, CliqueCoder
from assocmem.index.derived.files import CLIQUES, add_dataset, keep_file, not_of_the_items, read_kept
from assocmem.index.results import MemoryInfo
from assocmem.index.store.snapshot import Snapshot
from assocmem.memory import capacity
from assocmem.memory.clique import CliqueMemory

ERASED_SHARE = 4
"""Recall is measured with cues in which one in four symbols is erased."""
ERROR_LIMIT = 0.01
"""The error up to which the memory counts as good."""
MEASURED_ITEMS = 1000
_ROWS = 4096


class MessageEncoder(Protocol):
    """Turns features into messages."""

    def messages(self, features: npt.ArrayLike) -> Integers:
        """Return integers (n, clusters) for features (n, dim)."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of n items."""

    ids: I64
    """int64 (n,), ascending"""
    symbols: AnyArray
    """uint8 or uint16 (n, clusters)"""

    @classmethod
    def empty(cls, clusters: int, dtype: npt.DTypeLike) -> Messages:
        """Return the messages of no items."""
        return cls(np.empty(0, np.int64), np.empty((0, clusters), dtype))

    def memory(self) -> CliqueMemory:
        """Return a clique memory of all messages."""
        memory = CliqueMemory(self.symbols.shape[1], MESSAGE_UNITS)
        memory.store(self.symbols)
        return memory

    def fill(self, file: h5py.File) -> None:
        """Write them into a file."""
        add_dataset(file, "ids", self.ids, 65536)
        add_dataset(file, "symbols", self.symbols, 65536)


def read_messages(path: Path, clusters: int, dtype: npt.DTypeLike) -> Messages:
    """Return the messages in a file, of any generation: those of an item never change. None of a damaged file."""

    def read(file: h5py.File) -> Messages | None:
        messages = Messages(file["ids"][:], file["symbols"][:])
        return messages if messages.symbols.shape == (len(messages.ids), clusters) else None

    return read_kept(path, read) or Messages.empty(clusters, dtype)


def living_messages(snapshot: Snapshot, coder: MessageEncoder, known: Messages) -> Messages:
    """Return the messages of all living items: known ones, and new ones from the items' features."""
    ids, symbols = [known.ids[:0]], [known.symbols[:0]]
    for segment, rows in snapshot.living():
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


def message_problems(snapshot: Snapshot, path: Path, coder: MessageEncoder, kept: Messages) -> list[str]:
    """Return what is wrong with the messages ``kept`` in a file."""
    made = living_messages(snapshot, coder, Messages(kept.ids[:0], kept.symbols[:0]))
    _, theirs, ours = np.intersect1d(kept.ids, made.ids, assume_unique=True, return_indices=True)
    if np.array_equal(kept.symbols[theirs], made.symbols[ours]):
        return []
    return [not_of_the_items(path, "messages")]


def known_messages(folder: Path, coder: CliqueCoder) -> Messages:
    """Return the messages in the collection's file."""
    return read_messages(folder / CLIQUES, coder.message_clusters, np.uint8)


def memory_info(snapshot: Snapshot, folder: Path, coder: CliqueCoder, *, keep: bool = False) -> MemoryInfo:
    """Return the figures of the memory of all living items; with ``keep``, its file is brought up to date."""
    found = kept_info(folder, snapshot.generation)
    if found is not None:
        return found
    messages = living_messages(snapshot, coder, known_messages(folder, coder))
    figures = measure(messages)
    if keep:
        keep_file(folder / CLIQUES, snapshot.generation, lambda file: _fill(file, messages, figures))
    return figures


def _fill(file: h5py.File, messages: Messages, figures: MemoryInfo) -> None:
    file.attrs.update({name: getattr(figures, name) for name in MemoryInfo.__slots__})
    messages.fill(file)


def kept_info(folder: Path, generation: int) -> MemoryInfo | None:
    """Return the figures in the file; None as in ``read_kept``."""

    def read(file: h5py.File) -> MemoryInfo:
        return MemoryInfo(**{name: file.attrs[name].item() for name in MemoryInfo.__slots__})

    return read_kept(folder / CLIQUES, read, generation)


def prepare() -> None:
    """Compile, or load, the kernels that keeping the memory takes."""
    coder = CliqueCoder(8)
    messages = coder.messages(np.ones((2, 8))).astype(np.uint8)
    messages[1] = 1
    measure(Messages(np.arange(2), messages))


def measure(messages: Messages) -> MemoryInfo:
    """Store everything, and recall up to ``MEASURED_ITEMS`` items, evenly spread, with one in four symbols erased."""
    memory = messages.memory()
    items, clusters = messages.symbols.shape
    erased = clusters // ERASED_SHARE
    rows = np.unique(np.linspace(0, items - 1, MEASURED_ITEMS).astype(np.int64)) if items else np.empty(0, np.int64)
    cues = messages.symbols[rows].astype(np.int32)
    lost = (np.arange(len(rows))[:, None] * 5 + np.arange(erased) * ERASED_SHARE) % clusters  # each cluster in turn
    np.put_along_axis(cues, lost, -1, axis=1)
    failed = np.flatnonzero((memory.recall(cues).messages != messages.symbols[rows]).any(axis=1))
    alike = sum(_has_double(messages.symbols, rows[i], cues[i] >= 0) for i in failed)
    density, measured = memory.density, (len(failed) - alike) / max(1, len(rows))
    # Items are not random messages: they share symbols, so errors come before theory expects them. They grow at least
    # in proportion to the items.
    by_theory = capacity.room(density, clusters, memory.units, erased, error=ERROR_LIMIT)
    by_measure = int(items * ERROR_LIMIT / measured) - items if measured else by_theory
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
    """Return whether another item has the same known symbols: then no memory could distinguish the two."""
    clusters = np.flatnonzero(known)
    others = np.flatnonzero(symbols[:, clusters[0]] == symbols[row, clusters[0]])
    same = (symbols[np.ix_(others, clusters)] == symbols[row, clusters]).all(axis=1)
    different = (symbols[others] != symbols[row]).any(axis=1)
    return bool((same & different).any())
