"""Which ImageNet concepts go with which units of the codes: a memory of counts, derived from the items' labels.

It is additive, so it could be kept up to date item by item; rebuilding it takes a second for a million items.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from assocmem.concepts.unit_counts import UnitCounts
from assocmem.index.derived.files import LABEL_COUNTS, add_dataset, keep_file, not_of_the_items, read_kept
from assocmem.index.store.snapshot import Snapshot

IMAGENET_CLASSES = 1000


def label_counts(snapshot: Snapshot, folder: Path, clusters: int, *, keep: bool = False) -> UnitCounts:
    """Return the counts of all living items: those of the file if it is of this generation, else new ones.

    With ``keep``, the file is replaced if it is not.
    """
    path = folder / LABEL_COUNTS
    found = read_counts(path, clusters, snapshot.generation)
    if found is not None:
        return found
    memory = build_counts(snapshot, clusters)
    if keep:
        keep_file(
            path, snapshot.generation, lambda file: add_dataset(file, "counts", memory.counts, 256, compression=1)
        )
    return memory


def build_counts(snapshot: Snapshot, clusters: int) -> UnitCounts:
    """Return the counts of the labels of all living items."""
    memory = UnitCounts(clusters, IMAGENET_CLASSES)
    for segment, rows in snapshot.living():
        memory.teach(segment.codes[rows], segment.labels[rows], segment.label_scores[rows])
    return memory


def read_counts(path: Path, clusters: int, generation: int) -> UnitCounts | None:
    """Return the counts in the file; None as in ``read_kept``."""
    memory = UnitCounts(clusters, IMAGENET_CLASSES)

    def read(file: h5py.File) -> UnitCounts | None:
        if file["counts"].shape != memory.counts.shape:
            return None
        memory.counts[:] = file["counts"][:]
        return memory

    return read_kept(path, read, generation)


def label_count_problems(snapshot: Snapshot, folder: Path, clusters: int) -> list[str]:
    """Return what is wrong with the file; nothing if it is missing or of another generation."""
    stored = read_counts(folder / LABEL_COUNTS, clusters, snapshot.generation)
    if stored is None or np.array_equal(stored.counts, build_counts(snapshot, clusters).counts):
        return []
    return [not_of_the_items(folder / LABEL_COUNTS, "counts")]
