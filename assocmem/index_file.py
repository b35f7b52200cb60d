"""A CliqueIndex in an HDF5 file, which is whole or not there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from assocmem.array_file import Arrays, is_mapped, level_arrays, read_array, write_arrays
from assocmem.errors import InputError, MismatchError, MissingFileError
from assocmem.features import Features
from assocmem.files import LIBVER, PAGE, named_damage, replacing
from assocmem.levels import STORED
from assocmem.vectors import check_effort, check_ids

if TYPE_CHECKING:
    from assocmem.clique_index import CliqueIndex
    from assocmem.stored import StoredVectors

FORMAT = 1
KIND = "clique index"


def save_index(path: str | os.PathLike[str], index: CliqueIndex) -> None:
    """Write an index; InputError when the path cannot be a file's."""
    import h5py

    target = Path(path).expanduser().resolve()  # what a link points to is replaced, not the link
    if not target.parent.is_dir() or (target.exists() and not target.is_file()):
        raise InputError(
            f"{path}: expected the name of a file in a folder that is there, found none such; name another"
        )
    about, arrays = state_of(index)
    with (
        replacing(target) as temporary,
        h5py.File(temporary, "w", libver=LIBVER, alignment_threshold=PAGE, alignment_interval=PAGE) as file,
    ):
        file.attrs["format"] = FORMAT
        # Not a str: those of h5py lie in a heap without checksum, where one wrong bit can make HDF5 read for ever.
        arrays = {"about": np.frombuffer(json.dumps({"kind": KIND, **about}).encode(), np.uint8), **arrays}
        write_arrays(file, arrays)


def load_index(cls: type[CliqueIndex], path: str | os.PathLike[str], *, mmap: bool) -> Any:
    """Read what ``save_index`` wrote; errors as of ``CliqueIndex.load``."""
    import h5py

    target = Path(path).expanduser()
    if not target.is_file():
        found = "a folder" if target.is_dir() else "none"
        raise MissingFileError(f"{path}: expected an index's file, found {found}; name one that was saved")
    with named_damage(target, KIND, "build it again"):
        with h5py.File(target, "r") as file:
            if "about" not in file:
                raise MismatchError(f"{path}: expected a {KIND}, found another kind of file; load it as that")
            if file.attrs["format"] != FORMAT:
                raise MismatchError(
                    f"{path}: expected format {FORMAT}, found {file.attrs['format']}; "
                    "it was written by a newer assocmem: update this one"
                )
            names = {name.removesuffix(" checksums") for name in file}
            arrays = {name: read_array(file, target, name, mapped=mmap and name == "vectors") for name in names}
        about = json.loads(arrays.pop("about").tobytes())
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
    below: npt.NDArray[Any] | None = None  # who must be in a level, by the one before it
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
