"""Memories that are derived from the segments: kept in files, stamped with their generation, rebuilt when not right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from assocmem._numerics.types import AnyArray
from assocmem._storage.hdf5 import LIBVER, sync
from assocmem.concepts.unit_counts import UnitCounts
from assocmem.index.store.snapshot import Snapshot

CONCEPTS = "memory-concepts.h5"
IMAGENET_CLASSES = 1000
_ROWS = 65536


def imagenet_memory(snapshot: Snapshot, folder: Path, clusters: int, *, keep: bool = False) -> UnitCounts:
    """Return the memory of which ImageNet concepts go with which units, fed from the labels of all living items.

    Read from its file when that belongs to this generation, else rebuilt; with ``keep`` the file is replaced then.
    """
    path = folder / CONCEPTS
    memory = UnitCounts(clusters, IMAGENET_CLASSES)
    if load_memory(memory, path, snapshot.generation):
        return memory
    feed(memory, snapshot)
    if keep:
        keep_file(
            path, snapshot.generation, lambda file: add_dataset(file, "counts", memory.counts, 256, compression=1)
        )
    return memory


def feed(memory: UnitCounts, snapshot: Snapshot) -> None:
    """Teach a memory the labels of all living items."""
    for segment, dead in zip(snapshot.segments, snapshot.dead, strict=True):
        for start in range(0, len(segment.ids), _ROWS):
            rows = np.setdiff1d(np.arange(start, min(start + _ROWS, len(segment.ids))), dead)
            memory.teach(segment.codes[rows], segment.labels[rows], segment.label_scores[rows])


def load_memory(memory: UnitCounts, path: Path, generation: int) -> bool:
    """Fill the memory from its file; False when there is none, it is of another generation, or damaged."""
    # Whatever h5py makes of a damaged file, the answer is to build the memory anew.
    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        if file.attrs["generation"] == generation and file["counts"].shape == memory.counts.shape:
            memory.counts[:] = file["counts"][:]
            return True
    return False


def keep_file(path: Path, generation: int, fill: Callable[[h5py.File], None], **options: Any) -> None:
    """Replace a memory's file; when that cannot be (a full disk), nothing is said: it can be built at any time.

    ``options``: for ``h5py.File``.
    """
    temporary = path.with_suffix(".tmp")
    try:
        with h5py.File(temporary, "w", libver=LIBVER, **options) as file:
            file.attrs["generation"] = generation
            fill(file)
        sync(temporary)  # not everything in it has a checksum that is looked at every time
        temporary.replace(path)
    except (OSError, RuntimeError):
        temporary.unlink(missing_ok=True)


def add_dataset(file: h5py.File, name: str, values: AnyArray, rows: int, **options: Any) -> None:
    """Add an array to a memory's file, with a checksum for so many rows at a time."""
    chunks = (max(1, min(rows, len(values))), *values.shape[1:])
    file.create_dataset(
        name, data=values, maxshape=(None, *values.shape[1:]), chunks=chunks, fletcher32=True, **options
    )
