"""Arrays in an HDF5 file: in one piece each, with a CRC-32 per mebibyte, so that they can be mapped and checked."""

from __future__ import annotations

import contextlib
import json
import mmap as memory_map
import os
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import U32, AnyArray, Arrays
from assocmem._storage.files import named_damage, new_file
from assocmem.errors import MismatchError, MissingFileError
from assocmem.search.blocks import POOL_BLOCKS, POOL_ITEMS, Blocks

FORMAT = 1
CHECKED = 2**20
"""Bytes per checksum."""


def is_mapped(array: AnyArray) -> bool:
    """Whether an array lies in a mapped file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, memory_map.mmap)


def save_arrays(path: str | os.PathLike[str], kind: str, about: dict[str, Any], arrays: Arrays) -> None:
    """Write a file of a kind: facts, which JSON can hold, and arrays; InputError when the path cannot be a file's."""
    with new_file(path) as file:
        file.attrs["format"] = FORMAT
        # Not a str: those of h5py lie in a heap without checksum, where one wrong bit can make HDF5 read for ever.
        facts = np.frombuffer(json.dumps({"kind": kind, **about}).encode(), np.uint8)
        write_arrays(file, {"about": facts, **arrays})


@contextlib.contextmanager
def loaded_arrays(
    path: str | os.PathLike[str], kind: str, way_out: str, *, mapped: Collection[str] = ()
) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """Read what ``save_arrays`` wrote; what goes wrong with it in the body is damage too.

    Raises
    ------
    MissingFileError, DamagedError, MismatchError
    """
    import h5py

    target = Path(path).expanduser()
    if not target.is_file():
        found = "a folder" if target.is_dir() else "none"
        raise MissingFileError(f"{path}: expected {_a(kind)}'s file, found {found}; name one that was saved")
    with named_damage(target, kind, way_out):
        with h5py.File(target, "r") as file:
            if "about" not in file:
                raise MismatchError(f"{path}: expected {_a(kind)}, found another kind of file; load it as that")
            if file.attrs["format"] != FORMAT:
                raise MismatchError(
                    f"{path}: expected format {FORMAT}, found {file.attrs['format']}; "
                    "it was written by a newer assocmem: update this one"
                )
            names = {name.removesuffix(" checksums") for name in file}
            arrays = {name: read_array(file, target, name, mapped=name in mapped) for name in names}
        about = json.loads(arrays.pop("about").tobytes())
        if about["kind"] != kind:
            raise MismatchError(f"{path}: expected {_a(kind)}, found {_a(about['kind'])}; load it as that")
        yield about, arrays


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def write_arrays(file: Any, arrays: Arrays) -> None:
    """Put arrays into an open HDF5 file, made with ``LIBVER`` and aligned to ``PAGE``, with their checksums."""
    for name, array in arrays.items():
        array = np.ascontiguousarray(array)
        file.create_dataset(name, data=array)
        sums = _checksums(array)
        file.create_dataset(f"{name} checksums", data=sums, chunks=(min(len(sums), 65536),), fletcher32=True)


def read_array(file: Any, path: Path, name: str, *, mapped: bool = False, checked: bool = True) -> AnyArray:
    """Read what ``write_arrays`` wrote, or map it; ValueError when it is not that."""
    data = file[name]
    array: AnyArray
    if mapped and data.size:
        # Copy on write: never written, but of the same type to the kernels as an array in memory.
        array = np.memmap(path, data.dtype, "c", data.id.get_offset(), data.shape).view(np.ndarray)
    else:
        array = data[:]
    if checked and not np.array_equal(_checksums(array), file[f"{name} checksums"][:]):
        raise ValueError(f"the {name} are not those that were written")
    return array


def _checksums(array: AnyArray) -> U32:
    """CRC-32 of each mebibyte, uint32 (blocks,); one of nothing where there is nothing."""
    data = array.reshape(-1).view(np.uint8)
    starts = range(0, max(1, len(data)), CHECKED)
    return np.array([zlib.crc32(data[i : i + CHECKED].data) for i in starts], np.uint32)


def level_arrays(name: str, blocks: Blocks) -> Arrays:
    """Arrays of a level without their spare room."""
    pools = int(blocks.made[0])
    rows = {"codes": POOL_BLOCKS, "scales": POOL_BLOCKS, "biases": POOL_BLOCKS, "members": POOL_ITEMS, "sizes": 1}
    cut = {part: getattr(blocks, part)[: times * pools] for part, times in rows.items()}
    return {f"{name} {part}": array for part, array in cut.items()}
