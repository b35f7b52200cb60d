"""HDF5 files of arrays: written atomically, checked when they are read, memory-mapped on request.

An array is stored in one piece, so that it can be mapped. HDF5 has checksums for chunked data only, so every mebibyte
of an array has a CRC-32 of its own, which detects every burst of up to 32 wrong bits. There are two kinds of files: the
bits of a memory, with its shape as attributes, and named arrays, with facts as JSON. h5py is imported on first use: a
process that reads no file does not wait for it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import mmap as memory_map
import os
import sys
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assocmem._numerics.types import U32, AnyArray, Arrays, Words
from assocmem.errors import DamagedError, InputError, MismatchError, MissingFileError

FORMAT = 1
LIBVER = ("v110", "v110")
"""From this version of HDF5's format on, its own structures have checksums. In older versions a flipped bit can turn
one chunk into another unnoticed."""
CHECKED_BYTES = 2**20
"""Bytes per checksum."""
PAGE = 4096
"""Bytes that the start of an array is aligned to, so that it can be mapped."""


_numbers = itertools.count()

# Writing


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Windows can only sync files, and only if they are open for writing; it has no call for folders.
    """
    windows = sys.platform == "win32"
    if windows and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces ``path`` completely, or not at all if an error occurs."""
    # Threads that write the same file at once need names of their own; the last one wins.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_hdf5(path: Path, **options: Any) -> Iterator[Any]:
    """Yield an open HDF5 file that replaces ``path`` completely, or not at all; ``options`` are those of ``h5py.File``.

    HDF5 writes what is left when a file is closed. If it cannot, because the disk is full, it keeps the file open and
    crashes when the process ends. So the rest is written before, and goes to the null device if that fails. On Windows
    nothing is redirected: HDF5 may have descriptors of its own there.
    """
    import h5py

    with replacing(path) as temporary, h5py.File(temporary, "w", libver=LIBVER, **options) as file:
        try:
            yield file
            file.flush()
        except BaseException:
            try:
                file.flush()
            except (OSError, RuntimeError):
                if sys.platform != "win32":
                    null = os.open(os.devnull, os.O_RDWR)
                    os.dup2(null, file.id.get_vfd_handle(), inheritable=False)
                    os.close(null)
            raise


@contextlib.contextmanager
def _new_file(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Yield an open HDF5 file that replaces ``path`` when it is complete; InputError if no file can have that name."""
    target = Path(path).expanduser().resolve()  # the target of a link is replaced, not the link
    if not target.parent.is_dir() or (target.exists() and not target.is_file()):
        raise InputError(f"{path}: expected a file name in an existing folder, found none; choose another name")
    with replacing_hdf5(target, alignment_threshold=PAGE, alignment_interval=PAGE) as file:
        yield file


def save_arrays(
    path: str | os.PathLike[str], kind: str, about: dict[str, Any], arrays: Arrays, *, version: int = FORMAT
) -> None:
    """Write named arrays and facts about them to a file of its own.

    Parameters
    ----------
    path : path
        An existing file is replaced.
    kind : str
        What the arrays are; ``loaded_arrays`` refuses other kinds.
    about : dict
        Facts that JSON can represent.
    arrays : dict of arrays
    version : int
        Format of this kind of file.

    Raises
    ------
    InputError
        No file can have that name.
    """
    with _new_file(path) as file:
        file.attrs["format"] = version
        # Not as str: h5py stores strings in a heap without checksum, where a wrong bit can make HDF5 read forever.
        facts = np.frombuffer(json.dumps({"kind": kind, **about}).encode(), np.uint8)
        write_arrays(file, {"about": facts, **arrays})


def write_dataset(file: Any, name: str, data: AnyArray, **options: Any) -> None:
    """Write an array to an open HDF5 file; ``options`` are those of ``create_dataset``.

    It is flushed before the dataset is closed: h5py does not report what fails when one is closed.
    """
    file.create_dataset(name, data=data, **options).flush()


def write_arrays(file: Any, arrays: Arrays) -> None:
    """Write arrays and their checksums to an open HDF5 file that was made with ``LIBVER`` and aligned to ``PAGE``."""
    for name, array in arrays.items():
        array = np.ascontiguousarray(array)
        write_dataset(file, name, array)
        _write_checksums(file, f"{name} checksums", array)


def save_bits(path: str | os.PathLike[str], kind: str, shape: Mapping[str, int], bits: Words) -> None:
    """Write the bits of a memory, with its kind and shape; InputError if no file can have that name."""
    with _new_file(path) as file:
        file.attrs.update({"format": FORMAT, "kind": np.bytes_(kind), **shape})  # bytes: see ``save_arrays``
        write_dataset(file, "bits", bits.astype("<u8", copy=False))
        _write_checksums(file, "checksums", bits)


# Reading


def is_mapped(array: AnyArray) -> bool:
    """Return whether an array is, or is a view of, a mapped file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, memory_map.mmap)


@contextlib.contextmanager
def loaded_arrays(
    path: str | os.PathLike[str], kind: str, way_out: str, *, mapped: Collection[str] = (), newest: int = FORMAT
) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """Read what ``save_arrays`` wrote; yields the facts and the arrays.

    An error in the body of the ``with`` statement counts as damage too: facts and arrays that do not fit together.

    Parameters
    ----------
    path : path
    kind : str
    way_out : str
        What to do about a damaged file, for the message.
    mapped : names
        Arrays that stay in the file; their checksums are computed, too.
    newest : int
        Newest format of this kind of file that can be read.

    Raises
    ------
    MissingFileError
    DamagedError
        The file is cut short, altered, or not such a file.
    MismatchError
        Another kind of file, or written by a newer version.
    """
    import h5py

    target = _existing_file(path, _a(kind))
    with _damage_named(target, kind, way_out):
        with h5py.File(target, "r") as file:
            if "about" not in file:
                raise MismatchError(f"{path}: expected {_a(kind)}, found another kind of file; load it as that")
            about = json.loads(read_array(file, target, "about").tobytes())
            if about["kind"] != kind:
                raise MismatchError(f"{path}: expected {_a(kind)}, found {_a(about['kind'])}; load it as that")
            _check_format(path, file.attrs["format"], newest)
            names = {name.removesuffix(" checksums") for name in file} - {"about"}
            arrays = {name: read_array(file, target, name, mapped=name in mapped) for name in names}
        yield about, arrays


def read_array(file: Any, path: Path, name: str, *, mapped: bool = False, checked: bool = True) -> AnyArray:
    """Read or map an array that ``write_arrays`` wrote; ValueError if its checksums are wrong."""
    # Copy on write: it is never written to, but kernels see the same type as for an array in memory.
    return _read_checked(file, path, name, f"{name} checksums" if checked else None, "c" if mapped else None)


def _read_checked(file: Any, path: Path, name: str, sums: str | None, mode: Literal["c", "r"] | None) -> AnyArray:
    """Read an array, or map it with this mode of ``np.memmap``; ValueError if the checksums named ``sums`` differ."""
    data = file[name]
    array: AnyArray
    if mode and data.size:
        array = np.memmap(path, data.dtype, mode, data.id.get_offset(), data.shape).view(np.ndarray)
    else:
        array = data[:]
    if sums and not np.array_equal(_checksums(array), file[sums][:]):
        raise ValueError(f"the {name} are not those that were written")
    return array


def load_bits(path: str | os.PathLike[str], kind: str, *, mmap: bool = False) -> tuple[dict[str, int], Words]:
    """Read what ``save_bits`` wrote; every checksum is checked, mapped or not.

    Returns
    -------
    shape : dict of int
    bits : uint64 (n, w)
        With ``mmap``, read-only and left in the file.

    Raises
    ------
    MissingFileError
    DamagedError
        The file is cut short, altered, or not such a file.
    MismatchError
        Another kind of memory, or written by a newer version.
    """
    import h5py

    target = _existing_file(path, "a memory")
    with _damage_named(target, f"{kind} memory", "store again"), h5py.File(target, "r") as file:
        about = {name: value.item() if hasattr(value, "item") else value for name, value in file.attrs.items()}
        if "about" in file:  # a file of ``save_arrays``
            raise MismatchError(f"{path}: expected a {kind} memory, found another kind of file; load it as that")
        found = about.pop("kind").decode()
        if found != kind:
            raise MismatchError(f"{path}: expected a {kind} memory, found a {found} memory; load it as that")
        _check_format(path, about.pop("format"))
        if file["bits"].dtype != np.dtype("<u8"):
            raise ValueError(f"{file['bits'].dtype} instead of 64-bit words")
        bits = _read_checked(file, target, "bits", "checksums", "r" if mmap else None)
    return about, bits


def _existing_file(path: str | os.PathLike[str], what: str) -> Path:
    target = Path(path).expanduser()
    if not target.is_file():
        found = "a folder" if target.is_dir() else "nothing"
        raise MissingFileError(f"{path}: expected the file of {what}, found {found}; name one that was saved")
    return target


@contextlib.contextmanager
def _damage_named(path: Path, what: str, way_out: str) -> Iterator[None]:
    """Turn every error while a file is read into DamagedError, except those that say more."""
    try:
        yield
    except (PermissionError, MemoryError, MismatchError):
        raise
    except Exception as error:  # h5py raises nearly every built-in exception for a damaged file
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(
            f"{path}: expected a complete {what}, found damage ({detail}); restore it from a copy, or {way_out}"
        ) from error


def _check_format(path: str | os.PathLike[str], found: int, newest: int = FORMAT) -> None:
    if not FORMAT <= found <= newest:
        raise MismatchError(
            f"{path}: expected format {newest}, found {found}; it was written by a newer assocmem: update this one"
        )


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


# Checksums


def _write_checksums(file: Any, name: str, array: AnyArray) -> None:
    sums = _checksums(array)
    write_dataset(file, name, sums, chunks=(min(len(sums), 65536),), fletcher32=True)


def _checksums(array: AnyArray) -> U32:
    """Return the CRC-32 of each mebibyte, uint32 (blocks,); a single one for an empty array."""
    data = array.reshape(-1).view(np.uint8)
    starts = range(0, max(1, len(data)), CHECKED_BYTES)
    return np.array([zlib.crc32(data[i : i + CHECKED_BYTES].data) for i in starts], np.uint32)
