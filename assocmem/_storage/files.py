"""Bit memories in HDF5 files: whole or not there, checked when opened, mapped when asked.

The matrix lies in one piece, so that it can be mapped; HDF5 has checksums for chunked data only, so every mebibyte has
a CRC-32 beside it (which finds every burst of up to 32 wrong bits).
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import U32, Words
from assocmem.errors import DamagedError, InputError, MismatchError, MissingFileError

FORMAT = 1
LIBVER = ("v110", "v110")
"""HDF5's own structures have checksums from this version of the format on; with older ones a flipped bit can turn one
chunk into another unnoticed."""
BLOCK = 2**20 // 8
"""Words per checksum."""
PAGE = 4096


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path; what was written there takes the place of ``path``, whole, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def named_damage(path: Path, what: str, way_out: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into DamagedError, but for what has a better name."""
    try:
        yield
    except (PermissionError, MemoryError, MismatchError):
        raise
    except Exception as error:  # h5py has nearly every built-in exception for a file that is not what it seems
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(
            f"{path}: expected a whole {what}, found damage ({detail}); restore it from a copy, or {way_out}"
        ) from error


@contextlib.contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Give an HDF5 file to be filled, which takes the name when it is whole; InputError when the name is no file's."""
    import h5py

    target = Path(path).expanduser().resolve()  # what a link points to is replaced, not the link
    if not target.parent.is_dir() or (target.exists() and not target.is_file()):
        raise InputError(
            f"{path}: expected the name of a file in a folder that is there, found none such; name another"
        )
    with (
        replacing(target) as temporary,
        h5py.File(temporary, "w", libver=LIBVER, alignment_threshold=PAGE, alignment_interval=PAGE) as file,
    ):
        yield file


def save_bits(path: str | os.PathLike[str], kind: str, shape: Mapping[str, int], bits: Words) -> None:
    """Write a memory's bits with its kind and shape, so that they are on the disk, whole, before the name exists."""
    with new_file(path) as file:
        # Not a str: those of h5py lie in a heap without checksum, where one wrong bit can make HDF5 read for ever.
        file.attrs.update({"format": FORMAT, "kind": np.bytes_(kind), **shape})
        file.create_dataset("bits", data=bits.astype("<u8", copy=False))
        sums = _checksums(bits)
        file.create_dataset("checksums", data=sums, chunks=(min(len(sums), 65536),), fletcher32=True)


def load_bits(path: str | os.PathLike[str], kind: str, *, mmap: bool = False) -> tuple[dict[str, int], Words]:
    """Read what ``save_bits`` wrote; every checksum is checked, mapped or not.

    Returns
    -------
    shape : dict of int
    bits : uint64 (n, w)
        With ``mmap``, read-only and in the file.

    Raises
    ------
    MissingFileError
    DamagedError
        The file is cut short, altered, or no such file at all.
    MismatchError
        Another kind of memory, or written by a newer version.
    """
    import h5py

    target = Path(path).expanduser()
    if not target.is_file():
        found = "a folder" if target.is_dir() else "none"
        raise MissingFileError(f"{path}: expected a memory's file, found {found}; name one that was saved")
    with named_damage(target, f"{kind} memory", "store again"), h5py.File(target, "r") as file:
        about = {name: value.item() if hasattr(value, "item") else value for name, value in file.attrs.items()}
        if "about" in file:  # as an index has
            raise MismatchError(f"{path}: expected a {kind} memory, found another kind of file; load it as that")
        about["kind"] = about["kind"].decode()
        _check_kind(target, kind, about)
        if file["bits"].dtype != np.dtype("<u8"):
            raise ValueError(f"{file['bits'].dtype} and not 64-bit words")
        if mmap:
            place = file["bits"].id.get_offset()
            bits = np.memmap(target, "<u8", "r", place, file["bits"].shape).view(np.ndarray)
        else:
            bits = file["bits"][:]
        if not np.array_equal(_checksums(bits), file["checksums"][:]):
            raise ValueError("the bits are not those that were written")
    return {name: value for name, value in about.items() if name not in ("format", "kind")}, bits


def _check_kind(path: Path, kind: str, about: Mapping[str, Any]) -> None:
    if about["kind"] != kind:
        raise MismatchError(f"{path}: expected a {kind} memory, found a {about['kind']} memory; load it as that")
    if about["format"] != FORMAT:
        raise MismatchError(
            f"{path}: expected format {FORMAT}, found {about['format']}; "
            "it was written by a newer assocmem: update this one"
        )


def _checksums(bits: Words) -> U32:
    """CRC-32 of each mebibyte, uint32 (blocks,)."""
    words = bits.reshape(-1)
    return np.array([zlib.crc32(words[i : i + BLOCK].data) for i in range(0, len(words), BLOCK)], np.uint32)
