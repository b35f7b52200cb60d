"""A CliqueIndex in an HDF5 file, which is whole or not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from assocmem._numerics.types import AnyArray, Arrays
from assocmem._numerics.validation import check_effort, check_ids
from assocmem._storage.hdf5 import is_mapped, loaded_arrays, save_arrays
from assocmem.search.pool_level import STORED, level_arrays
from assocmem.search.vector_storage import Features

if TYPE_CHECKING:
    from assocmem.search._vector_store import StoredVectors
    from assocmem.search.clique_index import CliqueIndex

KIND = "clique index"


def save_index(path: str | os.PathLike[str], index: CliqueIndex) -> None:
    """Write an index; InputError when the path cannot be a file's."""
    save_arrays(path, KIND, *state_of(index))


def load_index(cls: type[CliqueIndex], path: str | os.PathLike[str], *, mmap: bool) -> Any:
    """Read what ``save_index`` wrote; errors as of ``CliqueIndex.load``."""
    with loaded_arrays(path, KIND, "build it again", mapped=("vectors",) if mmap else ()) as (about, arrays):
        index = cls(
            about["dim"],
            about["metric"],
            features=about["features"],
            clusters=about["clusters"],
            mean=arrays["mean"],
            seed=about["seed"],
        )
        restore(index, about, arrays)
    return index


def state_of(index: StoredVectors) -> tuple[dict[str, Any], Arrays]:
    """What a file has to hold: facts, and arrays without their spare room."""
    head, tail = index._features.parts
    tail = tail[: index._rows - len(head)]
    arrays = {"mean": index.mean, "vectors": np.concatenate([head, tail]) if len(head) and len(tail) else head}
    if len(tail) and not len(head):
        arrays["vectors"] = tail
    if not index._ids.plain:
        arrays["ids"] = index._ids.of_rows[: index._rows]
    tree = index._tree
    for name, level in (("items", tree.items), ("pools", tree.pools), ("groups", tree.groups)):
        arrays |= level_arrays(name, level.blocks)
    return {**index.kind, "rows": index._rows, "next_id": index._next_id, "effort": index._effort}, arrays


def restore(index: StoredVectors, about: dict[str, Any], arrays: Arrays) -> None:
    """Undo ``state_of`` in an empty index; mapped vectors stay where they are."""
    tree, rows = index._tree, int(about["rows"])
    below: AnyArray | None = None  # who must be in a level, by the one before it
    for name, level in (("items", tree.items), ("pools", tree.pools), ("groups", tree.groups)):
        present = level.restore({part: arrays[f"{name} {part}"] for part in STORED})
        if int(present.max(initial=-1)) >= rows if below is None else not np.array_equal(present, below):
            raise ValueError(f"{name} that are not those of the others")
        below = np.flatnonzero(level.blocks.sizes[: level.pools])
    tree.items.reserve(rows)
    vectors = arrays["vectors"]
    if vectors.shape != (rows, index._features.width) or vectors.dtype != index._features.tail.dtype:
        raise ValueError(f"vectors of shape {vectors.shape} and dtype {vectors.dtype}")
    mapped = is_mapped(vectors)
    index._features = Features(index.dim, index._features.kind, vectors if mapped else None)
    if not mapped:
        index._features.tail = vectors
    index._rows, index._next_id = rows, int(about["next_id"])
    index._effort = None if about["effort"] is None else check_effort(about["effort"])
    used = np.flatnonzero(index._places() >= 0).astype(np.int32)
    index._count = len(used)
    if (ids := arrays.get("ids")) is not None:
        if ids.dtype != np.int64 or ids.shape != (rows,):
            raise ValueError(f"ids of {ids.dtype}, shape {ids.shape}")
        check_ids(ids[used])
        index._ids.restore(ids, used)
    if not mapped:
        index._vacant = np.flatnonzero(index._places() < 0).tolist()
