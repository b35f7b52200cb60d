"""Arrays in an HDF5 file: in one piece each, with a CRC-32 per mebibyte, so that they can be mapped and checked."""

from __future__ import annotations

import mmap as memory_map
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assocmem.blocks import POOL_BLOCKS, POOL_ITEMS, Blocks

CHECKED = 2**20
"""Bytes per checksum."""

Arrays = dict[str, npt.NDArray[Any]]


def is_mapped(array: npt.NDArray[Any]) -> bool:
    """Whether an array lies in a mapped file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, memory_map.mmap)


def write_arrays(file: Any, arrays: Arrays) -> None:
    """Put arrays into an open HDF5 file, made with ``LIBVER`` and aligned to ``PAGE``, with their checksums."""
    for name, array in arrays.items():
        array = np.ascontiguousarray(array)
        file.create_dataset(name, data=array)
        sums = _checksums(array)
        file.create_dataset(f"{name} checksums", data=sums, chunks=(min(len(sums), 65536),), fletcher32=True)


def read_array(file: Any, path: Path, name: str, *, mapped: bool = False, checked: bool = True) -> npt.NDArray[Any]:
    """Read what ``write_arrays`` wrote, or map it; ValueError when it is not that."""
    data = file[name]
    array: npt.NDArray[Any]
    if mapped and data.size:
        # Copy on write: never written, but of the same type to the kernels as an array in memory.
        array = np.memmap(path, data.dtype, "c", data.id.get_offset(), data.shape).view(np.ndarray)
    else:
        array = data[:]
    if checked and not np.array_equal(_checksums(array), file[f"{name} checksums"][:]):
        raise ValueError(f"the {name} are not those that were written")
    return array


def _checksums(array: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
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
