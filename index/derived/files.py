"""Files of memories that are derived from the segments: stamped with a generation, rebuilt when missing or damaged.

The writer does not rebuild them after every commit. A question reads a file that is up to date, and otherwise builds
the memory from the segments; ``refresh`` decides when the files are worth replacing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import h5py

from assocmem._numerics.types import AnyArray
from assocmem._storage.hdf5 import replacing_hdf5, write_dataset

T = TypeVar("T")

LABEL_COUNTS = "memory-concepts.h5"
CLIQUES = "memory-cliques.h5"
MESSAGES = "memory-messages.h5"
FAMILIARITY = "memory-seen.h5"
NAMES = "memory-names.h5"
POOLS = "memory-pools.h5"
TAUGHT = "memory-taught.h5"


def keep_file(path: Path, generation: int, fill: Callable[[h5py.File], None], **options: Any) -> None:
    """Replace the file of a derived memory. A failure (a full disk) is ignored: it can be built at any time.

    Parameters
    ----------
    path : Path
    generation : int
        Of the items that the memory was made from.
    fill : function of h5py.File
        Writes the content.
    **options
        For ``h5py.File``.
    """
    with contextlib.suppress(OSError, RuntimeError), replacing_hdf5(path, **options) as file:
        file.attrs["generation"] = generation
        fill(file)


def read_kept(path: Path, read: Callable[[h5py.File], T | None], generation: int | None = None) -> T | None:
    """Return what ``read`` makes of the file of a derived memory.

    None if the file is missing, damaged in any way, or (with ``generation``) of another generation. The caller then
    builds the memory again, for any of these reasons.
    """
    with contextlib.suppress(Exception), h5py.File(path, "r") as file:  # h5py raises nearly every built-in exception
        if generation is None or file.attrs["generation"] == generation:
            return read(file)
    return None


def add_dataset(file: h5py.File, name: str, values: AnyArray, rows: int, **options: Any) -> None:
    """Add an array to a file, with a checksum per ``rows`` rows."""
    chunks = (max(1, min(rows, len(values))), *values.shape[1:])
    write_dataset(file, name, values, maxshape=(None, *values.shape[1:]), chunks=chunks, fletcher32=True, **options)


def not_of_the_items(path: Path, what: str, of: str = "items") -> str:
    """Return the line that ``verify`` prints for a derived file with wrong content."""
    return f"{path}: its {what} are not those of the {of}; remove it, it will be built again"
