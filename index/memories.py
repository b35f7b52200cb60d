"""Memories that are derived from the segments: kept in files, stamped with their generation, rebuilt when not right."""

from __future__ import annotations

import contextlib
from pathlib import Path

import h5py
import numpy as np

from assocmem.concepts import ConceptMemory
from assocmem.files import LIBVER
from assocmem.index.snapshot import Snapshot

CONCEPTS = "memory-concepts.h5"
IMAGENET_CLASSES = 1000
_ROWS = 65536


def imagenet_memory(snapshot: Snapshot, folder: Path, clusters: int, *, keep: bool = False) -> ConceptMemory:
    """Return the memory of which ImageNet concepts go with which units, fed from the labels of all living items.

    Read from its file when that belongs to this generation, else rebuilt; with ``keep`` the file is replaced then.
    """
    path = folder / CONCEPTS
    memory = ConceptMemory(clusters, IMAGENET_CLASSES)
    if load_memory(memory, path, snapshot.generation):
        return memory
    feed(memory, snapshot)
    if keep:
        _save(memory, path, snapshot.generation)
    return memory


def feed(memory: ConceptMemory, snapshot: Snapshot) -> None:
    """Teach a memory the labels of all living items."""
    for segment, dead in zip(snapshot.segments, snapshot.dead, strict=True):
        for start in range(0, len(segment.ids), _ROWS):
            rows = np.setdiff1d(np.arange(start, min(start + _ROWS, len(segment.ids))), dead)
            memory.teach(segment.codes[rows], segment.labels[rows], segment.label_scores[rows])


def load_memory(memory: ConceptMemory, path: Path, generation: int) -> bool:
    """Fill the memory from its file; False when there is none, it is of another generation, or damaged."""
    # Whatever h5py makes of a damaged file, the answer is to build the memory anew.
    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        if file.attrs["generation"] == generation and file["counts"].shape == memory.counts.shape:
            memory.counts[:] = file["counts"][:]
            return True
    return False


def _save(memory: ConceptMemory, path: Path, generation: int) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        with h5py.File(temporary, "w", libver=LIBVER) as file:
            file.attrs["generation"] = generation
            chunks = (min(256, len(memory.counts)), memory.concepts)
            file.create_dataset("counts", data=memory.counts, chunks=chunks, compression=1, fletcher32=True)
        temporary.replace(path)
    except (OSError, RuntimeError):  # a full disk: the items are stored, and a memory can be built again at any time
        temporary.unlink(missing_ok=True)
